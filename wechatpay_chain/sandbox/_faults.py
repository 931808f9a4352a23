"""Faults of responses: in the next responses, or in a random share of all."""

from __future__ import annotations

import enum
import random
import threading
from collections import deque

from wechatpay_chain.errors import ConfigurationError

__all__ = ["SIGNATURE_FAULTS", "Delivery", "Fault", "Faults"]

MAX_TIMES = 100_000
"""The largest number of responses that one call can add a fault to."""


class Fault(str, enum.Enum):
    """A fault of a response.

    The sandbox carries out the request, unless the text of the fault says otherwise.
    """

    __str__ = str.__str__

    WRONG_SIGNATURE = "wrong-signature"
    """The signature is of another body."""
    SIGNTEST = "signtest"
    """The service's own probe: the signature begins with WECHATPAY/SIGNTEST/ and is not valid."""
    OLD_CLOCK = "old-clock"
    """The signature is valid, and its timestamp is ten minutes ago."""
    FUTURE_CLOCK = "future-clock"
    """The signature is valid, and its timestamp is ten minutes from now."""
    UNKNOWN_SERIAL = "unknown-serial"
    """Wechatpay-Serial names a key that does not exist."""
    MISSING_HEADER = "missing-header"
    """One of the signature's headers is missing."""
    ROTATION = "rotation"
    """A correct response. From it on, a new platform certificate signs."""
    PUBLIC_KEY = "public-key"
    """A correct response. From it on, the public key signs, whatever key a request names."""
    UNAUTHORIZED = "401"
    """Status 401 with SIGN_ERROR, although the signature is valid. The request is not carried out."""
    RATE_LIMITED = "429"
    """Status 429 with Retry-After. The request is not carried out."""
    SYSTEM_ERROR = "500"
    """Status 500 with SYSTEM_ERROR."""
    BAD_GATEWAY = "502"
    """Status 502 without a body."""
    UNAVAILABLE = "503"
    """Status 503 with SERVICE_UNAVAILABLE. The request is not carried out."""
    HTML = "html"
    """Status 502 with an HTML page, as from a proxy. The request is not carried out."""
    DROPPED_BEFORE = "dropped-before"
    """The connection is closed without a response. The request is not carried out."""
    DROPPED_AFTER = "dropped-after"
    """The connection is closed without a response."""
    SLOW = "slow"
    """A correct response, delayed."""
    CUT_BODY = "cut-body"
    """A correct response, and the connection is closed after half of the body."""


SIGNATURE_FAULTS = (
    Fault.WRONG_SIGNATURE,
    Fault.SIGNTEST,
    Fault.OLD_CLOCK,
    Fault.FUTURE_CLOCK,
    Fault.UNKNOWN_SERIAL,
    Fault.MISSING_HEADER,
)
"""The faults of the signature, which a notification can also have."""


class Delivery(enum.Enum):
    """The way in which a response is sent."""

    COMPLETE = enum.auto()
    NONE = enum.auto()
    HALF = enum.auto()
    DELAYED = enum.auto()


class Faults:
    """Decides which fault each response has. It is safe to use from any thread.

    Args:
        seed: makes the random choice repeatable; None does not.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)  # noqa: S311 -- not used for secrets
        self._lock = threading.Lock()
        self._next: deque[Fault] = deque()
        self._shares: dict[Fault, float] = {}

    def add(self, fault: Fault | str, times: int | None, share: float | None) -> None:
        """Adds a fault to the next responses, or to a share of all responses.

        Args:
            fault: the fault.
            times: the number of responses; None for one, or if a share is given.
            share: the share of all responses, from 0 to 1; 0 ends it; None if it is not a share.

        Raises:
            ConfigurationError: there is no such fault; both times and share are given; or one is out of range.
        """
        if fault not in tuple(Fault):
            raise ConfigurationError(f"fault: came {fault!r}; expected one of {', '.join(Fault)}")
        with self._lock:
            if share is None and (times is None or (type(times) is int and 0 < times <= MAX_TIMES)):
                self._next.extend([Fault(fault)] * (times or 1))
                return
            others = sum(other for kind, other in self._shares.items() if kind != fault)
            if times is None and isinstance(share, (int, float)) and 0 <= share <= 1 - others + 1e-9:
                self._shares[Fault(fault)] = share
                return
        raise ConfigurationError(
            f"fault: came times={times!r}, share={share!r}; expected either a number of responses from 1 to {MAX_TIMES}, or "
            "a share from 0 to 1; the shares of all faults must not add up to more than 1"
        )

    def clear(self) -> None:
        """Ends all faults."""
        with self._lock:
            self._next.clear()
            self._shares.clear()

    def describe(self) -> dict[Fault, dict[str, float]]:
        """Returns the faults that are added, each with the number of next responses (`times`) and the `share` of all."""
        with self._lock:
            return {
                fault: {"times": self._next.count(fault), "share": self._shares.get(fault, 0.0)}
                for fault in Fault
                if fault in self._next or self._shares.get(fault)
            }

    def draw(self) -> Fault | None:
        """Returns the fault of the next response; None for a correct response."""
        with self._lock:
            if self._next:
                return self._next.popleft()
            if not self._shares:
                return None
            drawn = self._random.random()
            for fault, share in self._shares.items():
                drawn -= share
                if drawn < 0:
                    return fault
            return None

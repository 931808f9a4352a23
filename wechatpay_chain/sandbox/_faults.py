"""What can go wrong with an answer, on request: the next ones, or a share of all."""

from __future__ import annotations

import enum
import random
import threading
from collections import deque

from wechatpay_chain.errors import ConfigurationError

__all__ = ["Delivery", "Fault", "Faults"]


class Fault(str, enum.Enum):
    """One thing that goes wrong with an answer."""

    __str__ = str.__str__

    WRONG_SIGNATURE = "wrong-signature"
    """Signed, but not this answer."""
    SIGNTEST = "signtest"
    """The service's own probe: a signature that begins with WECHATPAY/SIGNTEST/ and is none."""
    OLD_CLOCK = "old-clock"
    """Rightly signed, ten minutes ago."""
    FUTURE_CLOCK = "future-clock"
    """Rightly signed, ten minutes from now."""
    UNKNOWN_SERIAL = "unknown-serial"
    """Names a key that is nobody's."""
    MISSING_HEADER = "missing-header"
    """One of the headers of the signature is not there."""
    ROTATION = "rotation"
    """No fault: from this answer on a new certificate signs."""
    PUBLIC_KEY = "public-key"
    """No fault: from this answer on the public key signs, whatever a call names."""
    UNAUTHORIZED = "401"
    """SIGN_ERROR, although the signature is right."""
    RATE_LIMITED = "429"
    """Too many requests; with Retry-After."""
    SYSTEM_ERROR = "500"
    """SYSTEM_ERROR, after it has acted."""
    BAD_GATEWAY = "502"
    """After it has acted."""
    UNAVAILABLE = "503"
    """SERVICE_UNAVAILABLE, before it has acted."""
    HTML = "html"
    """The page of a proxy in the service's place, as a 502."""
    DROPPED_BEFORE = "dropped-before"
    """The connection ends without an answer, before it has acted."""
    DROPPED_AFTER = "dropped-after"
    """The same, after it has acted."""
    SLOW = "slow"
    """The right answer, late."""
    CUT_BODY = "cut-body"
    """Half of the body of the right answer, then the connection ends."""


class Delivery(enum.Enum):
    """How an answer goes over the wire."""

    WHOLE = enum.auto()
    NOTHING = enum.auto()
    HALF = enum.auto()
    LATE = enum.auto()


class Faults:
    """Draws what goes wrong with each answer. Any thread may ask for faults while another draws.

    Args:
        seed: makes the draws repeatable; None does not.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)  # noqa: S311 -- nothing secret is drawn
        self._lock = threading.Lock()
        self._next: deque[Fault] = deque()
        self._shares: dict[Fault, float] = {}

    def add(self, fault: Fault | str, times: int | None, share: float | None) -> None:
        """Asks for a fault in the next answers, or in a share of all; a share of 0 ends it.

        Raises:
            ConfigurationError: there is no such fault, or not just one of times and share was given.
        """
        if fault not in tuple(Fault):
            raise ConfigurationError(f"fault: came {fault!r}; expected one of {', '.join(Fault)}")
        with self._lock:
            if share is None and (times is None or (type(times) is int and 0 < times <= MOST)):
                self._next.extend([Fault(fault)] * (times or 1))
                return
            others = sum(other for kind, other in self._shares.items() if kind != fault)
            if times is None and isinstance(share, (int, float)) and 0 <= share <= 1 - others + 1e-9:
                self._shares[Fault(fault)] = share
                return
        raise ConfigurationError(
            f"fault: came times={times!r}, share={share!r}; expected a number of answers up to {MOST}, or a share from 0 to "
            "1, no more than 1 with the others"
        )

    def clear(self) -> None:
        """Ends all faults."""
        with self._lock:
            self._next.clear()
            self._shares.clear()

    def draw(self) -> Fault | None:
        """What goes wrong with the answer that is made now; None is nothing."""
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


MOST = 100_000
"""Answers that may be asked for at once."""

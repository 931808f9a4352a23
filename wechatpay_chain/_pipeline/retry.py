"""Sends a call again where that cannot pay twice.

What decides is whether the service may have acted, not the verb alone. A call that never reached it may be sent again,
whatever it is, and on the second domain too. One that may have been acted on is sent again only if it is a GET, or if its
caller has said that it is idempotent: the same number and the very same bytes, by which the service knows it again
(https://pay.weixin.qq.com/doc/v3/merchant/4012081709). An answer that is not proven is never asked for again: whoever
forged it must not get another try, and whoever called must hear of it.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from wechatpay_chain._messages.effects import Flow, Middleware, Sleep
from wechatpay_chain._messages.faults import Attempt
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain.errors import APIError, ConfigurationError, TransportError, WeChatPayError

__all__ = ["Retry", "retry"]

logger = logging.getLogger("wechatpay_chain")

UNSETTLED = (429, 500, 502, 503)
"""Statuses after which the very same call may succeed. Sources differ on whether a 429 was acted on; that it may have been
is the safe side."""

MOST_ATTEMPTS = 10

SHORTEST = 0.1
"""Seconds that an attempt has at the least."""


@dataclass(frozen=True)
class Retry:
    """How often and how long a call is tried.

    Attributes:
        attempts: how often at the most, the first included; 1 to 10.
        seconds: since the call began, after which no attempt is begun, and none but the first waits for the service.
        pause: seconds before the second attempt at the most. Each further pause is twice as long; each is cut by a random
            part, up to half of it, so that clients do not come back all at once. A `Retry-After` that is longer holds. The
            first turn to the second domain is made at once.
        second_url: where to turn when the connection fails: scheme and host. None is `https://api2.mch.weixin.qq.com/` where
            the client's `base_url` is `https://api.mch.weixin.qq.com/`, and no second domain where it is another; the
            `base_url` itself is no second domain either.

    Raises:
        ConfigurationError: a number is out of its range.
    """

    attempts: int = 3
    seconds: float = 45.0
    pause: float = 0.5
    second_url: str | None = None

    def __post_init__(self) -> None:
        if type(self.attempts) is not int or not 1 <= self.attempts <= MOST_ATTEMPTS:
            raise ConfigurationError(
                f"retry: came attempts={self.attempts!r}; expected a number from 1 to {MOST_ATTEMPTS}"
            )
        for name, value in (("seconds", self.seconds), ("pause", self.pause)):
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < float("inf"):
                raise ConfigurationError(f"retry: came {name}={value!r}; expected seconds, 0 or more")


def retry(policy: Retry, origins: Sequence[str]) -> Middleware:
    """Tries a call again, each time signed anew. The attempts are on the exception that ends it, and in the log.

    Args:
        policy: how often and how long.
        origins: the first domain, and the second where there is one.
    """

    def retried(request: Request) -> Flow:
        attempts: list[Attempt] = []
        deadline = time.monotonic() + policy.seconds
        while True:
            began = time.monotonic()
            try:
                response: Response = yield request
            except WeChatPayError as error:
                attempts.append(Attempt(request.origin, _outcome(error), time.monotonic() - began))
                origin = _next(request.origin, origins) if isinstance(error, TransportError) else request.origin
                may_repeat = _may_repeat(request, error) and len(attempts) < policy.attempts
                pause = _pause(policy, len(attempts), error, moved=origin != request.origin) if may_repeat else 0.0
                if not may_repeat or time.monotonic() + pause >= deadline:
                    # That an earlier attempt may have been acted on is not lost: see `flow.run`.
                    error.attempts = tuple(attempts)
                    raise
                logger.warning(
                    "%s %s: attempt %d at %s: %s; again in %.1f s at %s",
                    request.method,
                    request.template,
                    len(attempts),
                    request.origin,
                    attempts[-1].outcome,
                    pause,
                    origin,
                )
            else:
                return response
            yield Sleep(pause)
            left = max(deadline - time.monotonic(), SHORTEST)
            request = request.with_route(origin, request.timeout.within(left))

    return retried


def _may_repeat(request: Request, error: WeChatPayError) -> bool:
    if isinstance(error, TransportError):
        return request.idempotent or not error.sent
    return request.idempotent and isinstance(error, APIError) and error.status_code in UNSETTLED


def _next(origin: str, origins: Sequence[str]) -> str:
    """The other domain. A request that went elsewhere, for a file say, has none."""
    return origins[(origins.index(origin) + 1) % len(origins)] if origin in origins else origin


def _pause(policy: Retry, attempts: int, error: WeChatPayError, *, moved: bool) -> float:
    if moved and attempts == 1:
        return 0.0
    longest = policy.pause * (1 << (attempts - 1))
    jittered = longest * (0.5 + secrets.randbelow(1 << 20) / (1 << 21))
    return max(jittered, _retry_after(error.response) if isinstance(error, APIError) else 0.0)


def _retry_after(response: Response) -> float:
    """Seconds that the service asks to wait: RFC 9110, 10.2.3."""
    asked = response.headers.get("Retry-After", "")
    if re.fullmatch("[0-9]{1,9}", asked):
        return float(asked)
    try:
        moment = parsedate_to_datetime(asked)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        return max((moment - datetime.now(timezone.utc)).total_seconds(), 0.0)
    except (ValueError, TypeError, IndexError, OverflowError):  # whatever a text can do to it
        return 0.0


def _outcome(error: WeChatPayError) -> str:
    status = f" {error.status_code}" if isinstance(error, APIError) else ""
    sent = f" sent={error.sent}" if isinstance(error, TransportError) else ""
    return f"{type(error).__name__}{status}{sent}"

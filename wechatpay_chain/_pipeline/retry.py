"""Retries a call where that cannot pay twice.

What decides is whether the service may have acted on the call, not the verb alone. A call that never reached the service may be
sent again, whatever it is, and to the second domain too. A call that may have been acted on is sent again only if it is a GET,
or if the caller said that it is idempotent: the same number and the very same bytes, by which the service recognizes it
(https://pay.weixin.qq.com/doc/v3/merchant/4012081709). After a response that is not verified, nothing is sent again: a
forger must not get another try, and the caller must know.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from wechatpay_chain._messages.effects import Flow, Middleware, Sleep
from wechatpay_chain._messages.log_fields import log_fields
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain.errors import APIError, Attempt, ConfigurationError, SignatureError, TransportError, WeChatPayError

__all__ = ["Retry", "retry"]

logger = logging.getLogger("wechatpay_chain")

RETRYABLE_CODES = ("SYSTEMERROR", "FREQUENCY_LIMITED")
"""Codes of APIv2, in responses with the status 200, that mean the same: https://pay.weixin.qq.com/doc/v2/merchant/4011974053"""

RETRYABLE = (429, 500, 502, 503)
"""Statuses after which the very same call may succeed. Sources differ on whether a 429 was acted on; we assume that it was."""

MOST_ATTEMPTS = 10

MIN_ATTEMPT_SECONDS = 0.1
"""Seconds that an attempt has at least."""


@dataclass(frozen=True)
class Retry:
    """How often and how long a call is retried.

    The wait before attempt n + 1 is `backoff * 2 ** (n - 1)` seconds, reduced by a random part of up to half of it (jitter), so
    that clients do not retry all at once. With the defaults, three attempts wait [0.25 to 0.5, 0.5 to 1.0] seconds. A longer
    `Retry-After` of the service is obeyed. The first attempt on the second domain does not wait.

    Attributes:
        attempts: how many at most, with the first; 1 to 10.
        deadline: seconds since the call began. No attempt starts after it, and the timeout of each retry is cut to the time that
            is left. If `Retry-After` ends after the deadline, the call fails at once.
        backoff: seconds before the second attempt, at most.
        second_url: scheme and host to turn to when the connection fails. None is `https://api2.mch.weixin.qq.com/` if the
            client's `base_url` is `https://api.mch.weixin.qq.com/`, else no second domain. A `second_url` equal to `base_url` is
            no second domain.

    Raises:
        ConfigurationError: a number is out of its range.
    """

    attempts: int = 3
    deadline: float = 45.0
    backoff: float = 0.5
    second_url: str | None = None

    def __post_init__(self) -> None:
        if type(self.attempts) is not int or not 1 <= self.attempts <= MOST_ATTEMPTS:
            raise ConfigurationError(
                f"retry: came attempts={self.attempts!r}; expected a number from 1 to {MOST_ATTEMPTS}"
            )
        for name, value in (("deadline", self.deadline), ("backoff", self.backoff)):
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < float("inf"):
                raise ConfigurationError(f"retry: came {name}={value!r}; expected seconds, 0 or more")


def retry(policy: Retry, origins: Sequence[str]) -> Middleware:
    """Returns the layer that retries a call, signed again each time. Its attempts are in the error that ends it, and in the log.

    Args:
        policy: how often and how long.
        origins: the first domain, and the second if there is one.
    """

    def layer(request: Request) -> Flow:
        attempts: list[Attempt] = []
        deadline = time.monotonic() + policy.deadline
        while True:
            began = time.monotonic()
            try:
                response: Response = yield request
            except WeChatPayError as error:
                attempts.append(_attempt(request, error, time.monotonic() - began))
                origin = _next(request.origin, origins) if isinstance(error, TransportError) else request.origin
                may_repeat = _may_repeat(request, error) and len(attempts) < policy.attempts
                wait = _wait(policy, len(attempts), error, has_moved=origin != request.origin) if may_repeat else 0.0
                if not may_repeat or time.monotonic() + wait >= deadline:
                    # If any attempt was sent, `stack.run` sets `error.sent`.
                    error.attempts = tuple(attempts)
                    raise
                logger.warning(
                    "%s %s: attempt %d at %s: %s; retry in %.1f s at %s",
                    request.method,
                    request.template,
                    len(attempts),
                    request.origin,
                    attempts[-1],
                    wait,
                    origin,
                    extra=log_fields(
                        method=request.method,
                        template=request.template,
                        attempt=len(attempts),
                        status=attempts[-1].status,
                        error=attempts[-1].error.__name__,
                        seconds=round(attempts[-1].seconds, 6),
                        wait=round(wait, 6),
                    ),
                )
            else:
                return response
            yield Sleep(wait)
            left = max(deadline - time.monotonic(), MIN_ATTEMPT_SECONDS)
            request = request.with_route(origin, request.timeout.within(left))

    return layer


def _attempt(request: Request, error: WeChatPayError, seconds: float) -> Attempt:
    response = error.response if isinstance(error, (APIError, SignatureError)) else None
    return Attempt(request.origin, type(error), response.status_code if response else None, error.sent, seconds)


def _may_repeat(request: Request, error: WeChatPayError) -> bool:
    if isinstance(error, TransportError):
        return request.idempotent or not error.sent
    is_temporary = isinstance(error, APIError) and (error.status_code in RETRYABLE or error.code in RETRYABLE_CODES)
    return request.idempotent and is_temporary


def _next(origin: str, origins: Sequence[str]) -> str:
    """Returns the other domain. A request to another host, for a file say, stays there."""
    return origins[(origins.index(origin) + 1) % len(origins)] if origin in origins else origin


def _wait(policy: Retry, attempts: int, error: WeChatPayError, *, has_moved: bool) -> float:
    if has_moved and attempts == 1:
        return 0.0
    jittered: float = policy.backoff * 2 ** (attempts - 1) * random.uniform(0.5, 1.0)  # noqa: S311 -- jitter is no secret
    return max(jittered, _retry_after(error.response) if isinstance(error, APIError) else 0.0)


def _retry_after(response: Response) -> float:
    """Returns the seconds that the service asks to wait: RFC 9110, 10.2.3."""
    asked = response.headers.get("Retry-After", "")
    if re.fullmatch("[0-9]{1,9}", asked):
        return float(asked)
    try:
        moment = parsedate_to_datetime(asked)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        return max((moment - datetime.now(timezone.utc)).total_seconds(), 0.0)
    except (ValueError, TypeError, IndexError, OverflowError):  # a text can raise any of these
        return 0.0

"""A notification request as it was received."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from wechatpay_chain._notifications.received import ReceivedHeaders
from wechatpay_chain.errors import (
    ArgumentError,
    Reason,
)

__all__ = ["CLOCKS_DIFFER", "EMPTY_BODY", "Posted", "check_received_at"]


CLOCKS_DIFFER = timedelta(seconds=5)
"""How far `received_at` may be ahead of this machine's clock: two machines of one owner seldom differ by more."""


class Posted(NamedTuple):
    """A request as it was received."""

    headers: ReceivedHeaders
    body: bytes
    received_at: datetime | None

    @property
    def key_id(self) -> str:
        return str(self.headers.fields.get("Wechatpay-Serial", ""))

    def explain(self, reason: Reason, why: str) -> str:
        """Returns why it is refused, with what only the receiver of a notification can do about it."""
        if reason is Reason.MISSING_HEADER and self.headers.is_empty:
            why = "headers= is empty; give the headers of the request"
        elif reason is Reason.MISSING_HEADER and self.headers.repeated:
            why = f"it has several values of {', '.join(sorted(self.headers.repeated))}, which came more than once and differ"
        elif reason is Reason.CLOCK_SKEW and self.received_at is None:
            why += ". Or was it stored, and is verified late? Then give received_at=, the time when your server received it"
        return why if self.body else f"{why}; {EMPTY_BODY}"


EMPTY_BODY = (
    "its body is empty: something has read it before (a middleware, a form parser, a logger). Read the raw body first and "
    "once (request.body in Django, request.get_data() in Flask, await request.body() in FastAPI, await request.read() in "
    "aiohttp), and give those bytes"
)


def check_received_at(received_at: object) -> datetime | None:
    """Checks the time at which a server received a notification, and returns it.

    Raises:
        TypeError: it is not a datetime.
        ArgumentError: it has no time zone, or is in the future.
    """
    if received_at is None:
        return None
    if not isinstance(received_at, datetime):
        raise TypeError(
            f"received_at: came a {type(received_at).__name__}; expected a datetime with a time zone, such as "
            "datetime.now(timezone.utc), taken when your server received the request"
        )
    if received_at.utcoffset() is None:
        raise ArgumentError(
            "received_at: came a datetime without a time zone; expected one with it, such as datetime.now(timezone.utc)"
        )
    ahead = received_at - datetime.now(timezone.utc)
    if ahead > CLOCKS_DIFFER:
        raise ArgumentError(
            f"received_at: came a time {ahead.total_seconds():.0f} seconds in the future of this machine's clock; expected "
            "when your server received the request. Is its time zone right?"
        )
    return received_at

"""The HTTP request of a notification as it was received."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from wechatpay_chain._notifications.received import ReceivedHeaders
from wechatpay_chain.errors import ArgumentError, Reason

__all__ = ["CLOCKS_DIFFER", "EMPTY_BODY", "Posted", "check_received_at"]


CLOCKS_DIFFER = timedelta(seconds=5)
"""The most that `received_at` may be ahead of this machine's clock. Clocks that NTP sets seldom differ by more."""


class Posted(NamedTuple):
    """A received request.

    Attributes:
        headers: the headers that matter for a notification.
        body: the raw bytes.
        received_at: when the server received it; None for now.
    """

    headers: ReceivedHeaders
    body: bytes
    received_at: datetime | None

    @property
    def key_id(self) -> str:
        """The id of the key that the signature was made with; empty if the header is missing."""
        return self.headers.fields.get("Wechatpay-Serial", "")

    def explain(self, reason: Reason, why: str) -> str:
        """Returns why the notification is refused, with advice for the usual mistakes of a receiver."""
        if reason is Reason.MISSING_HEADER and self.headers.is_empty:
            why = "headers= is empty; pass the headers of the request"
        elif reason is Reason.MISSING_HEADER and self.headers.repeated:
            why = f"it has several different values of {', '.join(sorted(self.headers.repeated))}; expected one"
        elif reason is Reason.CLOCK_SKEW and self.received_at is None:
            why += ". If it was stored and is verified later, pass received_at=, the time when your server received it"
        return why if self.body else f"{why}; {EMPTY_BODY}"


EMPTY_BODY = (
    "its body is empty: other code has read it before (a middleware, a form parser, a logger). Read the raw body first "
    "and once (request.body in Django, request.get_data() in Flask, await request.body() in FastAPI, await "
    "request.read() in aiohttp), and pass those bytes"
)


def check_received_at(received_at: object) -> datetime | None:
    """Returns the time at which the server received a notification, after checking it.

    Raises:
        TypeError: the time is not a datetime.
        ArgumentError: the time has no time zone, or is in the future.
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
            f"received_at: came a time {ahead.total_seconds():.0f} seconds in the future by this machine's clock; "
            "expected the time when your server received the request. Is its time zone right?"
        )
    return received_at

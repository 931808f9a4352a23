"""Logs refused notifications."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import TYPE_CHECKING

from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.log_fields import log_fields
from wechatpay_chain._messages.redaction import escape_unprintable
from wechatpay_chain._notifications.posted import Posted, check_received_at
from wechatpay_chain._notifications.received import HeaderSource, read_body, read_headers
from wechatpay_chain.errors import SignatureError, WeChatPayError

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Rejections"]

logger = logging.getLogger("wechatpay_chain")


LONGEST_REASON = 1000
"""Most characters of a reason in the log."""


class Rejections:
    """Logs one warning if an error leaves the `with` block, whatever raised it."""

    def __init__(self) -> None:
        self._fields = Headers({})
        self._is_read = False

    def begin(self, headers: HeaderSource, body: object, received_at: object) -> Posted:
        """Reads the received request.

        Raises:
            TypeError, ArgumentError: an argument cannot be used.
        """
        received = read_headers(headers)
        self._fields = received.fields
        posted = Posted(received, read_body(body), check_received_at(received_at))
        self._is_read = True
        return posted

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception):
            return
        # The error of a user's nonce store or verifier may contain anything, even a password.
        is_ours = isinstance(error, WeChatPayError) or not self._is_read
        reason = str(error.reason) if isinstance(error, SignatureError) else type(error).__name__
        serial = _truncate(self._fields.get("Wechatpay-Serial", ""), 64)
        request_id = _truncate(self._fields.get("Request-ID", ""), 64)
        logger.warning(
            "a notification was refused (%s, key %s, Request-ID %s): %s",
            reason,
            serial or "-",
            request_id or "-",
            _truncate(str(error), LONGEST_REASON) if is_ours else "its message may contain a secret, and is not shown",
            extra=log_fields(reason=reason, serial=serial or None, request_id=request_id or None),
        )


def _truncate(text: str, most: int) -> str:
    """Returns a text on one line, with control characters escaped, and truncated to `most` characters."""
    return escape_unprintable(text[:most]) + ("…" if len(text) > most else "")

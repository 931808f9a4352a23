"""Logs refused notifications."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import TYPE_CHECKING

from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.redaction import printable
from wechatpay_chain._notifications.received import HeaderSource, read_body, read_headers
from wechatpay_chain.errors import (
    SignatureError,
    WeChatPayError,
)

if TYPE_CHECKING:
    from typing_extensions import Self
from wechatpay_chain._notifications.posted import Posted, check_received_at

__all__ = ["Rejections"]

logger = logging.getLogger("wechatpay_chain")


MOST_LOGGED = 1000
"""Characters of a reason in the log."""


class Rejections:
    """Logs a notification that is refused, once, whatever refuses it."""

    def __init__(self) -> None:
        self._fields = Headers({})
        self._is_read = False

    def begin(self, headers: HeaderSource, body: object, received_at: object) -> Posted:
        """Reads what came."""
        read = read_headers(headers)
        self._fields = read.fields
        posted = Posted(read, read_body(body), check_received_at(received_at))
        self._is_read = True
        return posted

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception):
            return
        # The error of a nonce store or a verifier may say anything, a password too.
        is_ours = isinstance(error, WeChatPayError) or not self._is_read
        logger.warning(
            "a notification was refused (%s, key %s, Request-ID %s): %s",
            error.reason if isinstance(error, SignatureError) else type(error).__name__,
            _cut(self._fields.get("Wechatpay-Serial", ""), 64) or "-",
            _cut(self._fields.get("Request-ID", ""), 64) or "-",
            _cut(str(error), MOST_LOGGED) if is_ours else "its own message may hold a secret, and is not shown",
        )


def _cut(text: str, most: int) -> str:
    """Returns a text on one line, without control characters, and cut where it is longer than `most`."""
    return printable(text[:most]) + ("…" if len(text) > most else "")

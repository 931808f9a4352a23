"""Downloads of bills and receipts: streamed in constant memory, and proven by the digest that a proven answer told.

Source: https://pay.weixin.qq.com/doc/v3/merchant/4013071228. A bill of a sub-merchant is decrypted, then unpacked, then
compared: https://pay.weixin.qq.com/docs/partner/apis/bill-download/download-sub-merchant-fund-bill.html
"""

from __future__ import annotations

import hmac
import os
import re
import zlib
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

from wechatpay_chain._files.announcement import KEY
from wechatpay_chain._files.decryption import Decrypting
from wechatpay_chain._files.inflate import Inflating
from wechatpay_chain._files.output import Target, open_output
from wechatpay_chain._messages.effects import Flow, Invoke
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain._schemes.digest import STATEMENT_DIGEST, Digest, new_digest
from wechatpay_chain.errors import (
    DecryptionError,
    Reason,
    SignatureError,
    TransportError,
    WeChatPayError,
)

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Progress", "Saving"]


Progress = Callable[[int, int | None], object]
"""Told how many bytes have come, and of how many, where that is known."""


class Saving:
    """A file on its way to where it shall lie. What is not whole, or not what was announced, is left nowhere.

    Args:
        to: a path, which gets the file whole or not at all, mode 0600; or an open binary file, which gets the bytes as
            they come, so that they are worth something only when the download returns.
        digest: algorithm and value of what the file holds, unpacked.
        key: key and nonce of what is encrypted.
        gunzip: whether what comes packed is to be unpacked.
        progress: called for each piece.

    Raises:
        ArgumentError: nothing can be written there.
        DecryptionError: the key is none of AES-256.
    """

    def __init__(
        self,
        to: Target,
        *,
        digest: tuple[str, str] | None = None,
        key: tuple[bytes, bytes] | None = None,
        gunzip: bool = False,
        progress: Progress | None = None,
    ) -> None:
        if key is not None and len(key[0]) != KEY:
            raise DecryptionError(
                f"the file's key has {len(key[0])} bytes; expected {KEY}, as of algorithm=AEAD_AES_256_GCM, which is asked for "
                "with the bill"
            )
        self._announced, self._key, self._gunzip, self._progress = digest, key, gunzip, progress
        self.has_digest = digest is not None
        self.is_repeatable = isinstance(
            to, (str, os.PathLike)
        )  # what was written into an open file cannot be taken back
        self._begin(Headers({}))
        self._is_begun = False
        self._output = open_output(to)

    def begin(self, headers: Headers) -> None:
        """Forgets what came before: this is another attempt.

        Raises:
            TransportError: nothing could tell whether what comes is whole.
        """
        self._begin(headers)
        is_framed = self._length is not None or "Transfer-Encoding" in headers  # which is chunked: see content.py
        if self._expected is None and self._key is None and (not is_framed or "Content-Encoding" in headers):
            raise TransportError(
                "the file comes without a length, or packed although that was not asked for", sent=True
            )
        self._output.restart()
        self._is_begun = True

    def _begin(self, headers: Headers) -> None:
        sha1 = headers.get(STATEMENT_DIGEST)
        self._expected = self._announced or (("SHA1", sha1) if sha1 is not None else None)
        self._digest: Digest | None = new_digest(self._expected[0]) if self._expected else None
        self._opening = Decrypting(*self._key) if self._key else None
        self._head: bytes | None = b""
        self._unpacking: Inflating | None = None
        length = headers.get("Content-Length", "")
        self._length = int(length) if re.fullmatch("[0-9]{1,18}", length) else None
        self._received, self._total = 0, None if "Content-Encoding" in headers else self._length

    def write(self, octets: bytes) -> None:
        """Takes in some bytes as they came."""
        self._received += len(octets)
        self._take(self._opening.update(octets) if self._opening else octets)

    def report(self) -> None:
        """Tells the callback how far it has come."""
        if self._progress is not None:
            self._progress(self._received, self._total)

    def _take(self, octets: bytes) -> None:
        if self._head is not None:
            self._head += octets
            if len(self._head) < len(_GZIP):
                return
            octets, self._head = self._head, None
            if octets.startswith(_GZIP) and (self._gunzip or self._digest):
                self._unpacking = Inflating()
        self._pass(octets)

    def _pass(self, octets: bytes) -> None:
        if self._unpacking is None:
            self._plain(octets, keep=True)
            return
        if not self._gunzip:
            self._output.write(octets)
        try:
            for piece in self._unpacking.pieces(octets):
                self._plain(piece, keep=self._gunzip)
        except zlib.error:
            raise self._spoilt("it is packed in a way that cannot be unpacked", None) from None

    def _plain(self, octets: bytes, *, keep: bool) -> None:
        if self._digest is not None:
            self._digest.update(octets)
        if keep:
            self._output.write(octets)

    def finished(self, request: Request) -> Flow:
        """A middleware: what has come is what was announced, or the call fails."""
        response: Response = yield request
        yield Invoke(partial(self.finish, response))
        return response

    def finish(self, response: Response) -> None:
        """Puts the file where it shall lie, if it is what was announced.

        Args:
            response: the answer that it came with.

        Raises:
            SignatureError: it is not, with the reason DIGEST_MISMATCH.
            DecryptionError: it was altered, or encrypted with another key.
            TransportError: the answer is no file, or ends too early, and no digest was announced.
        """
        if response.status_code != 200 or not self._is_begun:
            raise TransportError(f"the file was answered with {response.status_code} and no file", sent=True)
        if self._opening is not None:
            self._take(self._opening.finish())
        if self._head:
            self._pass(self._head)
        if self._unpacking is not None and not self._unpacking.is_whole:
            raise self._spoilt("it ends within what is packed", response)
        if self._digest is not None and self._expected is not None:
            actual = self._digest.hexdigest()
            if not hmac.compare_digest(actual.encode(), self._expected[1].lower().encode()):
                raise self._spoilt(f"it does not have the {self._expected[0]} that was announced", response)
        self._output.commit()

    def _spoilt(self, why: str, response: Response | None) -> WeChatPayError:
        """The error of a file that is not what it should be: where a digest was told, it is not what was announced."""
        if self._expected is None:
            return TransportError(f"the file is damaged: {why}; nothing of it is kept", sent=True)
        explanation = f"the file is not what was announced: {why}; nothing of it is kept, fetch it again"
        return SignatureError(explanation, Reason.DIGEST_MISMATCH, response)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._output.abandon()


_GZIP = b"\x1f\x8b"  # RFC 1952, 2.3.1

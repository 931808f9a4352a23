"""Downloads bills and receipts in constant memory, and checks the digest that a verified response announced.

Source: https://pay.weixin.qq.com/doc/v3/merchant/4013071228. The bill of a sub-merchant is decrypted, then
decompressed, then its digest is compared:
https://pay.weixin.qq.com/docs/partner/apis/bill-download/download-sub-merchant-fund-bill.html
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

from wechatpay_chain._files.announcement import KEY_BYTES
from wechatpay_chain._files.decryption import StreamDecryptor
from wechatpay_chain._files.inflate import Inflater
from wechatpay_chain._files.output import Target, open_output
from wechatpay_chain._messages.effects import Flow, UseFile
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

__all__ = ["DownloadSink", "Progress"]


Progress = Callable[[int, int | None], object]
"""Called with the number of bytes received, and the total, or None if the total is unknown."""


class DownloadSink:
    """Streams a download to its target and checks its digest. If the download fails, a target path is left unchanged.

    Args:
        to: a path, where only the complete file appears, with mode 0600; or an open binary file, which gets the bytes
            as they are received, so do not use them before the download returns.
        digest: algorithm and value of the uncompressed content.
        key: key and nonce of an encrypted file.
        gunzip: whether to decompress a gzip file.
        progress: called for each piece that was received.

    Raises:
        ArgumentError: the target cannot be written to.
        DecryptionError: the key is not an AES-256 key.
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
        if key is not None and len(key[0]) != KEY_BYTES:
            raise DecryptionError(
                f"the file's key has {len(key[0])} bytes; expected {KEY_BYTES}, so request the bill with "
                "algorithm=AEAD_AES_256_GCM"
            )
        self._announced, self._key, self._gunzip, self._progress = digest, key, gunzip, progress
        self.has_digest = digest is not None
        self.is_repeatable = isinstance(to, (str, os.PathLike))  # what was written to an open file cannot be undone
        self._begin(Headers({}))
        self._is_begun = False
        self._output = open_output(to)

    def begin(self, headers: Headers) -> None:
        """Starts an attempt, and discards what an earlier attempt wrote.

        Args:
            headers: of the response.

        Raises:
            TransportError: nothing would show whether the file is complete.
        """
        self._begin(headers)
        is_framed = self._length is not None or "Transfer-Encoding" in headers  # which is chunked: see content.py
        if self._expected is None and self._key is None and (not is_framed or "Content-Encoding" in headers):
            raise TransportError(
                "the response with the file has no length, or has a Content-Encoding that was not requested", sent=True
            )
        self.restart()
        self._is_begun = True

    def restart(self) -> None:
        """Discards what an earlier attempt wrote. There is no file until the next one begins.

        Raises:
            TransportError: it cannot be discarded.
        """
        self._output.restart()
        self._is_begun = False

    def _begin(self, headers: Headers) -> None:
        sha1 = headers.get(STATEMENT_DIGEST)
        self._expected = self._announced or (("SHA1", sha1) if sha1 is not None else None)
        self._digest: Digest | None = new_digest(self._expected[0]) if self._expected else None
        self._decryptor = StreamDecryptor(*self._key) if self._key else None
        self._head: bytes | None = b""
        self._inflater: Inflater | None = None
        length = headers.get("Content-Length", "")
        self._length = int(length) if re.fullmatch("[0-9]{1,18}", length) else None
        self._received, self._total = 0, None if "Content-Encoding" in headers else self._length

    def write(self, octets: bytes) -> None:
        """Writes bytes as they were received."""
        self._received += len(octets)
        self._write_decrypted(self._decryptor.update(octets) if self._decryptor else octets)

    def report(self) -> None:
        """Calls the progress callback."""
        if self._progress is not None:
            self._progress(self._received, self._total)

    def _write_decrypted(self, octets: bytes) -> None:
        if self._head is not None:
            self._head += octets
            if len(self._head) < len(_GZIP):
                return
            octets, self._head = self._head, None
            if octets.startswith(_GZIP) and (self._gunzip or self._digest):
                self._inflater = Inflater()
        self._write_content(octets)

    def _write_content(self, octets: bytes) -> None:
        if self._inflater is None:
            self._write_plain(octets, keep=True)
            return
        if not self._gunzip:
            self._output.write(octets)
        try:
            for piece in self._inflater.pieces(octets):
                self._write_plain(piece, keep=self._gunzip)
        except zlib.error:
            raise self._damage_error("it is not valid gzip", None) from None

    def _write_plain(self, octets: bytes, *, keep: bool) -> None:
        if self._digest is not None:
            self._digest.update(octets)
        if keep:
            self._output.write(octets)

    def layer(self, request: Request) -> Flow:
        """Completes the file after the layers inside have verified its response. A middleware."""
        response: Response = yield request
        yield UseFile(partial(self.finish, response))
        return response

    def finish(self, response: Response) -> None:
        """Makes the file visible if it is complete and has the announced digest.

        Args:
            response: the response that the file came with.

        Raises:
            SignatureError: the file does not have the announced digest; the reason is DIGEST_MISMATCH.
            DecryptionError: the file was altered, or encrypted with another key.
            TransportError: the response is not a file, or the file is truncated and no digest was announced.
        """
        if response.status_code != 200 or not self._is_begun:
            raise TransportError(
                f"the response has the status {response.status_code} and no file; expected 200 and a file", sent=True
            )
        if self._decryptor is not None:
            self._write_decrypted(self._decryptor.finish())
        if self._head:
            self._write_content(self._head)
        if self._inflater is not None and not self._inflater.is_whole:
            raise self._damage_error("its gzip data is truncated", response)
        if self._digest is not None and self._expected is not None:
            actual = self._digest.hexdigest()
            if not hmac.compare_digest(actual.encode(), self._expected[1].lower().encode()):
                raise self._damage_error(f"it does not have the {self._expected[0]} that was announced", response)
        self._output.commit()

    def _damage_error(self, why: str, response: Response | None) -> WeChatPayError:
        """Makes the error of a damaged file: a SignatureError if a digest was announced, else a TransportError."""
        if self._expected is None:
            return TransportError(f"the file is damaged: {why}; it is discarded", sent=True)
        explanation = f"the file is not the one that was announced: {why}; it is discarded, so download it again"
        return SignatureError(explanation, Reason.DIGEST_MISMATCH, response)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._output.abandon()


_GZIP = b"\x1f\x8b"  # RFC 1952, 2.3.1

"""Downloads of bills and receipts: streamed in constant memory, and proven by the digest that a proven answer told.

Source: https://pay.weixin.qq.com/doc/v3/merchant/4013071228. A bill of a sub-merchant is decrypted, then unpacked, then
compared: https://pay.weixin.qq.com/docs/partner/apis/bill-download/download-sub-merchant-fund-bill.html
"""

from __future__ import annotations

import hmac
import io
import os
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import GCM

from wechatpay_chain._files.atomic import PartialFile
from wechatpay_chain._files.inflate import Inflating
from wechatpay_chain._messages.effects import Ask, Flow
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain._messages.urls import has_dot_segment, normalize, split_origin
from wechatpay_chain._schemes.digest import ALGORITHMS, STATEMENT_DIGEST, Digest, new_digest
from wechatpay_chain.errors import (
    ArgumentError,
    DecryptionError,
    Reason,
    SignatureError,
    TransportError,
    WeChatPayError,
)

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Announced", "Progress", "Saving", "Source", "Target", "announced", "located"]

Source = Response | Mapping[str, Any] | str
"""The answer that announced a file, one item of the list in it, or a bare URL."""

Target = str | os.PathLike[str] | BinaryIO
"""A path, or an open binary file."""

Progress = Callable[[int, int | None], object]
"""Told how many bytes have come, and of how many, where that is known."""

KEY = 32
"""Bytes of an AES-256 key."""

TAG = 16
"""Bytes of the GCM tag at the end of what is encrypted."""


class Announced(NamedTuple):
    """A file that can be fetched.

    Attributes:
        url: where.
        digest: its algorithm and value, of the text before it was packed; None where none was told.
        secret: the key in its RSA ciphertext, and the nonce, of what is encrypted; None of what is not.
    """

    url: str
    digest: tuple[str, str] | None
    secret: tuple[str, str] | None


def announced(source: Source) -> Announced:
    """What an answer says of the file that it announces.

    Raises:
        ArgumentError: it announces none, or several.
        ContentError: the response is not JSON.
    """
    if isinstance(source, str):
        return Announced(source, None, None)
    told = source.json() if isinstance(source, Response) else source
    if not isinstance(told, Mapping):
        raise ArgumentError(f"source: came a {type(told).__name__}; {_EXPECTED}")
    if "download_bill_list" in told:
        bills = told["download_bill_list"]
        if not isinstance(bills, list) or len(bills) != 1 or not isinstance(bills[0], Mapping):
            count = len(bills) if isinstance(bills, list) else "no list"
            raise ArgumentError(
                f"source: its download_bill_list has {count} of them; expected one, pass each item on its own"
            )
        told = bills[0]
    url = told.get("download_url") or told.get("url")
    if not isinstance(url, str):
        raise ArgumentError(f"source: it has no download_url; {_EXPECTED}")
    return Announced(
        url, _pair(told, "hash_type", "hash_value", _is_digest), _pair(told, "encrypt_key", "nonce", _is_secret)
    )


_EXPECTED = "expected an answer with a download_url, such as that of v3/bill/tradebill, an item of its list, or a URL"


class Located(NamedTuple):
    """Where a file is fetched.

    Attributes:
        origin: scheme, host and port.
        template: path and query, without the leading slash.
        is_of_the_api: whether it is an operation of the API, signed like any other.
    """

    origin: str
    template: str
    is_of_the_api: bool


# https://pay.weixin.qq.com/doc/v3/merchant/4012081709 and, overseas, https://pay.weixin.qq.com/doc/global/v3/en/4017303715
_API = re.compile(r"https://api[a-z0-9]*\.(?:mch\.weixin\.qq\.com|wechatpay\.cn)")


def located(url: str, origins: Sequence[str]) -> Located:
    """Where a file is fetched.

    Where the client calls a host of its own, a sandbox or an egress proxy, the files of the API come from there too.

    Args:
        url: as it was announced.
        origins: the client's domains.

    Raises:
        ArgumentError: it is not an https URL, nor one of the client's own host.
    """
    try:
        parts = urlsplit(url)
        scheme, host = split_origin(url)
        port = "" if parts.port in (None, {"https": 443, "http": 80}.get(scheme)) else f":{parts.port}"
        origin = f"{scheme}://[{host}]{port}" if ":" in host else f"{scheme}://{host}{port}"
    except ValueError:
        origin, parts = "", urlsplit("")
    if "@" in parts.netloc or not (origin.startswith("https://") or origin in origins):
        raise ArgumentError("source: its URL is not one of https without a user name; no file is fetched from there")
    is_api = _API.fullmatch(origin) is not None
    if is_api and not any(map(_API.fullmatch, origins)):
        origin = origins[0]
    # What stands in no URL is encoded here already, so that no error further on shows a token.
    path = normalize(parts.path)
    if has_dot_segment(path):
        raise ArgumentError("source: a segment of its URL's path is '.' or '..', which servers and proxies rewrite")
    target = f"{path}?{normalize(parts.query)}" if parts.query else path
    return Located(origin, target.removeprefix("/"), is_api or origin in origins)


def _pair(told: Mapping[str, Any], first: str, second: str, fits: Callable[[str, str], bool]) -> tuple[str, str] | None:
    pair = told.get(first) or "", told.get(second) or ""
    if pair == ("", ""):
        return None
    if not all(isinstance(text, str) for text in pair) or not fits(*pair):
        raise ArgumentError(f"source: its {first} and {second} are not a pair that this version knows")
    return pair


def _is_digest(algorithm: str, value: str) -> bool:
    return algorithm in ALGORITHMS and re.fullmatch("[0-9A-Fa-f]+", value) is not None


def _is_secret(key: str, nonce: str) -> bool:
    return key != "" and 8 <= len(nonce) <= 128 and nonce.isascii()


class _Output(Protocol):
    def write(self, octets: bytes, /) -> object: ...

    def restart(self) -> None: ...

    def commit(self) -> None: ...

    def abandon(self) -> None: ...


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
        self._begin(Headers({}))
        self._is_begun = False
        self._output = _output(to)

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
        self._opening = _Opening(*self._key) if self._key else None
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
        yield Ask(partial(self.finish, response))
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


class _Opening:
    """Decrypts AES-256-GCM as it comes; the last bytes are the tag, which proves all of them."""

    def __init__(self, key: bytes, nonce: bytes) -> None:
        self._opening = Cipher(AES256(key), GCM(nonce)).decryptor()
        self._held = b""

    def update(self, octets: bytes) -> bytes:
        held = self._held + octets
        cut = max(len(held) - TAG, 0)
        self._held = held[cut:]
        return self._opening.update(held[:cut])

    def finish(self) -> bytes:
        try:
            return self._opening.finalize_with_tag(self._held)
        except (InvalidTag, ValueError):
            raise DecryptionError(
                "the file was altered, or encrypted with another key; nothing of it is kept"
            ) from None


def _output(to: object) -> _Output:
    if isinstance(to, (str, os.PathLike)):
        path = Path(to)
        try:
            if not path.name or (path.exists() and not path.is_file()):
                raise ArgumentError(
                    f"to: came {str(path)!r}, which is a folder or a device; expected the path of a file"
                )
            return PartialFile(path)
        except (OSError, ValueError) as error:
            if isinstance(error, ArgumentError):
                raise
            cause = getattr(error, "strerror", None) or "it is no path"
            raise ArgumentError(f"to: came {str(path)!r}: {cause}; expected a path in a folder that is there") from None
    if callable(getattr(to, "write", None)):
        return _Stream(to)  # type: ignore[arg-type]  # what has write() is taken for what it says it is
    raise ArgumentError(f"to: came a {type(to).__name__}; expected a path, or an open binary file")


class _Stream:
    """The user's own file, which cannot be begun anew and is not closed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._is_touched = False
        try:
            stream.write(b"")
        except (TypeError, ValueError) as error:
            raise ArgumentError(f"to: nothing can be written there: {error}; expected an open binary file") from None

    def write(self, octets: bytes) -> None:
        self._is_touched = True
        view = memoryview(octets)
        while view:  # an unbuffered file may take less at once
            written = self._stream.write(view)
            if written is None and not isinstance(self._stream, io.RawIOBase):
                return  # it does not say, and so took all
            if not written:
                raise OSError("the open file that was given takes nothing more")
            view = view[written:]

    def restart(self) -> None:
        if self._is_touched:
            raise TransportError(
                "the file came in part, and what went into an open file cannot be taken back", sent=True
            )

    def commit(self) -> None:
        pass

    def abandon(self) -> None:
        pass

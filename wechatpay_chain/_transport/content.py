"""Reads the content of a response: decoded in bounded pieces, and not more than may be read into memory.

The client asks for no encoding, and the service sends none. Something between them may still encode a body.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

from wechatpay_chain._files.inflate import GZIP, Inflater
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.request import Request, Sink
from wechatpay_chain.errors import ContentError, TransportError

__all__ = ["Content", "ErrorContent", "SinkContent"]

MOST_OF_AN_ERROR = 1 << 20
"""Bytes after which no more of an error response is read. Those of the service have a few hundred."""

_ZLIB = zlib.MAX_WBITS


class _Plain:
    """Decodes a body that has no encoding."""

    is_whole = True

    def pieces(self, octets: bytes) -> Iterator[bytes]:
        yield octets


def _decoder(headers: Mapping[str, str]) -> Inflater | _Plain | None:
    """Returns a decoder for the Content-Encoding of a response (RFC 9110, 8.4.1); None for an unknown encoding."""
    match headers.get("Content-Encoding", "").strip().lower():
        case "" | "identity":
            return _Plain()
        case "gzip" | "x-gzip":
            return Inflater(GZIP)
        case "deflate":
            return Inflater(_ZLIB)
    return None


class Content:
    """Collects the content of a 2xx response in memory.

    Args:
        request: the request.
        headers: the headers of the response.
        most: the limit in bytes, as received and decoded.

    Raises:
        ContentError: the content is longer, or has an unknown encoding.
        TransportError: its end is not known.
    """

    def __init__(self, request: Request, headers: Mapping[str, str], most: int) -> None:
        self._request, self._most = request, most
        self._decoding = _Decoding(request, headers)
        self._pieces: list[bytes] = []
        self._came = self._size = 0
        length = headers.get("Content-Length", "")
        if length.isdecimal() and (len(length) > _MOST_DIGITS or int(length) > most):
            raise self._too_large()

    def add(self, octets: bytes) -> None:
        """Adds the next bytes, as received.

        Raises:
            ContentError: the limit is passed.
            TransportError: they cannot be decoded.
        """
        self._came += len(octets)
        if self._came > self._most:
            raise self._too_large()
        for piece in self._decoding.pieces(octets):
            self._size += len(piece)
            if self._size > self._most:
                raise self._too_large()
            self._pieces.append(piece)

    def finish(self) -> bytes:
        """Returns the whole content.

        Raises:
            TransportError: it is incomplete.
        """
        self._decoding.finish()
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def _too_large(self) -> ContentError:
        return ContentError(
            f"{self._request.method} {self._request.template}: the response is larger than the {self._most} bytes that are "
            "read into memory; raise max_response_bytes= of the client, or fetch a file with client.download"
        )


_MOST_DIGITS = 18  # Python refuses to parse a number of thousands of digits


class SinkContent:
    """Writes the content of a 2xx response into the sink of its request, without a limit.

    Raises:
        ContentError: the content has an unknown encoding.
        TransportError: its end is not known.
    """

    def __init__(self, request: Request, headers: Headers, sink: Sink) -> None:
        self._decoding = _Decoding(request, headers)
        self._sink = sink
        sink.begin(headers)

    def add(self, octets: bytes) -> None:
        """Adds the next bytes, as received. May block.

        Raises:
            TransportError: they cannot be decoded.
        """
        for piece in self._decoding.pieces(octets):
            self._sink.write(piece)

    def finish(self) -> None:
        """Checks that the content is complete.

        Raises:
            TransportError: it is not.
        """
        self._decoding.finish()


class _Decoding:
    """Decodes a 2xx response."""

    def __init__(self, request: Request, headers: Mapping[str, str]) -> None:
        self._call = f"{request.method} {request.template}"
        # HTTP libraries differ in what they accept as "chunked": https://www.rfc-editor.org/rfc/rfc9112#section-6.1
        coding = headers.get("Transfer-Encoding")
        if coding is not None and coding.strip().lower() != "chunked":
            raise TransportError(
                f"{self._call}: the response has a Transfer-Encoding other than chunked, so that its end is not known",
                sent=True,
            )
        found = _decoder(headers)
        if found is None:
            raise ContentError(
                f"{self._call}: the response came in a Content-Encoding that was not asked for; expected none, gzip or "
                "deflate. Something between the client and the service encodes it"
            )
        self._decoder, self._is_begun = found, False

    def pieces(self, octets: bytes) -> Iterator[bytes]:
        self._is_begun = True
        try:
            yield from self._decoder.pieces(octets)
        except zlib.error:
            raise self._malformed() from None

    def finish(self) -> None:
        if self._is_begun and not self._decoder.is_whole:
            raise self._malformed()

    def _malformed(self) -> TransportError:
        return TransportError(f"{self._call}: the content of the response does not fit its Content-Encoding", sent=True)


class ErrorContent:
    """Collects the beginning of an error response. Bytes that cannot be decoded are kept as received."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._decoder = _decoder(headers) or _Plain()
        self._content = bytearray()
        self._came = 0

    def add(self, octets: bytes) -> bool:
        """Adds the next bytes, and tells whether more are wanted."""
        self._came += len(octets)
        try:
            for piece in self._decoder.pieces(octets):
                self._content += piece
                if len(self._content) >= MOST_OF_AN_ERROR:
                    return False
        except zlib.error:
            if not self._content:
                self._content += octets
            return False
        return self._came < MOST_OF_AN_ERROR

    def finish(self) -> bytes:
        """Returns the content, cut at the limit."""
        return bytes(self._content)

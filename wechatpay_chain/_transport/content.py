"""The content of a response as it comes over the wire: decoded in bounded pieces, and no more than may be read into memory.

The client asks for no encoding, and the service sends none. What stands between them may encode a body all the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

from wechatpay_chain._files.inflate import GZIP, Inflater
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.request import Request, Sink
from wechatpay_chain.errors import ContentError, TransportError

__all__ = ["MOST_IN_MEMORY", "Content", "ErrorContent", "SinkContent"]

MOST_IN_MEMORY = 64 << 20
"""Bytes of a 2xx response that are read into memory, where the client is not told another number."""

MOST_OF_AN_ERROR = 1 << 20
"""Bytes after which no more of an error response is read. The service's have some hundred."""

_ZLIB = zlib.MAX_WBITS


class _Plain:
    """Passes on what is not encoded."""

    is_whole = True

    def pieces(self, octets: bytes) -> Iterator[bytes]:
        yield octets


def _decoder(headers: Mapping[str, str]) -> Inflater | _Plain | None:
    """Returns what undoes the encoding of a response (RFC 9110, 8.4.1); None for an encoding that is not known here."""
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
        request: what it is the response to.
        headers: of the response.
        most: bytes, on the wire and decoded.

    Raises:
        ContentError: it is longer, or in an encoding that is not known here.
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
        """Takes the next bytes as they came over the wire.

        Raises:
            ContentError: it is too much.
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
            TransportError: it ends within what is encoded.
        """
        self._decoding.finish()
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def _too_large(self) -> ContentError:
        return ContentError(
            f"{self._request.method} {self._request.template}: the response is larger than the {self._most} bytes that are "
            "read into memory; raise max_response_bytes= of the client, or fetch a file with client.download"
        )


_MOST_DIGITS = 18  # Python refuses to read a number of some thousands


class SinkContent:
    """Writes the content of a 2xx response into the sink of its request, however long it is.

    Raises:
        ContentError: it is in an encoding that is not known here.
        TransportError: its end is not known.
    """

    def __init__(self, request: Request, headers: Headers, sink: Sink) -> None:
        self._decoding = _Decoding(request, headers)
        self._sink = sink
        sink.begin(headers)

    def add(self, octets: bytes) -> None:
        """Takes the next bytes as they came over the wire, which may take its time.

        Raises:
            TransportError: they cannot be decoded.
        """
        for piece in self._decoding.pieces(octets):
            self._sink.write(piece)

    def finish(self) -> None:
        """Ends what came.

        Raises:
            TransportError: it ends within what is encoded.
        """
        self._decoding.finish()


class _Decoding:
    """Undoes the encoding of a 2xx response."""

    def __init__(self, request: Request, headers: Mapping[str, str]) -> None:
        self._call = f"{request.method} {request.template}"
        # HTTP libraries differ in what they take for "chunked": https://www.rfc-editor.org/rfc/rfc9112#section-6.1
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
    """Collects the beginning of the content of an error response; what cannot be decoded is kept as it came."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._decoder = _decoder(headers) or _Plain()
        self._content = bytearray()
        self._came = 0

    def add(self, octets: bytes) -> bool:
        """Takes the next bytes, and tells whether more are wanted."""
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
        """Returns what came, or as much of it as is of use."""
        return bytes(self._content)

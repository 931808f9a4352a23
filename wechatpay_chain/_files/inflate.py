"""Decompresses gzip and zlib streams in pieces of limited size."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

__all__ = ["GZIP", "Inflater"]

GZIP = zlib.MAX_WBITS | 16
"""The `wbits` value that makes zlib expect the gzip format."""


class Inflater:
    """Decompresses a stream in pieces of at most 1 MiB, whatever the compression ratio is (a zip bomb, for example).

    Args:
        window: the `wbits` of zlib: the window size and the format.
    """

    PIECE = 1 << 20

    def __init__(self, window: int = GZIP) -> None:
        self._window = window
        self._decompressor = zlib.decompressobj(window)

    def pieces(self, octets: bytes) -> Iterator[bytes]:
        """Yields what more bytes decompress to.

        Raises:
            zlib.error: the bytes are not in this format.
        """
        while octets:
            if self._decompressor.eof:  # a gzip file may have several members: RFC 1952, 2.2
                self._decompressor = zlib.decompressobj(self._window)
            if piece := self._decompressor.decompress(octets, self.PIECE):
                yield piece
            octets = self._decompressor.unused_data or self._decompressor.unconsumed_tail

    @property
    def is_whole(self) -> bool:
        """True if the stream has ended."""
        return self._decompressor.eof

"""Decompresses gzip in bounded pieces."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

__all__ = ["GZIP", "Inflating"]

GZIP = zlib.MAX_WBITS | 16
"""The window that tells zlib to expect the gzip format."""


class Inflating:
    """Decompresses what comes, at most a megabyte at a time, however much it swells.

    Args:
        window: its size as zlib takes it, which says the format too.
    """

    PIECE = 1 << 20

    def __init__(self, window: int = GZIP) -> None:
        self._window = window
        self._inflating = zlib.decompressobj(window)

    def pieces(self, octets: bytes) -> Iterator[bytes]:
        """Yields what some more bytes decompress to.

        Raises:
            zlib.error: they are not in this format.
        """
        while octets:
            if self._inflating.eof:  # one gzip member may follow another: RFC 1952, 2.2
                self._inflating = zlib.decompressobj(self._window)
            if piece := self._inflating.decompress(octets, self.PIECE):
                yield piece
            octets = self._inflating.unused_data or self._inflating.unconsumed_tail

    @property
    def is_whole(self) -> bool:
        """Whether what came is complete."""
        return self._inflating.eof

"""Writes files atomically."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["PartialFile", "write_atomically"]


class PartialFile:
    """A file that appears at its path only when it is complete. Only its owner may read it (mode 0600).

    Until `commit`, it is a temporary file in the same folder.

    Args:
        path: of the file. Its folder must exist.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        descriptor, self._name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        self._file = os.fdopen(descriptor, "wb")

    def write(self, octets: bytes) -> None:
        """Appends bytes."""
        self._file.write(octets)

    def restart(self) -> None:
        """Discards what was written so far."""
        # Not for an empty file: ext4 flushes a truncated file when it is closed, which takes 0.25 s for 1 GB.
        if self._file.tell():
            self._file.seek(0)
            self._file.truncate()

    def commit(self) -> None:
        """Moves the file to its path, replacing the previous file."""
        self._file.close()
        Path(self._name).replace(self._path)

    def abandon(self) -> None:
        """Removes the file unless it was committed. The previous file is unchanged."""
        with suppress(OSError):
            self._file.close()
        Path(self._name).unlink(missing_ok=True)


def write_atomically(path: Path, octets: bytes) -> None:
    """Writes a file that is complete or not changed at all; see `PartialFile`.

    Raises:
        OSError: the file cannot be written. The previous file is unchanged.
    """
    file = PartialFile(path)
    try:
        file.write(octets)
        file.commit()
    finally:
        file.abandon()

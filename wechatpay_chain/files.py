"""Files that are whole or not there at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["CertificateFile", "write_whole"]


def write_whole(path: Path, octets: bytes) -> None:
    """Writes a file so that whoever sees it sees all of it, and nobody but its owner may read it (mode 0600).

    Raises:
        OSError: it cannot be written; what was there before is still there.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class CertificateFile:
    """Keeps fetched certificates in a file, encrypted as they came.

    Args:
        path: of the file; its folder must be there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def load(self) -> bytes | None:
        """What was saved last, or None where nothing can be read. It is unverified input."""
        try:
            return self._path.read_bytes()
        except OSError:
            return None

    def save(self, answer: bytes) -> None:
        """Keeps an answer in place of the one before."""
        write_whole(self._path, answer)

    def __repr__(self) -> str:
        return f"<CertificateFile {self._path}>"

"""A certificate cache in a file, for processes that run one after the other."""

from __future__ import annotations

import os
from pathlib import Path

from wechatpay_chain._files.atomic import write_atomically

__all__ = ["CertificateFile"]


class CertificateFile:
    """Certificate cache in a file. The certificates stay encrypted as they were received.

    Args:
        path: the file. Its folder must exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def load(self) -> bytes | None:
        """Returns the response that was saved last, unverified; None if the file cannot be read."""
        try:
            return self._path.read_bytes()
        except OSError:
            return None

    def save(self, content: bytes) -> None:
        """Writes a response to the file, in place of the previous one.

        Raises:
            OSError: the file cannot be written; the previous one is unchanged.
        """
        write_atomically(self._path, content)

    def __repr__(self) -> str:
        return f"<CertificateFile {self._path}>"

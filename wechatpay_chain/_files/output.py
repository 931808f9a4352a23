"""Writes a download to its target: a path, or a file that the user opened."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import BinaryIO, Protocol

from wechatpay_chain._files.atomic import PartialFile
from wechatpay_chain.errors import ArgumentError, TransportError

__all__ = ["Output", "Target", "open_output"]


Target = str | os.PathLike[str] | BinaryIO
"""A path, or an open binary file."""


class Output(Protocol):
    """The target of a download."""

    def write(self, octets: bytes, /) -> object:
        """Writes bytes."""

    def restart(self) -> None:
        """Discards what was written, for another attempt.

        Raises:
            TransportError: it cannot be discarded.
        """

    def commit(self) -> None:
        """Makes the complete file visible."""

    def abandon(self) -> None:
        """Discards what was not committed."""


def open_output(to: object) -> Output:
    """Opens the target of a download.

    Raises:
        ArgumentError: the target cannot be written to.
    """
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
            cause = getattr(error, "strerror", None) or "it is not a path"
            raise ArgumentError(f"to: came {str(path)!r}: {cause}; expected a path in an existing folder") from None
    if callable(getattr(to, "write", None)):
        return _Stream(to)  # type: ignore[arg-type]  # duck typing: every object with write() is accepted
    raise ArgumentError(f"to: came a {type(to).__name__}; expected a path, or an open binary file")


class _Stream:
    """A file that the user opened. It cannot be restarted, and it is not closed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._is_touched = False
        try:
            stream.write(b"")
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                f"to: the open file cannot be written to: {error}; expected a file open in binary mode"
            ) from None

    def write(self, octets: bytes) -> None:
        self._is_touched = True
        view = memoryview(octets)
        while view:  # an unbuffered file may write less than it was given
            written = self._stream.write(view)
            if written is None and not isinstance(self._stream, io.RawIOBase):
                return  # a file-like object that returns no count has written everything
            if not written:
                raise OSError("the open file of to= accepts no more bytes")
            view = view[written:]

    def restart(self) -> None:
        if self._is_touched:
            raise TransportError(
                "the file came in part, and what was written to the open file of to= cannot be undone", sent=True
            )

    def commit(self) -> None:
        pass

    def abandon(self) -> None:
        pass

"""Where a download is written."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import BinaryIO, Protocol

from wechatpay_chain._files.atomic import PartialFile
from wechatpay_chain.errors import (
    ArgumentError,
    TransportError,
)

__all__ = ["Output", "Target", "open_output"]


Target = str | os.PathLike[str] | BinaryIO
"""A path, or an open binary file."""


class Output(Protocol):
    """Where a download is written."""

    def write(self, octets: bytes, /) -> object:
        """Writes some bytes."""

    def restart(self) -> None:
        """Discards what was written, for another attempt."""

    def commit(self) -> None:
        """Makes the file visible. It is complete."""

    def abandon(self) -> None:
        """Discards what was not committed."""


def open_output(to: object) -> Output:
    """Opens the target of a download.

    Raises:
        ArgumentError: it cannot be written to.
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

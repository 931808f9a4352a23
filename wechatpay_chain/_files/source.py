"""Reads the file of an upload."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import BinaryIO, NamedTuple

from wechatpay_chain.errors import ArgumentError

__all__ = ["File", "FileSource", "Files", "open_file"]


FileSource = str | os.PathLike[str] | bytes | BinaryIO
"""A path, bytes, or an open binary file, which is read from its current position."""


Files = Mapping[str, FileSource | tuple[str, FileSource]]
"""One file by its part name. A pair is a file name and the file."""


CHUNK = 1 << 17
"""Bytes that are read and sent at a time."""


class File(NamedTuple):
    """A file that can be read several times.

    Attributes:
        part: the name of its part in multipart/form-data.
        name: its file name; may be empty.
        size: in bytes.
        source: a path, bytes, or an open file and the position to read it from.
    """

    part: str
    name: str
    size: int
    source: Path | bytes | tuple[BinaryIO, int]

    def chunks(self) -> Iterator[bytes]:
        """Yields the content, from its beginning.

        Raises:
            ArgumentError: the file cannot be read any more, or has become shorter.
        """
        read = 0
        try:
            for chunk in self._read():
                read += len(chunk)
                yield chunk
        except ArgumentError:
            raise
        except (OSError, ValueError) as error:
            raise ArgumentError(f"files: {self.part!r} cannot be read: {type(error).__name__}") from None
        if read != self.size:
            raise ArgumentError(
                f"files: {self.part!r} had {self.size} bytes, and {read} later; do not change it until it is sent"
            )

    def _read(self) -> Iterator[bytes]:
        if isinstance(self.source, bytes):
            yield from _read_chunks(io.BytesIO(self.source), self.size)
        elif isinstance(self.source, Path):
            with self.source.open("rb") as file:
                yield from _read_chunks(file, self.size)
        else:
            stream, start = self.source
            stream.seek(start)
            yield from _read_chunks(stream, self.size)

    def __repr__(self) -> str:
        return f"<File {self.part} of {self.size} bytes>"


def open_file(files: Files) -> File:
    """Reads the `files=` argument of an upload, and checks that its one file can be read.

    Raises:
        ArgumentError: the argument is not one file, or the file cannot be read.
    """
    if not isinstance(files, Mapping) or len(files) != 1:
        came = f"{len(files)} files" if isinstance(files, Mapping) else f"a {type(files).__name__}"
        raise ArgumentError(f"files: came {came}; expected one file by its part name, such as {{'file': path}}")
    part, source = next(iter(files.items()))
    if not isinstance(part, str) or not re.fullmatch("[A-Za-z0-9_.-]+", part) or part == "meta":
        raise ArgumentError(f"files: {part!r} is not a valid part name")
    name = None
    if isinstance(source, tuple):
        if len(source) != 2 or not isinstance(source[0], str):
            raise ArgumentError(f"files: {part!r} came as a tuple; expected a pair: the file name and the file")
        name, source = source
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        with _open_path(part, path) as file:
            size = os.fstat(file.fileno()).st_size
            content = b"" if size else file.read()  # files of /proc and the like have a size of 0
        return File(part, path.name if name is None else name, size or len(content), content or path)
    if isinstance(source, (bytes, bytearray, memoryview)):
        content = bytes(source)
        return File(part, name or "", len(content), content)
    return _read_stream(part, name, source)


def _read_stream(part: str, name: str | None, stream: BinaryIO) -> File:
    if not callable(getattr(stream, "read", None)):
        raise ArgumentError(
            f"files: {part!r} came as a {type(stream).__name__}; expected a path, bytes, or an open binary file"
        )
    known = getattr(stream, "name", "")
    name = (PurePath(known).name if isinstance(known, str) else "") if name is None else name
    seekable = getattr(stream, "seekable", None)
    try:
        if seekable is None or not seekable():
            # The content is needed twice at least (to hash it and to send it), and this stream can be read once.
            content = b"".join(_read_all(part, stream))
            return File(part, name, len(content), content)
        start = stream.tell()
        size = stream.seek(0, os.SEEK_END) - start
        stream.seek(start)
        if not isinstance(stream.read(0), bytes):
            raise ArgumentError(f"files: {part!r} is open in text mode; open it in binary mode")
    except (OSError, ValueError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError(f"files: {part!r} cannot be read: {type(error).__name__}") from None
    return File(part, name, size, (stream, start))


def _read_all(part: str, stream: BinaryIO) -> Iterator[bytes]:
    while True:
        chunk = stream.read()
        if not isinstance(chunk, bytes):
            raise ArgumentError(
                f"files: {part!r} is open in text mode or non-blocking; expected a blocking binary file"
            )
        if not chunk:
            return
        yield chunk


def _open_path(part: str, path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or "no such file"
        raise ArgumentError(f"files: {part!r} cannot be read: {cause}; expected the path of a file") from None


def _read_chunks(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size and (chunk := file.read(min(CHUNK, size))):
        if not isinstance(chunk, bytes) or len(chunk) > size:
            raise ArgumentError("files: the open file returns more than was requested, or something other than bytes")
        size -= len(chunk)
        yield chunk

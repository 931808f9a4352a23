"""Opens a bill: a file, bytes or a response, compressed or not, as lines of text."""

from __future__ import annotations

import gzip
import io
import os
from typing import Any, BinaryIO

from wechatpay_chain._messages.response import Response
from wechatpay_chain._messages.xml_body import MalformedXMLError, parse_xml
from wechatpay_chain.errors import ArgumentError, BillError

__all__ = ["BillSource", "open_lines", "refuse_error"]

BillSource = str | os.PathLike[str] | bytes | BinaryIO | Response
"""A path, the bytes of a bill, an open binary file, or the response that has the bill."""

BUFFER = 1 << 16

_GZIP = b"\x1f\x8b"  # RFC 1952, 2.3.1


class _Borrowed(io.RawIOBase):
    """Reads from a file of the caller, which stays open."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        octets = self._file.read(len(target))
        target[: len(octets)] = octets
        return len(octets)


def open_lines(source: BillSource) -> tuple[io.TextIOWrapper, BinaryIO]:
    """Returns the lines of a bill, and the file below, which must be closed after them.

    Raises:
        ArgumentError: it is nothing that a bill can be read from.
        OSError: the file cannot be read.
    """
    if isinstance(source, (str, os.PathLike)):
        raw: io.RawIOBase = io.FileIO(source)
    elif isinstance(source, (bytes, Response)):
        raw = _Borrowed(io.BytesIO(source if isinstance(source, bytes) else source.content))
    elif callable(getattr(source, "read", None)) and not isinstance(source, io.TextIOBase):
        raw = _Borrowed(source)
    else:
        raise ArgumentError(
            f"source: came a {type(source).__name__}; expected a path, bytes, a binary file or a response"
        )
    file = io.BufferedReader(raw, BUFFER)
    is_compressed = file.peek(2)[:2] == _GZIP
    content: Any = gzip.GzipFile(fileobj=file) if is_compressed else file
    return io.TextIOWrapper(content, encoding="utf-8-sig", newline="\n"), file


def refuse_error(head: str) -> None:
    """Raises the error that APIv2 returns in place of a bill, with the status 200.

    Args:
        head: the first line that is not empty.

    Raises:
        BillError: it is an error, or another kind of file.
    """
    if head.startswith("<"):
        try:
            fields = parse_xml(head.encode())
        except MalformedXMLError:
            raise BillError("this is no bill: it is XML or HTML") from None
        code = fields.get("error_code") or fields.get("err_code") or fields.get("return_code")
        raise BillError(f"this is no bill, but an error of WeChat Pay: {code} {fields.get('return_msg', '')!r}")
    if head.startswith(("{", "%PDF", "PK")) or "\0" in head:
        raise BillError("this is no bill: it is JSON, or a PDF, or encrypted, or an archive")

"""Reads a multipart/form-data body (RFC 2046, section 5.1, and RFC 7578) with the library multipart."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from wechatpay_chain.errors import ConfigurationError

try:
    from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header
except ImportError:
    raise ConfigurationError("the sandbox needs multipart: pip install 'wechatpay-chain[sandbox]'") from None

__all__ = ["Part", "parse_multipart"]

MOST_PARTS = 16
"""The number of parts that a body may have."""

# The boundary of a body whose header names none, as an SDK sends it.
_FIRST_LINE = re.compile(rb"(?:\A|\r\n)--([0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-])[ \t]*\r\n")
# RFC 8187; some libraries send it.
_EXTENDED = re.compile(r";[ \t]*filename\*=utf-8''([^\s;\"]+)", re.IGNORECASE)


class Part(NamedTuple):
    """One part of a multipart body.

    Attributes:
        name: the name of the part.
        file_name: its file name; None if it has none.
        content_type: its media type; empty if it has none.
        content: its bytes.
    """

    name: str
    file_name: str | None
    content_type: str
    content: bytes


def parse_multipart(content_type: str, body: bytes) -> list[Part]:
    """Returns the parts of a body in their order.

    Args:
        content_type: the header Content-Type. If it names no boundary, that of the body's first part is taken.
        body: the body.

    Returns:
        The parts; an empty list if the body is malformed.
    """
    media_type, options = parse_options_header(content_type)
    if media_type != "multipart/form-data":
        return []
    boundary = options.get("boundary", "").encode(errors="surrogateescape")
    if not boundary:
        first = _FIRST_LINE.search(body)
        if first is None:
            return []
        boundary = first[1]
    if len(boundary) > 70:
        return []
    try:
        return list(_read(boundary, body))
    except (MultipartError, ValueError):  # a ValueError is a name that is not UTF-8
        return []


def _read(boundary: bytes, body: bytes) -> list[Part]:
    parts: list[Part] = []
    segment: MultipartSegment | None = None
    content = bytearray()
    with PushMultipartParser(boundary, max_segment_count=MOST_PARTS) as parser:
        events = [*parser.parse(body), *parser.parse(b"")]
        for event in events:
            if isinstance(event, MultipartSegment):
                segment, content = event, bytearray()
            elif event:
                content += event
            elif segment is not None:
                parts.append(_part(segment, bytes(content)))
    return parts


def _part(segment: MultipartSegment, content: bytes) -> Part:
    if segment.disposition != "form-data" or not segment.name:
        raise MultipartError("a part has no name")
    header = dict(segment.headerlist).get("Content-Disposition", "")
    # The parser decodes what browsers encode; some clients encode a backslash too.
    file_name = segment.filename.replace("%5C", "\\") if segment.filename is not None else None
    if extended := _EXTENDED.search(header):
        file_name = unquote(extended[1])
    return Part(segment.name, file_name, segment.content_type or "", content)

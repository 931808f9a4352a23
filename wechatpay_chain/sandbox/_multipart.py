"""Parses a multipart/form-data body (RFC 2046, section 5.1, and RFC 7578)."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

__all__ = ["Part", "parse_multipart"]

_BOUNDARY = re.compile(r"""multipart/form-data\s*;.*?\bboundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))""", re.IGNORECASE)
_DISPOSITION = re.compile(r"^content-disposition:[ \t]*form-data\b(.*)$", re.IGNORECASE | re.MULTILINE)
_PARAMETER = re.compile(r';[ \t]*(name|filename)=(?:"([^"\r\n]*)"|([^\s;"]+))', re.IGNORECASE)
_EXTENDED = re.compile(r";[ \t]*filename\*=utf-8''([^\s;\"]+)", re.IGNORECASE)  # RFC 8187; some libraries send it


class Part(NamedTuple):
    """One part of a multipart body.

    Attributes:
        name: the name of the part.
        file_name: its file name; empty if it has none.
        content: its bytes.
    """

    name: str
    file_name: str
    content: bytes


def parse_multipart(content_type: str, body: bytes) -> list[Part]:
    """Returns the parts of a body in their order.

    Args:
        content_type: the header Content-Type, with the boundary.
        body: the body.

    Returns:
        The parts; an empty list if the body is malformed.
    """
    boundary = _BOUNDARY.match(content_type)
    if boundary is None:
        return []
    delimiter = b"\r\n--" + (boundary[1] or boundary[2]).encode("utf-8", "surrogateescape")
    preamble, *pieces = (b"\r\n" + body).split(delimiter)
    if preamble or not pieces or not re.fullmatch(rb"--[ \t]*(?:\r\n)?", pieces.pop()):
        return []
    parts = []
    for piece in pieces:
        head, blank, content = piece.partition(b"\r\n\r\n")
        disposition = _DISPOSITION.search(head.decode(errors="replace").replace("\r\n", "\n"))
        parameters_text = disposition[1] if disposition else ""
        parameters = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(parameters_text)}
        if extended := _EXTENDED.search(parameters_text):
            parameters["filename"] = unquote(extended[1])
        if not blank or not re.match(rb"[ \t]*\r\n", piece) or "name" not in parameters:
            return []
        file_name = re.sub("%(22|5C|0D|0A)", lambda found: chr(int(found[1], 16)), parameters.get("filename", ""))
        parts.append(Part(parameters["name"], file_name, content))
    return parts

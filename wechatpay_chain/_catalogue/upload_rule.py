"""Describes the metadata that an upload operation requires about a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["Rule"]


class Rule(NamedTuple):
    """The metadata that an upload operation requires about a file.

    Attributes:
        digest: the name of the member of `meta` for the digest.
        algorithm: the hash algorithm of the digest.
        name: the name of the member for the file name; empty if there is none.
        part: the name of the multipart part with the file.
        more: further members with constant values.
        most: the maximum size in bytes by file suffix; empty if every file is allowed.
        file_type: the name of the member for the suffix in upper case; empty if there is none.
    """

    digest: str = "sha256"
    algorithm: str = "SHA256"
    name: str = "filename"
    part: str = "file"
    more: Mapping[str, str] = {}
    most: Mapping[str, int] = {}
    file_type: str = ""

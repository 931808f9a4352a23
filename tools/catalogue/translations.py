"""What some words of the facts mean."""

from __future__ import annotations

__all__ = ["PATTERNS", "TYPES"]

PATTERNS = {
    "/[0-9]{6}/": "^[0-9]{6}$",
    r"/[a-zA-Z0-9\|\*_-]{1,128}/": "^[a-zA-Z0-9|*_-]{1,128}$",
    r"/[a-zA-Z0-9\|-_\*]{1,128}/": "^[a-zA-Z0-9|*_-]{1,128}$",  # a hyphen within a class is a range
    r"/\d{8}|\d{14}/": "^(?:[0-9]{8}|[0-9]{14})$",
    r"/\d{8}|\d{14}|OnAccept/": "^(?:[0-9]{8}|[0-9]{14}|OnAccept)$",
}
"""Regular expressions between slashes, and what they say of the whole text."""

TYPES = {
    "int": "integer",
    "uint64": "integer",
    "string ": "string",
    "stringde": "string",
    # Where the type should be, these have an example or a description.
    "20150806125346": "string",
    "oyobu0dmn6tdodznfwkoekqorbi8": "string",
    "ee088059bbc9141264f8d14293ad6c4bb94cea8c08aa98fbf93e262d445f8ff5": "string",
    "粤b888888": "string",
    "oupf8umuajo_m2pxb1q9znjwes6o": "string",
    "早餐2份，每份50元": "string",
}
"""Names of types that are none, and what is meant."""

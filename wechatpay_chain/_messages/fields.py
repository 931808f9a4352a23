"""Checks the headers that a caller sets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from wechatpay_chain._messages.faults import ArgumentError

__all__ = ["RESERVED_FIELDS", "check_fields", "is_field_name"]


# The client itself sets the signature, the message framing and the host.
RESERVED_FIELDS = frozenset(
    {
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2


_FIELD_VALUE = re.compile(r"[\x20-\x7e]*")


@lru_cache(maxsize=1024)
def is_field_name(name: str) -> bool:
    """Tells whether a string is a valid header name."""
    return _FIELD_NAME.fullmatch(name) is not None


def check_fields(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Returns the headers that a caller adds, after checking each name and value.

    Raises:
        ArgumentError: a header cannot be sent, or only the client may set it.
    """
    if not isinstance(headers, Mapping):
        raise ArgumentError(f"headers: came a {type(headers).__name__}; expected a mapping of str to str")
    for name, value in headers.items():
        if not isinstance(name, str) or not is_field_name(name):
            raise ArgumentError(f"headers: {name!r} is not a valid header name")
        if name.lower() in RESERVED_FIELDS:
            raise ArgumentError(f"headers: {name} is set by the client; leave it out")
        if not isinstance(value, str) or not _FIELD_VALUE.fullmatch(value):
            raise ArgumentError(f"headers: the value of {name} is not a str of printable ASCII characters")
    return headers

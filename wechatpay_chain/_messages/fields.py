"""What callers may set as headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from wechatpay_chain._messages.faults import ArgumentError

__all__ = ["RESERVED_FIELDS", "check_fields", "is_field_name"]


# The signature, the framing of the message and the host are not the caller's to set.
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
    """Whether a text can be a header's name."""
    return _FIELD_NAME.fullmatch(name) is not None


def check_fields(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers that a caller adds, if they can be sent and are his to set.

    Raises:
        ArgumentError: one cannot, or is not.
    """
    if not isinstance(headers, Mapping):
        raise ArgumentError(f"headers: came a {type(headers).__name__}; expected a mapping from names to texts")
    for name, value in headers.items():
        if not isinstance(name, str) or not is_field_name(name):
            raise ArgumentError(f"headers: {name!r} is not a header's name")
        if name.lower() in RESERVED_FIELDS:
            raise ArgumentError(f"headers: {name} is made by the client and cannot be set")
        if not isinstance(value, str) or not _FIELD_VALUE.fullmatch(value):
            raise ArgumentError(f"headers: the value of {name} is not a text of printable ASCII characters")
    return headers

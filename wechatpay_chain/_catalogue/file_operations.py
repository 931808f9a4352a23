"""Lists the operations whose response is a file, by exact method and path.

Each `{}` matches one path segment that contains no `..`, which a server could resolve to the parent folder.
"""

from __future__ import annotations

import enum
import re

__all__ = ["Signed", "what_is_signed"]

# File downloads, whose responses the service does not sign: https://pay.weixin.qq.com/doc/v3/merchant/4013053420
_UNSIGNED = (
    ("GET", "/v3/billdownload/file"),
    ("GET", "/v3/bill/downloadurl"),
    ("GET", "/v3/merchant-service/images/{}"),
    ("GET", "/v3/global/merchant-service/images/{}"),
    ("GET", "/v3/transferdownload/elecvoucherfile"),
    ("GET", "/v3/transferdownload/signfile"),
    ("GET", "/v3/new-tax-control-fapiao/download"),
)

# Overseas statements: the service signs the SHA-1 digest in the response header instead of the content.
_DIGEST_SIGNED = (
    ("GET", "/hk/v3/statements"),
    ("GET", "/v3/global/statements"),
)


def _compile(operations: tuple[tuple[str, str], ...]) -> re.Pattern[str]:
    return re.compile(
        "|".join(
            re.escape(f"{method} {path}").replace(r"\{\}", r"(?![^/]*(?:\.|%2E){2})[^/]+")
            for method, path in operations
        )
    )


_UNSIGNED_OPERATION = _compile(_UNSIGNED)
_DIGEST_SIGNED_OPERATION = _compile(_DIGEST_SIGNED)


class Signed(enum.Enum):
    """What the service signs of the 2xx response of an operation."""

    CONTENT = "content"
    DIGEST = "digest"
    """The response is a file, and a header has the digest of its text."""
    NOTHING = "nothing"
    """The response is a file."""


def what_is_signed(method: str, target: str) -> Signed:
    """Returns what the service signs of the 2xx response to a request."""
    operation = f"{method} {target.partition('?')[0]}"
    if _UNSIGNED_OPERATION.fullmatch(operation):
        return Signed.NOTHING
    return Signed.DIGEST if _DIGEST_SIGNED_OPERATION.fullmatch(operation) else Signed.CONTENT

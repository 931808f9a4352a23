"""Lists the operations whose response is a file, by exact method and path.

Each `{}` matches one path segment that contains no `..`, which a server could resolve to the parent folder.
"""

from __future__ import annotations

import re

__all__ = ["is_digest_signed", "is_file", "is_unsigned"]

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
_FILE_OPERATION = _compile(_UNSIGNED + _DIGEST_SIGNED)


def is_unsigned(method: str, target: str) -> bool:
    """Returns True if the service does not sign the 2xx responses of an operation."""
    return _UNSIGNED_OPERATION.fullmatch(_operation(method, target)) is not None


def is_digest_signed(method: str, target: str) -> bool:
    """Returns True if the service signs the digest of the response of an operation instead of its content."""
    return _DIGEST_SIGNED_OPERATION.fullmatch(_operation(method, target)) is not None


def is_file(method: str, target: str) -> bool:
    """Returns True if the 2xx response of an operation is a file, not JSON."""
    return _FILE_OPERATION.fullmatch(_operation(method, target)) is not None


def _operation(method: str, target: str) -> str:
    return f"{method} {target.partition('?')[0]}"

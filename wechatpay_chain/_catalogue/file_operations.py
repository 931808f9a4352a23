"""The operations whose response is a file, by exact method and path: facts of the service, each once.

Each `{}` is one path segment, in which no server could find its way up.
"""

from __future__ import annotations

import re

__all__ = ["is_digest_signed", "is_file", "is_unsigned"]

# Downloads of files, which the service does not sign: https://pay.weixin.qq.com/doc/v3/merchant/4013053420
_UNSIGNED = (
    ("GET", "/v3/billdownload/file"),
    ("GET", "/v3/bill/downloadurl"),
    ("GET", "/v3/merchant-service/images/{}"),
    ("GET", "/v3/global/merchant-service/images/{}"),
    ("GET", "/v3/transferdownload/elecvoucherfile"),
    ("GET", "/v3/transferdownload/signfile"),
    ("GET", "/v3/new-tax-control-fapiao/download"),
)

# Overseas statements: what is signed is the SHA-1 of the text, which the header carries.
_DIGEST_SIGNED = (
    ("GET", "/hk/v3/statements"),
    ("GET", "/v3/global/statements"),
)


def _matcher(operations: tuple[tuple[str, str], ...]) -> re.Pattern[str]:
    return re.compile(
        "|".join(
            re.escape(f"{method} {path}").replace(r"\{\}", r"(?![^/]*(?:\.|%2E){2})[^/]+")
            for method, path in operations
        )
    )


_UNSIGNED_OPERATION = _matcher(_UNSIGNED)
_DIGEST_SIGNED_OPERATION = _matcher(_DIGEST_SIGNED)
_FILE_OPERATION = _matcher(_UNSIGNED + _DIGEST_SIGNED)


def is_unsigned(method: str, target: str) -> bool:
    """Tells whether the service signs no 2xx response of an operation."""
    return _UNSIGNED_OPERATION.fullmatch(_operation(method, target)) is not None


def is_digest_signed(method: str, target: str) -> bool:
    """Tells whether the service signs the digest of the response of an operation, in place of its content."""
    return _DIGEST_SIGNED_OPERATION.fullmatch(_operation(method, target)) is not None


def is_file(method: str, target: str) -> bool:
    """Tells whether the 2xx response of an operation is a file, not JSON."""
    return _FILE_OPERATION.fullmatch(_operation(method, target)) is not None


def _operation(method: str, target: str) -> str:
    return f"{method} {target.partition('?')[0]}"

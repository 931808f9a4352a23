"""Computes the digests of uploaded files, bills and receipts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Protocol

from cryptography.hazmat.primitives import hashes

__all__ = ["ALGORITHMS", "STATEMENT_DIGEST", "Digest", "new_digest"]


class Digest(Protocol):
    """A hash that is computed in steps."""

    def update(self, octets: bytes, /) -> object:
        """Adds bytes to the hash."""
        ...

    def hexdigest(self) -> str:
        """Returns the digest of the bytes so far, in lower-case hexadecimal digits."""
        ...


class _SM3:
    """SM3, which hashlib has only if the system's OpenSSL has it."""

    def __init__(self) -> None:
        self._hash = hashes.Hash(hashes.SM3())

    def update(self, octets: bytes) -> None:
        self._hash.update(octets)

    def hexdigest(self) -> str:
        return self._hash.copy().finalize().hex()


# The service announces SHA-1 digests of bills: https://pay.weixin.qq.com/doc/v3/merchant/4013071228. MD5 is only for
# uploads that require it; no bill is verified with it.
_BY_NAME: dict[str, Callable[[], Digest]] = {
    "SHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "SHA256": hashlib.sha256,
    "SM3": _SM3,
    "MD5": lambda: hashlib.md5(usedforsecurity=False),
}

ALGORITHMS = ("SHA1", "SHA256", "SM3")
"""The algorithms that verify a bill, by the service's names."""

STATEMENT_DIGEST = "Wechatpay-Statement-Sha1"
"""The header with the digest of an overseas statement: https://pay.weixin.qq.com/doc/v3/merchant/4013053420"""


def new_digest(algorithm: str) -> Digest:
    """Creates a hash with no bytes yet.

    Args:
        algorithm: one of `ALGORITHMS`, or MD5.
    """
    return _BY_NAME[algorithm]()

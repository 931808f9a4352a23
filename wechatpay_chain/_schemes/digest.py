"""The digests of files: of what is uploaded, and of bills and receipts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Protocol

from cryptography.hazmat.primitives import hashes

__all__ = ["ALGORITHMS", "STATEMENT_DIGEST", "Digest", "new_digest"]


class Digest(Protocol):
    """A digest that grows."""

    def update(self, octets: bytes, /) -> object:
        """Takes in some more bytes."""
        ...

    def hexdigest(self) -> str:
        """The digest of what came so far, in lower-case hexadecimal digits."""
        ...


class _SM3:
    """SM3, which hashlib has only where the system's OpenSSL has it."""

    def __init__(self) -> None:
        self._hash = hashes.Hash(hashes.SM3())

    def update(self, octets: bytes) -> None:
        self._hash.update(octets)

    def hexdigest(self) -> str:
        return self._hash.copy().finalize().hex()


# SHA-1 is what the service offers for bills: https://pay.weixin.qq.com/doc/v3/merchant/4013071228. MD5 is for uploads that
# ask for it; no bill is proven by it.
_BY_NAME: dict[str, Callable[[], Digest]] = {
    "SHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "SHA256": hashlib.sha256,
    "SM3": _SM3,
    "MD5": lambda: hashlib.md5(usedforsecurity=False),
}

ALGORITHMS = ("SHA1", "SHA256", "SM3")
"""Those that prove a bill, by the names that the service has for them."""

STATEMENT_DIGEST = "Wechatpay-Statement-Sha1"
"""What an overseas statement brings its digest in: https://pay.weixin.qq.com/doc/v3/merchant/4013053420"""


def new_digest(algorithm: str) -> Digest:
    """A digest of nothing yet.

    Args:
        algorithm: one of `ALGORITHMS`, or MD5.
    """
    return _BY_NAME[algorithm]()

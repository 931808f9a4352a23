"""Decrypts a download."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import GCM

from wechatpay_chain.errors import (
    DecryptionError,
)

__all__ = ["Decrypting"]


TAG = 16
"""Bytes of the GCM tag at the end of what is encrypted."""


class Decrypting:
    """Decrypts AES-256-GCM as it comes; the last bytes are the tag, which proves all of them."""

    def __init__(self, key: bytes, nonce: bytes) -> None:
        self._opening = Cipher(AES256(key), GCM(nonce)).decryptor()
        self._held = b""

    def update(self, octets: bytes) -> bytes:
        held = self._held + octets
        cut = max(len(held) - TAG, 0)
        self._held = held[cut:]
        return self._opening.update(held[:cut])

    def finish(self) -> bytes:
        try:
            return self._opening.finalize_with_tag(self._held)
        except (InvalidTag, ValueError):
            raise DecryptionError(
                "the file was altered, or encrypted with another key; nothing of it is kept"
            ) from None

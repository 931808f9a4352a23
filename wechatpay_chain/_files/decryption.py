"""Decrypts a download as a stream."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import GCM

from wechatpay_chain.errors import DecryptionError

__all__ = ["StreamDecryptor"]


TAG_BYTES = 16
"""The length of the GCM tag at the end of the ciphertext."""


class StreamDecryptor:
    """Decrypts an AES-256-GCM stream whose last bytes are the tag.

    Nothing is authenticated before `finish` has returned.

    Args:
        key: 32 bytes.
        nonce: 8 to 128 bytes.
    """

    def __init__(self, key: bytes, nonce: bytes) -> None:
        self._decryptor = Cipher(AES256(key), GCM(nonce)).decryptor()
        self._pending = b""

    def update(self, octets: bytes) -> bytes:
        """Returns the plaintext that more bytes decrypt to. Bytes that may be the tag are held back."""
        pending = self._pending + octets
        cut = max(len(pending) - TAG_BYTES, 0)
        self._pending = pending[cut:]
        return self._decryptor.update(pending[:cut])

    def finish(self) -> bytes:
        """Returns the rest of the plaintext, after checking the tag.

        Raises:
            DecryptionError: the file was altered, or the key is wrong.
        """
        try:
            return self._decryptor.finalize_with_tag(self._pending)
        except (InvalidTag, ValueError):
            raise DecryptionError("the file was altered, or encrypted with another key; it is discarded") from None

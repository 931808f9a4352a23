"""SM4-GCM, the encryption of certificates and notifications of merchants with SM2 keys.

Source: https://pay.weixin.qq.com/docs/partner/development/shangmi/guide.html; RFC 8998 has the cipher.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import GCM

from wechatpay_chain._schemes.aead import check_key, decrypt_with, encrypt_with
from wechatpay_chain._shielding import shielded

__all__ = ["sm4_gcm_decrypt", "sm4_gcm_encrypt"]

_KEY_BYTES, _TAG_BYTES = 16, 16


@shielded
def sm4_gcm_encrypt(plaintext: bytes | str, key: bytes, nonce: str, associated_data: str = "") -> str:
    """Encrypts with SM4-GCM, in the format of certificates and notifications.

    Args:
        plaintext: bytes, or a string, which is encoded as UTF-8.
        key: the APIv3 key, 32 bytes. The key of the cipher is the first half of its SM3 digest.
        nonce: 12 characters, which must never be used twice with the same key.
        associated_data: unencrypted data that the tag authenticates too.

    Returns:
        The ciphertext followed by its tag, in base64.

    Raises:
        ArgumentError: the nonce is shorter than 8 bytes, or longer than 128.
        ConfigurationError: the key does not have 32 bytes.
    """
    return encrypt_with(_SM4GCM(key), plaintext, nonce, associated_data)


@shielded
def sm4_gcm_decrypt(ciphertext: str, key: bytes, nonce: str, associated_data: str | None = "") -> bytes:
    """Decrypts SM4-GCM and verifies its tag.

    Args:
        ciphertext: the ciphertext followed by its tag, in base64.
        key: the APIv3 key, 32 bytes.
        nonce: the nonce as received.
        associated_data: the associated data as received; may be empty or None.

    Raises:
        ConfigurationError: the key does not have 32 bytes.
        DecryptionError: the data was altered, or the key is wrong.
    """
    return decrypt_with(_SM4GCM(key), ciphertext, nonce, associated_data)


class _SM4GCM:
    """SM4-GCM with the methods of cryptography's AESGCM. Its key is the first half of the SM3 digest of the APIv3 key."""

    def __init__(self, key: bytes) -> None:
        digest = hashes.Hash(hashes.SM3())
        digest.update(check_key(key))
        self._key = SM4(digest.finalize()[:_KEY_BYTES])

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Returns the ciphertext and its tag."""
        encryptor = Cipher(self._key, GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(associated_data)
        return encryptor.update(data) + encryptor.finalize() + encryptor.tag

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Returns the plaintext of a ciphertext with its tag."""
        if len(data) < _TAG_BYTES:
            raise InvalidTag
        decryptor = Cipher(self._key, GCM(nonce, data[-_TAG_BYTES:])).decryptor()
        decryptor.authenticate_additional_data(associated_data)
        return decryptor.update(data[:-_TAG_BYTES]) + decryptor.finalize()

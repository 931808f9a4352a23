"""AES-256-GCM, the encryption of certificates and notifications; and their format, which that of SM4 shares."""

from __future__ import annotations

import base64
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wechatpay_chain._schemes.apiv3_key import APIV3_KEY_SIZE
from wechatpay_chain._schemes.encoding import decode_base64, encode_nonce, encode_utf8
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import ConfigurationError, DecryptionError

__all__ = ["aes_gcm_decrypt", "aes_gcm_encrypt", "check_key", "decrypt_with", "encrypt_with"]


class Cipher(Protocol):
    """A cipher with a key, as cryptography has them: the ciphertext has its tag at its end."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Encrypts."""
        ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Decrypts, or raises an InvalidTag or a ValueError."""
        ...


@shielded
def aes_gcm_encrypt(plaintext: bytes | str, key: bytes, nonce: str, associated_data: str = "") -> str:
    """Encrypts with AES-256-GCM, in the format of certificates and notifications.

    Args:
        plaintext: bytes, or a string, which is encoded as UTF-8.
        key: the APIv3 key, 32 bytes.
        nonce: 12 characters, which must never be used twice with the same key.
        associated_data: unencrypted data that the tag authenticates too.

    Returns:
        The ciphertext followed by its tag, in base64.

    Raises:
        ArgumentError: the nonce is shorter than 8 bytes, or longer than 128.
        ConfigurationError: the key does not have 32 bytes.
    """
    return encrypt_with(AESGCM(check_key(key)), plaintext, nonce, associated_data)


@shielded
def aes_gcm_decrypt(ciphertext: str, key: bytes, nonce: str, associated_data: str | None = "") -> bytes:
    """Decrypts AES-256-GCM and verifies its tag.

    Source: https://pay.weixin.qq.com/doc/v3/merchant/4012071382

    Args:
        ciphertext: the ciphertext followed by its tag, in base64.
        key: the APIv3 key, 32 bytes.
        nonce: the nonce as received.
        associated_data: the associated data as received; may be empty or None.

    Raises:
        ConfigurationError: the key does not have 32 bytes.
        DecryptionError: the data was altered, or the key is wrong.
    """
    return decrypt_with(AESGCM(check_key(key)), ciphertext, nonce, associated_data)


def encrypt_with(cipher: Cipher, plaintext: bytes | str, nonce: str, associated_data: str) -> str:
    """Returns the ciphertext and its tag in base64; `aes_gcm_encrypt` has the arguments and the errors."""
    octets = encode_utf8(plaintext) if isinstance(plaintext, str) else plaintext
    return base64.b64encode(cipher.encrypt(encode_nonce(nonce), octets, associated_data.encode())).decode()


def decrypt_with(cipher: Cipher, ciphertext: str, nonce: str, associated_data: str | None) -> bytes:
    """Returns the plaintext; `aes_gcm_decrypt` has the arguments and the errors."""
    raw = decode_base64(ciphertext)
    if raw is not None:
        try:
            return cipher.decrypt(nonce.encode(), raw, (associated_data or "").encode())
        except (InvalidTag, ValueError):
            pass
    raise DecryptionError("the ciphertext, nonce or associated data was altered, or the APIv3 key is wrong")


def check_key(key: bytes) -> bytes:
    """Returns an APIv3 key; raises a ConfigurationError if its length is wrong."""
    if len(key) != APIV3_KEY_SIZE:
        raise ConfigurationError(f"apiv3_key: came {len(key)} bytes; expected {APIV3_KEY_SIZE}")
    return key

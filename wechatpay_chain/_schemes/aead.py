"""AES-256-GCM, the encryption of certificates and notifications."""

from __future__ import annotations

import base64

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wechatpay_chain._schemes.apiv3_key import APIV3_KEY_SIZE
from wechatpay_chain._schemes.encoding import decode_base64, encode_nonce, encode_utf8
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import ConfigurationError, DecryptionError

__all__ = ["aes_gcm_decrypt", "aes_gcm_encrypt"]


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
    octets = encode_utf8(plaintext) if isinstance(plaintext, str) else plaintext
    ciphertext = _aes_gcm(key).encrypt(encode_nonce(nonce), octets, associated_data.encode())
    return base64.b64encode(ciphertext).decode()


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
    cipher = _aes_gcm(key)
    raw = decode_base64(ciphertext)
    if raw is not None:
        try:
            return cipher.decrypt(nonce.encode(), raw, (associated_data or "").encode())
        except (InvalidTag, ValueError):
            pass
    raise DecryptionError("the ciphertext, nonce or associated data was altered, or the APIv3 key is wrong")


def _aes_gcm(key: bytes) -> AESGCM:
    if len(key) != APIV3_KEY_SIZE:
        raise ConfigurationError(f"apiv3_key: came {len(key)} bytes; expected {APIV3_KEY_SIZE}")
    return AESGCM(key)

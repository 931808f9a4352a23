"""SM4-GCM, the encryption of certificates and notifications of merchants with SM2 keys.

Source: https://pay.weixin.qq.com/docs/partner/development/shangmi/guide.html; RFC 8998 has the cipher.
"""

from __future__ import annotations

import base64

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import GCM

from wechatpay_chain._schemes.apiv3_key import APIV3_KEY_SIZE
from wechatpay_chain._schemes.encoding import decode_base64, encode_nonce, encode_utf8
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import ConfigurationError, DecryptionError

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
    octets = encode_utf8(plaintext) if isinstance(plaintext, str) else plaintext
    encryptor = Cipher(_sm4(key), GCM(encode_nonce(nonce))).encryptor()
    encryptor.authenticate_additional_data(associated_data.encode())
    ciphertext = encryptor.update(octets) + encryptor.finalize()
    return base64.b64encode(ciphertext + encryptor.tag).decode()


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
    cipher = _sm4(key)
    raw = decode_base64(ciphertext)
    if raw is not None and len(raw) >= _TAG_BYTES:
        try:
            decryptor = Cipher(cipher, GCM(nonce.encode(), raw[-_TAG_BYTES:])).decryptor()
            decryptor.authenticate_additional_data((associated_data or "").encode())
            return decryptor.update(raw[:-_TAG_BYTES]) + decryptor.finalize()
        except (InvalidTag, ValueError):
            pass
    raise DecryptionError("the ciphertext, nonce or associated data was altered, or the APIv3 key is wrong")


def _sm4(key: bytes) -> SM4:
    if len(key) != APIV3_KEY_SIZE:
        raise ConfigurationError(f"apiv3_key: came {len(key)} bytes; expected {APIV3_KEY_SIZE}")
    digest = hashes.Hash(hashes.SM3())
    digest.update(key)
    return SM4(digest.finalize()[:_KEY_BYTES])

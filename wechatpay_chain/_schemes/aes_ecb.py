"""AES-256-ECB, the encryption of refund notifications of APIv2. It proves nothing about who encrypted.

Source: https://pay.weixin.qq.com/doc/v2/merchant/4011985454
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from wechatpay_chain._schemes.encoding import decode_base64

__all__ = ["decrypt_req_info"]


def decrypt_req_info(ciphertext: str, key: bytes) -> bytes | None:
    """Returns the plain text of a `req_info`; None if it was not encrypted with this key, or was altered in its last block.

    Args:
        ciphertext: the ciphertext in base64.
        key: the APIv2 key, whose MD5 in lower-case hexadecimal digits is the key of the cipher.
    """
    raw = decode_base64(ciphertext)
    if not raw or len(raw) % 16:
        return None
    digits = hashlib.md5(key, usedforsecurity=False).hexdigest().encode()
    decryptor = Cipher(algorithms.AES(digits), modes.ECB()).decryptor()  # noqa: S305 -- the protocol has it
    padded = decryptor.update(raw) + decryptor.finalize()
    unpadder = PKCS7(128).unpadder()
    try:
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        return None

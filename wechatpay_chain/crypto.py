"""The algorithms of APIv3, and functions that load keys, certificates and serial numbers.

Base64 is decoded strictly: only the standard alphabet with correct padding is accepted.
"""

from __future__ import annotations

from wechatpay_chain._keys.loading import (
    CertificateSource,
    PrivateKeySource,
    PublicKeySource,
    load_private_key,
    load_public,
    load_public_key,
    load_sm2_private_key,
    load_sm2_public_key,
    serial_number,
)
from wechatpay_chain._keys.serials import normalize_serial
from wechatpay_chain._schemes.aead import aes_gcm_decrypt, aes_gcm_encrypt
from wechatpay_chain._schemes.apiv3_key import key_octets
from wechatpay_chain._schemes.by_key import decrypt, decrypt_octets, encrypt, sign, verify
from wechatpay_chain._schemes.nonce import nonce
from wechatpay_chain._schemes.sm2 import SM2PrivateKey, SM2PublicKey
from wechatpay_chain._schemes.sm4_gcm import sm4_gcm_decrypt, sm4_gcm_encrypt

__all__ = [
    "CertificateSource",
    "PrivateKeySource",
    "PublicKeySource",
    "SM2PrivateKey",
    "SM2PublicKey",
    "aes_gcm_decrypt",
    "aes_gcm_encrypt",
    "decrypt",
    "decrypt_octets",
    "encrypt",
    "key_octets",
    "load_private_key",
    "load_public",
    "load_public_key",
    "load_sm2_private_key",
    "load_sm2_public_key",
    "nonce",
    "normalize_serial",
    "serial_number",
    "sign",
    "sm4_gcm_decrypt",
    "sm4_gcm_encrypt",
    "verify",
]

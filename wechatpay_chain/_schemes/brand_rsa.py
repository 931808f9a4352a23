"""The scheme of brands, which call `/brand/…` in their own name.

Source: https://pay.weixin.qq.com/doc/brand/4015407568
"""

from __future__ import annotations

from wechatpay_chain._schemes.aead import aes_gcm_decrypt, aes_gcm_encrypt
from wechatpay_chain._schemes.rsa import RSA
from wechatpay_chain._schemes.scheme import Scheme

__all__ = ["BRAND_RSA"]

BRAND_RSA = Scheme(
    name="WECHATPAY-BRAND-SHA256-RSA2048",
    identity="brand_id",
    root="brand",
    has_apiv2=False,
    has_certificates=False,
    certificates_query="",
    issuer="",
    front_end="",
    keys=RSA,
    algorithm="AEAD_AES_256_GCM",
    aead_encrypt=aes_gcm_encrypt,
    aead_decrypt=aes_gcm_decrypt,
)

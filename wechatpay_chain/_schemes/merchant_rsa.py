"""The scheme of merchants and partners with RSA keys.

Source: https://pay.weixin.qq.com/doc/v3/merchant/4012365342
"""

from __future__ import annotations

from wechatpay_chain._schemes.aead import aes_gcm_decrypt, aes_gcm_encrypt
from wechatpay_chain._schemes.rsa import RSA
from wechatpay_chain._schemes.scheme import Scheme

__all__ = ["MERCHANT_RSA"]

MERCHANT_RSA = Scheme(
    name="WECHATPAY2-SHA256-RSA2048",
    identity="mchid",
    root="",
    has_apiv2=True,
    has_certificates=True,
    certificates_query="",
    issuer=r"Tenpay\.com Root CA",
    front_end="RSA",
    keys=RSA,
    algorithm="AEAD_AES_256_GCM",
    aead_encrypt=aes_gcm_encrypt,
    aead_decrypt=aes_gcm_decrypt,
)

"""The scheme of merchants and partners with RSA keys.

Source: https://pay.weixin.qq.com/doc/v3/merchant/4012365342
"""

from __future__ import annotations

from wechatpay_chain._schemes import rsa
from wechatpay_chain._schemes.aead import aes_gcm_decrypt
from wechatpay_chain._schemes.scheme import Scheme

__all__ = ["MERCHANT_RSA"]

MERCHANT_RSA = Scheme(
    name="WECHATPAY2-SHA256-RSA2048",
    identity="mchid",
    root="",
    has_certificates=True,
    sign=rsa.sign,
    verify=rsa.verify,
    encrypt=rsa.encrypt,
    decrypt=rsa.decrypt_octets,
    algorithm="AEAD_AES_256_GCM",
    decrypt_sealed=aes_gcm_decrypt,
)

"""The scheme of merchants and partners with SM2 keys.

Source: https://pay.weixin.qq.com/docs/partner/development/shangmi/guide.html
"""

from __future__ import annotations

from wechatpay_chain._schemes.scheme import Scheme
from wechatpay_chain._schemes.sm2 import SM2
from wechatpay_chain._schemes.sm4_gcm import sm4_gcm_decrypt, sm4_gcm_encrypt

__all__ = ["MERCHANT_SM2"]

MERCHANT_SM2 = Scheme(
    name="WECHATPAY2-SM2-WITH-SM3",
    identity="mchid",
    root="",
    has_apiv2=True,
    has_certificates=True,
    certificates_query="algorithm_type=SM2",
    # No source shows the whole name of this issuer. That the certificate decrypts shows who sent it.
    issuer=r"Tenpay\.com\b.*",
    front_end="",
    keys=SM2,
    algorithm="AEAD_SM4_GCM",
    aead_encrypt=sm4_gcm_encrypt,
    aead_decrypt=sm4_gcm_decrypt,
)

"""Signs each attempt anew, with a fresh nonce and timestamp."""

from __future__ import annotations

import time

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from wechatpay_chain import crypto
from wechatpay_chain.http import AUTHORIZATION_SCHEME, Flow, Headers, Middleware, Request, Response, request_message

__all__ = ["sign"]


def sign(mchid: str, serial: str, private_key: RSAPrivateKey) -> Middleware:
    """Puts the Authorization header on a request.

    Source: https://pay.weixin.qq.com/doc/v3/merchant/4012365342

    Args:
        mchid: the merchant number that the key belongs to.
        serial: of the merchant API certificate, not of the platform's.
        private_key: of that certificate.
    """

    def signed(request: Request) -> Flow:
        timestamp, nonce = int(time.time()), crypto.nonce()
        message = request_message(request.method, request.target, timestamp, nonce, request.body)
        authorization = Headers(
            {
                "Authorization": f'{AUTHORIZATION_SCHEME} mchid="{mchid}",nonce_str="{nonce}",'
                f'signature="{crypto.sign(message, private_key)}",timestamp="{timestamp}",serial_no="{serial}"'
            }
        )
        response: Response = yield request.with_headers(authorization)
        return response

    return signed

"""Signs each attempt anew, with a fresh nonce and timestamp."""

from __future__ import annotations

from wechatpay_chain._keys.signing import Credentials
from wechatpay_chain._messages.effects import Flow, Middleware
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain._schemes.canonical import request_message

__all__ = ["sign"]


def sign(credentials: Credentials) -> Middleware:
    """Puts the Authorization header on a request.

    Args:
        credentials: of the merchant.
    """

    def signed(request: Request) -> Flow:
        authorization = yield from credentials.authorization(
            lambda timestamp, nonce: request_message(request.method, request.target, timestamp, nonce, request.body)
        )
        response: Response = yield request.with_headers(Headers({"Authorization": authorization}))
        return response

    return signed

"""Signs each attempt, with a new nonce and timestamp."""

from __future__ import annotations

from wechatpay_chain._keys.signing import Credentials
from wechatpay_chain._messages.effects import Flow, Middleware
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain._schemes.canonical import request_message

__all__ = ["sign"]


def sign(credentials: Credentials) -> Middleware:
    """Returns the layer that adds the Authorization header.

    Args:
        credentials: the credentials of the merchant.
    """

    def layer(request: Request) -> Flow:
        authorization = yield from credentials.make_authorization(
            lambda timestamp, nonce: request_message(request.method, request.target, timestamp, nonce, request.body)
        )
        response: Response = yield request.with_headers({"Authorization": authorization})
        return response

    return layer

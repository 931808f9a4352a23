"""Signs each attempt anew, with a fresh nonce and timestamp."""

from __future__ import annotations

from wechatpay_chain.credentials import Credentials
from wechatpay_chain.http import Flow, Headers, Middleware, Request, Response, request_message

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

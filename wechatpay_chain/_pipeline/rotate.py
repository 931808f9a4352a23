"""Fetches platform certificates that a response shows to be needed, before the response is verified."""

from __future__ import annotations

from wechatpay_chain._catalogue.certificates import lists_certificates
from wechatpay_chain._keys.refresh import Refresh
from wechatpay_chain._messages.effects import Flow, Middleware
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response

__all__ = ["rotate"]


def rotate(refresh: Refresh) -> Middleware:
    """Returns the layer that asks for a refresh of the keys. The response passes unchanged.

    Args:
        refresh: fetches certificates.
    """

    def layer(request: Request) -> Flow:
        response: Response = yield request
        if response.ok:
            if lists_certificates(request.method, request.target):
                yield from refresh.adopt(response)
            else:
                yield from refresh.refresh(response.headers.get("Wechatpay-Serial", ""), request)
        return response

    return layer

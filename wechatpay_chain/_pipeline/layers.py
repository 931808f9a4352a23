"""The layers whose work depends on the API of the call: errors, verify, rotate and sign.

Each asks the `Api` that the request carries. So every call passes the same stack, and a layer of a user is in the same place for
all of them.
"""

from __future__ import annotations

from typing import Protocol, cast

from wechatpay_chain._messages.effects import Flow, Middleware, Steps
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain._pipeline.errors import find_error
from wechatpay_chain.errors import APIError

__all__ = ["Api", "raise_errors", "rotate", "sign", "verify"]


class Api(Protocol):
    """How the requests of one API are signed, and how its responses are judged."""

    def sign(self, request: Request) -> Steps[Request]:
        """Returns the request of one attempt, signed."""
        ...

    def renew_keys(self, request: Request, response: Response) -> Steps[None]:
        """Fetches the keys that a response shows to be needed."""
        ...

    def verify(self, request: Request, response: Response) -> Steps[Response]:
        """Returns a response that is verified, or that this API does not sign.

        Raises:
            SignatureError, ContentError: it is not verified, or cannot be.
        """
        ...

    def find_error(self, response: Response) -> APIError | None:
        """Returns the error that a response means; None if it means success."""
        ...


def _api(request: Request, default: Api) -> Api:
    """Returns the API of a request. One that a layer of a user has made itself is one of the client's own API."""
    return cast("Api", request._carried.api) or default


def raise_errors(request: Request) -> Flow:
    """Raises the APIError of a response that does not mean success."""
    response: Response = yield request
    api = cast("Api | None", request._carried.api)
    error = api.find_error(response) if api else find_error(response)
    if error is not None:
        raise error
    return response


def verify(default: Api) -> Middleware:
    """Returns the layer that verifies responses. Nothing switches it off: no setting, header, host or environment variable.

    Raises:
        SignatureError: when the request is sent; see `Reason` for the causes.
    """

    def layer(request: Request) -> Flow:
        response: Response = yield request
        return (yield from _api(request, default).verify(request, response))

    return layer


def rotate(default: Api) -> Middleware:
    """Returns the layer that fetches the keys that a response needs, before it is verified. The response passes unchanged."""

    def layer(request: Request) -> Flow:
        response: Response = yield request
        yield from _api(request, default).renew_keys(request, response)
        return response

    return layer


def sign(default: Api) -> Middleware:
    """Returns the layer that signs each attempt, with a new nonce and timestamp."""

    def layer(request: Request) -> Flow:
        signed = yield from _api(request, default).sign(request)
        response: Response = yield signed
        return response

    return layer

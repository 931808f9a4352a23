"""The HTTP messages of the sandbox: what the server hands to the gateway, and what the gateway returns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from aiohttp import web

from wechatpay_chain import crypto
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain.sandbox._faults import Delivery

__all__ = [
    "ACCEPTED",
    "REFUSED",
    "SandboxRequest",
    "SandboxResponse",
    "Verification",
    "make_error_response",
    "make_malformed_response",
    "make_request_id",
    "read_request",
    "with_request_id",
]

ACCEPTED = 0
"""The number at the end of a Request-ID if the request was accepted."""

REFUSED = 268435457
"""The number at the end of a Request-ID if the request was refused."""


class SandboxRequest(NamedTuple):
    """A request as it was received.

    Attributes:
        method: the HTTP method.
        target: the request target: path and query, still percent-encoded.
        headers: the headers.
        body: the body.
        origin: scheme, host and port at which the client reaches the sandbox.
        certificate: the TLS certificate that the client presented, in DER; empty if it presented none.
    """

    method: str
    target: str
    headers: Headers
    body: bytes
    origin: str = ""
    certificate: bytes = b""


def read_request(received: web.BaseRequest, body: bytes, public_url: str, scheme: str) -> SandboxRequest:
    """Returns a request as the gateways take it.

    Args:
        received: the request.
        body: its body.
        public_url: the URL at which clients reach the sandbox; empty if the headers of a server in front of it say so.
        scheme: http or https, if no header says so.
    """
    headers = {name: ", ".join(received.headers.getall(name)) for name in received.headers}
    forwarded = headers.get("X-Forwarded-Proto", scheme).partition(",")[0].strip()
    host = (headers.get("X-Forwarded-Host") or headers.get("Host", "")).partition(",")[0].strip()
    tls = received.get_extra_info("ssl_object")
    certificate = (tls and tls.getpeercert(binary_form=True)) or b""
    origin = public_url or f"{forwarded}://{host}"
    return SandboxRequest(received.method, received.raw_path, Headers(headers), body, origin, certificate)


class Verification(NamedTuple):
    """The verification of a request's signature.

    Attributes:
        signed: the bytes that are signed as the body: the body, or the meta of an upload.
        problem: why the signature is not valid, in Chinese; empty if it has been verified.
    """

    signed: bytes
    problem: str


class SandboxResponse(NamedTuple):
    """A response to be sent.

    Attributes:
        status: the HTTP status.
        headers: the headers.
        body: the body.
        delivery: how the response is sent.
        verification: the verification of the request's signature; None if a fault kept it from being verified.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    delivery: Delivery = Delivery.COMPLETE
    verification: Verification | None = None


def make_request_id(outcome: int) -> str:
    """Returns a new Request-ID.

    Args:
        outcome: ACCEPTED or REFUSED.
    """
    return f"{crypto.nonce(20).upper()}-{outcome}"


def with_request_id(response: SandboxResponse) -> SandboxResponse:
    """Returns the response of a refused request with a new Request-ID.

    Args:
        response: a response without a Request-ID.
    """
    return response._replace(headers={"Request-ID": make_request_id(REFUSED), **response.headers})


def make_error_response(status: int, code: str, message: str, **headers: str) -> SandboxResponse:
    """Returns an unsigned error response.

    Args:
        status: the HTTP status.
        code: the service's error code, such as SYSTEM_ERROR.
        message: the service's message.
        **headers: headers to add.
    """
    body = json.dumps({"code": code, "message": message}, ensure_ascii=False).encode()
    return SandboxResponse(status, {"Content-Type": "application/json; charset=utf-8", **headers}, body)


def make_malformed_response(status: int) -> SandboxResponse:
    """Returns the response to a message that is not a valid HTTP/1.1 request.

    Args:
        status: the HTTP status, usually 400.
    """
    return with_request_id(
        make_error_response(status, "INVALID_REQUEST", "This is not a valid HTTP/1.1 request: see RFC 9112.")
    )

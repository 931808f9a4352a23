# pyright: strict
"""Middleware and transports that users write pass mypy and pyright in strict mode, without a cast."""

from __future__ import annotations

from typing_extensions import assert_type

from wechatpay_chain import Client, Headers, Response
from wechatpay_chain.middleware import Flow, Request, invoke, send, sleep


async def token() -> int:
    return 1


def trace(request: Request) -> Flow:
    yield from sleep(0.1)
    name = yield from invoke(lambda: "x")
    number = yield from invoke(token)
    assert_type(name, str)
    assert_type(number, int)
    response = yield from send(request.with_headers({"X-Trace": f"{name}{number + 1}"}))
    assert_type(response, Response)
    assert_type(response.headers.get("Date"), "str | None")
    assert_type(response.headers.get("Date", ""), str)
    if response.ok:
        return response
    return (yield from send(request))


class SyncTransport:
    def send(self, request: Request, /) -> Response:
        return Response(200, Headers({}), b"".join(request.stream()), request)


class AsyncTransport:
    async def send(self, request: Request, /) -> Response:
        return Response(200, Headers({}), b"", request)


client = Client(transport=SyncTransport(), async_transport=AsyncTransport())
client.middleware.insert_before("sign", "trace", trace)

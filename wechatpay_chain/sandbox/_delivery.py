"""Sends the responses of the gateway, some of them late, in part, or not at all."""

from __future__ import annotations

import asyncio

from aiohttp import web

from wechatpay_chain.sandbox._faults import Delivery
from wechatpay_chain.sandbox._http import SandboxResponse

__all__ = ["deliver"]


async def deliver(received: web.BaseRequest, response: SandboxResponse, slowness: float) -> web.StreamResponse:
    """Returns a response in the form of the server, or sends it and breaks the connection.

    Args:
        received: the request.
        response: its response.
        slowness: seconds by which a delayed response is delayed.
    """
    if response.delivery is Delivery.DELAYED:
        await asyncio.sleep(slowness)
    if response.delivery in (Delivery.NONE, Delivery.HALF):
        return await _break_connection(received, response)
    return web.Response(status=response.status, headers=response.headers, body=response.body)


async def _break_connection(received: web.BaseRequest, response: SandboxResponse) -> web.StreamResponse:
    """Closes the connection before the response, or after half of its body."""
    half = response.body[: len(response.body) // 2]
    stream = web.StreamResponse(status=response.status, headers=response.headers)
    if half and response.delivery is Delivery.HALF:
        stream.content_length = len(response.body)
        await stream.prepare(received)
        await stream.write(half)
    if received.transport is not None:
        received.transport.close()
    return stream

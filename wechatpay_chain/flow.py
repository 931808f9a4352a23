"""The stack of middleware and its two drivers, one for each mode.

A middleware is a generator that does no I/O. `run` nests the stack's generators into one, which yields just the
requests that are ready to be sent; a driver sends each and resumes it with the outcome. Only the drivers know whether
the caller waits or awaits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import cast

from wechatpay_chain.http import Middleware, Request, Response

__all__ = ["Flow", "drive", "drive_async", "run"]

Flow = Generator[Request, Response, Response]
"""A call under way: yields the next request to send, returns the response."""


def run(stack: Sequence[Middleware], request: Request) -> Flow:
    """Passes a request through a stack, outermost first, and its response back."""
    if not stack:
        return (yield request)
    layer = stack[0](request)
    try:
        passed_on = next(layer)
        while True:
            try:
                response = yield from run(stack[1:], passed_on)
            except BaseException as error:
                passed_on = layer.throw(error)
            else:
                passed_on = layer.send(response)
    except StopIteration as stop:
        return cast("Response", stop.value)


def drive(flow: Flow, send: Callable[[Request], Response]) -> Response:
    """Sends what the flow yields, blocking, until it returns. What `send` raises is thrown into the flow."""
    try:
        request = next(flow)
        while True:
            try:
                response = send(request)
            except BaseException as error:
                request = flow.throw(error)
            else:
                request = flow.send(response)
    except StopIteration as stop:
        return cast("Response", stop.value)


async def drive_async(flow: Flow, send: Callable[[Request], Awaitable[Response]]) -> Response:
    """The same, awaiting."""
    try:
        request = next(flow)
        while True:
            try:
                response = await send(request)
            except BaseException as error:
                request = flow.throw(error)
            else:
                request = flow.send(response)
    except StopIteration as stop:
        return cast("Response", stop.value)

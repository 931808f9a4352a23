"""The stack of middleware and its two drivers, one for each mode.

A middleware is a generator that does no I/O. `run` nests the stack's generators into one, which yields just the
requests that are ready to be sent; a driver sends each and resumes it with the outcome. Only the drivers know whether
the caller waits or awaits.
"""

from __future__ import annotations

import concurrent.futures
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from wechatpay_chain.http import Flow, Middleware, Request, Response, Wait

__all__ = ["drive", "drive_async", "run"]


def run(stack: Sequence[Middleware], request: Request) -> Flow:
    """Passes a request through a stack, outermost first, and its response back. Effects go on to the driver."""
    if not stack:
        response: Response = yield request
        return response
    layer = stack[0](request)
    outcome: Any
    try:
        step = next(layer)
        while True:
            try:
                outcome = (yield from run(stack[1:], step)) if isinstance(step, Request) else (yield step)
            except BaseException as error:
                step = layer.throw(error)
            else:
                step = layer.send(outcome)
    except StopIteration as stop:
        return cast("Response", stop.value)


def drive(flow: Flow, send: Callable[[Request], Response]) -> Response:
    """Does what the flow yields, blocking, until it returns. What `send` raises is thrown into the flow."""
    outcome: Any
    try:
        step = next(flow)
        while True:
            try:
                outcome = send(step) if isinstance(step, Request) else _perform(step)
            except BaseException as error:
                step = flow.throw(error)
            else:
                step = flow.send(outcome)
    except StopIteration as stop:
        return cast("Response", stop.value)


async def drive_async(flow: Flow, send: Callable[[Request], Awaitable[Response]]) -> Response:
    """The same, awaiting."""
    outcome: Any
    try:
        step = next(flow)
        while True:
            try:
                outcome = await (send(step) if isinstance(step, Request) else _perform_async(step))
            except BaseException as error:
                step = flow.throw(error)
            else:
                step = flow.send(outcome)
    except StopIteration as stop:
        return cast("Response", stop.value)


def _perform(effect: Wait) -> bool | None:
    if "asyncio" in sys.modules and _is_in_a_loop():
        return True if effect.future.done() else None
    return bool(concurrent.futures.wait([effect.future], effect.seconds).done)


def _is_in_a_loop() -> bool:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _perform_async(effect: Wait) -> bool:
    import asyncio

    # asyncio.wait leaves the future as it is when this task is cancelled or the time is over: others wait for it too.
    done, _ = await asyncio.wait([asyncio.wrap_future(effect.future)], timeout=effect.seconds)
    return bool(done)

"""The stack of middleware and its two drivers, one for each mode.

A middleware is a generator that does no I/O. `run` nests the stack's generators into one, which yields just the
requests that are ready to be sent; a driver sends each and resumes it with the outcome. Only the drivers know whether
the caller waits or awaits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence

from wechatpay_chain.http import Middleware, Request, Response

__all__ = ["Flow", "drive", "drive_async", "run"]

Flow = Generator[Request, Response, Response]
"""A call under way: yields the next request to send, returns the response."""

_Outcome = Response | BaseException | None
_START: _Outcome = None


def _resume(flow: Flow, outcome: _Outcome) -> Request:
    """Tells a flow what became of its last request (None at its start) and runs it to its next one."""
    if isinstance(outcome, BaseException):
        return flow.throw(outcome)
    # A generator that has not begun takes None only, which Generator's type cannot say.
    return flow.send(outcome)  # type: ignore[arg-type]


def run(stack: Sequence[Middleware], request: Request) -> Flow:
    """Passes a request through a stack, outermost first, and its response back."""
    if not stack:
        return (yield request)
    layer, outcome = stack[0](request), _START
    while True:
        try:
            passed_on = _resume(layer, outcome)
        except StopIteration as stop:
            response: Response = stop.value
            return response
        try:
            outcome = yield from run(stack[1:], passed_on)
        except BaseException as error:
            outcome = error


def drive(flow: Flow, send: Callable[[Request], Response]) -> Response:
    """Sends what the flow yields, blocking, until it returns. What `send` raises is thrown into the flow."""
    outcome = _START
    while True:
        try:
            request = _resume(flow, outcome)
        except StopIteration as stop:
            response: Response = stop.value
            return response
        try:
            outcome = send(request)
        except BaseException as error:
            outcome = error


async def drive_async(flow: Flow, send: Callable[[Request], Awaitable[Response]]) -> Response:
    """The same, awaiting."""
    outcome = _START
    while True:
        try:
            request = _resume(flow, outcome)
        except StopIteration as stop:
            response: Response = stop.value
            return response
        try:
            outcome = await send(request)
        except BaseException as error:
            outcome = error

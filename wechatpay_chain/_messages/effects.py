"""Effects: everything that a layer yields besides requests, such as a wait or a call of user code.

A layer performs no I/O and does not know whether its caller blocks or awaits. A driver performs what the layer yields,
and resumes it with the outcome; see `_pipeline.sync_driver` and `_pipeline.async_driver`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, overload

from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = [
    "Compute",
    "Direct",
    "Effect",
    "Flow",
    "Invoke",
    "Middleware",
    "Sleep",
    "Steps",
    "UseFile",
    "Wait",
    "invoke",
    "send",
    "sleep",
]

T = TypeVar("T")


class Wait(NamedTuple):
    """Effect: wait for a future.

    Resumes with True if it is done, False on timeout, None if waiting would deadlock the thread.

    Attributes:
        future: its result is not read.
        seconds: the timeout.
    """

    future: Future[None]
    seconds: float


class Sleep(NamedTuple):
    """Effect: sleep. Resumes with None.

    Attributes:
        seconds: how long.
    """

    seconds: float


class Invoke(NamedTuple):
    """Effect: call user code, sync or async. A sync function runs in a worker thread when the caller is async.

    Resumes with what the function returns, or with what its awaitable returns.

    Attributes:
        function: takes no arguments.
    """

    function: Callable[[], Any]


class UseFile(NamedTuple):
    """Effect: run a function that reads or writes a file. It runs in a worker thread when the caller is async.

    A caller that is cancelled waits until the function has finished, so that nobody else uses the file at the same time.

    Attributes:
        function: takes no arguments.
    """

    function: Callable[[], Any]


class Direct(NamedTuple):
    """Effect: send a request past the layers. Resumes with its response.

    Attributes:
        request: the signed request.
    """

    request: Request


class Compute(NamedTuple):
    """Effect: run a function that computes and never waits. On an event loop, it shares the loop with other tasks.

    Resumes with what the function returns.

    Attributes:
        function: takes no arguments.
    """

    function: Callable[[], Any]


Effect = Wait | Sleep | Invoke | UseFile | Direct | Compute
"""Anything that a layer yields besides a request."""

Steps = Generator[Request | Effect, Any, T]
"""A part of a call: it yields requests and effects, and returns its result.

It is resumed with the response or the outcome. If sending fails, the `TransportError` is raised at the `yield`.
"""

Flow = Steps[Response]
"""A whole call: it yields requests and effects, and returns the response."""

Middleware = Callable[[Request], Flow]
"""A generator function that passes its request on by yielding it."""


def send(request: Request) -> Flow:
    """Sends a request to the next layer inside, and returns its response.

        response = yield from send(request)

    Raises:
        WeChatPayError: what the layers inside raise, when the request is sent.
    """
    response: Response = yield request
    return response


def sleep(seconds: float) -> Steps[None]:
    """Sleeps, without blocking an event loop.

        yield from sleep(2.0)

    Args:
        seconds: how long.
    """
    yield Sleep(seconds)


@overload
def invoke(function: Callable[[], Awaitable[T]]) -> Steps[T]: ...
@overload
def invoke(function: Callable[[], T]) -> Steps[T]: ...
def invoke(function: Callable[[], Any]) -> Steps[Any]:
    """Calls a sync or async function that may take time, and returns its result.

        value = yield from invoke(function)

    Args:
        function: takes no arguments. A sync function runs in a worker thread when the caller is async; an `async def`
            is awaited in both modes.
    """
    return (yield Invoke(function))

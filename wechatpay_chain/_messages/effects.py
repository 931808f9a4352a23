"""What a layer yields."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, NamedTuple

from wechatpay_chain._messages.request import Request, T
from wechatpay_chain._messages.response import Response

if TYPE_CHECKING:
    from concurrent.futures import Future


__all__ = ["Ask", "Compute", "Effect", "Flow", "Middleware", "Sleep", "Steps", "Wait"]


class Wait(NamedTuple):
    """An effect: go on when somebody else has finished, or after some seconds, whichever is first.

    The flow is resumed with True when it has finished, False when it is late, None when waiting would never end, for this
    very thread is needed to finish it.

    Attributes:
        future: what is waited for. Its result is not asked for.
        seconds: how long at the most.
    """

    future: Future[None]
    seconds: float


class Sleep(NamedTuple):
    """An effect: go on after some seconds. The flow is resumed with None.

    Attributes:
        seconds: how many.
    """

    seconds: float


class Ask(NamedTuple):
    """An effect: go on with what somebody else's code answers, which may take its time.

    The flow is resumed with the answer. A plain function is called where it holds up no event loop, a coroutine function is
    awaited.

    Attributes:
        function: takes no arguments, and returns the answer or an awaitable of it.
    """

    function: Callable[[], Any]


class Compute(NamedTuple):
    """An effect: go on with what a function of ours computes, which lets other threads run meanwhile.

    A blocking call computes it at once; on an event loop it takes turns with whatever else is to be done there.

    Attributes:
        function: takes no arguments, and waits for nothing.
    """

    function: Callable[[], Any]


Effect = Wait | Sleep | Ask | Compute
"""What a flow asks the world for besides an answer of the service."""


Steps = Generator[Request | Effect, Any, T]
"""A part of a call. It yields a request and is resumed with its response, or has the transport's error thrown into it; it
yields an effect and is resumed with what the effect says, which no type can tell apart; it returns its result."""


Flow = Steps[Response]
"""A whole call under way, which returns the response."""


Middleware = Callable[[Request], Flow]
"""Begins a flow that passes its request on by yielding it."""

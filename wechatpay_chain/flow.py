"""The named stack of middleware and its two drivers, one for each mode.

A middleware is a generator that does no I/O. `run` nests the stack's generators into one, which yields just the
requests that are ready to be sent, and effects; a driver does each and resumes it with the outcome. Only the drivers know
whether the caller waits or awaits.
"""

from __future__ import annotations

import concurrent.futures
import contextvars
import inspect
import sys
import time
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from types import GeneratorType
from typing import Any, TypeVar, cast

from wechatpay_chain.errors import (
    APIError,
    ArgumentError,
    ConfigurationError,
    SignatureError,
    TransportError,
    WeChatPayError,
)
from wechatpay_chain.http import Ask, Compute, Effect, Flow, Middleware, Request, Response, Sleep, Steps, Wait

__all__ = ["Stack", "do", "do_async", "drive", "drive_async", "run"]

T = TypeVar("T")


class Stack:
    """The middleware of a client by name, outermost first. What is changed holds for the calls that begin afterwards.

        client.middleware.insert_after("log", "count", count)

    Args:
        layers: name and middleware of each, outermost first.
        fixed: names that can be neither replaced nor removed.
    """

    def __init__(self, layers: Sequence[tuple[str, Middleware]], fixed: Sequence[str] = ()) -> None:
        self._layers = tuple(layers)
        self._fixed = frozenset(fixed)

    @property
    def layers(self) -> tuple[Middleware, ...]:
        """The middleware, outermost first."""
        return tuple(middleware for _, middleware in self._layers)

    def around(self, name: str, new: Middleware, layers: tuple[Middleware, ...]) -> tuple[Middleware, ...]:
        """Some of the layers with one more inside of a name; outside of all where there is none of that name."""
        at = next((layers.index(found) + 1 for known, found in self._layers if known == name and found in layers), 0)
        return (*layers[:at], new, *layers[at:])

    def without(self, *names: str) -> tuple[Middleware, ...]:
        """The middleware but for some, outermost first."""
        return tuple(middleware for name, middleware in self._layers if name not in names)

    def insert_before(self, name: str, new: str, middleware: Middleware) -> None:
        """Puts a middleware outside of another: it sees a request earlier, and the response later.

        Args:
            name: of the other.
            new: the name of the one that is put there.
            middleware: a generator function of a request.

        Raises:
            ConfigurationError: there is no middleware of that name, or the new name is taken.
        """
        self._insert(self._index(name), new, middleware)

    def insert_after(self, name: str, new: str, middleware: Middleware) -> None:
        """Puts a middleware inside of another: it sees a request later, and the response earlier.

        Raises:
            ConfigurationError: as `insert_before`.
        """
        self._insert(self._index(name) + 1, new, middleware)

    def replace(self, name: str, middleware: Middleware) -> None:
        """Puts a middleware in the place of another, under its name.

        Raises:
            ConfigurationError: there is none of that name, or it cannot be replaced.
        """
        index = self._changeable(name)
        layer = name, _checked(name, middleware)
        self._layers = (*self._layers[:index], layer, *self._layers[index + 1 :])

    def remove(self, name: str) -> None:
        """Takes a middleware out.

        Raises:
            ConfigurationError: there is none of that name, or it cannot be removed.
        """
        index = self._changeable(name)
        self._layers = self._layers[:index] + self._layers[index + 1 :]

    def _insert(self, index: int, new: str, middleware: Middleware) -> None:
        if not isinstance(new, str) or not new or new in self:
            raise ConfigurationError(
                f"middleware: came the name {new!r}; expected a text that is not one of {', '.join(self)}"
            )
        layer = new, _checked(new, middleware)
        self._layers = (*self._layers[:index], layer, *self._layers[index:])

    def _index(self, name: str) -> int:
        names = list(self)
        if name not in names:
            raise ConfigurationError(f"middleware: there is no {name!r}; expected one of {', '.join(names)}")
        return names.index(name)

    def _changeable(self, name: str) -> int:
        if name in self._fixed:
            raise ConfigurationError(
                f"middleware: {name!r} can be neither replaced nor removed, for nothing else keeps what it keeps"
            )
        return self._index(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._layers)

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def __repr__(self) -> str:
        return f"<Stack {', '.join(self)}>"


def _checked(name: str, middleware: Middleware) -> Middleware:
    if not callable(middleware) or inspect.iscoroutinefunction(middleware):
        came = "an async function" if callable(middleware) else f"a {type(middleware).__name__}"
        raise ConfigurationError(
            f"middleware: {name!r} came as {came}; expected a generator function, which yields its request and returns the "
            "response, and serves both modes"
        )
    return middleware


def run(stack: Sequence[Middleware], request: Request) -> Flow:
    """Passes a request through a stack, outermost first, and its response back. Effects go on to the driver."""
    if not stack:
        response: Response = yield request
        return response
    layer = stack[0](request)
    if not isinstance(layer, (GeneratorType, Generator)):  # the first of them takes a tenth of the time
        raise ConfigurationError(
            f"middleware: {stack[0]!r} returned a {type(layer).__name__}; expected a generator function, which yields its "
            "request"
        )
    outcome: Any
    answered = False
    try:
        step = next(layer)
        while True:
            # What else a layer sends, for a certificate say, is not the call.
            is_call = isinstance(step, Request) and step.template == request.template and step.method == request.method
            try:
                outcome = (yield from run(stack[1:], step)) if isinstance(step, Request) else (yield step)
                answered = answered or is_call
            except BaseException as error:
                answered = answered or (is_call and _may_be_acted_on(error))
                step = layer.throw(error)
            else:
                step = layer.send(outcome)
    except StopIteration as stop:
        if isinstance(stop.value, Response):
            return stop.value
        fault = ConfigurationError(
            f"middleware: {stack[0]!r} returned no response; expected `return response` at its end"
        )
    except TransportError as error:
        # A layer that sends more than once must not make believe that nothing of the call was sent.
        error.sent = error.sent or answered
        raise
    except (ConfigurationError, ArgumentError) as error:
        if not answered:
            raise
        raise _cut_short(request, error) from error
    raise _cut_short(request, fault) if answered else fault


def _may_be_acted_on(error: BaseException) -> bool:
    return isinstance(error, (APIError, SignatureError)) or (isinstance(error, TransportError) and error.sent)


def _cut_short(request: Request, error: WeChatPayError) -> TransportError:
    """What ends a call that may have been acted on, in place of an error that would say that nothing was sent."""
    cut_short = TransportError(
        f"{request.method} {request.template}: it may have been acted on, and then: {error}", sent=True
    )
    cut_short.attempts = error.attempts
    return cut_short


def drive(flow: Steps[T], send: Callable[[Request], Response]) -> T:
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
        return cast("T", stop.value)


async def drive_async(flow: Steps[T], send: Callable[[Request], Awaitable[Response]]) -> T:
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
        return cast("T", stop.value)


def do(steps: Steps[T]) -> T:
    """Does steps that send nothing, blocking."""
    return drive(steps, _sent)


async def do_async(steps: Steps[T]) -> T:
    """The same, awaiting."""
    return await drive_async(steps, _sent_async)


def _sent(request: Request) -> Response:
    raise AssertionError(f"{request!r} cannot be sent from here")


async def _sent_async(request: Request) -> Response:
    return _sent(request)


def _perform(effect: Effect) -> Any:
    match effect:
        case Compute(function):
            return function()
        case Sleep(seconds):
            return time.sleep(seconds)
        case Ask(function):
            answer = function()
            return _awaited(answer) if inspect.isawaitable(answer) else answer
        case Wait(future, seconds):
            if _is_in_a_loop():
                return True if future.done() else None
            return bool(concurrent.futures.wait([future], seconds).done)
        case _:
            raise _unknown(effect)


def _awaited(answer: Awaitable[Any]) -> Any:
    """What an awaitable comes to, in a thread that waits for it."""
    import asyncio

    async def awaited() -> Any:
        return await answer

    # On a thread of its own, for this one may have a loop, which stands still until this call returns.
    thread = concurrent.futures.ThreadPoolExecutor(1)
    try:
        return thread.submit(contextvars.copy_context().run, asyncio.run, awaited()).result()
    except asyncio.CancelledError as error:  # it was, over there; this call was not
        raise RuntimeError("CancelledError") from error
    finally:
        thread.shutdown(wait=False)


def _called(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except StopIteration as error:  # which no future can hold
        raise RuntimeError("StopIteration") from error


def _unknown(effect: object) -> ConfigurationError:
    return ConfigurationError(f"middleware: one yielded a {type(effect).__name__}; expected its request, or an effect")


def _is_in_a_loop() -> bool:
    if "asyncio" not in sys.modules:
        return False
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _perform_async(effect: Effect) -> Any:
    import asyncio

    from wechatpay_chain.turns import Turns

    match effect:
        case Compute(function):
            loop = asyncio.get_running_loop()
            return await Turns.of(loop).take(loop, function)
        case Sleep(seconds):
            return await asyncio.sleep(seconds)
        case Ask(function):
            if inspect.iscoroutinefunction(function):
                return await function()
            answer = await asyncio.to_thread(_called, function)
            return await answer if inspect.isawaitable(answer) else answer
        case Wait(future, seconds):
            # asyncio.wait leaves the future as it is when this task is cancelled or the time is over: others wait too.
            done, _ = await asyncio.wait([asyncio.wrap_future(future)], timeout=seconds)
            return bool(done)
        case _:
            raise _unknown(effect)

"""The named stack of middleware.

A middleware is a generator that does no I/O. `run` nests the stack's generators into one, which yields just the
requests that are ready to be sent, and effects; a driver does each and resumes it with the outcome. Only the drivers,
`blocking` and `awaiting`, know whether the caller waits or awaits.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterator, Sequence
from types import GeneratorType
from typing import Any

from wechatpay_chain._messages.effects import Flow, Middleware
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain.errors import ArgumentError, ConfigurationError, TransportError, WeChatPayError

__all__ = ["Stack", "run", "unknown"]


class Stack:
    """The middleware of a client by name, outermost first. What is changed holds for the calls that begin afterwards.

        client.middleware.insert_after("log", "count", count)

    Args:
        named: name and middleware of each, outermost first.
        fixed: names that can be neither replaced nor removed.
    """

    def __init__(self, named: Sequence[tuple[str, Middleware]], fixed: Sequence[str] = ()) -> None:
        self._set(*named)
        self._fixed = frozenset(fixed)

    @property
    def layers(self) -> tuple[Middleware, ...]:
        """The middleware, outermost first."""
        return self._layers

    def around(self, name: str, new: Middleware, layers: tuple[Middleware, ...]) -> tuple[Middleware, ...]:
        """Some of the layers with one more inside of a name; outside of all where there is none of that name."""
        at = next((layers.index(found) + 1 for known, found in self._named if known == name and found in layers), 0)
        return (*layers[:at], new, *layers[at:])

    def without(self, *names: str) -> tuple[Middleware, ...]:
        """The middleware but for some, outermost first."""
        return tuple(middleware for name, middleware in self._named if name not in names)

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
        self._set(*self._named[:index], (name, _checked(name, middleware)), *self._named[index + 1 :])

    def remove(self, name: str) -> None:
        """Takes a middleware out.

        Raises:
            ConfigurationError: there is none of that name, or it cannot be removed.
        """
        index = self._changeable(name)
        self._set(*self._named[:index], *self._named[index + 1 :])

    def _insert(self, index: int, new: str, middleware: Middleware) -> None:
        if not isinstance(new, str) or not new or new in self:
            raise ConfigurationError(
                f"middleware: came the name {new!r}; expected a text that is not one of {', '.join(self)}"
            )
        self._set(*self._named[:index], (new, _checked(new, middleware)), *self._named[index:])

    def _set(self, *named: tuple[str, Middleware]) -> None:
        self._named = named
        # Kept beside the names, for each call asks for it.
        self._layers = tuple(middleware for _, middleware in named)

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
        return (name for name, _ in self._named)

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
    layer, inner = stack[0](request), stack[1:]
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
                outcome = (yield from run(inner, step)) if inner and isinstance(step, Request) else (yield step)
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
    return isinstance(error, WeChatPayError) and error.sent


def _cut_short(request: Request, error: WeChatPayError) -> TransportError:
    """What ends a call that may have been acted on, in place of an error that would say that nothing was sent."""
    cut_short = TransportError(
        f"{request.method} {request.template}: it may have been acted on, and then: {error}", sent=True
    )
    cut_short.attempts = error.attempts
    return cut_short


def unknown(effect: object) -> ConfigurationError:
    """The error of a layer that yields what no driver can do."""
    return ConfigurationError(f"middleware: one yielded a {type(effect).__name__}; expected its request, or an effect")

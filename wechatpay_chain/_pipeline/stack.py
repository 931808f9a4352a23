"""The named stack of layers.

A layer (middleware) is a generator that performs no I/O. `run` nests the generators of the layers into one, which yields requests
that are ready to be sent, and effects. A driver performs each, and resumes the generator with the outcome. Only the drivers,
`sync_driver` and `async_driver`, know whether the caller blocks or awaits.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Generator, Iterator, Sequence
from types import GeneratorType
from typing import Any, Protocol

from wechatpay_chain._messages.effects import Direct, Flow, Middleware
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain._pipeline.layers import raise_errors
from wechatpay_chain.errors import ArgumentError, ConfigurationError, RateExceededError, TransportError, WeChatPayError

__all__ = ["Layered", "Stack", "fetch_through", "find_customer", "run", "unknown_effect"]


class Stack:
    """The layers of a client by name, outermost first. A change applies to calls that begin after it.

        client.middleware.insert_after("log", "count", count)

    Args:
        fixed: names that can be neither replaced nor removed.
    """

    def __init__(self, fixed: Sequence[str] = ()) -> None:
        self._set()
        self._fixed = frozenset(fixed)

    def _fill(self, **named: Middleware) -> None:
        """Sets all layers, outermost first. The constructor cannot, because one layer fetches through the others."""
        self._set(*named.items())

    @property
    def layers(self) -> tuple[Middleware, ...]:
        """The layers, outermost first."""
        return self._layers

    def _split(self, name: str, *, without: Collection[str] = ()) -> tuple[Sequence[Middleware], Sequence[Middleware]]:
        """Returns the layers outside a layer, and that layer with all inside it. If there is no such layer, all are inside.

        Args:
            name: the name of the layer.
            without: the names of layers to leave out.
        """
        at = list(self).index(name) if name in self else 0
        outside, inside = self._named[:at], self._named[at:]
        return [layer for known, layer in outside if known not in without], [
            layer for known, layer in inside if known not in without
        ]

    def insert_before(self, name: str, new: str, middleware: Middleware) -> None:
        """Inserts a layer outside another: it sees the request earlier, and the response later.

        Args:
            name: the name of the other layer.
            new: the name of the new layer.
            middleware: the new layer, a generator function that takes a request.

        Raises:
            ConfigurationError: there is no layer called `name`, or the new name is taken.
        """
        self._insert(self._index(name), new, middleware)

    def insert_after(self, name: str, new: str, middleware: Middleware) -> None:
        """Inserts a layer inside another: it sees the request later, and the response earlier.

        Raises:
            ConfigurationError: as for `insert_before`.
        """
        self._insert(self._index(name) + 1, new, middleware)

    def replace(self, name: str, middleware: Middleware) -> None:
        """Replaces a layer. The new one gets its name.

        Raises:
            ConfigurationError: there is no such layer, or it cannot be replaced.
        """
        index = self._changeable(name)
        self._set(*self._named[:index], (name, _checked(name, middleware)), *self._named[index + 1 :])

    def remove(self, name: str) -> None:
        """Removes a layer.

        Raises:
            ConfigurationError: there is no such layer, or it cannot be removed.
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
        # Kept separately, because each call reads it.
        self._layers = tuple(middleware for _, middleware in named)

    def _index(self, name: str) -> int:
        names = list(self)
        if name not in names:
            raise ConfigurationError(f"middleware: there is no {name!r}; expected one of {', '.join(names)}")
        return names.index(name)

    def _changeable(self, name: str) -> int:
        if name in self._fixed:
            raise ConfigurationError(
                f"middleware: {name!r} can be neither replaced nor removed, because nothing else does what it does"
            )
        return self._index(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._named)

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def __repr__(self) -> str:
        return f"<Stack {', '.join(self)}>"


class Layered(Protocol):
    """What has layers: a `Client`."""

    mchid: str
    brand_id: str

    @property
    def middleware(self) -> Stack:
        """The layers that its calls pass through."""
        ...


def find_customer(client: Layered) -> tuple[str, str]:
    """Returns who a client is: `mchid` or `brand_id`, and the number."""
    return ("mchid", client.mchid) if client.mchid else ("brand_id", client.brand_id)


def _checked(name: str, middleware: Middleware) -> Middleware:
    if not callable(middleware) or inspect.iscoroutinefunction(middleware):
        came = "an async function" if callable(middleware) else f"a {type(middleware).__name__}"
        raise ConfigurationError(
            f"middleware: {name!r} came as {came}; expected a generator function, which yields its request and returns the "
            "response, and serves both modes"
        )
    return middleware


def run(layers: Sequence[Middleware], request: Request) -> Flow:
    """Passes a request through the layers, outermost first, and its response back. Effects go on to the driver.

    A layer may send other requests too, for a query say. A request belongs to the call if its `_carried` is the same object: copies
    share it, and a new request has its own. A new request that is not a GET counts as the call, too: a layer may have built the
    call anew, and whatever else it changes must not be sent twice either.
    """
    if not layers:
        response: Response = yield request
        return response
    layer, inner = layers[0](request), layers[1:]
    if not isinstance(layer, (GeneratorType, Generator)):  # the exact type is checked first, in a tenth of the time
        raise ConfigurationError(
            f"middleware: {layers[0]!r} returned a {type(layer).__name__}; expected a generator function, which yields its "
            "request"
        )
    outcome: Any
    was_sent = False
    try:
        step = next(layer)
        while True:
            is_call = isinstance(step, Request) and (step._carried is request._carried or step.method != "GET")
            try:
                outcome = (yield from run(inner, step)) if inner and isinstance(step, Request) else (yield step)
                was_sent = was_sent or is_call
            except BaseException as error:
                was_sent = was_sent or (is_call and isinstance(error, WeChatPayError) and error.sent)
                step = layer.throw(error)
            else:
                step = layer.send(outcome)
    except StopIteration as stop:
        if isinstance(stop.value, Response):
            return stop.value
        fault = ConfigurationError(
            f"middleware: {layers[0]!r} returned no response; expected `return response` at its end"
        )
    except (TransportError, RateExceededError) as error:
        # The call was sent, even if the request that failed now was not.
        error.sent = error.sent or was_sent
        raise
    except (ConfigurationError, ArgumentError) as error:
        if not was_sent:
            raise
        raise _interrupted(request, error) from error
    raise _interrupted(request, fault) if was_sent else fault


def _interrupted(request: Request, error: WeChatPayError) -> TransportError:
    """Returns the error of a call that was sent and then failed in a layer, in place of an error that says it was not sent."""
    interrupted = TransportError(
        f"{request.method} {request.template}: it may have been acted on, and then: {error}", sent=True
    )
    interrupted.attempts = error.attempts
    return interrupted


def unknown_effect(effect: object) -> ConfigurationError:
    """Returns the error of a layer that yields neither a request nor an effect."""
    return ConfigurationError(f"middleware: one yielded a {type(effect).__name__}; expected its request, or an effect")


def fetch_through(stack: Stack, request: Request, retries: bool) -> Flow:
    """Sends a request for certificates through the layers that it needs, and raises the error of a response that is not 2xx.

    `verify` and `rotate` are left out: the list is verified with the certificates in it; see `Refresh`.

    Args:
        stack: the layers of the client.
        request: the request.
        retries: whether it passes through the layer `retry`.
    """
    _, inside = stack._split("retry" if retries else "errors", without=("verify", "rotate"))
    # Users may have removed the layer `errors`; then the one in front does its work.
    return run((raise_errors, *inside, _send_direct), request)


def _send_direct(request: Request) -> Flow:
    """Sends past the layers outside: the layer that asked for the certificates may be one of them."""
    response: Response = yield Direct(request)
    return response

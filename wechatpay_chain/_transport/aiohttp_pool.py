"""The connections of an event loop, which all clients on it share."""

from __future__ import annotations

import asyncio
import ssl
import weakref
from collections.abc import AsyncGenerator, Hashable
from contextlib import suppress
from pathlib import Path

import aiohttp

from wechatpay_chain._forks.no_fork import no_fork
from wechatpay_chain._forks.process import current_process
from wechatpay_chain._messages.request import Request
from wechatpay_chain._transport.aiohttp_connector import Connector
from wechatpay_chain._transport.aiohttp_direct import DirectResponse, connection_target, is_available, send_direct
from wechatpay_chain._transport.route import Route
from wechatpay_chain._transport.sharing import Shared
from wechatpay_chain.errors import ConfigurationError

__all__ = ["Connections", "Place", "leave_all", "new_connections", "shared", "tls_context"]

MOST_AT_ONCE = 500
"""Connections of an event loop to one host, for all clients together. Further calls wait."""

KEEPALIVE = 7.0
"""Seconds that an idle connection is kept. The service closes it after about 8; aiohttp's default is 15."""

Place = tuple[object, asyncio.AbstractEventLoop, Hashable]
"""A process, an event loop in it, and what is trusted. A forked child can continue with its parent's loop."""


class Connections:
    """A connector with its session, for one event loop.

    Args:
        place: where it is shared.
        tls: verifies hosts; True for aiohttp's own context.
    """

    def __init__(self, place: Place, tls: ssl.SSLContext | bool) -> None:
        self._tls = tls
        self._connector = Connector(KEEPALIVE, MOST_AT_ONCE)
        self.session = aiohttp.ClientSession(connector=self._connector, cookie_jar=aiohttp.DummyCookieJar())
        self.closing = self._close_with_loop(place)
        with suppress(StopIteration):  # up to its first yield, for a generator that was not started is not closed
            self.closing.__anext__().send(None)
        self._destinations: dict[str, aiohttp.ClientRequest] = {}

    @property
    def can_send_direct(self) -> bool:
        """Whether a request may go without the session. Tools that trace aiohttp add themselves to each session."""
        return is_available() and not self.session.trace_configs

    async def send_direct(self, request: Request, loop: asyncio.AbstractEventLoop, deadline: float) -> DirectResponse:
        """Sends a request without the session, and reads the head of its response; see `aiohttp_direct`."""
        target = self._destinations.get(request.origin)
        if target is None:
            target = self._destinations[request.origin] = connection_target(request.origin, loop, self._tls)
        return await send_direct(self._connector, target, request, loop, deadline)

    async def _close_with_loop(self, place: Place) -> AsyncGenerator[None]:
        """Closes the connections when it is closed itself.

        An event loop that ends (asyncio.run does it) first closes the asynchronous generators that were started on it. That
        is the only way to be told while sockets can still be closed properly.
        """
        try:
            yield
        finally:
            shared.drop(place, self)
            await self.session.close()


shared = Shared[Connections, Place]()


def new_connections(place: Place, tls: ssl.SSLContext | bool) -> Connections:
    """Makes connections for an event loop, and drops those of loops that were closed without shutting down."""
    for other, unused in shared:
        if other[1].is_closed():
            shared.drop(other, unused)
    return Connections(place, tls)


def leave_all(joined: set[Place]) -> None:
    """Leaves the connections of a transport that was garbage collected, and closes those that nobody else uses."""
    for place in list(joined):
        process, loop, _ = place
        if process is current_process() and (unused := shared.leave(place, joined)) and not loop.is_closed():
            loop.call_soon_threadsafe(loop.create_task, unused.closing.aclose())


def tls_context(route: Route) -> ssl.SSLContext:
    """Returns the context that verifies hosts. It takes 1 MB and 13 ms, so all that trust the same share it.

    Raises:
        ConfigurationError: the certificate authorities cannot be read.
    """
    context = _contexts.get(route.trust)
    if context is None:
        context = _contexts[route.trust] = _new_context(route)
    return context


_contexts: weakref.WeakValueDictionary[Hashable, ssl.SSLContext] = weakref.WeakValueDictionary()


def _new_context(route: Route) -> ssl.SSLContext:
    ca_bundle = route.ca_bundle
    try:
        with no_fork.current:
            is_folder = ca_bundle is not None and Path(ca_bundle).is_dir()
            context = ssl.create_default_context(
                cafile=None if is_folder else ca_bundle, capath=ca_bundle if is_folder else None
            )
            if route.certificate is not None:
                route.certificate.load_into(context)
            return context
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"ca_bundle: {ca_bundle!r}: {error}; expected a file of PEM certificates") from None

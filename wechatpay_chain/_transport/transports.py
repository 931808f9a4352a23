"""The two transports of a client, each made when it is first needed."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, TypedDict

from wechatpay_chain._forks.no_fork import no_fork
from wechatpay_chain._messages.protocols import AsyncTransport, Transport
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain._transport.route import Route, check_head
from wechatpay_chain.errors import ConfigurationError, TransportError

if TYPE_CHECKING:
    import aiohttp
    import requests

    from wechatpay_chain._transport.aiohttp import AiohttpTransport
    from wechatpay_chain._transport.requests import RequestsTransport

    class _Made(TypedDict, total=False):
        blocking: RequestsTransport | _Given
        awaiting: AiohttpTransport | _GivenAsync


__all__ = ["Transports"]


class _Given:
    """A transport of the user's for blocking calls."""

    library = ""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def send(self, request: Request) -> Response:
        check_head(request)
        try:
            response = self._transport.send(request)
        except OSError as error:
            raise _failed(request, error) from error
        return _received(request, response)

    def close(self) -> None:
        """The user closes it."""


class _GivenAsync:
    """A transport of the user's for awaited calls."""

    library = ""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def send(self, request: Request) -> Response:
        check_head(request)
        try:
            response = await self._transport.send(request)
        except OSError as error:
            raise _failed(request, error) from error
        return _received(request, response)

    async def close(self) -> None:
        """The user closes it."""


def _received(request: Request, response: Response) -> Response:
    """Checks what a transport of the user's returned, and writes a download to its sink."""
    if not isinstance(response, Response) or type(response.status_code) is not int:
        came = type(response).__name__ if not isinstance(response, Response) else "Response whose status is no int"
        raise TransportError(
            f"{request.method} {request.template}: the transport returned a {came}; expected a Response", sent=True
        )
    sink = request._carried.sink
    content = response.content
    if sink is not None and response.ok:
        sink.begin(response.headers)
        sink.write(content)
        sink.report()
        content = b""
    return Response(response.status_code, response.headers, content, request)


def _failed(request: Request, error: OSError) -> TransportError:
    """Returns the error of a transport of the user's that does not raise one of ours. The request may have been sent."""
    return TransportError(
        f"{request.method} {request.template}: the transport raised {type(error).__name__}", sent=True
    )


class Transports:
    """Sends the requests of a client.

    Args:
        route: proxy and certificate authorities.
        response_limit: bytes of a 2xx response that are read into memory.
        session: the user's own session for blocking calls; None for pools of our own.
        async_session: the user's own session for awaited calls.
        transport: sends blocking calls in place of requests.
        async_transport: sends awaited calls in place of aiohttp.

    Raises:
        ConfigurationError: a session or a transport is not one, or there are both.
    """

    def __init__(
        self,
        route: Route,
        response_limit: int,
        session: requests.Session | None,
        async_session: aiohttp.ClientSession | None,
        transport: Transport | None,
        async_transport: AsyncTransport | None,
    ) -> None:
        self._route, self._response_limit = route, response_limit
        self._session, self._async_session = session, async_session
        self._made: _Made = {}
        if transport is not None:
            _check("transport", "session", transport, session, is_async=False)
            self._made["blocking"] = _Given(transport)
        if async_transport is not None:
            _check("async_transport", "async_session", async_transport, async_session, is_async=True)
            self._made["awaiting"] = _GivenAsync(async_transport)
        # The user's session has imported its library already, so it is checked now, at no cost.
        if session is not None:
            self.blocking  # noqa: B018
        if async_session is not None:
            self.awaiting  # noqa: B018

    @property
    def blocking(self) -> RequestsTransport | _Given:
        """Sends blocking calls."""
        transport = self._made.get("blocking")
        if transport is None:
            with no_fork.current:
                from wechatpay_chain._transport.requests import RequestsTransport

            made = RequestsTransport(self._route, self._response_limit, self._session)
            # Two threads may come here at once; setdefault gives both the same transport.
            transport = self._made.setdefault("blocking", made)
        return transport

    @property
    def awaiting(self) -> AiohttpTransport | _GivenAsync:
        """Sends awaited calls."""
        transport = self._made.get("awaiting")
        if transport is None:
            with no_fork.current:
                from wechatpay_chain._transport.aiohttp import AiohttpTransport

            made = AiohttpTransport(self._route, self._response_limit, self._async_session)
            transport = self._made.setdefault("awaiting", made)
        return transport

    def close(self) -> None:
        """Closes the connections of blocking calls."""
        if "blocking" in self._made:
            self.blocking.close()

    async def aclose(self) -> None:
        """Closes the connections of awaited calls on the running event loop."""
        if "awaiting" in self._made:
            await self.awaiting.close()


def _check(setting: str, other: str, transport: object, session: object, *, is_async: bool) -> None:
    send = getattr(transport, "send", None)
    if isinstance(transport, type) or not callable(send) or inspect.iscoroutinefunction(send) is not is_async:
        kind = "async def send(request)" if is_async else "send(request), which is no async def"
        raise ConfigurationError(f"{setting}: came a {type(transport).__name__}; expected an object with {kind}")
    if session is not None:
        raise ConfigurationError(f"{setting} and {other}: both came; expected one of them")

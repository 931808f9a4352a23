"""Sends signed requests with aiohttp, byte for byte."""

from __future__ import annotations

import asyncio
import ssl
import sys
import weakref
from collections.abc import Hashable, Iterable
from functools import partial
from typing import TYPE_CHECKING

import aiohttp

from wechatpay_chain._forks.process import current_process
from wechatpay_chain._messages.fields import RESERVED_FIELDS
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain._transport.aiohttp_content import BodyReader, read_into_sink
from wechatpay_chain._transport.aiohttp_direct import DirectResponse
from wechatpay_chain._transport.aiohttp_failures import Failures
from wechatpay_chain._transport.aiohttp_pool import Connections, Place, leave_all, new_connections, shared, tls_context
from wechatpay_chain._transport.aiohttp_session import (
    WRITTEN_AT_ONCE,
    is_patched,
    send_through_ours,
    send_through_session,
)
from wechatpay_chain._transport.content import Content, ErrorContent, SinkContent
from wechatpay_chain._transport.route import REQUEST_TIMEOUT, Proxy, Route, check_head
from wechatpay_chain.errors import ConfigurationError, TransportError, WeChatPayError

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy

__all__ = ["AiohttpTransport"]


class AiohttpTransport:
    """Sends requests for callers that await. Clients on an event loop share its connections, which are closed with the loop.

    Args:
        route: proxy and certificate authorities.
        response_limit: bytes of a 2xx response that are read into memory.
        session: the user's own session, which belongs to one loop and which the user closes; None for connections of ours.

    Raises:
        ConfigurationError: the session is not one, or the certificate authorities cannot be read.
    """

    library = f"aiohttp/{aiohttp.__version__}"

    def __init__(self, route: Route, response_limit: int, session: aiohttp.ClientSession | None = None) -> None:
        if session is not None and not isinstance(session, aiohttp.ClientSession):
            raise ConfigurationError(f"async_session: came a {type(session).__name__}; expected aiohttp.ClientSession")
        if session is not None and (
            session.auth is not None or RESERVED_FIELDS & {name.lower() for name in session.headers}
        ):
            raise ConfigurationError(
                "async_session: it has auth= or default headers that the client makes itself, such as Authorization or "
                "Content-Length; expected a session without them"
            )
        self._route, self._response_limit, self._session = route, response_limit, session
        self._contexts: dict[Hashable, ssl.SSLContext | bool] = {}
        self._tls(route)  # so that a mistake shows in the constructor
        self._joined: set[Place] = set()
        weakref.finalize(self, leave_all, self._joined).atexit = False

    async def send(self, request: Request) -> Response:
        """Sends a request and reads its whole response. Redirects are not followed.

        Raises:
            TransportError: there is no whole response.
            ContentError: the response is too large, or has an unknown encoding.
        """
        check_head(request)
        loop = asyncio.get_running_loop()
        total = request.timeout.total
        deadline = float("inf") if total is None else loop.time() + total
        proxy = self._route.proxy(request.origin)
        failures = Failures(request, proxy, loop, deadline)
        received = await self._send(request, proxy, failures)
        is_complete = False
        try:
            # The final response may still come, and must not be taken for the response to another request.
            if received.status < 200:
                raise TransportError(
                    f"{request.method} {request.template}: came an interim response {received.status}", True
                )
            headers = Headers.joined(_decode_latin(received.headers))
            content = await self._read_content(request, received, headers, failures)
            is_complete = True
        finally:
            if is_complete and received.status != REQUEST_TIMEOUT:
                received.release()
            else:
                received.close()
            # A session has released the connection of a whole response already, whatever its status. If the response came
            # before the whole request was sent, aiohttp would wait for a peer that may never take the rest.
            if (transport := failures.transport) is not None and (
                received.status == REQUEST_TIMEOUT or transport.get_write_buffer_size()
            ):
                transport.abort()
        return Response(received.status, headers, content, request)

    async def _send(
        self, request: Request, proxy: Proxy | None, failures: Failures
    ) -> DirectResponse | aiohttp.ClientResponse:
        """Sends a request, and reads the head of its response."""
        try:
            route = self._route.of(request)
            if self._session is not None:
                return await send_through_session(self._session, request, proxy, self._tls(route), failures)
            connections = self._connections(failures.loop, route)
            is_at_hand = request._carried.upload is None and len(request.body) <= WRITTEN_AT_ONCE
            if is_at_hand and proxy is None and connections.can_send_direct and not is_patched():
                return await connections.send_direct(request, failures.loop, failures.deadline)
            return await send_through_ours(connections.session, request, proxy, self._tls(route), failures)
        except WeChatPayError:
            raise
        except Exception as error:
            raise failures.explain(error, "head") from failures.cause(error)

    async def _read_content(
        self, request: Request, received: DirectResponse | aiohttp.ClientResponse, headers: Headers, failures: Failures
    ) -> bytes:
        """Reads the content of a response. The errors of a sink are its user's own."""
        if received.status >= 300:
            problem = ErrorContent(headers)
            if received.status != REQUEST_TIMEOUT:
                with BodyReader(received, failures) as reader:
                    while (piece := await reader.read()) and problem.add(piece):
                        pass
            return problem.finish()
        if (sink := request._carried.sink) is not None:
            await read_into_sink(SinkContent(request, headers, sink), sink, received, failures)
            return b""
        content = Content(request, headers, self._response_limit)
        # Most bodies arrive with the head, and waiting for them would take longer.
        if received.content.is_eof() and received.content.exception() is None:
            content.add(received.content.read_nowait())
        else:
            with BodyReader(received, failures) as reader:
                while piece := await reader.read():
                    content.add(piece)
        return content.finish()

    def _tls(self, route: Route) -> ssl.SSLContext | bool:
        """Returns what verifies hosts on a route. The connector of the user's session may have been told not to verify."""
        if route.trust not in self._contexts:
            is_ours = route.trust is not None or self._session is not None
            self._contexts[route.trust] = tls_context(route) if is_ours else True
        return self._contexts[route.trust]

    def _connections(self, loop: asyncio.AbstractEventLoop, route: Route) -> Connections:
        place = current_process(), loop, route.trust
        return shared.join(place, self._joined, partial(new_connections, place, self._tls(route)))

    async def close(self) -> None:
        """Closes the connections of the running loop, unless other clients use them. A later call makes new ones."""
        if sys.version_info < (3, 11):
            await asyncio.sleep(0)  # so that tasks that were cancelled before end as cancelled: see `is_cancelled`
        here = current_process(), asyncio.get_running_loop()
        for place in [each for each in self._joined if each[:2] == here]:
            if unused := shared.leave(place, self._joined):
                await unused.closing.aclose()


def _decode_latin(headers: CIMultiDictProxy[str]) -> Iterable[tuple[str, str]]:
    """Decodes headers as requests does, so that both modes see the same."""
    if all(map(str.isascii, headers.values())):
        return headers.items()
    return [(name, value.encode("utf-8", "surrogateescape").decode("latin-1")) for name, value in headers.items()]

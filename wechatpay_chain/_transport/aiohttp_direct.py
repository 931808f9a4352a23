"""Sends a request through aiohttp's connector and its protocol, without ClientSession, ClientRequest and ClientResponse.

These three take 45 of aiohttp's 80 µs for a call: with them, 32 calls at once reached 0.71 to 0.87 of a hand-written aiohttp
program, without them 0.88 to 0.96 in the same runs. The price is a surface of aiohttp that is not public. It is named here, checked at first use,
and where a version of aiohttp does not have it, every call goes through a ClientSession. To switch it off by hand, set the
environment variable WECHATPAY_CHAIN_AIOHTTP_DIRECT to 0 before the first awaited call.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp
from aiohttp import client_proto, connector
from yarl import URL

from wechatpay_chain._messages.request import Request
from wechatpay_chain._transport.aiohttp_failures import Unconnected, is_cancelled

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy

__all__ = ["DirectResponse", "connection_target", "is_available", "send_direct"]

SWITCH = "WECHATPAY_CHAIN_AIOHTTP_DIRECT"

SWITCHING_PROTOCOLS = 101
"""The interim response after which no other comes."""


class PrivateSurface(Protocol):
    """Every member of a connection's protocol that is used here or in `Connector`, and is not public."""

    transport: asyncio.Transport | None

    @property
    def should_close(self) -> bool:
        """Whether the connection must not be used again, because it has ended or has bytes that nobody asked for."""
        ...

    def set_response_params(self, *, read_until_eof: bool, auto_decompress: bool) -> None:
        """Prepares for the next response."""
        ...

    async def read(self) -> tuple[Any, aiohttp.StreamReader]:
        """Returns the head of the next response, and the stream of its body."""
        ...

    def force_close(self) -> None:
        """Keeps the connection from being used again."""
        ...

    def set_exception(self, error: BaseException) -> None:
        """Ends a `read` with an error."""
        ...


@lru_cache(maxsize=1)
def is_available() -> bool:
    """Tells whether this version of aiohttp has the surface that is used here. It is checked once."""
    if os.environ.get(SWITCH) == "0":
        return False
    handler: Any = getattr(client_proto, "ResponseHandler", None)
    members = [name for name in vars(PrivateSurface) if not name.startswith("_")] + ["transport"]
    try:
        inspect.signature(handler.set_response_params).bind(None, read_until_eof=True, auto_decompress=False)
        inspect.signature(handler.read).bind(None)
        inspect.signature(handler.set_exception).bind(None, ValueError())
        inspect.signature(aiohttp.TCPConnector.connect).bind(None, None, [], None)
        inspect.signature(aiohttp.ClientRequest).bind("GET", URL("http://a"), loop=None, ssl=True)
        has_members = all(hasattr(handler, name) for name in members)
        return has_members and all(hasattr(connector.Connection, name) for name in ("protocol", "transport", "release"))
    except (AttributeError, TypeError, ValueError):
        return False


class DirectResponse:
    """A response that came without a ClientSession; has the members of ClientResponse that are used."""

    def __init__(self, connection: connector.Connection, message: Any, content: aiohttp.StreamReader) -> None:
        self.connection = connection
        self.status: int = message.code
        self.headers: CIMultiDictProxy[str] = message.headers
        self.content = content
        self.close = connection.close
        self.release = connection.release  # which closes it if its content was not read completely


def connection_target(origin: str, loop: asyncio.AbstractEventLoop, tls: Any) -> aiohttp.ClientRequest:
    """Returns a reusable ClientRequest that only tells the connector where to connect: host, port and TLS."""
    return aiohttp.ClientRequest("GET", URL(origin), loop=loop, ssl=tls)


async def send_direct(
    connections: aiohttp.TCPConnector,
    target: aiohttp.ClientRequest,
    request: Request,
    loop: asyncio.AbstractEventLoop,
    deadline: float,
) -> DirectResponse:
    """Sends a request whose body is in memory, and reads the head of its response.

    Args:
        connections: the connector.
        target: see `connection_target`.
        request: the signed request.
        loop: the running event loop.
        deadline: the time of the loop at which the attempt must end.

    Raises:
        Unconnected: there was no connection, so nothing was sent.
        Exception: an error of aiohttp, after the request was sent.
    """
    head = _head(request, target.headers["Host"])
    timeout = request.timeout
    try:
        seconds = min(timeout.connect, deadline - loop.time())
        connection = await connections.connect(target, [], _connect_timeout(seconds))
    except asyncio.TimeoutError as error:
        raise Unconnected from (error if error.args else aiohttp.ConnectionTimeoutError())
    except asyncio.CancelledError:
        if connections.closed and not is_cancelled():
            raise Unconnected from aiohttp.ClientConnectionError("the connector was closed")
        raise
    except Exception as error:
        raise Unconnected from error
    protocol: PrivateSurface = connection.protocol  # type: ignore[assignment]  # it is connected
    try:
        protocol.set_response_params(read_until_eof=True, auto_decompress=False)
        protocol.transport.write(head + request.body)  # type: ignore[union-attr]  # it is connected
        until = min(loop.time() + timeout.read, deadline)
        message, content = await _read_head(protocol, loop, until)
        while 100 <= message.code < 200 and message.code != SWITCHING_PROTOCOLS:  # RFC 9110, 15.2
            message, content = await _read_head(protocol, loop, until)
        if protocol.transport is None or protocol.transport.get_write_buffer_size():
            # The response came before the whole request was sent: the rest would be taken for the next request.
            protocol.force_close()
    except BaseException:
        if connection.transport is not None:
            connection.transport.abort()  # nothing more of it is sent
        connection.close()
        raise
    return DirectResponse(connection, message, content)


async def _read_head(
    protocol: PrivateSurface, loop: asyncio.AbstractEventLoop, until: float
) -> tuple[Any, aiohttp.StreamReader]:
    """Reads the head of a response, within one timer for all of it. aiohttp would set two, which take 4 µs."""
    if loop.time() >= until:  # a flood of interim responses leaves no turn to a timer
        raise aiohttp.SocketTimeoutError
    timer = loop.call_at(until, _time_out, protocol)
    try:
        return await protocol.read()
    finally:
        timer.cancel()


def _time_out(protocol: PrivateSurface) -> None:
    protocol.set_exception(aiohttp.SocketTimeoutError())


@lru_cache(maxsize=64)
def _connect_timeout(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=seconds, ceil_threshold=float("inf"))


def _head(request: Request, host: str) -> bytes:
    """Returns the request line and the headers as they are sent: RFC 9112, 3 and 5. `check_head` has checked them."""
    lines = [f"{request.method} {request.target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in request.headers.as_dict().items()]
    if request.body or request.method != "GET":
        lines.append(f"Content-Length: {len(request.body)}")
    return "\r\n".join((*lines, "", "")).encode("latin-1")

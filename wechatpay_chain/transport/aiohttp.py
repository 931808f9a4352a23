"""Sends a signed request with aiohttp, byte for byte."""

from __future__ import annotations

import asyncio
import io
import select
import ssl
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from yarl import URL

from wechatpay_chain.errors import ArgumentError, ConfigurationError, TransportError
from wechatpay_chain.http import RESERVED_FIELDS, Headers, Request, Response, Sink, Upload
from wechatpay_chain.process import Process
from wechatpay_chain.transport import MOST_OF_AN_ERROR, POOL_SIZE, Route

__all__ = ["AiohttpTransport"]

_SENT_ONCE = ("POST", "PATCH")
"""The verbs that aiohttp sends once by itself. For the others it is told so, which takes 5 µs."""

KEEPALIVE = 7.0
"""Seconds that an idle connection is kept: the service closes it after about 8, aiohttp would keep it for 15."""

T = TypeVar("T")

_Place = tuple[object, asyncio.AbstractEventLoop]
"""A process, and a loop in it: a forked child can go on with its parent's loop."""

_Opened = dict[_Place, tuple[aiohttp.ClientSession, AsyncGenerator[None]]]

_ERRORS = (aiohttp.ClientError, asyncio.TimeoutError, OSError)
# These are raised while a connection is made, so that nothing has been sent.
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)

BUCKET = 1 << 20
"""Bytes that go to a sink at once."""

LARGE = 1 << 20
"""Bytes from which aiohttp wants a body in pieces, so that the loop is not held up."""


class AiohttpTransport:
    """The awaiting transport: a session for each event loop, closed with its loop.

    Args:
        route: proxy and certificate authorities.
        session: one of the user's own, which belongs to one loop and which the user closes.

    Raises:
        ConfigurationError: the session is not one, or the certificate authorities cannot be read.
    """

    library = f"aiohttp/{aiohttp.__version__}"

    def __init__(self, route: Route, session: aiohttp.ClientSession | None = None) -> None:
        if session is not None and not isinstance(session, aiohttp.ClientSession):
            raise ConfigurationError(f"async_session: came a {type(session).__name__}; expected aiohttp.ClientSession")
        if session is not None and (
            session.auth is not None or RESERVED_FIELDS & {name.lower() for name in session.headers}
        ):
            raise ConfigurationError(
                "async_session: it has auth= or default headers that the client makes itself, such as Authorization or "
                "Content-Length; expected a session without them"
            )
        self._route = route
        # The connector of the user's session may have been told not to verify; the context of a call overrides it.
        self._ssl = _context(route.ca_bundle) if route.ca_bundle or session is not None else True
        self._given = session
        self._opened: _Opened = {}
        weakref.finalize(self, _forget, self._opened).atexit = False

    async def send(self, request: Request) -> Response:
        """Sends a request and reads its whole answer. Redirects are not followed.

        Raises:
            TransportError: no whole answer came.
        """
        session = self._given or await self._session()
        connect, read = request.timeout
        headers = request.headers.as_dict()
        sending = _Sending(request.upload) if request.upload else None
        data: object = io.BytesIO(request.body) if len(request.body) > LARGE else request.body or None
        if sending is not None:
            headers["Content-Length"], data = str(sending.length), sending.chunks()

        begun = False

        async def once(outgoing: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
            nonlocal begun
            begun = True
            # aiohttp would send it again when a kept connection breaks. An error that is not its own passes by that.
            try:
                return await handler(outgoing)
            except _ERRORS as error:
                raise _broken(request, error) from _chained(error)

        try:
            answer = await session.request(
                request.method,
                URL(request.url, encoded=True),
                data=data,
                headers=headers,
                allow_redirects=False,
                auto_decompress=True,
                raise_for_status=False,
                proxy=self._route.proxy(request.origin),
                ssl=self._ssl,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=read),
                middlewares=() if request.method in _SENT_ONCE and self._given is None else (once,),
            )
        except _ERRORS as error:
            if sending is not None and sending.fault is not None:
                raise sending.fault from None
            raise _broken(request, error) from _chained(error)
        except ArgumentError:
            raise
        except (RuntimeError, ValueError) as error:
            if self._given is None:
                raise
            if begun:
                raise TransportError(f"{request.method} {request.template}: {type(error).__name__}", True) from error
            raise ConfigurationError(
                f"async_session: {error}; expected an open session of the running loop, which reads no netrc file"
            ) from None
        async with answer:
            if answer.status < 200:
                answer.close()  # the true answer may still come, and must not be taken for that to another request
                raise TransportError(f"{request.method} {request.template}: came an interim {answer.status}", True)
            came = _headers(answer)
            if answer.status >= 300:
                content = await _beginning(request, answer)
            elif request.sink is not None:
                content = b""
                await _pour(request, answer, came, request.sink)
            else:
                content = await _piece(request, answer.content.read())
        return Response(answer.status, came, content, request)

    async def close(self) -> None:
        """Closes the connections that were opened on the running loop. A later call opens new ones."""
        if opened := self._opened.get((Process.current, asyncio.get_running_loop())):
            await opened[1].aclose()

    async def _session(self) -> aiohttp.ClientSession:
        place = Process.current, asyncio.get_running_loop()
        opened = self._opened.get(place)
        if opened is None:
            for closed in [other for other in list(self._opened) if other[1].is_closed()]:
                self._opened.pop(closed, None)
            session = aiohttp.ClientSession(
                connector=_Connector(limit=POOL_SIZE, keepalive_timeout=KEEPALIVE),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
            opened = self._opened[place] = session, _closing(self._opened, place, session)
            await anext(opened[1])
        return opened[0]


async def _piece(request: Request, reading: Awaitable[bytes]) -> bytes:
    """What is read of an answer. The errors of whoever takes it are not caught here."""
    try:
        return await reading
    except _ERRORS as error:
        raise _broken(request, error) from _chained(error)


async def _beginning(request: Request, answer: aiohttp.ClientResponse) -> bytes:
    """The content of an error answer, or as much of it as is of use."""
    content = bytearray()
    while len(content) < MOST_OF_AN_ERROR and (piece := await _piece(request, answer.content.readany())):
        content += piece
    return bytes(content)


def _headers(answer: aiohttp.ClientResponse) -> Headers:
    """The headers of an answer. One that comes twice, which none of the service's does, is joined: RFC 9110, 5.3."""
    pairs = list(answer.headers.items())
    names = {name.lower() for name, _ in pairs}
    if len(names) < len(pairs):
        pairs = [(name, ", ".join(answer.headers.getall(name))) for name in names]
    return Headers({name: value if value.isascii() else _latin(value) for name, value in pairs})


async def _pour(request: Request, answer: aiohttp.ClientResponse, headers: Headers, sink: Sink) -> None:
    """The body of an answer into a sink, which hashes, unpacks and writes where that holds up no loop."""
    sink.begin(headers)
    piece = await _piece(request, answer.content.readany())
    while piece:
        bucket = bytearray(piece)
        while len(bucket) < BUCKET and (piece := await _piece(request, answer.content.readany())):
            bucket += piece
        await _in_thread(partial(sink.write, bytes(bucket)))
        sink.report()
        piece = piece and await _piece(request, answer.content.readany())


async def _in_thread(function: Callable[[], T]) -> T:
    """What a function returns that may take its time. A task that is cancelled waits till it is done with the file."""
    working = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise


class _Connector(aiohttp.TCPConnector):
    """Hands out no kept connection on which something came that nobody asked for.

    It would be taken for the answer to the next request, and no signature tells which request an answer belongs to.
    """

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> aiohttp.connector.Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            if _is_readable(connection):
                # It may be no more than a TLS record of the connection's own. Twice round the loop, and it has been read.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            if connection.protocol is not None and not connection.protocol.should_close:
                return connection
            connection.close()


def _is_readable(connection: aiohttp.connector.Connection) -> bool:
    sock = connection.transport.get_extra_info("socket") if connection.transport else None
    if sock is None or not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class _Sending:
    """An upload on its way. What went wrong with its file is kept, for aiohttp reports a broken connection instead."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self.length = upload.length
        self.fault: Exception | None = None

    async def chunks(self) -> AsyncGenerator[bytes]:
        pieces = self._upload.chunks()
        try:
            while chunk := await _in_thread(partial(next, pieces, b"")):
                yield chunk
        except Exception as fault:
            self.fault = fault
            raise


async def _closing(opened: _Opened, place: _Place, session: aiohttp.ClientSession) -> AsyncGenerator[None]:
    """Closes a session when it is closed itself.

    A loop that ends (asyncio.run sees to it) first closes the asynchronous generators that were begun on it, and so this
    one: it is the only way to be told while sockets can still be closed properly.
    """
    try:
        yield
    finally:
        opened.pop(place, None)
        await session.close()


def _forget(opened: _Opened) -> None:
    """Closes the sessions of a transport that nobody holds any more."""
    for (process, loop), (_, closing) in list(opened.items()):
        if process is Process.current and not loop.is_closed():
            loop.call_soon_threadsafe(loop.create_task, closing.aclose())


def _context(ca_bundle: str | None) -> ssl.SSLContext:
    try:
        if ca_bundle and Path(ca_bundle).is_dir():
            return ssl.create_default_context(capath=ca_bundle)
        return ssl.create_default_context(cafile=ca_bundle)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"ca_bundle: {ca_bundle!r}: {error}; expected a file of PEM certificates") from None


def _latin(value: str) -> str:
    """A header's octets as text the way that requests has them, so that both modes see the same."""
    return value.encode("utf-8", "surrogateescape").decode("latin-1")


def _chained(error: BaseException) -> BaseException | None:
    """The error, if its text names hosts and ports at most; others repeat the filled path, or what the service wrote."""
    return error if isinstance(error, aiohttp.ClientOSError) else None


def _broken(request: Request, error: BaseException) -> TransportError:
    said = ""
    if isinstance(error, aiohttp.ClientConnectorError):
        # The oldest aiohttp that is admitted keeps no os_error for a certificate.
        cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", "no connection")
        said = f": {error.host}:{error.port}: {cause}"
    elif _chained(error):
        said = f": {error}"
    return TransportError(
        f"{request.method} {request.template}: {type(error).__name__}{said}", not isinstance(error, _NOT_SENT)
    )

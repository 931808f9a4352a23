"""Sends a signed request with aiohttp, byte for byte."""

from __future__ import annotations

import asyncio
import io
import select
import ssl
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Hashable, Iterable
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from wechatpay_chain.awaiting import drive
from wechatpay_chain.errors import ArgumentError, ConfigurationError, TransportError
from wechatpay_chain.http import RESERVED_FIELDS, Headers, Request, Response, Sink, Steps, Upload, is_field_name
from wechatpay_chain.process import current_process
from wechatpay_chain.transport import MOST_OF_AN_ERROR, REQUEST_TIMEOUT, UNSENDABLE, Route, Shared, check_head

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy
    from typing_extensions import Self

__all__ = ["AiohttpTransport"]

MOST_AT_ONCE = 500
"""Connections that an event loop has to one host; further calls wait. All clients together have them."""

SWITCHING = 101
"""The interim answer that would be the last."""

AT_HAND = 1 << 16
"""Bytes of a body that are written at once. More are sent in pieces, as the peer takes them."""

KEEPALIVE = 7.0
"""Seconds that an idle connection is kept: the service closes it after about 8, aiohttp would keep it for 15."""

T = TypeVar("T")

_Place = tuple[object, asyncio.AbstractEventLoop, Hashable]
"""A process, a loop in it, and what is trusted: a forked child can go on with its parent's loop."""

_ERRORS = (aiohttp.ClientError, asyncio.TimeoutError, OSError)
# These are raised while a connection is made, so that nothing has been sent.
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)

BUCKET = 1 << 20
"""Bytes that go to a sink at once."""

LARGE = 1 << 20
"""Bytes from which aiohttp wants a body in pieces, so that the loop is not held up."""


class _Answer:
    """An answer that came without aiohttp's session: what of its ClientResponse is of use."""

    def __init__(self, connection: aiohttp.connector.Connection, message: Any, content: aiohttp.StreamReader) -> None:
        self._connection = connection
        self.status: int = message.code
        self.headers: CIMultiDictProxy[str] = message.headers
        self.content = content
        self.close = connection.close

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.release()  # which closes it where its answer was not read whole


class _Connections:
    """What the clients on one event loop share.

    Args:
        place: where it is shared.
        tls: what verifies hosts; True for aiohttp's own context.
    """

    def __init__(self, place: _Place, tls: ssl.SSLContext | bool) -> None:
        self._tls = tls
        self._connector = _Connector(limit=0, limit_per_host=MOST_AT_ONCE, keepalive_timeout=KEEPALIVE)
        self.session = aiohttp.ClientSession(connector=self._connector, cookie_jar=aiohttp.DummyCookieJar())
        self.closing = self._closing(place)
        with suppress(StopIteration):  # to its first yield, for one that is not begun is not closed with its loop
            self.closing.__anext__().send(None)
        self._openers: dict[str, aiohttp.ClientRequest] = {}

    async def open(self, request: Request, loop: asyncio.AbstractEventLoop) -> _Answer:
        """Sends a request whose body is at hand, straight, and reads the head of its answer.

        Session, ClientRequest and ClientResponse would make and merge what is not needed, and take 45 of aiohttp's 80 µs.
        """
        opener = self._openers.get(request.origin) or self._opener(request.origin, loop)
        head = _head(request, opener.headers["Host"])
        connect, read = request.timeout
        try:
            connection = await self._connector.connect(opener, [], _connecting(connect))
        except asyncio.TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error
        protocol: Any = connection.protocol
        try:
            protocol.set_response_params(read_until_eof=True)
            protocol.transport.write(head + request.body)
            message, content = await _begun(protocol, loop, read)
            while 100 <= message.code < 200 and message.code != SWITCHING:  # RFC 9110, 15.2
                message, content = await _begun(protocol, loop, read)
            if not content.is_eof() and protocol.transport is not None:
                protocol.read_timeout = read
                protocol.start_timeout()
            if protocol.transport is None or protocol.transport.get_write_buffer_size():
                protocol.force_close()  # answered before all of it was sent; the rest would be taken for the next request
        except BaseException as error:
            if connection.transport is not None:
                connection.transport.abort()  # nothing more of it is sent
            connection.close()
            if isinstance(error, HttpProcessingError):
                raise aiohttp.ClientPayloadError from error
            raise
        return _Answer(connection, message, content)

    def _opener(self, origin: str, loop: asyncio.AbstractEventLoop) -> aiohttp.ClientRequest:
        """What the connector is to know of all who want to be connected to an origin."""
        return self._openers.setdefault(origin, aiohttp.ClientRequest("GET", URL(origin), loop=loop, ssl=self._tls))

    async def _closing(self, place: _Place) -> AsyncGenerator[None]:
        """Closes the connections when it is closed itself.

        A loop that ends (asyncio.run sees to it) first closes the asynchronous generators that were begun on it, and so
        this one: it is the only way to be told while sockets can still be closed properly.
        """
        try:
            yield
        finally:
            _shared.drop(place, self)
            await self.session.close()


_shared = Shared[_Connections, _Place]()


class AiohttpTransport:
    """The awaiting transport. Clients share their connections on an event loop, which are closed with it.

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
        self._given = session
        # The connector of the user's session may have been told not to verify; the context of a call overrides it.
        self._tls = _context(route) if route.ca_bundle or session is not None else True
        self._joined: set[_Place] = set()
        weakref.finalize(self, _forget, self._joined).atexit = False

    def drive(self, flow: Steps[T]) -> Coroutine[Any, Any, T]:
        """Does what a flow yields until it returns."""
        return drive(flow, self.send)

    async def send(self, request: Request, loop: asyncio.AbstractEventLoop) -> Response:
        """Sends a request on the running loop and reads its whole answer. Redirects are not followed.

        Raises:
            TransportError: no whole answer came.
        """
        async with await self._sent(request, loop) as answer:
            if answer.status < 200:
                answer.close()  # the true answer may still come, and must not be taken for that to another request
                raise TransportError(f"{request.method} {request.template}: came an interim {answer.status}", True)
            came = Headers.joined(_latin(answer.headers))
            if answer.status == REQUEST_TIMEOUT:
                content = b""  # see there
                answer.close()
            elif answer.status >= 300:
                content = await _beginning(request, answer)
            elif request.sink is not None:
                content = b""
                await _pour(request, answer, came, request.sink)
            else:
                content = await _piece(request, _whole(answer.content))
        return Response(answer.status, came, content, request)

    async def close(self) -> None:
        """Closes what was opened on the running loop, unless others share it. A later call opens anew."""
        place = self._place(asyncio.get_running_loop())
        if unused := _shared.leave(place, self._joined):
            await unused.closing.aclose()

    def _place(self, loop: asyncio.AbstractEventLoop) -> _Place:
        return current_process(), loop, self._route.trust

    def _connections(self, loop: asyncio.AbstractEventLoop) -> _Connections:
        place = self._place(loop)
        return _shared.join(place, self._joined, partial(_connections, place, self._tls))

    async def _sent(self, request: Request, loop: asyncio.AbstractEventLoop) -> _Answer | aiohttp.ClientResponse:
        """Sends a request, and reads the head of its answer."""
        check_head(request)
        proxy = self._route.proxy(request.origin)
        if self._given is not None:
            return await self._through(self._given, request, proxy)
        connections = self._connections(loop)
        if proxy is not None or request.upload is not None or len(request.body) > AT_HAND:
            return await self._through(connections.session, request, proxy)
        try:
            return await connections.open(request, loop)
        except _ERRORS as error:
            raise _broken(request, error) from _chained(error)

    async def _through(
        self, session: aiohttp.ClientSession, request: Request, proxy: str | None
    ) -> aiohttp.ClientResponse:
        """Sends through a session: the user's own, or ours what is streamed or goes to a proxy."""
        connect, read = request.timeout
        headers = request.headers.as_dict()
        sending = _Sending(request.upload) if request.upload else None
        data: object = io.BytesIO(request.body) if len(request.body) > LARGE else request.body or None
        if sending is not None:
            headers["Content-Length"], data = str(sending.length), sending.chunks()

        begun = False

        def fault(error: BaseException) -> Exception:
            # What went wrong with the file that is sent; aiohttp reports a broken connection instead.
            return (sending.fault if sending else None) or _broken(request, error)

        async def once(outgoing: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
            nonlocal begun
            begun = True
            # aiohttp would send it again when a kept connection breaks. An error that is not its own passes by that.
            try:
                return await handler(outgoing)
            except _ERRORS as error:
                raise fault(error) from _chained(error)

        try:
            return await session.request(
                request.method,
                URL(request.url, encoded=True),
                data=data,
                headers=headers,
                allow_redirects=False,
                auto_decompress=True,
                raise_for_status=False,
                proxy=proxy,
                ssl=self._tls,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=read),
                middlewares=(once,),
            )
        except _ERRORS as error:
            raise fault(error) from _chained(error)
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


async def _begun(protocol: Any, loop: asyncio.AbstractEventLoop, seconds: float) -> tuple[Any, aiohttp.StreamReader]:
    """The head of an answer, which counts as one piece: what comes late is the whole of it.

    Most answers come whole, and need this one timer; aiohttp would set two, and take 4 µs more.
    """
    late = loop.call_later(seconds, _late, protocol)
    try:
        head: tuple[Any, aiohttp.StreamReader] = await protocol.read()
        return head
    finally:
        late.cancel()


def _late(protocol: Any) -> None:
    protocol.set_exception(aiohttp.SocketTimeoutError())


@lru_cache(maxsize=64)
def _connecting(seconds: float) -> aiohttp.ClientTimeout:
    """What aiohttp takes for the seconds to connect, which are the same for most calls."""
    return aiohttp.ClientTimeout(total=None, sock_connect=seconds)


def _head(request: Request, host: str) -> bytes:
    """Request line and headers as they are sent: RFC 9112, 3 and 5.

    Raises:
        ArgumentError: a layer of the user's own put into a header, or into the target, what cannot stand there.
    """
    lines = [f"{request.method} {request.target} HTTP/1.1", f"Host: {host}"]
    fields = request.headers.as_dict()
    lines += [f"{name}: {value}" for name, value in fields.items()]
    if request.body or request.method != "GET":
        lines.append(f"Content-Length: {len(request.body)}")
    head = "\r\n".join(lines)
    breaks = len(lines) - 1
    try:
        octets = f"{head}\r\n\r\n".encode("latin-1")
    except UnicodeEncodeError:
        octets = b""
    if (
        not octets
        or not all(map(is_field_name, fields))
        or head.count("\n") != breaks
        or head.count("\r") != breaks
        or "\0" in head
    ):
        raise ArgumentError(UNSENDABLE)
    return octets


async def _piece(request: Request, reading: Awaitable[bytes]) -> bytes:
    """What is read of an answer. The errors of whoever takes it are not caught here."""
    try:
        return await reading
    except _ERRORS as error:
        raise _broken(request, error) from _chained(error)


async def _whole(content: aiohttp.StreamReader) -> bytes:
    """The content of an answer. Most has come with the head, and to wait for it would take 0.6 µs more."""
    return content.read_nowait() if content.is_eof() else await content.read()


async def _beginning(request: Request, answer: _Answer | aiohttp.ClientResponse) -> bytes:
    """The content of an error answer, or as much of it as is of use."""
    content = bytearray()
    while len(content) < MOST_OF_AN_ERROR and (piece := await _piece(request, answer.content.readany())):
        content += piece
    return bytes(content)


async def _pour(request: Request, answer: _Answer | aiohttp.ClientResponse, headers: Headers, sink: Sink) -> None:
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
            try:
                if _is_readable(connection):
                    # It may be no more than a TLS record of the connection's own. Twice round the loop, and it is read.
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
            except BaseException:
                connection.close()
                raise
            if not connection.closed and connection.protocol is not None and not connection.protocol.should_close:
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


def _connections(place: _Place, tls: ssl.SSLContext | bool) -> _Connections:
    """New connections, and none of loops that were closed without a word."""
    for other, unused in _shared:
        if other[1].is_closed():
            _shared.drop(other, unused)
    return _Connections(place, tls)


def _forget(joined: set[_Place]) -> None:
    """Leaves the connections of a transport that nobody holds any more, and closes those that nobody shares."""
    for place in list(joined):
        process, loop, _ = place
        if process is current_process() and (unused := _shared.leave(place, joined)) and not loop.is_closed():
            loop.call_soon_threadsafe(loop.create_task, unused.closing.aclose())


def _context(route: Route) -> ssl.SSLContext:
    """What verifies hosts, read once for all that trust the same: 1 MB and 13 ms."""
    context = _contexts.get(route.trust)
    if context is None:
        context = _contexts[route.trust] = _new_context(route.ca_bundle)
    return context


_contexts: weakref.WeakValueDictionary[Hashable, ssl.SSLContext] = weakref.WeakValueDictionary()


def _new_context(ca_bundle: str | None) -> ssl.SSLContext:
    try:
        if ca_bundle and Path(ca_bundle).is_dir():
            return ssl.create_default_context(capath=ca_bundle)
        return ssl.create_default_context(cafile=ca_bundle)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"ca_bundle: {ca_bundle!r}: {error}; expected a file of PEM certificates") from None


def _latin(headers: CIMultiDictProxy[str]) -> Iterable[tuple[str, str]]:
    """Headers as text the way that requests has them, so that both modes see the same."""
    if all(map(str.isascii, headers.values())):
        return headers.items()
    return [(name, value.encode("utf-8", "surrogateescape").decode("latin-1")) for name, value in headers.items()]


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

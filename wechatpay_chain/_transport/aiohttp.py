"""Sends a signed request with aiohttp, byte for byte."""

from __future__ import annotations

import asyncio
import io
import select
import ssl
import sys
import weakref
from collections.abc import AsyncGenerator, Callable, Hashable, Iterable
from contextlib import suppress
from contextvars import ContextVar
from functools import lru_cache, partial
from pathlib import Path
from types import FunctionType, TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
from yarl import URL

from wechatpay_chain._forks.importing import importing
from wechatpay_chain._forks.process import current_process
from wechatpay_chain._messages.fields import RESERVED_FIELDS
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.request import Request, Sink
from wechatpay_chain._messages.response import Response
from wechatpay_chain._pipeline.async_driver import in_thread
from wechatpay_chain._transport.content import Content, ErrorContent, SinkContent
from wechatpay_chain._transport.failures import broken, no_connection, refused_by_proxy, timed_out
from wechatpay_chain._transport.route import REQUEST_TIMEOUT, Proxy, Route, check_head
from wechatpay_chain._transport.sharing import Shared
from wechatpay_chain.errors import ConfigurationError, TransportError, WeChatPayError

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy
    from typing_extensions import Self

__all__ = ["AiohttpTransport"]

MOST_AT_ONCE = 500
"""Connections that an event loop has to one host; further calls wait. All clients together have them."""

SWITCHING = 101
"""The interim response that would be the last."""

AT_HAND = 1 << 16
"""Bytes of a body that are written at once. More are sent in pieces, as the peer takes them."""

KEEPALIVE = 7.0
"""Seconds that an idle connection is kept: the service closes it after about 8, aiohttp would keep it for 15."""

T = TypeVar("T")

_Place = tuple[object, asyncio.AbstractEventLoop, Hashable]
"""A process, a loop in it, and what is trusted: a forked child can go on with its parent's loop."""

# These are raised while a connection is made, so that nothing has been sent.
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)

LOOK_EVERY = 0.25
"""Seconds after which a wait for bytes looks whether its connection is still there."""

BUCKET = 1 << 20
"""Bytes that go to a sink at once."""

LARGE = 1 << 20
"""Bytes from which aiohttp wants a body in pieces, so that the loop is not held up."""


class _Unconnected(Exception):
    """Something went wrong before there was a connection; its cause says what."""


class _Ended(Exception):
    """Carries the error that a call ends with through aiohttp, which knows what to do with its own and with an OSError."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class _Incoming:
    """A response that came without aiohttp's session: what of its ClientResponse is of use."""

    def __init__(self, connection: aiohttp.connector.Connection, message: Any, content: aiohttp.StreamReader) -> None:
        self.connection = connection
        self.status: int = message.code
        self.headers: CIMultiDictProxy[str] = message.headers
        self.content = content
        self.close = connection.close
        self.release = connection.release  # which closes it where its content was not read whole


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

    async def open(self, request: Request, loop: asyncio.AbstractEventLoop, deadline: float) -> _Incoming:
        """Sends a request whose body is at hand, straight, and reads the head of its response.

        Session, ClientRequest and ClientResponse would make and merge what is not needed, and take 45 of aiohttp's 80 µs.
        """
        opener = self._openers.get(request.origin) or self._opener(request.origin, loop)
        head = _head(request, opener.headers["Host"])
        timeout = request.timeout
        try:
            connection = await self._connector.connect(
                opener, [], _connecting(min(timeout.connect, deadline - loop.time()))
            )
        except asyncio.TimeoutError as error:
            raise _Unconnected from (error if error.args else aiohttp.ConnectionTimeoutError())
        except asyncio.CancelledError:
            if self.is_closed and not _is_cancelled():
                raise _Unconnected from aiohttp.ClientConnectionError("it was closed")
            raise
        except Exception as error:
            raise _Unconnected from error
        protocol: Any = connection.protocol
        try:
            protocol.set_response_params(read_until_eof=True, auto_decompress=False)
            protocol.transport.write(head + request.body)
            moment = min(loop.time() + timeout.read, deadline)
            message, content = await _begun(protocol, loop, moment)
            while 100 <= message.code < 200 and message.code != SWITCHING:  # RFC 9110, 15.2
                message, content = await _begun(protocol, loop, moment)
            if protocol.transport is None or protocol.transport.get_write_buffer_size():
                protocol.force_close()  # a response before all was sent; the rest would be taken for the next request
        except BaseException:
            if connection.transport is not None:
                connection.transport.abort()  # nothing more of it is sent
            connection.close()
            raise
        return _Incoming(connection, message, content)

    @property
    def is_closed(self) -> bool:
        """Whether the connections are closed, or about to be."""
        return self._connector.closed

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
        most: bytes of a response that are read into memory.
        session: one of the user's own, which belongs to one loop and which the user closes.

    Raises:
        ConfigurationError: the session is not one, or the certificate authorities cannot be read.
    """

    library = f"aiohttp/{aiohttp.__version__}"

    def __init__(self, route: Route, most: int, session: aiohttp.ClientSession | None = None) -> None:
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
        self._most = most
        self._given = session
        # The connector of the user's session may have been told not to verify; the context of a call overrides it.
        self._tls = _context(route) if route.ca_bundle or session is not None else True
        self._joined: set[_Place] = set()
        weakref.finalize(self, _forget, self._joined).atexit = False

    async def send(self, request: Request) -> Response:
        """Sends a request on the running loop and reads its whole response. Redirects are not followed.

        Raises:
            TransportError: no whole response came.
            ContentError: the response is too large, or encoded in an unknown way.
        """
        check_head(request)
        loop = asyncio.get_running_loop()
        total = request.timeout.total
        deadline = float("inf") if total is None else loop.time() + total
        proxy = self._route.proxy(request.origin)
        fault = _Fault(request, proxy, loop, deadline)
        incoming = await self._sent(request, loop, fault, proxy)
        is_whole = False
        try:
            # The true response may still come, and must not be taken for that to another request.
            if incoming.status < 200:
                raise TransportError(
                    f"{request.method} {request.template}: came an interim response {incoming.status}", True
                )
            headers = Headers.joined(_latin(incoming.headers))
            content = await self._content(request, incoming, headers, fault)
            is_whole = True
        finally:
            if is_whole and incoming.status != REQUEST_TIMEOUT:
                incoming.release()
            else:
                incoming.close()
            # A response before all was sent. aiohttp would wait for a peer that may never take the rest.
            if fault.transport is not None and fault.transport.get_write_buffer_size():
                fault.transport.abort()
        return Response(incoming.status, headers, content, request)

    async def _content(
        self, request: Request, incoming: _Incoming | aiohttp.ClientResponse, headers: Headers, fault: _Fault
    ) -> bytes:
        """Reads the content of a response. Errors of a sink are its user's own."""
        if incoming.status >= 300:
            problem = ErrorContent(headers)
            if incoming.status != REQUEST_TIMEOUT:
                with _Watch(incoming, fault) as watch:
                    while (piece := await watch.next()) and problem.add(piece):
                        pass
            return problem.finish()
        if (sink := request._carried.sink) is not None:
            await _pour(SinkContent(request, headers, sink), sink, incoming, fault)
            return b""
        content = Content(request, headers, self._most)
        # Most has come with the head, and to wait for it would take longer.
        if incoming.content.is_eof() and incoming.content.exception() is None:
            content.add(incoming.content.read_nowait())
        else:
            with _Watch(incoming, fault) as watch:
                while piece := await watch.next():
                    content.add(piece)
        return content.finish()

    async def close(self) -> None:
        """Closes what was opened on the running loop, unless others share it. A later call opens anew."""
        if sys.version_info < (3, 11):
            await asyncio.sleep(0)  # tasks that were cancelled before end as cancelled: see `_is_cancelled`
        place = self._place(asyncio.get_running_loop())
        if unused := _shared.leave(place, self._joined):
            await unused.closing.aclose()

    def _place(self, loop: asyncio.AbstractEventLoop) -> _Place:
        return current_process(), loop, self._route.trust

    def _connections(self, loop: asyncio.AbstractEventLoop) -> _Connections:
        place = self._place(loop)
        return _shared.join(place, self._joined, partial(_connections, place, self._tls))

    async def _sent(
        self, request: Request, loop: asyncio.AbstractEventLoop, fault: _Fault, proxy: Proxy | None
    ) -> _Incoming | aiohttp.ClientResponse:
        """Sends a request, and reads the head of its response."""
        try:
            if self._given is not None:
                return await self._through(self._given, request, proxy, fault)
            connections = self._connections(loop)
            if (
                proxy is not None
                or request._carried.upload is not None
                or len(request.body) > AT_HAND
                or connections.session.trace_configs  # tools that watch aiohttp add theirs to each session
                or _is_patched()
            ):
                return await self._through_ours(connections.session, request, proxy, fault)
            return await connections.open(request, loop, fault.deadline)
        except WeChatPayError:
            raise
        except Exception as error:
            raise fault.of(error, "head") from fault.cause(error)

    async def _through_ours(
        self, session: aiohttp.ClientSession, request: Request, proxy: Proxy | None, fault: _Fault
    ) -> aiohttp.ClientResponse:
        """Sends through a session whose connector says which connection it gives."""
        fault.is_connected = None if _is_patched() else False
        token = _connecting_for.set(fault)
        try:
            return await self._through(session, request, proxy, fault)
        except BaseException:
            # aiohttp closes the connection, which waits for a peer that may never take what was written.
            if fault.transport is not None:
                fault.transport.abort()
            raise
        finally:
            _connecting_for.reset(token)

    async def _through(
        self, session: aiohttp.ClientSession, request: Request, proxy: Proxy | None, fault: _Fault
    ) -> aiohttp.ClientResponse:
        """Sends through a session: the user's own, or ours what is streamed or goes to a proxy."""
        timeout = request.timeout
        headers = request.headers.as_dict()
        sending = _Sending(request) if request._carried.upload else None
        data: object = io.BytesIO(request.body) if len(request.body) > LARGE else request.body or None
        if sending is not None:
            headers["Content-Length"], data = str(sending.length), sending.chunks()
        begun = False

        def found(error: Exception) -> Exception:
            # What went wrong with the file that is sent; aiohttp reports a broken connection instead.
            return (sending.fault if sending else None) or fault.of(error, "head")

        async def once(outgoing: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
            nonlocal begun
            begun = True
            # aiohttp would send it again when a kept connection breaks. An error that is not its own passes by that.
            try:
                return await handler(outgoing)
            except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
                raise _Ended(found(error)) from fault.cause(error)

        try:
            return await session.request(
                request.method,
                URL(request.url, encoded=True),
                data=data,
                headers=headers,
                allow_redirects=False,
                auto_decompress=False,
                raise_for_status=False,
                proxy=proxy.url if proxy else None,
                ssl=self._tls,
                timeout=aiohttp.ClientTimeout(
                    total=timeout.total,
                    connect=timeout.connect,
                    sock_connect=timeout.connect,
                    sock_read=timeout.read,
                    ceil_threshold=float("inf"),
                ),
                middlewares=(once,),
            )
        except _Ended as ended:
            raise ended.error from ended.__cause__
        except WeChatPayError:
            raise
        except asyncio.CancelledError:
            if session.closed and not _is_cancelled():
                raise _Unconnected from aiohttp.ClientConnectionError("it was closed")
            raise
        except (RuntimeError, ValueError) as error:
            if self._given is None or begun or isinstance(error, aiohttp.ClientError):
                raise found(error) from fault.cause(error)
            raise ConfigurationError(
                f"async_session: {error}; expected an open session of the running loop, which reads no netrc file"
            ) from None
        except Exception as error:
            raise found(error) from fault.cause(error)


def _is_patched() -> bool:
    """Tells whether a test, or a tracer, has put something of its own in the place of what aiohttp sends with.

    Such calls go through a session, so that it sees them; see docs/testing.md.
    """
    # A private name: where a version of aiohttp has it no more, calls go through the session too.
    request = getattr(aiohttp.ClientSession, "_request", None)
    return type(request) is not FunctionType or request.__globals__ is not vars(aiohttp.client)


def _is_cancelled() -> bool:
    """Tells whether somebody has cancelled the task that runs. aiohttp cancels what waits for a connection that it closes.

    Python 3.10 does not say: there, who waits for closed connections counts as not cancelled.
    """
    if sys.version_info < (3, 11):
        return False
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class _Fault:
    """Says what went wrong with an attempt.

    Args:
        request: what is sent.
        proxy: what it goes through.
        loop: whose clock the deadline is of.
        deadline: until when the attempt may take.

    Attributes:
        is_connected: whether there is a connection to send the request on; None where nobody can tell.
        transport: of that connection.
    """

    def __init__(self, request: Request, proxy: Proxy | None, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        self._request, self._proxy = request, proxy
        self.loop, self.deadline, self.read = loop, deadline, request.timeout.read
        self.is_connected: bool | None = None
        self.transport: asyncio.Transport | None = None

    def of(self, error: Exception, part: str) -> TransportError:
        """Returns the error that an error of aiohttp becomes.

        Args:
            error: as it was raised.
            part: of the response, where it was raised: head or body.
        """
        request, proxy = self._request, self._proxy
        is_connecting = self.is_connected is False or isinstance(error, (_Unconnected, *_NOT_SENT))
        cause = error.__cause__ if isinstance(error, _Unconnected) else error
        if isinstance(cause, aiohttp.ClientHttpProxyError):
            return refused_by_proxy(request, str(cause.status), proxy)
        if isinstance(cause, asyncio.TimeoutError):
            is_over = self.loop.time() >= self.deadline - CLOCK
            setting = "total" if is_over else "connect" if is_connecting else "read"
            return timed_out(request, setting, not is_connecting, proxy)
        if is_connecting:
            return no_connection(request, _system_error(cause), proxy)
        return broken(request, part, cause, True, proxy)

    def cause(self, error: BaseException) -> BaseException | None:
        """Returns the cause, if its text names hosts and ports at most; others repeat the filled path, or what came."""
        cause = error.__cause__ if isinstance(error, _Unconnected) else error
        return cause if isinstance(cause, aiohttp.ClientOSError) else None


_connecting_for: ContextVar[_Fault] = ContextVar("_connecting_for")

CLOCK = 0.02
"""Seconds that a timer may come too early, by the loop's clock."""


def _system_error(error: BaseException | None) -> BaseException | None:
    """Returns the system's own error of a connection that could not be made."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return error.certificate_error
    return error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error


async def _begun(protocol: Any, loop: asyncio.AbstractEventLoop, moment: float) -> tuple[Any, aiohttp.StreamReader]:
    """Reads the head of a response, which counts as one piece: what comes late is the whole of it.

    Most responses come whole, and need this one timer; aiohttp would set two, and take 4 µs more.
    """
    if loop.time() >= moment:  # a flood of interim responses leaves no timer its turn
        raise aiohttp.SocketTimeoutError
    late = loop.call_at(moment, _late, protocol)
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
    return aiohttp.ClientTimeout(total=None, connect=seconds, ceil_threshold=float("inf"))


def _head(request: Request, host: str) -> bytes:
    """Returns request line and headers as they are sent: RFC 9112, 3 and 5. What they hold is checked by `check_head`."""
    lines = [f"{request.method} {request.target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in request.headers.as_dict().items()]
    if request.body or request.method != "GET":
        lines.append(f"Content-Length: {len(request.body)}")
    return "\r\n".join((*lines, "", "")).encode("latin-1")


class _Watch:
    """Reads the body of a response, and ends a wait that would have no end.

    Where a chunk is malformed, aiohttp closes the connection and drops its timer, but tells nobody who reads the content.
    """

    def __init__(self, incoming: _Incoming | aiohttp.ClientResponse, fault: _Fault) -> None:
        self._incoming, self._fault = incoming, fault
        self._since: float | None = None
        self._is_closing = False

    def __enter__(self) -> Self:
        self._timer = self._fault.loop.call_later(0, self._look)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()

    async def next(self) -> bytes:
        """Returns the next bytes, none at the end.

        Raises:
            TransportError: they do not come.
        """
        self._since = self._fault.loop.time()
        if self._since >= self._fault.deadline:  # while what came was written
            raise self._fault.of(aiohttp.SocketTimeoutError(), "body")
        try:
            return await self._incoming.content.readany()
        except Exception as error:
            raise self._fault.of(error, "body") from self._fault.cause(error)
        finally:
            self._since = None

    def _look(self) -> None:
        loop, now, content = self._fault.loop, self._fault.loop.time(), self._incoming.content
        later = LOOK_EVERY
        if self._since is not None:
            left = min(self._since + self._fault.read, self._fault.deadline) - now
            if left <= 0:
                content.set_exception(aiohttp.SocketTimeoutError())
                return
            # Seen twice, it is not just about to be told that its connection has ended.
            is_closing = _is_closing(self._incoming)
            if is_closing and self._is_closing:
                content.set_exception(aiohttp.ClientPayloadError())
                return
            self._is_closing = is_closing
            later = min(later, left)
        self._timer = loop.call_later(later, self._look)


def _is_closing(incoming: _Incoming | aiohttp.ClientResponse) -> bool:
    connection = incoming.connection
    if connection is None:  # of a ClientResponse whose content has ended, or that a test has made
        return False
    return connection.transport is None or connection.transport.is_closing()


async def _pour(content: SinkContent, sink: Sink, incoming: _Incoming | aiohttp.ClientResponse, fault: _Fault) -> None:
    """Reads the body of a response into a sink, which hashes, decompresses and writes where that holds up no loop."""
    bucket = bytearray()
    with _Watch(incoming, fault) as watch:
        while piece := await watch.next():
            bucket += piece
            if len(bucket) >= BUCKET:
                await _in_thread(fault.loop, partial(content.add, bytes(bucket)))
                bucket.clear()
                sink.report()
        if bucket:
            await _in_thread(fault.loop, partial(content.add, bytes(bucket)))
            sink.report()
    content.finish()


async def _in_thread(loop: asyncio.AbstractEventLoop, function: Callable[[], T]) -> T:
    """What a function returns that may take its time. A task that is cancelled waits till it is done with the file."""
    working = in_thread(loop, function)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise


class _Connector(aiohttp.TCPConnector):
    """Hands out no kept connection on which something came that nobody asked for.

    It would be taken for the response to the next request, and no signature tells which request a response belongs to.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> aiohttp.connector.Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            is_new = connection.protocol not in self._known
            if connection.protocol is not None:
                self._known.add(connection.protocol)
            try:
                if _is_readable(connection):
                    # It may be no more than a TLS record of the connection's own. Twice round the loop, and it is read.
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
            except BaseException:
                connection.close()
                raise
            if not connection.closed and connection.protocol is not None and not connection.protocol.should_close:
                if (fault := _connecting_for.get(None)) is not None:
                    fault.is_connected, fault.transport = True, connection.transport
                return connection
            connection.close()
            if is_new:
                raise aiohttp.ClientConnectionError("it spoke first, or ended at once")


def _is_readable(connection: aiohttp.connector.Connection) -> bool:
    sock = connection.transport.get_extra_info("socket") if connection.transport else None
    if sock is None or not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class _Sending:
    """An upload on its way. What went wrong with its file is kept, for aiohttp reports a broken connection instead."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.length = request.content_length
        self.fault: Exception | None = None

    async def chunks(self) -> AsyncGenerator[bytes]:
        pieces, loop = self._request.stream(), asyncio.get_running_loop()
        try:
            while chunk := await _in_thread(loop, partial(next, pieces, b"")):
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
        with importing:
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

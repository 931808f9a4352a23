"""Sends a signed request with requests, byte for byte."""

from __future__ import annotations

import encodings.idna  # noqa: F401 -- which a socket imports when it first looks up a name, and a fork may meet that
import re
import socket
import ssl
import time
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import partial
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple, TypeVar

import requests
from requests import adapters, sessions
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool, Timeout
from urllib3.exceptions import (
    ClosedPoolError,
    ConnectTimeoutError,
    EmptyPoolError,
    NewConnectionError,
    ReadTimeoutError,
)
from urllib3.util.ssl_ import create_urllib3_context

from wechatpay_chain._forks.importing import importing
from wechatpay_chain._forks.process import current_process
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain._transport.bounded import Attempt, InterruptibleQueue, bind
from wechatpay_chain._transport.content import Content, ErrorContent, SinkContent
from wechatpay_chain._transport.failures import broken, no_connection, refused_by_proxy, timed_out
from wechatpay_chain._transport.route import POOL_SIZE, REQUEST_TIMEOUT, Proxy, Route, check_head
from wechatpay_chain._transport.sharing import Shared
from wechatpay_chain.errors import ConfigurationError, TransportError, WeChatPayError

__all__ = ["RequestsTransport"]

# These are raised while a connection is made, so that nothing has been sent; but for an end of the stream, which can
# come later too.
_NOT_SENT = (ConnectTimeoutError, NewConnectionError, EmptyPoolError, ssl.SSLError)
_LATE = (ConnectTimeoutError, EmptyPoolError, ReadTimeoutError, socket.timeout)
_ENDS = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
_REFUSED_BY_PROXY = re.compile("Tunnel connection failed: ([0-9]{3})")
# A line break in a header is a space: RFC 9112, 5.2. http.client keeps it.
_FOLD = re.compile(r"\s*[\r\n]\s*")


T = TypeVar("T")

PIECE = 1 << 18
"""Bytes of a body that are read at once."""

SENT_AT_ONCE = 1 << 17
"""Bytes of a body that are written at once, each within the seconds of the read timeout."""


_Place = tuple[object, Hashable]
"""A process, and what is trusted in it."""


class _Incoming(NamedTuple):
    """A response whose body is still to be read."""

    status: int
    headers: Iterable[tuple[str, str]]
    pieces: Callable[[], Iterator[bytes]]
    close: Callable[[], object]


class _HTTPPool(HTTPConnectionPool):
    QueueCls: Any = InterruptibleQueue


class _HTTPSPool(HTTPSConnectionPool):
    QueueCls: Any = InterruptibleQueue


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class _Pools(HTTPAdapter):
    """The connection pools of requests, without what its Session and its Response make of a call.

    They would rewrite the URL, add cookies, read netrc files, and take a quarter of a call's CPU: 200 of 870 µs.

    Args:
        ca_bundle: certificate authorities to trust; None for those of requests.
    """

    def __init__(self, ca_bundle: str | None) -> None:
        super().__init__(pool_maxsize=POOL_SIZE)
        self.poolmanager.pool_classes_by_scheme = _POOLS
        self._ca_bundle = ca_bundle
        self._context: ssl.SSLContext | None = None
        self._opened: dict[tuple[str, Proxy | None], tuple[Any, str]] = {}
        self._session: requests.Session | None = None

    @property
    def session(self) -> requests.Session:
        """A session that sends through these pools, for tools that watch or replace what a session does."""
        if self._session is None:
            session = requests.Session()
            for scheme in ("https://", "http://"):
                session.mount(scheme, self)
            self._session = session
        return self._session

    def open(self, request: Request, body: _Body | None, proxy: Proxy | None) -> _Incoming:
        """Sends a request, and reads the head of its response."""
        try:
            raw = self._open(request, body, proxy)
        except ClosedPoolError:  # dropped for others that were used later; nothing was sent
            self._opened.pop((request.origin, proxy), None)
            raw = self._open(request, body, proxy)
        return _incoming(raw, raw.status, raw.headers.items(), raw.release_conn)

    def _open(self, request: Request, body: _Body | None, proxy: Proxy | None) -> HTTPResponse:
        pool, prefix = self._opened.get((request.origin, proxy)) or self._pool(request, proxy)
        headers = request.headers.as_dict()
        if body is not None:
            headers["Content-Length"] = str(body.length)
        raw: HTTPResponse = pool.urlopen(
            request.method,
            prefix + request.target,
            body=body,
            headers=headers,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
            retries=self.max_retries,
            timeout=Timeout(connect=request.timeout.connect, read=request.timeout.read),
        )
        return raw

    def _pool(self, request: Request, proxy: Proxy | None) -> tuple[Any, str]:
        """The pool of an origin, and what stands before a target on the request line: an http proxy wants the whole URL."""
        proxies, prepared = _proxies(request, proxy), _prepared(request)
        pool = self.get_connection_with_tls_context(prepared, True, proxies=proxies)
        bind(pool)
        prefix = "" if self.request_url(prepared, proxies).startswith("/") else request.origin
        return self._opened.setdefault((request.origin, proxy), (pool, prefix))

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """What requests opens a pool with; it asks for this to be overridden by whoever has a TLS context of his own."""
        host, tls = super().build_connection_pool_key_attributes(*args, **kwargs)
        return host, {**tls, "ssl_context": self._tls()} if host["scheme"] == "https" else tls

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """The same, for what leads through a proxy."""
        if proxy.startswith("https:"):
            proxy_kwargs["proxy_ssl_context"] = self._tls()
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def _tls(self) -> ssl.SSLContext:
        """What verifies hosts. urllib3 would read the certificate authorities for each connection anew, in 13 ms."""
        if self._context is None:
            bundle = self._ca_bundle or DEFAULT_CA_BUNDLE_PATH
            with importing:
                context = create_urllib3_context()
                context.load_verify_locations(**{"capath" if Path(bundle).is_dir() else "cafile": bundle})
            self._context = context
        return self._context

    def close(self) -> None:
        """Closes all connections."""
        self._opened.clear()
        super().close()


_shared = Shared[_Pools, _Place]()


class RequestsTransport:
    """The blocking transport. Threads and clients share their pools; a forked child gets pools of its own.

    Args:
        route: proxy and certificate authorities.
        most: bytes of a response that are read into memory.
        session: one of the user's own, whose adapters are used, and which the user closes.

    Raises:
        ConfigurationError: the session is not one, or it does not verify TLS.
    """

    library = f"requests/{requests.__version__}"

    def __init__(self, route: Route, most: int, session: requests.Session | None = None) -> None:
        if session is not None and not isinstance(session, requests.Session):
            raise ConfigurationError(f"session: came a {type(session).__name__}; expected a requests.Session")
        for adapter in session.adapters.values() if session is not None else ():
            _refuse_repeating(adapter)
        if session is not None and session.verify is False:
            raise ConfigurationError("session: its verify is False; TLS is always verified, name your CA in ca_bundle=")
        self._route = route
        self._most = most
        self._given = session
        # Places are by process, so that a forked child never writes to its parent's sockets. What the parent has joined
        # stays as it is in the child: closing it would take locks that a thread of the parent may have held at the fork.
        self._joined: set[_Place] = set()
        weakref.finalize(self, _forget, self._joined).atexit = False

    def send(self, request: Request) -> Response:
        """Sends a request and reads its whole response. Redirects are not followed.

        Raises:
            TransportError: no whole response came.
            ContentError: the response is too large, or encoded in an unknown way.
        """
        check_head(request)
        # A GET has no body that could tell how far it went.
        body = _Body(request) if request.body or request.method != "GET" else None
        proxy = self._route.proxy(request.origin)
        attempt = Attempt(request.timeout)
        fault = _Fault(request, proxy, attempt)
        try:
            with attempt:
                incoming = self._begin(request, body, proxy)
        except WeChatPayError:
            raise
        except Exception as error:
            raise fault.of(error, "head", body.taken if body else attempt.is_sending) from fault.cause(error)
        try:
            if incoming.status < 200:
                # http.client skips 100 only. Behind any other interim response the true one is still to come, so that
                # this connection must not be used again; closing the unread response closes it.
                raise TransportError(
                    f"{request.method} {request.template}: came an interim response {incoming.status}", True
                )
            headers = Headers.joined((name, _FOLD.sub(" ", value)) for name, value in incoming.headers)
            content = self._content(request, incoming, headers, fault)
        finally:
            incoming.close()
        return Response(incoming.status, headers, content, request)

    def _begin(self, request: Request, body: _Body | None, proxy: Proxy | None) -> _Incoming:
        """Sends a request, and reads the head of its response."""
        if self._given is not None:
            return self._through(self._given, request, body, proxy)
        pools = self._pools()
        if _is_patched():
            return self._through(pools.session, request, body, proxy)
        return pools.open(request, body, proxy)

    def _content(self, request: Request, incoming: _Incoming, headers: Headers, fault: _Fault) -> bytes:
        """Reads the content of a response. Errors of a sink are its user's own."""
        pieces = _pieces(incoming, fault)
        if incoming.status >= 300:
            problem = ErrorContent(headers)
            if incoming.status != REQUEST_TIMEOUT:
                for piece in pieces:
                    if not problem.add(piece):
                        break
            return problem.finish()
        sink = request._carried.sink
        if sink is None:
            content = Content(request, headers, self._most)
            for piece in pieces:
                content.add(piece)
            return content.finish()
        poured = SinkContent(request, headers, sink)
        for piece in pieces:
            poured.add(piece)
            sink.report()
        poured.finish()
        return b""

    def close(self) -> None:
        """Closes the connections that this process opened, unless others share them. A later call opens new ones."""
        place = current_process(), self._route.trust
        if unused := _shared.leave(place, self._joined):
            unused.close()

    def _pools(self) -> _Pools:
        place = current_process(), self._route.trust
        return _shared.join(place, self._joined, partial(_Pools, self._route.ca_bundle))

    def _through(
        self, session: requests.Session, request: Request, body: _Body | None, proxy: Proxy | None
    ) -> _Incoming:
        """Sends through the adapters of a session: the user's own, or one whose adapters a test has replaced."""
        prepared = _prepared(request)
        if body is not None:
            prepared.headers["Content-Length"] = str(body.length)
            prepared.body = body  # type: ignore[assignment]  # any iterable of bytes is sent, the stubs know fewer
        options: dict[str, Any] = {
            "timeout": (request.timeout.connect, request.timeout.read),
            "verify": session.verify if isinstance(session.verify, str) else self._route.ca_bundle or True,
            "cert": session.cert,
            "proxies": _proxies(request, proxy) or session.proxies,
            "stream": True,
        }
        if _is_patched():
            response = session.send(prepared, allow_redirects=False, **options)
        else:
            adapter = session.get_adapter(request.origin)
            _refuse_repeating(adapter)  # it may have been mounted since
            if isinstance(adapter, HTTPAdapter):
                bind(
                    adapter.get_connection_with_tls_context(
                        prepared, options["verify"], proxies=options["proxies"], cert=options["cert"]
                    )
                )
            response = adapter.send(prepared, **options)
        return _incoming(response.raw, response.status_code, response.headers.items(), response.close)


def _incoming(raw: Any, status: int, headers: Iterable[tuple[str, str]], release: Callable[[], object]) -> _Incoming:
    raw.enforce_content_length = True  # urllib3 1.26 would take half a response for a whole one

    def close() -> None:
        raw.close()
        release()

    return _Incoming(status, headers, partial(raw.stream, PIECE, decode_content=False), close)


def _is_patched() -> bool:
    """Tells whether a test, or a tracer, has put something of its own in the place of what requests sends with.

    Such calls go through a session, so that it sees them; see docs/testing.md. It takes 0.4 µs.
    """
    return not (
        _is_of(requests.Session.send, sessions)
        and _is_of(requests.Session.get_adapter, sessions)
        and _is_of(HTTPAdapter.send, adapters)
    )


def _is_of(function: object, module: ModuleType) -> bool:
    return type(function) is FunctionType and function.__globals__ is vars(module)


def _forget(joined: set[_Place]) -> None:
    """Leaves the pools of a transport that nobody holds any more; those that nobody shares go with it."""
    for place in list(joined):
        if place[0] is current_process():
            _shared.leave(place, joined)


def _proxies(request: Request, proxy: Proxy | None) -> dict[str, str]:
    """Returns the proxy of a request, as requests has proxies: by scheme."""
    return {request.origin.partition("://")[0]: proxy.url} if proxy else {}


def _prepared(request: Request) -> requests.PreparedRequest:
    prepared = requests.PreparedRequest()
    prepared.method, prepared.url = request.method, request.url
    prepared.headers = CaseInsensitiveDict(request.headers)
    return prepared


def _refuse_repeating(adapter: object) -> None:
    retries = getattr(adapter, "max_retries", None)
    if retries is not None and getattr(retries, "total", retries) not in (0, False):
        raise ConfigurationError(
            "session: one of its adapters repeats requests by itself (max_retries); mount one that does not, for retry= of "
            "the client decides what may be sent again"
        )


def _pieces(incoming: _Incoming, fault: _Fault) -> Iterator[bytes]:
    """Yields the body of a response. The errors of whoever takes the pieces are not caught here."""
    pieces = incoming.pieces()
    while True:
        try:
            piece = next(pieces, None)
        except Exception as error:
            raise fault.of(error, "body", True) from fault.cause(error)
        if piece is None:
            return
        yield piece


class _Body:
    """A body that knows whether the connection has asked for it.

    It is asked for once the connection stands and the headers are written. Before that, the service has no whole
    request that it could act on, whatever then fails.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self.length = request.content_length
        self.taken = False

    def __iter__(self) -> Iterator[bytes]:
        self.taken = True
        for chunk in self._request.stream():
            if len(chunk) <= SENT_AT_ONCE:
                yield chunk
            else:
                view = memoryview(chunk)
                for start in range(0, len(view), SENT_AT_ONCE):
                    yield bytes(view[start : start + SENT_AT_ONCE])


class _Fault:
    """Says what went wrong with an attempt.

    Args:
        request: what is sent.
        proxy: what it goes through.
        attempt: how long it may take, and how far it came.
    """

    def __init__(self, request: Request, proxy: Proxy | None, attempt: Attempt) -> None:
        self._request, self._proxy, self._attempt = request, proxy, attempt

    def of(self, error: Exception, part: str, sent: bool | None) -> TransportError:
        """Returns the error that an error of the libraries becomes.

        Args:
            error: as it was raised.
            part: of the response, where it was raised: head or body.
            sent: whether the service may have the whole request; None where only the error tells.
        """
        request, proxy, attempt = self._request, self._proxy, self._attempt
        root = _root(error)
        if isinstance(root, OSError) and (refused := _REFUSED_BY_PROXY.match(str(root))):
            return refused_by_proxy(request, refused[1], proxy)
        is_connecting = attempt.is_sending is False or (
            attempt.is_sending is None and isinstance(root, _NOT_SENT) and not isinstance(root, _ENDS)
        )
        sent = not is_connecting if sent is None else sent
        if isinstance(root, _LATE) and not isinstance(root, NewConnectionError):
            setting = "total" if time.monotonic() >= attempt.deadline else "connect" if is_connecting else "read"
            return timed_out(request, setting, sent, proxy)
        if is_connecting:
            return no_connection(request, _system_error(root), proxy)
        return broken(request, part, root, sent, proxy)

    def cause(self, error: Exception) -> BaseException | None:
        """Returns the cause, if its text names hosts and ports at most; others repeat the filled path, or what came."""
        root = _root(error)
        return root if isinstance(root, (OSError, ConnectTimeoutError)) else None


def _root(error: BaseException) -> BaseException:
    """Returns what lies under the wrappings of requests and urllib3."""
    while True:
        wrapped = (getattr(error, "reason", None), *error.args)
        inner = next((one for one in wrapped if isinstance(one, BaseException)), None)
        if inner is None:
            return error
        error = inner


def _system_error(error: BaseException) -> BaseException:
    """Returns the system's own error, which urllib3 tells in words only."""
    cause = error.__cause__ or error.__context__
    return cause if isinstance(error, NewConnectionError) and isinstance(cause, OSError) else error

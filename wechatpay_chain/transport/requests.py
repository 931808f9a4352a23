"""Sends a signed request with requests, byte for byte."""

from __future__ import annotations

import re
import ssl
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPResponse, Timeout
from urllib3.exceptions import ClosedPoolError, ConnectTimeoutError, HTTPError
from urllib3.util.ssl_ import create_urllib3_context

from wechatpay_chain.blocking import drive
from wechatpay_chain.errors import ArgumentError, ConfigurationError, TransportError, WeChatPayError
from wechatpay_chain.http import Headers, Request, Response, Steps
from wechatpay_chain.process import current_process
from wechatpay_chain.transport import (
    MOST_OF_AN_ERROR,
    POOL_SIZE,
    REQUEST_TIMEOUT,
    UNSENDABLE,
    Route,
    Shared,
    check_head,
)

__all__ = ["RequestsTransport"]

# These are raised while a connection is made, so that nothing has been sent; but for an end of the stream, which can
# come later too.
_NOT_SENT = (ConnectTimeoutError, ssl.SSLError)
_ENDS = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
# A line break in a header is a space: RFC 9112, 5.2. http.client keeps it.
_FOLD = re.compile(r"\s*[\r\n]\s*")


T = TypeVar("T")

PIECE = 1 << 18
"""Bytes of a body that are read at once."""


_Place = tuple[object, Hashable]
"""A process, and what is trusted in it."""


class _Answer(NamedTuple):
    """An answer whose body is still to be read."""

    status: int
    headers: Iterable[tuple[str, str]]
    whole: Callable[[], bytes]
    pieces: Callable[[], Iterator[bytes]]
    close: Callable[[], object]


class _Pools(HTTPAdapter):
    """The connection pools of requests, without what its Session and its Response make of a call.

    They would rewrite the URL, add cookies, read netrc files, and take a quarter of a call's CPU: 200 of 870 µs.

    Args:
        ca_bundle: certificate authorities to trust; None for those of requests.
    """

    def __init__(self, ca_bundle: str | None) -> None:
        super().__init__(pool_maxsize=POOL_SIZE)
        self._ca_bundle = ca_bundle
        self._context: ssl.SSLContext | None = None
        self._opened: dict[tuple[str, str | None], tuple[Any, str]] = {}

    def open(self, request: Request, body: _Body | None, proxy: str | None) -> _Answer:
        """Sends a request, and reads the head of its answer."""
        try:
            raw = self._open(request, body, proxy)
        except ClosedPoolError:  # dropped for others that were used later; nothing was sent
            self._opened.pop((request.origin, proxy), None)
            raw = self._open(request, body, proxy)
        raw.enforce_content_length = True  # urllib3 1.26 would take half an answer for a whole one

        def close() -> None:
            raw.close()
            raw.release_conn()

        return _Answer(
            raw.status,
            raw.headers.items(),
            partial(raw.read, decode_content=True),
            partial(raw.stream, PIECE, decode_content=True),
            close,
        )

    def _open(self, request: Request, body: _Body | None, proxy: str | None) -> HTTPResponse:
        pool, prefix = self._opened.get((request.origin, proxy)) or self._pool(request, proxy)
        headers = request.headers.as_dict()
        if body is not None:
            headers["Content-Length"] = str(body.length)
        connect, read = request.timeout
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
            timeout=Timeout(connect=connect, read=read),
        )
        return raw

    def _pool(self, request: Request, proxy: str | None) -> tuple[Any, str]:
        """The pool of an origin, and what stands before a target on the request line: an http proxy wants the whole URL."""
        proxies, prepared = _proxies(request, proxy), _prepared(request)
        pool = self.get_connection_with_tls_context(prepared, True, proxies=proxies)
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
        return super().proxy_manager_for(proxy, **proxy_kwargs)

    def _tls(self) -> ssl.SSLContext:
        """What verifies hosts. urllib3 would read the certificate authorities for each connection anew, in 13 ms."""
        if self._context is None:
            bundle = self._ca_bundle or DEFAULT_CA_BUNDLE_PATH
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
        session: one of the user's own, whose adapters are used, and which the user closes.

    Raises:
        ConfigurationError: the session is not one, or it does not verify TLS.
    """

    library = f"requests/{requests.__version__}"

    def __init__(self, route: Route, session: requests.Session | None = None) -> None:
        if session is not None and not isinstance(session, requests.Session):
            raise ConfigurationError(f"session: came a {type(session).__name__}; expected a requests.Session")
        for adapter in session.adapters.values() if session is not None else ():
            _refuse_repeating(adapter)
        if session is not None and session.verify is False:
            raise ConfigurationError("session: its verify is False; TLS is always verified, name your CA in ca_bundle=")
        self._route = route
        self._given = session
        # Places are by process, so that a forked child never writes to its parent's sockets. What the parent has joined
        # stays as it is in the child: closing it would take locks that a thread of the parent may have held at the fork.
        self._joined: set[_Place] = set()
        weakref.finalize(self, _forget, self._joined).atexit = False

    def drive(self, flow: Steps[T]) -> T:
        """Does what a flow yields until it returns."""
        return drive(flow, self.send)

    def send(self, request: Request) -> Response:
        """Sends a request and reads its whole answer. Redirects are not followed.

        Raises:
            TransportError: no whole answer came.
        """
        check_head(request)
        # A GET has no body that could tell how far it went.
        body = _Body(request) if request.body or request.method != "GET" else None
        proxy = self._route.proxy(request.origin)
        try:
            answer = (
                self._pools().open(request, body, proxy)
                if self._given is None
                else self._through(self._given, request, body, proxy)
            )
        except (OSError, HTTPError) as error:
            raise _broken(request, error, body.taken if body else _may_be_sent(error)) from _speakable(error)
        except ValueError as error:
            if isinstance(error, WeChatPayError) or (body and body.taken):
                raise
            raise ArgumentError(UNSENDABLE) from None  # of http.client, which shows what it does not send
        try:
            if answer.status < 200:
                # http.client skips 100 only. Behind any other interim answer the true one is still to come, so that
                # this connection must not be used again; closing the unread answer closes it.
                raise TransportError(f"{request.method} {request.template}: came an interim {answer.status}", True)
            headers = Headers.joined((name, _FOLD.sub(" ", value)) for name, value in answer.headers)
            content = b""
            if answer.status >= 300:
                content = b"" if answer.status == REQUEST_TIMEOUT else _beginning(request, answer)
            elif request.sink is not None:
                request.sink.begin(headers)
                for piece in _pieces(request, answer):
                    request.sink.write(piece)
                    request.sink.report()
            else:
                try:
                    content = answer.whole()
                except (OSError, HTTPError) as error:
                    raise _broken(request, error, True) from _speakable(error)
        finally:
            answer.close()
        return Response(answer.status, headers, content, request)

    def close(self) -> None:
        """Closes the connections that this process opened, unless others share them. A later call opens new ones."""
        place = current_process(), self._route.trust
        if unused := _shared.leave(place, self._joined):
            unused.close()

    def _pools(self) -> _Pools:
        place = current_process(), self._route.trust
        return _shared.join(place, self._joined, partial(_Pools, self._route.ca_bundle))

    def _through(self, session: requests.Session, request: Request, body: _Body | None, proxy: str | None) -> _Answer:
        """Sends through the adapters of the user's own session, whatever they are."""
        prepared = _prepared(request)
        if body is not None:
            prepared.headers["Content-Length"] = str(body.length)
            prepared.body = body  # type: ignore[assignment]  # any iterable of bytes is sent, the stubs know fewer
        adapter = session.get_adapter(request.origin)
        _refuse_repeating(adapter)  # it may have been mounted since
        answer = adapter.send(
            prepared,
            timeout=request.timeout,
            verify=session.verify if isinstance(session.verify, str) else self._route.ca_bundle or True,
            cert=session.cert,
            proxies=_proxies(request, proxy) or session.proxies,
        )
        answer.raw.enforce_content_length = True
        return _Answer(
            answer.status_code,
            answer.headers.items(),
            lambda: answer.content or b"",
            partial(answer.iter_content, PIECE),
            answer.close,
        )


def _forget(joined: set[_Place]) -> None:
    """Leaves the pools of a transport that nobody holds any more; those that nobody shares go with it."""
    for place in list(joined):
        if place[0] is current_process():
            _shared.leave(place, joined)


def _proxies(request: Request, proxy: str | None) -> dict[str, str]:
    """The proxy of a request, as requests has proxies: by scheme."""
    return {request.origin.partition("://")[0]: proxy} if proxy else {}


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


def _beginning(request: Request, answer: _Answer) -> bytes:
    """The content of an error answer, or as much of it as is of use."""
    content = bytearray()
    for piece in _pieces(request, answer):
        content += piece
        if len(content) >= MOST_OF_AN_ERROR:
            break
    return bytes(content)


def _pieces(request: Request, answer: _Answer) -> Iterator[bytes]:
    """The body of an answer. The errors of whoever takes the pieces are not caught here."""
    pieces = answer.pieces()
    while True:
        try:
            piece = next(pieces, None)
        except (OSError, HTTPError) as error:
            raise _broken(request, error, True) from _speakable(error)
        if piece is None:
            return
        yield piece


class _Body:
    """A body that knows whether the connection has asked for it.

    It is asked for once the connection stands and the headers are written. Before that, the service has no whole
    request that it could act on, whatever then fails.
    """

    def __init__(self, request: Request) -> None:
        self._body, self._upload = request.body, request.upload
        self.length = request.upload.length if request.upload else len(request.body)
        self.taken = False

    def __iter__(self) -> Iterator[bytes]:
        self.taken = True
        if self._upload:
            yield from self._upload.chunks()
        else:
            yield self._body


def _root(error: BaseException) -> BaseException:
    """What lies under the wrappings of requests and urllib3."""
    while True:
        wrapped = (getattr(error, "reason", None), *error.args)
        inner = next((one for one in wrapped if isinstance(one, BaseException)), None)
        if inner is None:
            return error
        error = inner


def _may_be_sent(error: BaseException) -> bool:
    cause = _root(error)
    refused_by_proxy = isinstance(cause, OSError) and str(cause).startswith("Tunnel connection failed")
    while_connecting = isinstance(cause, _NOT_SENT) and not isinstance(cause, _ENDS)
    return not (refused_by_proxy or while_connecting)


def _speakable(error: BaseException) -> BaseException | None:
    """The cause, if its text names hosts and ports at most; others repeat the filled path, or what the service wrote."""
    cause = _root(error)
    return cause if isinstance(cause, (OSError, ConnectTimeoutError)) else None


def _broken(request: Request, error: BaseException, sent: bool) -> TransportError:
    cause = _speakable(error)
    what = f"{type(_root(error)).__name__}{f': {cause}' if cause else ''}"
    return TransportError(f"{request.method} {request.template}: {what}", sent)

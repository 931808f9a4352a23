"""Sends a signed request with requests, byte for byte."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import ConnectTimeoutError, HTTPError

from wechatpay_chain.errors import ConfigurationError, TransportError
from wechatpay_chain.http import Headers, Request, Response
from wechatpay_chain.process import Process
from wechatpay_chain.transport import MOST_OF_AN_ERROR, POOL_SIZE, Route

__all__ = ["RequestsTransport"]

# These are raised while a connection is made, so that nothing has been sent; but for an end of the stream, which can
# come later too.
_NOT_SENT = (ConnectTimeoutError, ssl.SSLError)
_ENDS = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
# A line break in a header is a space: RFC 9112, 5.2. http.client keeps it.
_FOLD = re.compile(r"\s*[\r\n]\s*")


PIECE = 1 << 16
"""Bytes of a body that are read at once."""


class RequestsTransport:
    """The blocking transport. Threads share its pool; a forked child gets a pool of its own.

    A hand-made PreparedRequest goes straight to the session's adapter: `Session.request` would rewrite the URL, add
    cookies, read netrc files, and cost a third more CPU.

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
            retries = getattr(adapter, "max_retries", None)
            if retries is not None and getattr(retries, "total", retries) not in (0, False):
                raise ConfigurationError(
                    "session: one of its adapters repeats requests by itself (max_retries); mount one that does not, for "
                    "retry= of the client decides what may be sent again"
                )
        if session is not None and session.verify is False:
            raise ConfigurationError("session: its verify is False; TLS is always verified, name your CA in ca_bundle=")
        self._route = route
        self._given = session
        # By process, so that a forked child never writes to its parent's sockets. The parent's entry stays in the child:
        # closing it would take locks that a thread of the parent may have held at the fork.
        self._opened: dict[object, requests.Session] = {}

    def send(self, request: Request) -> Response:
        """Sends a request and reads its whole answer. Redirects are not followed.

        Raises:
            TransportError: no whole answer came.
        """
        session = self._given or self._session()
        proxy = self._route.proxy(request.origin)
        scheme = request.origin.partition("://")[0]
        # A GET has no body that could tell how far it went.
        body = _Body(request) if request.body or request.method != "GET" else None
        try:
            answer = session.get_adapter(request.origin).send(
                self._prepared(request, body),
                timeout=request.timeout,
                verify=session.verify if isinstance(session.verify, str) else self._route.ca_bundle or True,
                cert=session.cert,
                proxies={scheme: proxy} if proxy else session.proxies,
            )
        except (OSError, HTTPError) as error:
            raise _broken(request, error, body.taken if body else _may_be_sent(error)) from _speakable(error)
        # urllib3 1.26 would take half an answer for a whole one.
        answer.raw.enforce_content_length = True
        try:
            if answer.status_code < 200:
                # http.client skips 100 only. Behind any other interim answer the true one is still to come, so that
                # this connection must not be used again; closing the unread answer closes it.
                raise TransportError(f"{request.method} {request.template}: came an interim {answer.status_code}", True)
            headers = Headers({name: _FOLD.sub(" ", value) for name, value in answer.headers.items()})
            content = bytearray()
            write: Callable[[bytes], object] = content.extend
            sink = request.sink if answer.status_code < 300 else None
            if sink is not None:
                sink.begin(headers)
                write = sink.write
            for piece in _pieces(request, answer):
                write(piece)
                if sink is not None:
                    sink.report()
                elif answer.status_code >= 300 and len(content) > MOST_OF_AN_ERROR:
                    break
        finally:
            answer.close()
        return Response(answer.status_code, headers, bytes(content), request)

    def close(self) -> None:
        """Closes the connections that this process opened. A later call opens new ones."""
        if session := self._opened.pop(Process.current, None):
            session.close()

    def _session(self) -> requests.Session:
        process = Process.current
        session = self._opened.get(process)
        if session is None:
            session = requests.Session()
            for scheme in ("https://", "http://"):
                session.mount(scheme, HTTPAdapter(pool_maxsize=POOL_SIZE))
            # Two threads may come here at once; setdefault gives both the same one.
            session = self._opened.setdefault(process, session)
        return session

    @staticmethod
    def _prepared(request: Request, body: _Body | None) -> requests.PreparedRequest:
        prepared = requests.PreparedRequest()
        prepared.method = request.method
        prepared.url = request.url
        prepared.headers = CaseInsensitiveDict(request.headers)
        if body is not None:
            prepared.headers["Content-Length"] = str(body.length)
            prepared.body = body  # type: ignore[assignment]  # any iterable of bytes is sent, the stubs know fewer
        return prepared


def _pieces(request: Request, answer: requests.Response) -> Iterator[bytes]:
    """The body of an answer. The errors of whoever takes the pieces are not caught here."""
    pieces = answer.iter_content(PIECE)
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

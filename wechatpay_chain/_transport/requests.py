"""Sends signed requests with requests, byte for byte."""

from __future__ import annotations

import encodings.idna  # noqa: F401 -- a socket imports it with the first lookup of a name, when a fork could come in between
import re
import weakref
from collections.abc import Hashable, Iterator
from functools import partial
from types import FunctionType
from typing import Any

import requests
from requests import adapters, sessions
from requests.adapters import HTTPAdapter

from wechatpay_chain._forks.process import current_process
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain._transport.bounded import BoundedAttempt, bind
from wechatpay_chain._transport.content import Content, ErrorContent, SinkContent
from wechatpay_chain._transport.requests_failures import Failures
from wechatpay_chain._transport.requests_pools import (
    Pools,
    Received,
    TrackedBody,
    prepare,
    proxies_of,
    received_from,
)
from wechatpay_chain._transport.route import REQUEST_TIMEOUT, Proxy, Route, check_head
from wechatpay_chain._transport.sharing import Shared
from wechatpay_chain.errors import ConfigurationError, TransportError, WeChatPayError

__all__ = ["RequestsTransport"]

# A line break in a header is a space: RFC 9112, 5.2. http.client keeps it.
_FOLD = re.compile(r"\s*[\r\n]\s*")


Place = tuple[object, Hashable]
"""A process, and the certificate authorities that are trusted in it."""


_shared = Shared[Pools, Place]()


class RequestsTransport:
    """Sends requests for callers that block. Threads and clients share pools; a forked child gets pools of its own.

    Args:
        route: proxy and certificate authorities.
        response_limit: bytes of a 2xx response that are read into memory.
        session: the user's own session, whose adapters are used and which the user closes; None for pools of ours.

    Raises:
        ConfigurationError: the session is not one, or it does not verify TLS.
    """

    library = f"requests/{requests.__version__}"

    def __init__(self, route: Route, response_limit: int, session: requests.Session | None = None) -> None:
        if session is not None and not isinstance(session, requests.Session):
            raise ConfigurationError(f"session: came a {type(session).__name__}; expected a requests.Session")
        for adapter in session.adapters.values() if session is not None else ():
            _refuse_retries(adapter)
        if session is not None and session.verify is False:
            raise ConfigurationError("session: its verify is False; TLS is always verified, name your CA in ca_bundle=")
        self._route = route
        self._response_limit = response_limit
        self._session = session
        # A place is of one process, so that a forked child never writes to its parent's sockets. The child leaves the parent's
        # pools as they are: closing them would take locks that a thread of the parent may have held at the fork.
        self._joined: set[Place] = set()
        weakref.finalize(self, _leave_all, self._joined).atexit = False

    def send(self, request: Request) -> Response:
        """Sends a request and reads its whole response. Redirects are not followed.

        Raises:
            TransportError: there is no whole response.
            ContentError: the response is too large, or has an unknown encoding.
        """
        check_head(request)
        # The body tells how far a request got. A GET has none.
        body = TrackedBody(request) if request.body or request.method != "GET" else None
        proxy = self._route.proxy(request.origin)
        attempt = BoundedAttempt(request.timeout)
        failures = Failures(request, proxy, attempt)
        try:
            with attempt:
                received = self._send(request, body, proxy)
        except WeChatPayError:
            raise
        except Exception as error:
            raise failures.explain(
                error, "head", body.was_requested if body else attempt.is_sending
            ) from failures.cause(error)
        try:
            if received.status < 200:
                # http.client skips only 100. After any other interim response the final one is still to come, so this
                # connection must not be used again. Closing the unread response closes it.
                raise TransportError(
                    f"{request.method} {request.template}: came an interim response {received.status}", True
                )
            headers = Headers.joined([(name, _FOLD.sub(" ", value)) for name, value in received.headers])
            content = self._read_content(request, received, headers, failures)
        finally:
            received.close()
        return Response(received.status, headers, content, request)

    def _send(self, request: Request, body: TrackedBody | None, proxy: Proxy | None) -> Received:
        """Sends a request, and reads the head of its response."""
        route = self._route.of(request)
        if self._session is not None and not self._is_ours(self._session, route, request):
            return self._send_through(self._session, request, body, proxy)
        pools = self._pools(route)
        if _is_patched():
            return self._send_through(pools.session, request, body, proxy)
        return pools.send_request(request, body, proxy)

    @staticmethod
    def _is_ours(session: requests.Session, route: Route, request: Request) -> bool:
        """Tells whether a request goes over a connection of ours, because the user's session cannot present the certificate.

        requests reads certificates from files only. A session with `cert`, or with an adapter of its own, presents what it has.
        """
        if route.certificate is None or session.cert or not request.origin.startswith("https:") or _is_patched():
            return False
        return type(session.get_adapter(request.origin)) is HTTPAdapter

    def _read_content(self, request: Request, received: Received, headers: Headers, failures: Failures) -> bytes:
        """Reads the content of a response. The errors of a sink are its user's own."""
        pieces = _pieces(received, failures)
        if received.status >= 300:
            problem = ErrorContent(headers)
            if received.status != REQUEST_TIMEOUT:
                for piece in pieces:
                    if not problem.add(piece):
                        break
            return problem.finish()
        sink = request._carried.sink
        if sink is None:
            content = Content(request, headers, self._response_limit)
            for piece in pieces:
                content.add(piece)
            return content.finish()
        written = SinkContent(request, headers, sink)
        for piece in pieces:
            written.add(piece)
            sink.report()
        written.finish()
        return b""

    def close(self) -> None:
        """Closes the connections of this process, unless other clients use them. A later call makes new ones."""
        for place in [each for each in self._joined if each[0] is current_process()]:
            if unused := _shared.leave(place, self._joined):
                unused.close()

    def _pools(self, route: Route) -> Pools:
        place = current_process(), route.trust
        return _shared.join(place, self._joined, partial(Pools, route.ca_bundle, route.certificate))

    def _send_through(
        self, session: requests.Session, request: Request, body: TrackedBody | None, proxy: Proxy | None
    ) -> Received:
        """Sends through the adapters of a session: the user's own, or one whose adapters a test has replaced."""
        prepared = prepare(request)
        if body is not None:
            prepared.headers["Content-Length"] = str(body.length)
            prepared.body = body  # type: ignore[assignment]  # any iterable of bytes is sent; the stubs know only some
        options: dict[str, Any] = {
            "timeout": (request.timeout.connect, request.timeout.read),
            "verify": session.verify if isinstance(session.verify, str) else self._route.ca_bundle or True,
            "cert": session.cert,
            "proxies": proxies_of(request, proxy) or session.proxies,
            "stream": True,
        }
        if _is_patched():
            response = session.send(prepared, allow_redirects=False, **options)
        else:
            adapter = session.get_adapter(request.origin)
            _refuse_retries(adapter)  # it may have been mounted since
            if isinstance(adapter, HTTPAdapter):
                bind(
                    adapter.get_connection_with_tls_context(
                        prepared, options["verify"], proxies=options["proxies"], cert=options["cert"]
                    )
                )
            response = adapter.send(prepared, **options)
        return received_from(response.raw, response.status_code, response.headers.items(), response.close)


def _is_patched() -> bool:
    """Tells whether a test or a tracer has replaced a method that requests sends with; see docs/en/testing.md.

    Such calls go through a session, so that the replacement sees them. It takes 0.4 µs.
    """
    for function, module in (
        (requests.Session.send, sessions),
        (requests.Session.get_adapter, sessions),
        (HTTPAdapter.send, adapters),
    ):
        if type(function) is not FunctionType or function.__globals__ is not vars(module):
            return True
    return False


def _leave_all(joined: set[Place]) -> None:
    """Leaves the pools of a transport that was garbage collected. Pools that nobody else uses go with it."""
    for place in list(joined):
        if place[0] is current_process():
            _shared.leave(place, joined)


def _refuse_retries(adapter: object) -> None:
    retries = getattr(adapter, "max_retries", None)
    if retries is not None and getattr(retries, "total", retries) not in (0, False):
        raise ConfigurationError(
            "session: one of its adapters retries by itself (max_retries); mount one that does not, for retry= of the client "
            "decides what may be sent again"
        )


def _pieces(received: Received, failures: Failures) -> Iterator[bytes]:
    """Yields the body of a response. The errors of the code that uses the pieces are not caught here."""
    pieces = received.pieces()
    while True:
        try:
            piece = next(pieces, None)
        except Exception as error:
            raise failures.explain(error, "body", True) from failures.cause(error)
        if piece is None:
            return
        yield piece

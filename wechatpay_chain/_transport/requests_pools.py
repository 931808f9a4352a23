"""Connection pools of requests, without its session."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool, Timeout
from urllib3.exceptions import (
    ClosedPoolError,
)
from urllib3.util.ssl_ import create_urllib3_context

from wechatpay_chain._forks.no_fork import no_fork
from wechatpay_chain._keys.client_certificate import ClientCertificate
from wechatpay_chain._messages.request import Request
from wechatpay_chain._transport.bounded import InterruptibleQueue, bind
from wechatpay_chain._transport.route import POOL_SIZE, Proxy

__all__ = ["Pools", "Received", "TrackedBody", "prepare", "proxies_of", "received_from"]


PIECE = 1 << 18
"""Bytes of a body that are read at once."""


SENT_AT_ONCE = 1 << 17
"""Bytes of a body that are written at once. Each piece has the read timeout."""


class Received(NamedTuple):
    """A response whose body has not been read yet."""

    status: int
    headers: Iterable[tuple[str, str]]
    pieces: Callable[[], Iterator[bytes]]
    close: Callable[[], object]


class _HTTPPool(HTTPConnectionPool):
    QueueCls: Any = InterruptibleQueue


class _HTTPSPool(HTTPSConnectionPool):
    QueueCls: Any = InterruptibleQueue


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class Pools(HTTPAdapter):
    """The connection pools of requests, without its Session and its Response.

    These would rewrite the URL, add cookies, read netrc files, and take a quarter of a call's CPU: 200 of 870 µs. All that is
    used here is public in requests and urllib3, or documented by requests for subclasses of HTTPAdapter.

    Args:
        ca_bundle: certificate authorities to trust; None for those of requests.
        certificate: the merchant's TLS certificate, which is presented to the service and not to a proxy; None for none.
    """

    def __init__(self, ca_bundle: str | None, certificate: ClientCertificate | None = None) -> None:
        super().__init__(pool_maxsize=POOL_SIZE)
        self.poolmanager.pool_classes_by_scheme = _POOLS
        self._ca_bundle, self._certificate = ca_bundle, certificate
        self._context: ssl.SSLContext | None = None
        self._by_origin: dict[tuple[str, Proxy | None], tuple[Any, str]] = {}
        self._session: requests.Session | None = None

    @property
    def session(self) -> requests.Session:
        """A session that sends through these pools, for tools that watch or replace the methods of a session."""
        if self._session is None:
            session = requests.Session()
            for scheme in ("https://", "http://"):
                session.mount(scheme, self)
            self._session = session
        return self._session

    def send_request(self, request: Request, body: TrackedBody | None, proxy: Proxy | None) -> Received:
        """Sends a request, and reads the head of its response."""
        try:
            raw = self._urlopen(request, body, proxy)
        except ClosedPoolError:  # urllib3 dropped the least recently used pool; nothing was sent
            self._by_origin.pop((request.origin, proxy), None)
            raw = self._urlopen(request, body, proxy)
        return received_from(raw, raw.status, raw.headers.items(), raw.release_conn)

    def _urlopen(self, request: Request, body: TrackedBody | None, proxy: Proxy | None) -> HTTPResponse:
        pool, prefix = self._by_origin.get((request.origin, proxy)) or self._pool(request, proxy)
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
        """Returns the pool of an origin, and the prefix of its targets: an http proxy needs the whole URL."""
        proxies, prepared = proxies_of(request, proxy), prepare(request)
        pool = self.get_connection_with_tls_context(prepared, True, proxies=proxies)
        bind(pool)
        prefix = "" if self.request_url(prepared, proxies).startswith("/") else request.origin
        return self._by_origin.setdefault((request.origin, proxy), (pool, prefix))

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Adds our TLS context, as requests documents for its subclasses."""
        host, tls = super().build_connection_pool_key_attributes(*args, **kwargs)
        return host, {**tls, "ssl_context": self._tls()} if host["scheme"] == "https" else tls

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """Adds our TLS context and our pools for a proxy."""
        if proxy.startswith("https:"):
            proxy_kwargs["proxy_ssl_context"] = self._new_context(None)  # the certificate is for the service only
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def _tls(self) -> ssl.SSLContext:
        """Returns the context that verifies hosts. urllib3 would read the certificate authorities for each connection, in 13 ms."""
        if self._context is None:
            self._context = self._new_context(self._certificate)
        return self._context

    def _new_context(self, certificate: ClientCertificate | None) -> ssl.SSLContext:
        bundle = self._ca_bundle or DEFAULT_CA_BUNDLE_PATH
        with no_fork.current:
            context = create_urllib3_context()
            context.load_verify_locations(**{"capath" if Path(bundle).is_dir() else "cafile": bundle})
            if certificate is not None:
                certificate.load_into(context)
        return context

    def close(self) -> None:
        """Closes all connections."""
        self._by_origin.clear()
        super().close()


def received_from(raw: Any, status: int, headers: Iterable[tuple[str, str]], release: Callable[[], object]) -> Received:
    """Wraps a response of urllib3.

    Args:
        raw: the response.
        status: the HTTP status.
        headers: as they came.
        release: gives the connection back.
    """
    raw.enforce_content_length = True  # urllib3 1.26 would accept half a response as a whole one

    def close() -> None:
        raw.close()
        release()

    return Received(status, headers, partial(raw.stream, PIECE, decode_content=False), close)


def proxies_of(request: Request, proxy: Proxy | None) -> dict[str, str]:
    """Returns the proxy of a request by scheme, as requests takes proxies."""
    return {request.origin.partition("://")[0]: proxy.url} if proxy else {}


def prepare(request: Request) -> requests.PreparedRequest:
    """Returns a request of requests whose URL and headers are taken as they are."""
    prepared = requests.PreparedRequest()
    prepared.method, prepared.url = request.method, request.url
    prepared.headers = CaseInsensitiveDict(request.headers)
    return prepared


class TrackedBody:
    """A body that knows whether the connection has requested it.

    It is requested when the connection stands and the headers are written. Until then the service has no whole request that
    it could act on.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self.length = request.content_length
        self.was_requested = False

    def __iter__(self) -> Iterator[bytes]:
        self.was_requested = True
        for chunk in self._request.stream():
            if len(chunk) <= SENT_AT_ONCE:
                yield chunk
            else:
                view = memoryview(chunk)
                for start in range(0, len(view), SENT_AT_ONCE):
                    yield bytes(view[start : start + SENT_AT_ONCE])

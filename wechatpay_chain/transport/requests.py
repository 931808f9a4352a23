"""Sends a signed request with requests, byte for byte."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import ConnectTimeoutError, HTTPError, ProxyError

from wechatpay_chain.errors import ConfigurationError, TransportError
from wechatpay_chain.http import Headers, Request, Response
from wechatpay_chain.transport import POOL_SIZE, Route

__all__ = ["RequestsTransport"]

# These are raised while a connection is made, so that nothing has been sent.
_NOT_SENT = (ConnectTimeoutError, ProxyError, ssl.SSLCertVerificationError)


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
        if session is not None and session.verify is False:
            raise ConfigurationError("session: its verify is False; TLS is always verified, name your CA in ca_bundle=")
        self._route = route
        self._given = session
        # By process, so that a forked child never writes to its parent's sockets. The parent's entry stays in the child:
        # closing it would take locks that a thread of the parent may have held at the fork.
        self._opened: dict[int, requests.Session] = {}

    def send(self, request: Request) -> Response:
        """Sends a request and reads its whole answer. Redirects are not followed.

        Raises:
            TransportError: no whole answer came.
        """
        session = self._given or self._session()
        proxy = self._route.proxy
        scheme = request.origin.partition("://")[0]
        body = _Body(request.body) if request.body else None
        try:
            answer = session.get_adapter(request.origin).send(
                self._prepared(request, body),
                timeout=request.timeout,
                verify=session.verify if isinstance(session.verify, str) else self._route.ca_bundle or True,
                cert=session.cert,
                proxies={scheme: proxy} if proxy else session.proxies,
            )
        except (OSError, HTTPError) as error:
            cause = _root(error)
            sent = body.taken if body else not isinstance(cause, _NOT_SENT)
            raise _broken(request, cause, sent) from cause
        try:
            content = answer.content
        except (OSError, HTTPError) as error:
            cause = _root(error)
            raise _broken(request, cause, True) from cause
        finally:
            answer.close()
        return Response(answer.status_code, Headers(answer.headers), content, request)

    def close(self) -> None:
        """Closes the connections that this process opened. A later call opens new ones."""
        if session := self._opened.pop(os.getpid(), None):
            session.close()

    def _session(self) -> requests.Session:
        pid = os.getpid()
        session = self._opened.get(pid)
        if session is None:
            session = requests.Session()
            for scheme in ("https://", "http://"):
                session.mount(scheme, HTTPAdapter(pool_maxsize=POOL_SIZE))
            # Two threads may come here at once; setdefault gives both the same one.
            session = self._opened.setdefault(pid, session)
        return session

    @staticmethod
    def _prepared(request: Request, body: _Body | None) -> requests.PreparedRequest:
        prepared = requests.PreparedRequest()
        prepared.method = request.method
        prepared.url = request.url
        prepared.headers = CaseInsensitiveDict(request.headers)
        if body is not None:
            prepared.headers["Content-Length"] = str(len(request.body))
            prepared.body = body  # type: ignore[assignment]  # any iterable of bytes is sent, the stubs know fewer
        elif request.method != "GET":
            prepared.headers["Content-Length"] = "0"
        return prepared


class _Body:
    """A body that knows whether the connection has asked for it.

    It is asked for once the connection stands and the headers are written. Before that, the service has no whole
    request that it could act on, whatever then fails.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.taken = False

    def __iter__(self) -> Iterator[bytes]:
        self.taken = True
        yield self._content


def _root(error: BaseException) -> BaseException:
    """What lies under the wrappings, whose texts hold the filled path."""
    while True:
        inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
        if not isinstance(inner, BaseException):
            return error
        error = inner


def _broken(request: Request, cause: BaseException, sent: bool) -> TransportError:
    return TransportError(f"{request.method} {request.template}: {type(cause).__name__}: {cause}", sent)

"""Listens for HTTP or HTTPS in a thread of its own."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import NamedTuple

from aiohttp import web

from wechatpay_chain.sandbox._http import make_malformed_response
from wechatpay_chain.sandbox._proxy import serve_proxy

__all__ = ["Address", "Listener"]

KEEPALIVE = 8.0
"""Seconds after which an idle connection is closed, as the service does."""

_LOOPBACK: dict[str, str] = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
"""The address at which this machine reaches a server that listens on all addresses."""

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
"""Responds to a request."""


class Address(NamedTuple):
    """Where a server can be reached on this machine.

    Attributes:
        netloc: host and port.
        proxy: host and port of the proxy; empty if there is none.
    """

    netloc: str
    proxy: str


class Listener:
    """Serves requests until it is stopped.

    Args:
        handle: responds to a request.
        host: the address to listen on.
        port: the port to listen on; 0 for a free port.
        tls: the context of HTTPS; None serves HTTP.
        proxy: True to serve a CONNECT proxy beside it.
    """

    def __init__(self, handle: Handle, host: str, port: int, tls: ssl.SSLContext | None, proxy: bool) -> None:
        self._handle, self._host, self._port, self._tls, self._proxy = handle, host, port, tls, proxy
        self._listening: Future[tuple[Address, Callable[[], object]]] = Future()
        self._thread = threading.Thread(target=self._run, name="wechatpay-sandbox", daemon=True)

    def start(self) -> Address:
        """Starts to listen.

        Raises:
            OSError: it cannot listen on the address and port.
        """
        self._thread.start()
        address, self._stop = self._listening.result()
        return address

    def stop(self) -> None:
        """Closes all connections, and waits until the thread has ended."""
        self._stop()
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # `start` raises it
            self._listening.set_exception(error)

    async def _serve(self) -> None:
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        manager = web.Server(self._respond)

        def make_protocol() -> _Protocol:
            # The body is signed as it is sent, so it must not be decompressed here.
            return _Protocol(
                manager,
                loop=loop,
                access_log=None,  # type: ignore[arg-type]  # None means no log, as in web.Server
                keepalive_timeout=KEEPALIVE,
                auto_decompress=False,
            )

        server = await loop.create_server(make_protocol, self._host, self._port, ssl=self._tls)
        proxy = None
        try:
            listening, port = server.sockets[0].getsockname()[:2]
            host = _LOOPBACK.get(listening) or str(listening)
            bracketed = f"[{host}]" if ":" in host else host
            proxy_netloc = ""
            if self._proxy:
                proxy, proxy_port = await serve_proxy(host, port)
                proxy_netloc = f"{bracketed}:{proxy_port}"
            address = Address(f"{bracketed}:{port}", proxy_netloc)
            self._listening.set_result((address, lambda: loop.call_soon_threadsafe(stopping.set)))
            await stopping.wait()
        finally:
            for each in (server, proxy):
                if each is not None:
                    each.close()
            await manager.shutdown(1.0)

    async def _respond(self, received: web.BaseRequest) -> web.StreamResponse:
        # A plain server of aiohttp leaves this to its handler. PHP's Guzzle waits for it before it sends a file.
        if received.headers.get("Expect", "").lower() == "100-continue":
            await received.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            received.writer.output_size = 0  # the response has not begun
        return await self._handle(received)


class _Protocol(web.RequestHandler):
    """The HTTP server's protocol. It responds to a malformed HTTP message with a JSON error, as to any other error."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status >= 500:
            return super().handle_error(request, status, exc, message)
        malformed = make_malformed_response(status)
        response = web.Response(status=status, headers=malformed.headers, body=malformed.body)
        response.force_close()
        return response

"""Carries the gateway's answers over HTTP, on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any

from aiohttp import web

from wechatpay_chain.client import Client
from wechatpay_chain.errors import ConfigurationError
from wechatpay_chain.http import Headers
from wechatpay_chain.sandbox.gateway import Call, Gateway
from wechatpay_chain.sandbox.keys import Keys, Signer

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Sandbox"]

KEEPALIVE = 8.0
"""Seconds that an idle connection is kept, as by the service."""


_FROM_HERE: dict[str, str] = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
"""Where this machine reaches a server that listens on all addresses."""


class Sandbox:
    """A WeChat Pay for one merchant on this machine, between `with` and the end of its block.

    It makes the keys of both sides as it is created. What is ordered is forgotten when it ends.

    Args:
        host: the address to listen on.
        port: the port, 0 for a free one.
        sign_with: the key that signs every answer; None signs with the one that a call asks for by Wechatpay-Serial,
            and with the certificate otherwise.

    Attributes:
        base_url: where it can be reached from this machine, once it listens.

    Raises:
        ConfigurationError: sign_with names no key.
        OSError: by `with`, when it cannot listen there.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, sign_with: Signer | str | None = None) -> None:
        self._host, self._port = host, port
        self._keys = Keys()
        if sign_with is not None and sign_with not in tuple(Signer):
            raise ConfigurationError(f"sign_with: came {sign_with!r}; expected {' or '.join(Signer)}, or None")
        self._gateway = Gateway(self._keys, None if sign_with is None else Signer(sign_with))
        self._listening: Future[tuple[str, Callable[[], object]]] = Future()
        self._thread = threading.Thread(target=self._run, name="wechatpay-sandbox", daemon=True)
        self.base_url = ""

    def __repr__(self) -> str:
        return f"<Sandbox {self.base_url or 'not begun'} mchid={self._keys.mchid}>"

    def __enter__(self) -> Self:
        self._thread.start()
        self.base_url, self._stop = self._listening.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()
        self._thread.join()

    @property
    def credentials(self) -> dict[str, Any]:
        """What a merchant needs to call: base_url, mchid, serial, private_key, certs, apiv3_key, all JSON values."""
        return {
            "base_url": self.base_url,
            "mchid": self._keys.mchid,
            "serial": self._keys.serial,
            "private_key": self._keys.private_key,
            "certs": self._keys.certs,
            "apiv3_key": self._keys.apiv3_key,
        }

    def client(self, **settings: Any) -> Client:
        """A client with these credentials, directly connected.

        Args:
            **settings: of `Client`, added to the credentials or in their place.
        """
        return Client(**{"proxies": {}, **self.credentials, **settings})

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # whoever started the thread waits for this
            self._listening.set_exception(error)

    async def _serve(self) -> None:
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        # What is signed is the body as it is sent, so a body that is compressed is not opened here.
        server = web.Server(self._handle, access_log=None, keepalive_timeout=KEEPALIVE, auto_decompress=False)
        runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
            listening, port = runner.addresses[0][:2]
            host = _FROM_HERE.get(listening) or str(listening)
            netloc = f"[{host}]" if ":" in host else host
            self._listening.set_result((f"http://{netloc}:{port}/", lambda: loop.call_soon_threadsafe(stopping.set)))
            await stopping.wait()
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name: ", ".join(request.headers.getall(name)) for name in request.headers}
        call = Call(request.method, request.raw_path, Headers(headers), await request.read())
        answer = self._gateway.answer(call)
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

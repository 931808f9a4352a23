"""Carries the gateway's answers over HTTP, on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from aiohttp import web

from wechatpay_chain._client import Client
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain.errors import ConfigurationError
from wechatpay_chain.sandbox._faults import Delivery, Fault, Faults
from wechatpay_chain.sandbox._gateway import Answer, Call, Gateway, malformed
from wechatpay_chain.sandbox._keys import Keys, Signer
from wechatpay_chain.sandbox._notifier import Notice, Notifier

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Sandbox", "Seen"]

KEEPALIVE = 8.0
"""Seconds that an idle connection is kept, as by the service."""


_FROM_HERE: dict[str, str] = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
"""Where this machine reaches a server that listens on all addresses."""


class Seen(NamedTuple):
    """One call that came, and what became of it.

    Attributes:
        call: method, target, headers and body as they came; of a body longer than 64 kB the beginning.
        status: of the answer that was made, whether or not it was delivered.
        fault: what went wrong with it on request; None is nothing.
    """

    call: Call
    status: int
    fault: Fault | None


HISTORY = 10_000
"""Calls that are remembered."""

KEPT = 1 << 16
"""Bytes of a body that are remembered."""


class Sandbox:
    """A WeChat Pay for one merchant on this machine, between `with` and the end of its block.

    It makes the keys of both sides as it is created. What is ordered is forgotten when it ends.

    Args:
        host: the address to listen on.
        port: the port, 0 for a free one.
        sign_with: the key that signs every answer; None signs with the one that a call asks for by Wechatpay-Serial,
            and with the certificate otherwise.
        seed: makes the draws of faults repeatable; None does not.
        slowness: seconds that a slow answer takes.

    Attributes:
        base_url: where it can be reached from this machine, once it listens.

    Raises:
        ConfigurationError: sign_with names no key.
        OSError: by `with`, when it cannot listen there.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        sign_with: Signer | str | None = None,
        seed: int | None = None,
        slowness: float = 3.0,
    ) -> None:
        self._host, self._port = host, port
        self._keys = Keys()
        self._notifier = Notifier(self._keys.apiv3_key, self._proof)
        self._gateway = Gateway(self._keys, _signer(sign_with), calendar=self._notifier.now)
        self._faults, self._slowness = Faults(seed), slowness
        self._history: deque[Seen] = deque(maxlen=HISTORY)
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
        self._notifier.close()
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

    @property
    def sign_with(self) -> Signer | None:
        """The key that signs every answer; None signs with the one that a call asks for. It may be set at any time.

        Raises:
            ConfigurationError: on setting; it names no key.
        """
        return self._gateway.sign_with

    @sign_with.setter
    def sign_with(self, signer: Signer | str | None) -> None:
        self._gateway.sign_with = _signer(signer)

    @property
    def orders(self) -> dict[str, dict[str, Any]]:
        """What queries answer of the orders that were placed, by out_trade_no."""
        return {number: dict(order["state"]) for number, order in list(self._gateway.account.orders.items())}

    @property
    def history(self) -> list[Seen]:
        """The last 10,000 calls that came, in their order."""
        return list(self._history)

    @property
    def now(self) -> datetime:
        """The time on the sandbox's clock, which `advance` turns, in China's time zone."""
        return self._gateway.account.now()

    def rotate(self) -> None:
        """Makes a new platform certificate, which signs from now on. The former ones stay listed."""
        self._keys.rotate()

    def fault(self, fault: Fault | str, *, times: int | None = None, share: float | None = None) -> None:
        """Lets something go wrong: with the next answer, the next `times`, or a share of all from now on.

        Faults of the next answers come in the order in which they were asked for, before those of shares.

        Args:
            fault: what goes wrong, such as Fault.SIGNTEST or "signtest".
            times: how many answers.
            share: from 0, which ends it, to 1.

        Raises:
            ConfigurationError: there is no such fault, or not just one of times and share was given.
        """
        self._faults.add(fault, times, share)

    def heal(self) -> None:
        """Ends all faults."""
        self._faults.clear()

    def notify(
        self, event_type: str, resource: Any, url: str, *, original_type: str = "", fault: Fault | str | None = None
    ) -> Notice:
        """Posts a notification, and again by the service's schedule until it is received.

        The first post is done when this returns. The others follow in their time, or when `advance` turns the clock. They
        stop when the sandbox ends.

        Args:
            event_type: such as TRANSACTION.SUCCESS.
            resource: what is encrypted, a JSON value.
            url: where to post it.
            original_type: of the resource; by default the first word of the event type, as in "transaction".
            fault: what goes wrong with the signature of the first post; the others are right.

        Raises:
            ConfigurationError: the fault is none of a signature.
        """
        if fault is not None and fault not in _OF_SIGNATURES:
            raise ConfigurationError(f"fault: came {fault!r}; expected one of {', '.join(_OF_SIGNATURES)}")
        kind = original_type or event_type.partition(".")[0].lower()
        wrong = None if fault is None else Fault(fault)

        def first(body: bytes) -> Mapping[str, str]:
            return self._gateway.spoilt(self._proof(body), body, wrong)

        return self._notifier.notify(event_type, resource, url, kind, first)

    def advance(self, seconds: float) -> None:
        """Turns the clock of the sandbox ahead. The notifications that are due by then have been posted when this returns.

        The bills of a day are there from ten o'clock of the next day on, in China, on the same clock. What is signed carries
        the real time all the same, for that is what its receiver compares it with.

        Args:
            seconds: how far, from 0 on.

        Raises:
            ConfigurationError: That would not be ahead.
        """
        self._notifier.advance(seconds)

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
        manager = web.Server(self._handle)

        def protocol() -> _Protocol:
            # What is signed is the body as it is sent, so a body that is compressed is not opened here.
            return _Protocol(
                manager,
                loop=loop,
                access_log=None,  # type: ignore[arg-type]  # which means none, as in web.Server
                keepalive_timeout=KEEPALIVE,
                auto_decompress=False,
            )

        server = await loop.create_server(protocol, self._host, self._port)
        try:
            listening, port = server.sockets[0].getsockname()[:2]
            host = _FROM_HERE.get(listening) or str(listening)
            netloc = f"[{host}]" if ":" in host else host
            self._listening.set_result((f"http://{netloc}:{port}/", lambda: loop.call_soon_threadsafe(stopping.set)))
            await stopping.wait()
        finally:
            server.close()
            await manager.shutdown(1.0)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name: ", ".join(request.headers.getall(name)) for name in request.headers}
        # request.read() would stop at a megabyte, and files may be larger.
        call = Call(request.method, request.raw_path, Headers(headers), await request.content.read())
        fault = self._faults.draw()
        answer = self._gateway.answer(call, fault)
        kept = call if len(call.body) <= KEPT else call._replace(body=call.body[:KEPT])
        self._history.append(Seen(kept, answer.status, fault))
        if answer.delivery is Delivery.LATE:
            await asyncio.sleep(self._slowness)
        if answer.delivery in (Delivery.NOTHING, Delivery.HALF):
            return await _broken(request, answer)
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    def _proof(self, body: bytes) -> Mapping[str, str]:
        return self._gateway.signature(self._gateway.sign_with or Signer.CERTIFICATE, body)


class _Protocol(web.RequestHandler):
    """Speaks HTTP, and says what is wrong with a request that is none in JSON, as with any other."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status >= 500:
            return super().handle_error(request, status, exc, message)
        answer = malformed(status)
        response = web.Response(status=status, headers=answer.headers, body=answer.body)
        response.force_close()
        return response


_OF_SIGNATURES = (
    Fault.WRONG_SIGNATURE,
    Fault.SIGNTEST,
    Fault.OLD_CLOCK,
    Fault.FUTURE_CLOCK,
    Fault.UNKNOWN_SERIAL,
    Fault.MISSING_HEADER,
)


def _signer(sign_with: Signer | str | None) -> Signer | None:
    if sign_with is not None and sign_with not in tuple(Signer):
        raise ConfigurationError(f"sign_with: came {sign_with!r}; expected {' or '.join(Signer)}, or None")
    return None if sign_with is None else Signer(sign_with)


async def _broken(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    """Ends the connection before the answer, or in the middle of its body."""
    half = answer.body[: len(answer.body) // 2]
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    if half and answer.delivery is Delivery.HALF:
        response.content_length = len(answer.body)
        await response.prepare(request)
        await response.write(half)
    if request.transport is not None:
        request.transport.close()
    return response

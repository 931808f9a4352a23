"""Sends a request through a ClientSession: the user's own, or ours for uploads, large bodies, proxies and tools that watch."""

from __future__ import annotations

import asyncio
import io
import ssl
import sys
from collections.abc import AsyncGenerator
from functools import partial
from types import FunctionType, TracebackType

import aiohttp
from yarl import URL

from wechatpay_chain._messages.request import Request
from wechatpay_chain._pipeline.async_driver import use_file
from wechatpay_chain._transport.aiohttp_connector import connecting_for
from wechatpay_chain._transport.aiohttp_failures import Carrier, Failures, Unconnected, is_cancelled
from wechatpay_chain._transport.route import Proxy
from wechatpay_chain.errors import ConfigurationError, WeChatPayError

__all__ = ["WRITTEN_AT_ONCE", "is_patched", "send_through_ours", "send_through_session"]

WRITTEN_AT_ONCE = 1 << 16
"""Bytes of a body that are written at once. A larger body is sent in pieces, as the peer takes them."""

LARGE = 1 << 20
"""Bodies of more bytes than this are passed to aiohttp as a stream, so that the event loop is not blocked."""


def is_patched() -> bool:
    """Tells whether a test or a tracer has replaced the method that ClientSession sends with; see docs/en/testing.md.

    Such calls go through a session, so that the replacement sees them.
    """
    # A private name. With a version of aiohttp that does not have it, calls go through the session too.
    request = getattr(aiohttp.ClientSession, "_request", None)
    return type(request) is not FunctionType or request.__globals__ is not vars(aiohttp.client)


async def send_through_ours(
    session: aiohttp.ClientSession,
    request: Request,
    proxy: Proxy | None,
    tls: ssl.SSLContext | bool,
    failures: Failures,
) -> aiohttp.ClientResponse:
    """Sends through our own session, whose connector tells which connection it gives."""
    failures.is_connected = None if is_patched() else False
    token = connecting_for.set(failures)
    try:
        return await send_through_session(session, request, proxy, tls, failures, is_ours=True)
    except BaseException:
        # aiohttp closes the connection, but waits for a peer that may never take what was written.
        if failures.transport is not None:
            failures.transport.abort()
        raise
    finally:
        connecting_for.reset(token)


async def send_through_session(
    session: aiohttp.ClientSession,
    request: Request,
    proxy: Proxy | None,
    tls: ssl.SSLContext | bool,
    failures: Failures,
    *,
    is_ours: bool = False,
) -> aiohttp.ClientResponse:
    """Sends through a session, and reads the head of the response.

    Raises:
        ConfigurationError: the session is closed, of another loop, or reads a netrc file.
        TransportError: there is no response.
    """
    timeout, headers = request.timeout, request.headers.as_dict()
    upload = _UploadBody(request) if request._carried.upload else None
    is_written_at_once = upload is None and len(request.body) <= WRITTEN_AT_ONCE
    data: object = io.BytesIO(request.body) if len(request.body) > LARGE else request.body or None
    if upload is not None:
        headers["Content-Length"], data = str(request.content_length), upload.chunks()
    has_begun = False

    def explain(error: Exception) -> Exception:
        # The error of the file that is sent comes first; aiohttp reports a broken connection instead.
        return (upload.error if upload else None) or failures.explain(error, "head")

    async def once(outgoing: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        nonlocal has_begun
        has_begun = True
        # aiohttp would send the request again when a kept connection breaks, but only on errors that it knows.
        try:
            # A body that the peer takes piece by piece may take longer. The total, which every such call has, bounds it.
            with _HeadTimer(timeout.connect + timeout.read if is_written_at_once else None):
                return await handler(outgoing)
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise Carrier(explain(error)) from failures.cause(error)

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
            ssl=tls,
            timeout=aiohttp.ClientTimeout(
                total=timeout.total,
                connect=timeout.connect,
                sock_connect=timeout.connect,
                sock_read=timeout.read,
                ceil_threshold=float("inf"),
            ),
            middlewares=(once,),
        )
    except Carrier as carrier:
        raise carrier.error from carrier.__cause__
    except WeChatPayError:
        raise
    except asyncio.CancelledError:
        if session.closed and not is_cancelled():
            raise Unconnected from aiohttp.ClientConnectionError("the session was closed")
        raise
    except (RuntimeError, ValueError) as error:
        if is_ours or has_begun or isinstance(error, aiohttp.ClientError):
            raise explain(error) from failures.cause(error)
        raise ConfigurationError(
            f"async_session: {error}; expected an open session of the running loop, which reads no netrc file"
        ) from None
    except Exception as error:
        raise explain(error) from failures.cause(error)


class _HeadTimer:
    """Ends the wait for the head of a response with a timeout.

    The timer of aiohttp starts anew with each byte, and an interim response stops it for good. How long the connection took
    is not known of a user's session, so the time to connect is part of the limit.

    Args:
        seconds: to connect and to wait for the head; None for no limit.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if self._seconds is not None and task is not None:
            self._task = task
            if sys.version_info >= (3, 11):
                self._earlier = task.cancelling()
            self._timer = task.get_loop().call_later(self._seconds, self._end)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._is_over:
            return
        if sys.version_info >= (3, 11) and self._task.uncancel() > self._earlier:
            return  # others have cancelled it too
        if kind is asyncio.CancelledError:
            raise aiohttp.SocketTimeoutError from None

    def _end(self) -> None:
        self._is_over = True
        self._task.cancel()


class _UploadBody:
    """The body of an upload. Its own error is kept, for aiohttp reports a broken connection instead."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.error: Exception | None = None

    async def chunks(self) -> AsyncGenerator[bytes]:
        pieces, loop = self._request.stream(), asyncio.get_running_loop()
        try:
            while chunk := await use_file(loop, partial(next, pieces, b"")):
                yield chunk
        except Exception as error:
            self.error = error
            raise

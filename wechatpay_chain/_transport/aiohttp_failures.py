"""Turns what goes wrong in an attempt through aiohttp into an error of ours."""

from __future__ import annotations

import asyncio
import sys

import aiohttp

from wechatpay_chain._messages.request import Request
from wechatpay_chain._transport.failures import broken, no_connection, refused_by_proxy, timed_out
from wechatpay_chain._transport.route import Proxy
from wechatpay_chain.errors import TransportError

__all__ = ["Carrier", "Failures", "Unconnected", "is_cancelled"]

# These are raised while a connection is made, so nothing was sent.
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)

CLOCK = 0.02
"""Seconds that a timer may fire too early, by the loop's clock."""


class Unconnected(Exception):
    """Something went wrong before there was a connection. Its cause says what."""


class Carrier(Exception):
    """Carries the error that a call ends with through aiohttp, which handles its own errors and OSError by itself."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class Failures:
    """Explains the errors of one attempt.

    Args:
        request: the request that is sent.
        proxy: the proxy that it goes through; None for none.
        loop: the event loop, whose clock is used.
        deadline: the time at which the attempt must end.

    Attributes:
        is_connected: whether there is a connection to send the request on; None if that cannot be known.
        transport: the transport of that connection.
    """

    def __init__(self, request: Request, proxy: Proxy | None, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        self._request, self._proxy = request, proxy
        self.loop, self.deadline, self.read_seconds = loop, deadline, request.timeout.read
        self.is_connected: bool | None = None
        self.transport: asyncio.Transport | None = None

    def explain(self, error: Exception, part: str) -> TransportError:
        """Returns the error of ours for an error of aiohttp.

        Args:
            error: the error that was raised.
            part: the part of the response where it was raised: head or body.
        """
        request, proxy = self._request, self._proxy
        is_connecting = self.is_connected is False or isinstance(error, (Unconnected, *_NOT_SENT))
        cause = error.__cause__ if isinstance(error, Unconnected) else error
        if isinstance(cause, aiohttp.ClientHttpProxyError):
            return refused_by_proxy(request, str(cause.status), proxy)
        if isinstance(cause, asyncio.TimeoutError):
            is_over = self.loop.time() >= self.deadline - CLOCK
            setting = "total" if is_over else "connect" if is_connecting else "read"
            return timed_out(request, setting, not is_connecting, proxy)
        if is_connecting:
            return no_connection(request, _system_error(cause), proxy)
        return broken(request, part, cause, True, proxy)

    def cause(self, error: BaseException) -> BaseException | None:
        """Returns the cause to show, if its text has only hosts and ports; others repeat the filled path, or the response."""
        cause = error.__cause__ if isinstance(error, Unconnected) else error
        return cause if isinstance(cause, aiohttp.ClientOSError) else None


def _system_error(error: BaseException | None) -> BaseException | None:
    """Returns the error of the operating system or of TLS, if a connection could not be made because of one."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return error.certificate_error
    return error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error


def is_cancelled() -> bool:
    """Tells whether the running task was cancelled. aiohttp also cancels what waits for a connection that it closes.

    Python 3.10 cannot tell: there, a task that waits for closed connections counts as not cancelled.
    """
    if sys.version_info < (3, 11):
        return False
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

"""Turns what goes wrong in an attempt through urllib3 into an error of ours."""

from __future__ import annotations

import re
import socket
import ssl
import time

from urllib3.exceptions import (
    ConnectTimeoutError,
    EmptyPoolError,
    NewConnectionError,
    ReadTimeoutError,
)

from wechatpay_chain._messages.request import Request
from wechatpay_chain._transport.bounded import BoundedAttempt
from wechatpay_chain._transport.failures import broken, no_connection, refused_by_proxy, timed_out
from wechatpay_chain._transport.route import Proxy
from wechatpay_chain.errors import TransportError

__all__ = ["Failures"]


# These are raised while a connection is made, so nothing was sent. Only an end of the stream can come later too.
_NOT_SENT = (ConnectTimeoutError, NewConnectionError, EmptyPoolError, ssl.SSLError)


_LATE = (ConnectTimeoutError, EmptyPoolError, ReadTimeoutError, socket.timeout)


_ENDS = (ssl.SSLEOFError, ssl.SSLZeroReturnError)


_REFUSED_BY_PROXY = re.compile("Tunnel connection failed: ([0-9]{3})")


class Failures:
    """Explains the errors of one attempt.

    Args:
        request: the request that is sent.
        proxy: the proxy that it goes through; None for none.
        attempt: how long the attempt may take, and how far it got.
    """

    def __init__(self, request: Request, proxy: Proxy | None, attempt: BoundedAttempt) -> None:
        self._request, self._proxy, self._attempt = request, proxy, attempt

    def explain(self, error: Exception, part: str, sent: bool | None) -> TransportError:
        """Returns the error of ours for an error of requests or urllib3.

        Args:
            error: the error that was raised.
            part: the part of the response where it was raised: head or body.
            sent: whether the service may have the whole request; None if only the error can tell.
        """
        request, proxy, attempt = self._request, self._proxy, self._attempt
        root = _root(error)
        if isinstance(root, OSError) and (refused := _REFUSED_BY_PROXY.match(str(root))):
            return refused_by_proxy(request, refused[1], proxy)
        is_connecting = attempt.is_sending is False or (
            attempt.is_sending is None and isinstance(root, _NOT_SENT) and not isinstance(root, _ENDS)
        )
        sent = not is_connecting if sent is None else sent
        if isinstance(root, _LATE) and not isinstance(root, NewConnectionError):
            setting = "total" if time.monotonic() >= attempt.deadline else "connect" if is_connecting else "read"
            return timed_out(request, setting, sent, proxy)
        if is_connecting:
            return no_connection(request, _system_error(root), proxy)
        return broken(request, part, root, sent, proxy)

    def cause(self, error: Exception) -> BaseException | None:
        """Returns the cause to show, if its text has only hosts and ports; others repeat the filled path, or the response."""
        root = _root(error)
        return root if isinstance(root, (OSError, ConnectTimeoutError)) else None


def _root(error: BaseException) -> BaseException:
    """Returns the innermost error that requests and urllib3 wrapped."""
    while True:
        wrapped = (getattr(error, "reason", None), *error.args)
        inner = next((one for one in wrapped if isinstance(one, BaseException)), None)
        if inner is None:
            return error
        error = inner


def _system_error(error: BaseException) -> BaseException:
    """Returns the error of the operating system, which urllib3 has only as text."""
    cause = error.__cause__ or error.__context__
    return cause if isinstance(error, NewConnectionError) and isinstance(cause, OSError) else error

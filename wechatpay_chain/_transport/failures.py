"""The errors of what goes wrong on the way, in the same words for both HTTP libraries.

No text of a library goes into them: those repeat the filled path, or what the other side wrote.
"""

from __future__ import annotations

import os
import socket
import ssl

from wechatpay_chain._messages.request import Request
from wechatpay_chain._transport.route import Proxy
from wechatpay_chain.errors import TransportError, TransportTimeout

__all__ = ["broken", "no_connection", "refused_by_proxy", "timed_out"]


def timed_out(request: Request, setting: str, sent: bool, proxy: Proxy | None) -> TransportTimeout:
    """Returns the error of a wait that took too long.

    Args:
        request: what was to be sent.
        setting: which of the seconds of its timeout are over: connect, read or total.
        sent: whether the service may have received it.
        proxy: what it goes through.
    """
    seconds: float = getattr(request.timeout, setting)
    what = {
        "connect": f"no connection to {request.origin} within {seconds:g} s",
        "read": f"nothing came from {request.origin} for {seconds:g} s",
        "total": f"no whole response from {request.origin} within {seconds:g} s",
    }[setting]
    busy = "; all connections of the pool may be in use" if setting == "connect" else ""
    message = f"{_call(request)}: {what}{_through(proxy)} (timeout=, {setting}{busy})"
    return TransportTimeout(message, sent, seconds, setting)


def no_connection(request: Request, cause: BaseException | None, proxy: Proxy | None) -> TransportError:
    """Returns the error of a connection that could not be made, so that nothing was sent.

    Args:
        request: what was to be sent.
        cause: why, an error of the operating system, of TLS or of a name that is not found.
        proxy: what it goes through.
    """
    words = _plainly(cause)
    why = f": {words}" if words else ""
    return TransportError(f"{_call(request)}: no connection to {request.origin}{_through(proxy)}{why}", sent=False)


def refused_by_proxy(request: Request, status: str, proxy: Proxy | None) -> TransportError:
    """Returns the error of a proxy that does not let a request through."""
    cure = ": it wants a user name and a password, http://USER:PASSWORD@HOST:PORT" if status == "407" else ""
    return TransportError(
        f"{_call(request)}: the proxy refused to connect to {request.origin} with status {status}{cure}{_through(proxy)}",
        sent=False,
    )


def broken(request: Request, part: str, cause: BaseException | None, sent: bool, proxy: Proxy | None) -> TransportError:
    """Returns the error of a connection that ended, or of a response that is none.

    Args:
        request: what was sent.
        part: of the response, where it happened: head or body.
        cause: an error of the operating system, or None.
        sent: whether the service may have received the request.
        proxy: what it goes through.
    """
    if not sent:
        what = f"the connection to {request.origin} ended before the request was sent"
    elif part == "head":
        what = f"no HTTP response came from {request.origin}; the connection ended, or something else came"
    else:
        what = f"the response from {request.origin} ended too early, or is malformed"
    why = f" ({_plainly(cause)})" if isinstance(cause, OSError) and cause.errno else ""
    return TransportError(f"{_call(request)}: {what}{_through(proxy)}{why}", sent)


def _call(request: Request) -> str:
    return f"{request.method} {request.template}"


def _through(proxy: Proxy | None) -> str:
    return f" through the proxy {proxy.shown} (set in {proxy.setting})" if proxy else ""


def _plainly(cause: BaseException | None) -> str:
    """Returns the words of the system for an error, which are the same whoever raised it; empty where it has none."""
    if isinstance(cause, ssl.CertificateError):
        return f"CERTIFICATE_VERIFY_FAILED: {cause.verify_message or cause}"
    if type(cause).__name__ == "CertificateError":  # of urllib3 1.26, for a certificate of another host
        return f"CERTIFICATE_VERIFY_FAILED: {cause}"
    if isinstance(cause, ssl.SSLError):
        return f"SSL: {cause.reason or type(cause).__name__}"
    if isinstance(cause, socket.gaierror):
        return f"the name is not found: {cause.strerror}"
    if isinstance(cause, OSError) and cause.errno:
        return os.strerror(cause.errno)
    return ""

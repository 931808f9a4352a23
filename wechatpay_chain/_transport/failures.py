"""Makes transport errors, in the same words for both HTTP libraries.

No text of a library goes into them, for it may repeat the filled path, or what the peer sent.
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
    """Returns the error of a timeout.

    Args:
        request: the request.
        setting: the part of its timeout that has passed: connect, read or total.
        sent: whether the service may have received it.
        proxy: the proxy that it goes through; None for none.
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
    """Returns the error of a connection that could not be made. Nothing was sent.

    Args:
        request: the request.
        cause: an error of the operating system, of TLS or of name resolution.
        proxy: the proxy that it goes through; None for none.
    """
    words = _system_text(cause)
    why = f": {words}" if words else ""
    return TransportError(f"{_call(request)}: no connection to {request.origin}{_through(proxy)}{why}", sent=False)


def refused_by_proxy(request: Request, status: str, proxy: Proxy | None) -> TransportError:
    """Returns the error of a proxy that refused to connect. Nothing was sent."""
    cure = ": it wants a user name and a password, http://USER:PASSWORD@HOST:PORT" if status == "407" else ""
    return TransportError(
        f"{_call(request)}: the proxy refused to connect to {request.origin} with status {status}{cure}{_through(proxy)}",
        sent=False,
    )


def broken(request: Request, part: str, cause: BaseException | None, sent: bool, proxy: Proxy | None) -> TransportError:
    """Returns the error of a connection that ended, or of a response that is malformed.

    Args:
        request: the request.
        part: the part of the response where it happened: head or body.
        cause: an error of the operating system, or None.
        sent: whether the service may have received the request.
        proxy: the proxy that it goes through; None for none.
    """
    if not sent:
        what = f"the connection to {request.origin} ended before the request was sent"
    elif part == "head":
        what = f"no HTTP response came from {request.origin}; the connection ended, or something else came"
    else:
        what = f"the response from {request.origin} ended too early, or is malformed"
    why = f" ({_system_text(cause)})" if isinstance(cause, OSError) and cause.errno else ""
    return TransportError(f"{_call(request)}: {what}{_through(proxy)}{why}", sent)


def _call(request: Request) -> str:
    return f"{request.method} {request.template}"


def _through(proxy: Proxy | None) -> str:
    return f" through the proxy {proxy.shown} (set in {proxy.setting})" if proxy else ""


def _system_text(cause: BaseException | None) -> str:
    """Returns the text of the operating system or of TLS for an error, the same in both modes; empty if there is none."""
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

"""How hosts are reached, for both transports: proxies and certificate authorities, and the last check of a request."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Hashable, Mapping
from copy import copy
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from wechatpay_chain._keys.client_certificate import ClientCertificate
from wechatpay_chain._messages.fields import RESERVED_FIELDS, is_field_name
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.urls import is_loopback, split_origin
from wechatpay_chain.errors import ArgumentError, ConfigurationError

__all__ = ["POOL_SIZE", "REQUEST_TIMEOUT", "Proxy", "Route", "check_head"]


POOL_SIZE = 100
"""Idle connections to one host that blocking calls keep. They may use more at once."""

REQUEST_TIMEOUT = 408
"""The status after which a connection is not used again. The response may be meant for the idle connection (RFC 9110, 15.5.9),
and the response to our request may follow it. It is not read, which closes the connection."""

_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


class Proxy(NamedTuple):
    """A proxy, and where its setting came from.

    Attributes:
        url: the URL of the proxy, which may have a password.
        setting: where it was set: `proxies=`, an environment variable, or the system.
    """

    url: str
    setting: str

    @property
    def shown(self) -> str:
        """The URL without user name and password."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2].rstrip('/')}"


class Route:
    """The proxies and certificate authorities of a client.

    Args:
        origin: scheme, host and port of the service.
        proxies: proxy URLs by scheme, as in requests; None reads the environment, and then uses no proxy for this machine.
        ca_bundle: a file or folder of certificate authorities; None reads the environment.
        certificate: the TLS certificate for requests that need one, or None.

    Attributes:
        ca_bundle: a file or folder of certificate authorities, or None for those that the HTTP library trusts.
        trust: equal for clients that trust the same authorities, and present the same certificate: the path of a file, the
            digest of its content, and the fingerprint of the certificate if there is one.
        certificate: the TLS certificate that every request on this route presents, or None.

    Raises:
        ConfigurationError: the proxies are not a mapping of texts, or the certificate authorities cannot be read.
    """

    def __init__(
        self,
        origin: str,
        proxies: Mapping[str, str] | None,
        ca_bundle: str | os.PathLike[str] | None,
        certificate: ClientCertificate | None = None,
    ) -> None:
        self.ca_bundle = _ca_bundle(ca_bundle)
        self.trust: Hashable = _trust(self.ca_bundle)
        self._from_environment = proxies is None
        if proxies is None:
            # The environment is read here for both modes. requests and aiohttp read it in different ways, and with it netrc
            # files, whose entries would replace the Authorization header.
            from urllib.request import getproxies

            proxies = getproxies()
        else:
            _check(proxies)
        self._proxies = dict(proxies)
        self._found: dict[str, Proxy | None] = {}
        self.proxy(origin)  # so that a mistake shows in the constructor
        self.certificate: ClientCertificate | None = None
        self._certified: Route | None = None
        if certificate is not None:
            self._certified = copy(self)
            self._certified.certificate = certificate
            self._certified.trust = self.trust, certificate.fingerprint

    def of(self, request: Request) -> Route:
        """Returns the route of a request: one that presents the certificate, if the request needs it and there is one."""
        return self._certified if request._carried.needs_certificate and self._certified else self

    def proxy(self, origin: str) -> Proxy | None:
        """Returns the proxy that leads to an origin, or None."""
        if origin not in self._found:
            self._found[origin] = self._proxy(urlsplit(origin))
        return self._found[origin]

    def _proxy(self, url: SplitResult) -> Proxy | None:
        if self._from_environment:
            from urllib.request import proxy_bypass

            if is_loopback(url.hostname or "") or proxy_bypass(url.netloc):
                return None
        for key in (f"{url.scheme}://{url.hostname}", url.scheme, "all"):
            if (found := self._proxies.get(key)) is not None:
                return Proxy(_http_proxy(found), _setting(key) if self._from_environment else "proxies=")
        return None


def _setting(scheme: str) -> str:
    """Returns the name of the environment variable that has the proxy, or "the system's settings"."""
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper())
    found = next((name for name in names if os.environ.get(name)), None)
    return f"the environment variable {found}" if found else "the system's settings"


def check_head(request: Request) -> None:
    """Checks that no layer changed the framing of a message or its host.

    Raises:
        ArgumentError: a layer set a header that only the client may set, or a header or the target has characters that cannot
            be sent (RFC 9112, 3 and 5).
    """
    if request.headers.has_any(_OURS):
        raise ArgumentError(f"headers: a layer has set one of {', '.join(sorted(_OURS))}, which are made by the client")
    fields = request.headers.as_dict()
    text = "".join((request.target, *fields.values()))
    if _UNSENDABLE.search(text) or not all(map(is_field_name, fields)):
        raise ArgumentError(
            "headers: one of them, or the target, has a character that cannot be sent; expected Latin-1 without line breaks"
        )


_OURS = RESERVED_FIELDS - {"authorization"}
_UNSENDABLE = re.compile(r"[\0\r\n\u0100-\U0010ffff]")


def _check(proxies: object) -> None:
    if not isinstance(proxies, Mapping):
        raise ConfigurationError(f"proxies: came a {type(proxies).__name__}; {_EXPECTED}")
    for key, proxy in proxies.items():
        if not isinstance(key, str) or not re.fullmatch("(https?|all)(://.+)?", key) or not isinstance(proxy, str):
            raise ConfigurationError(f"proxies: came {key!r} for a {type(proxy).__name__}; {_EXPECTED}")


_EXPECTED = (
    "expected a mapping from http, https or all to the URL of a proxy, such as {'https': 'http://127.0.0.1:3128'}"
)


def _http_proxy(proxy: str) -> str:
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    try:
        scheme, _ = split_origin(proxy)
    except ValueError:
        scheme = ""
    if scheme not in ("http", "https"):
        # The proxy itself is not shown, for its URL may hold a password.
        raise ConfigurationError(
            "proxies: came a proxy that is not http://host:port or https://host:port, which both modes speak. Where the "
            "environment names it (ALL_PROXY, say), proxies={} goes direct"
        )
    return proxy


def _ca_bundle(ca_bundle: str | os.PathLike[str] | None) -> str | None:
    if ca_bundle is not None:
        return _authorities("ca_bundle", ca_bundle)
    for name in _CA_VARIABLES:
        if path := os.environ.get(name):
            return _authorities(f"the environment variable {name}", path)
    return None


def _trust(ca_bundle: str | None) -> Hashable:
    if ca_bundle is None:
        return None
    place = Path(ca_bundle).resolve()
    if place.is_dir():  # OpenSSL reads it as it goes along, and so does not keep what is in it
        state = place.stat()
        return str(place), state.st_dev, state.st_ino, state.st_ctime_ns
    return str(place), hashlib.sha256(place.read_bytes()).hexdigest()


def _authorities(setting: str, path: object) -> str:
    expected = "expected a file of PEM certificates, or a folder of them"
    if not isinstance(path, (str, os.PathLike)):
        raise ConfigurationError(f"{setting}: came a {type(path).__name__}; {expected}")
    place = Path(path)
    try:
        # Reading the file is cheap, making a context of it is not: that is left to the first call.
        fits = str(path) and (place.is_dir() or b"-----BEGIN " in place.read_bytes())
    except (OSError, ValueError):
        fits = False
    if not fits:
        raise ConfigurationError(
            f"{setting}: came {str(path)!r}, which is not there or holds no certificate; {expected}"
        )
    return str(place)

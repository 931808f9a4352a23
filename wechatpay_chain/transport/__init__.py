"""What both transports need to know of the world around them: proxies, certificate authorities, pools and who shares them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import SplitResult, urlsplit

from wechatpay_chain.errors import ConfigurationError
from wechatpay_chain.http import split_origin

__all__ = ["MOST_OF_AN_ERROR", "POOL_SIZE", "UNSENDABLE", "Route", "Shared"]

T = TypeVar("T")

POOL_SIZE = 100
"""Connections kept to one host."""

MOST_OF_AN_ERROR = 1 << 20
"""Bytes after which no more of an error answer is read. The service's have some hundred."""

UNSENDABLE = (
    "headers: one of them, or the target, holds what cannot be sent; expected no line break, and characters of Latin-1"
)
"""The error of what a layer of the user's own may have put into a request. It shows nothing of it, which may be secret."""

_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


class Route:
    """How hosts are reached.

    Args:
        origin: of the service.
        proxies: proxy URLs by scheme, as requests takes them; None reads the environment.
        ca_bundle: a file or folder of certificate authorities; None reads the environment.

    Attributes:
        ca_bundle: a file or folder of certificate authorities, or None for those that the HTTP library trusts.
        trust: what clients have in common that trust the same authorities; one whose file has changed since is another.

    Raises:
        ConfigurationError: the proxies are no mapping of texts, or the certificate authorities are not there.
    """

    def __init__(
        self, origin: str, proxies: Mapping[str, str] | None, ca_bundle: str | os.PathLike[str] | None
    ) -> None:
        self.ca_bundle = _ca_bundle(ca_bundle)
        changed = Path(self.ca_bundle).stat().st_mtime_ns if self.ca_bundle else None
        self.trust: Hashable = (self.ca_bundle, changed)
        self._from_environment = proxies is None
        if proxies is None:
            # The environment is read here for both modes: what requests and aiohttp make of it differs, and with it come
            # netrc files, whose entries replace the Authorization header.
            from urllib.request import getproxies

            proxies = getproxies()
        else:
            _check(proxies)
        self._proxies = dict(proxies)
        self._found: dict[str, str | None] = {}
        self.proxy(origin)  # what is wrong with it shows now

    def proxy(self, origin: str) -> str | None:
        """The URL of the proxy that leads to an origin, or None."""
        if origin not in self._found:
            self._found[origin] = self._proxy(urlsplit(origin))
        return self._found[origin]

    def _proxy(self, url: SplitResult) -> str | None:
        if self._from_environment:
            from urllib.request import proxy_bypass

            if proxy_bypass(url.netloc):
                return None
        for key in (f"{url.scheme}://{url.hostname}", url.scheme, "all"):
            if (found := self._proxies.get(key)) is not None:
                return _http_proxy(found)
        return None


class Shared(Generic[T]):
    """What clients have in common: thousands of merchants in one process need not have a connection each.

    A client joins, and leaves when it is closed or gone; whoever leaves last gets the thing back, to close it.
    """

    def __init__(self) -> None:
        self._places: dict[Hashable, tuple[T, set[int]]] = {}

    def join(self, place: Hashable, holder: int, make: Callable[[], T]) -> T:
        """What is at a place; it is made where there is nothing."""
        # Two threads may come here at once; setdefault gives both the same one. No lock, for a fork could copy it locked.
        thing, holders = self._places.get(place) or self._places.setdefault(place, (make(), set()))
        holders.add(holder)
        return thing

    def leave(self, place: Hashable, holder: int) -> T | None:
        """What nobody holds any more."""
        if place not in self._places:
            return None
        thing, holders = self._places[place]
        holders.discard(holder)
        if holders:
            return None
        self.drop(place)
        return thing

    def drop(self, place: Hashable) -> None:
        """Forgets what was at a place, whoever holds it."""
        self._places.pop(place, None)


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

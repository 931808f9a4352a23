"""What both transports need to know of the world around them: proxies, certificate authorities, pool sizes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from wechatpay_chain.errors import ConfigurationError
from wechatpay_chain.http import split_origin

__all__ = ["POOL_SIZE", "Route"]

POOL_SIZE = 100
"""Connections kept to one host."""

_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


@dataclass(frozen=True)
class Route:
    """How the service is reached.

    Attributes:
        proxy: the proxy's URL, or None.
        ca_bundle: a file or folder of certificate authorities, or None for those that the HTTP library trusts.
    """

    proxy: str | None = field(repr=False)
    ca_bundle: str | None

    @classmethod
    def to(cls, origin: str, proxies: Mapping[str, str] | None, ca_bundle: str | os.PathLike[str] | None) -> Route:
        """The route to an origin, from the settings and, where they are None, from the environment.

        Raises:
            ConfigurationError: the proxies are no mapping of texts, or the certificate authorities are not there.
        """
        return cls(_proxy(origin, proxies), _ca_bundle(ca_bundle))


def _proxy(origin: str, proxies: Mapping[str, str] | None) -> str | None:
    # The environment is read here for both modes: what requests and aiohttp make of it differs, and with it come netrc
    # files, whose entries replace the Authorization header.
    if proxies is not None and not (isinstance(proxies, Mapping) and all(isinstance(v, str) for v in proxies.values())):
        raise ConfigurationError(
            f"proxies: came a {type(proxies).__name__}; expected a mapping from scheme to the proxy's URL, such as "
            "{'https': 'http://127.0.0.1:3128'}"
        )
    url = urlsplit(origin)
    host = url.hostname or ""
    if proxies is None:
        from urllib.request import getproxies, proxy_bypass

        if proxy_bypass(url.netloc):
            return None
        proxies = getproxies()
    for key in (f"{url.scheme}://{host}", url.scheme, "all"):
        if proxy := proxies.get(key):
            return _http_proxy(proxy if "://" in proxy else f"http://{proxy}")
    return None


def _http_proxy(proxy: str) -> str:
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
        return _existing("ca_bundle", os.fspath(ca_bundle))
    for name in _CA_VARIABLES:
        if path := os.environ.get(name):
            return _existing(f"the environment variable {name}", path)
    return None


def _existing(setting: str, path: str) -> str:
    if not Path(path).exists():
        raise ConfigurationError(f"{setting}: came {path!r}, which does not exist; expected a file of PEM certificates")
    return path

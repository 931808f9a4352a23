"""Splits and normalizes URLs."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import quote, urlsplit

__all__ = ["has_dot_segment", "is_loopback", "normalize", "normalize_origin", "split_origin"]


_HOST = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?")


def split_origin(url: str) -> tuple[str, str]:
    """Returns the scheme and the host of a URL.

    Raises:
        ValueError: the URL has no valid host, or port 0.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not _HOST.fullmatch(host):
        ipaddress.IPv6Address(host)
    if parts.port == 0:
        raise ValueError("port 0 cannot be used")
    return parts.scheme, host


def normalize_origin(url: str) -> str:
    """Returns scheme, host and port of a URL: in lower case, without the default port (RFC 3986, 6.2.2.1 and 6.2.3).

    Raises:
        ValueError: as for `split_origin`.
    """
    scheme, host = split_origin(url)
    port = urlsplit(url).port
    shown = "" if port in (None, {"https": 443, "http": 80}.get(scheme)) else f":{port}"
    return f"{scheme}://[{host}]{shown}" if ":" in host else f"{scheme}://{host}{shown}"


def is_loopback(host: str) -> bool:
    """Tells whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


_DOT_SEGMENT = re.compile(r"/(?:\.|%2E){1,2}(?:(?:;|%3B)[^/]*)?(?:/|\Z)")


def has_dot_segment(path: str) -> bool:
    """Tells whether a segment of a normalized path is '.' or '..', also with parameters behind it, which servers and proxies rewrite."""
    return _DOT_SEGMENT.search(path) is not None


# RFC 3986, 3.3 and 3.4: the characters of a path and a query besides letters, digits and percent-encoded octets.
_URI_SAFE = "-._~!$&'()*+,;=:@/?%"


_ESCAPE = re.compile("%([0-9A-Fa-f]{2})?")


def normalize(expanded: str) -> str:
    """Percent-encodes what RFC 3986 does not allow in a path or a query, with every escape in upper case (6.2.2.1).

    An HTTP library would do the same, but only after the target has been signed.
    """
    return _ESCAPE.sub(lambda escape: escape[0].upper() if escape[1] else "%25", quote(expanded, _URI_SAFE))

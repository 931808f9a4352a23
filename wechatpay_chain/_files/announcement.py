"""Reads the URL, the digest and the key of a file from the response that announces it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from wechatpay_chain._messages.response import Response
from wechatpay_chain._messages.urls import has_dot_segment, normalize, normalize_origin
from wechatpay_chain._schemes.digest import ALGORITHMS
from wechatpay_chain.errors import ArgumentError

__all__ = ["Announcement", "Source", "locate", "read_announcement"]


Source = Response | Mapping[str, Any] | str
"""The response that announces a file, one item of the list in it, or a URL."""


KEY_BYTES = 32
"""The length of an AES-256 key."""


class Announcement(NamedTuple):
    """A file that can be downloaded.

    Attributes:
        url: where the file is.
        digest: algorithm and value of the uncompressed content; None if none was announced.
        secret: the RSA ciphertext of the AES key, and the nonce; None if the file is not encrypted.
    """

    url: str
    digest: tuple[str, str] | None
    secret: tuple[str, str] | None


def read_announcement(source: Source) -> Announcement:
    """Reads the announcement of a file.

    Raises:
        ArgumentError: the source announces no file, or several.
        ContentError: the response is not JSON.
    """
    if isinstance(source, str):
        return Announcement(source, None, None)
    fields = source.json() if isinstance(source, Response) else source
    if not isinstance(fields, Mapping):
        raise ArgumentError(f"source: came a {type(fields).__name__}; {_EXPECTED}")
    if "download_bill_list" in fields:
        bills = fields["download_bill_list"]
        if not isinstance(bills, list) or len(bills) != 1 or not isinstance(bills[0], Mapping):
            came = f"{len(bills)} items" if isinstance(bills, list) else f"a {type(bills).__name__}"
            raise ArgumentError(
                f"source: download_bill_list: came {came}; expected one object, so pass each item by itself"
            )
        fields = bills[0]
    url = fields.get("download_url") or fields.get("url")
    if not isinstance(url, str):
        raise ArgumentError(f"source: download_url is missing; {_EXPECTED}")
    return Announcement(
        url,
        _read_pair(fields, "hash_type", "hash_value", _is_digest),
        _read_pair(fields, "encrypt_key", "nonce", _is_secret),
    )


_EXPECTED = "expected a response with a download_url, such as that of v3/bill/tradebill, an item of its list, or a URL"


class Location(NamedTuple):
    """The place that a file is downloaded from.

    Attributes:
        origin: scheme, host and port.
        template: path and query, without the leading slash.
        is_signed: True if this is an operation of the API, which is signed like any other.
    """

    origin: str
    template: str
    is_signed: bool


# https://pay.weixin.qq.com/doc/v3/merchant/4012081709; for overseas merchants:
# https://pay.weixin.qq.com/doc/global/v3/en/4017303715
_API = re.compile(r"https://api[a-z0-9]*\.(?:mch\.weixin\.qq\.com|wechatpay\.cn)")


def locate(url: str, origins: Sequence[str]) -> Location:
    """Returns the place that a file is downloaded from.

    If the client calls another host than WeChat Pay's (a sandbox, an egress proxy), API files come from that host too.

    Args:
        url: the URL as it was announced.
        origins: the origins that the client calls.

    Raises:
        ArgumentError: the URL is neither https nor on a host of the client, or has a user name or a dot segment.
    """
    try:
        parts = urlsplit(url)
        origin = normalize_origin(url)
    except ValueError:
        origin, parts = "", urlsplit("")
    if "@" in parts.netloc or not (origin.startswith("https://") or origin in origins):
        raise ArgumentError("source: its URL cannot be used; expected https, and no user name")
    is_api = _API.fullmatch(origin) is not None
    if is_api and not any(map(_API.fullmatch, origins)):
        origin = origins[0]
    # Normalized here, so that no later error about an invalid character shows the token in the URL.
    path = normalize(parts.path)
    if has_dot_segment(path):
        raise ArgumentError("source: the path of its URL has a segment '.' or '..', which servers and proxies rewrite")
    target = f"{path}?{normalize(parts.query)}" if parts.query else path
    return Location(origin, target.removeprefix("/"), is_api or origin in origins)


def _read_pair(
    fields: Mapping[str, Any], first: str, second: str, is_valid: Callable[[str, str], bool]
) -> tuple[str, str] | None:
    pair = fields.get(first) or "", fields.get(second) or ""
    if pair == ("", ""):
        return None
    if not all(isinstance(text, str) for text in pair) or not is_valid(*pair):
        raise ArgumentError(f"source: its {first} and {second} are incomplete, or not supported by this version")
    return pair


def _is_digest(algorithm: str, value: str) -> bool:
    return algorithm in ALGORITHMS and re.fullmatch("[0-9A-Fa-f]+", value) is not None


def _is_secret(key: str, nonce: str) -> bool:
    return key != "" and 8 <= len(nonce) <= 128 and nonce.isascii()

"""What a response says of a file to download, and where the file is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from wechatpay_chain._messages.response import Response
from wechatpay_chain._messages.urls import has_dot_segment, normalize, split_origin
from wechatpay_chain._schemes.digest import ALGORITHMS
from wechatpay_chain.errors import (
    ArgumentError,
)

__all__ = ["Announcement", "Source", "locate", "read_announcement"]


Source = Response | Mapping[str, Any] | str
"""The answer that announced a file, one item of the list in it, or a bare URL."""


KEY = 32
"""Bytes of an AES-256 key."""


class Announcement(NamedTuple):
    """A file that can be fetched.

    Attributes:
        url: where.
        digest: its algorithm and value, of the text before it was packed; None where none was told.
        secret: the key in its RSA ciphertext, and the nonce, of what is encrypted; None of what is not.
    """

    url: str
    digest: tuple[str, str] | None
    secret: tuple[str, str] | None


def read_announcement(source: Source) -> Announcement:
    """What an answer says of the file that it announces.

    Raises:
        ArgumentError: it announces none, or several.
        ContentError: the response is not JSON.
    """
    if isinstance(source, str):
        return Announcement(source, None, None)
    told = source.json() if isinstance(source, Response) else source
    if not isinstance(told, Mapping):
        raise ArgumentError(f"source: came a {type(told).__name__}; {_EXPECTED}")
    if "download_bill_list" in told:
        bills = told["download_bill_list"]
        if not isinstance(bills, list) or len(bills) != 1 or not isinstance(bills[0], Mapping):
            count = len(bills) if isinstance(bills, list) else "no list"
            raise ArgumentError(
                f"source: its download_bill_list has {count} of them; expected one, pass each item on its own"
            )
        told = bills[0]
    url = told.get("download_url") or told.get("url")
    if not isinstance(url, str):
        raise ArgumentError(f"source: it has no download_url; {_EXPECTED}")
    return Announcement(
        url, _pair(told, "hash_type", "hash_value", _is_digest), _pair(told, "encrypt_key", "nonce", _is_secret)
    )


_EXPECTED = "expected an answer with a download_url, such as that of v3/bill/tradebill, an item of its list, or a URL"


class Location(NamedTuple):
    """Where a file is fetched.

    Attributes:
        origin: scheme, host and port.
        template: path and query, without the leading slash.
        is_signed: whether it is an operation of the API, signed like any other.
    """

    origin: str
    template: str
    is_signed: bool


# https://pay.weixin.qq.com/doc/v3/merchant/4012081709 and, overseas, https://pay.weixin.qq.com/doc/global/v3/en/4017303715
_API = re.compile(r"https://api[a-z0-9]*\.(?:mch\.weixin\.qq\.com|wechatpay\.cn)")


def locate(url: str, origins: Sequence[str]) -> Location:
    """Where a file is fetched.

    Where the client calls a host of its own, a sandbox or an egress proxy, the files of the API come from there too.

    Args:
        url: as it was announced.
        origins: the client's domains.

    Raises:
        ArgumentError: it is not an https URL, nor one of the client's own host.
    """
    try:
        parts = urlsplit(url)
        scheme, host = split_origin(url)
        port = "" if parts.port in (None, {"https": 443, "http": 80}.get(scheme)) else f":{parts.port}"
        origin = f"{scheme}://[{host}]{port}" if ":" in host else f"{scheme}://{host}{port}"
    except ValueError:
        origin, parts = "", urlsplit("")
    if "@" in parts.netloc or not (origin.startswith("https://") or origin in origins):
        raise ArgumentError("source: its URL is not one of https without a user name; no file is fetched from there")
    is_api = _API.fullmatch(origin) is not None
    if is_api and not any(map(_API.fullmatch, origins)):
        origin = origins[0]
    # What stands in no URL is encoded here already, so that no error further on shows a token.
    path = normalize(parts.path)
    if has_dot_segment(path):
        raise ArgumentError("source: a segment of its URL's path is '.' or '..', which servers and proxies rewrite")
    target = f"{path}?{normalize(parts.query)}" if parts.query else path
    return Location(origin, target.removeprefix("/"), is_api or origin in origins)


def _pair(told: Mapping[str, Any], first: str, second: str, fits: Callable[[str, str], bool]) -> tuple[str, str] | None:
    pair = told.get(first) or "", told.get(second) or ""
    if pair == ("", ""):
        return None
    if not all(isinstance(text, str) for text in pair) or not fits(*pair):
        raise ArgumentError(f"source: its {first} and {second} are not a pair that this version knows")
    return pair


def _is_digest(algorithm: str, value: str) -> bool:
    return algorithm in ALGORITHMS and re.fullmatch("[0-9A-Fa-f]+", value) is not None


def _is_secret(key: str, nonce: str) -> bool:
    return key != "" and 8 <= len(nonce) <= 128 and nonce.isascii()

"""Builds the messages that are signed, and parses the Authorization header that carries the signature."""

from __future__ import annotations

import re

from wechatpay_chain._schemes.by_key import SCHEMES

__all__ = ["parse_authorization", "request_message", "response_message"]


def request_message(method: str, target: str, timestamp: int | str, nonce: str, body: bytes | str) -> bytes:
    """Returns the canonical message of a request: five lines, each of which ends with a line feed.

    Source: https://pay.weixin.qq.com/doc/v3/merchant/4012365342

    Args:
        method: the HTTP method.
        target: the path and query exactly as sent.
        timestamp: the Unix time in seconds.
        nonce: the random string of the Authorization header.
        body: the body exactly as sent; empty if there is none.
    """
    return f"{method.upper()}\n{target}\n{timestamp}\n{nonce}\n".encode() + _octets(body) + b"\n"


def response_message(timestamp: int | str, nonce: str, body: bytes | str) -> bytes:
    """Returns the canonical message of a response or a notification: three lines, each of which ends with a line feed.

    The lines are the timestamp, the nonce and the raw body.

    Source: https://pay.weixin.qq.com/doc/v3/merchant/4013053249
    """
    return f"{timestamp}\n{nonce}\n".encode() + _octets(body) + b"\n"


def _octets(body: bytes | str) -> bytes:
    return body.encode() if isinstance(body, str) else body


_CREDENTIAL = re.compile(r'([a-z_]+)="([^"]*)"')
_CREDENTIALS = re.compile(rf"{_CREDENTIAL.pattern}(?:,{_CREDENTIAL.pattern})*", re.ASCII)


def parse_authorization(value: str) -> dict[str, str]:
    """Parses an Authorization header of any scheme, with its items in any order; returns {} for any other header."""
    scheme, _, credentials = value.partition(" ")
    if all(each.name != scheme for each in SCHEMES) or not _CREDENTIALS.fullmatch(credentials):
        return {}
    items = _CREDENTIAL.findall(credentials)
    return dict(items) if len(dict(items)) == len(items) else {}

"""The text that is signed, and the Authorization header that carries the signature."""

from __future__ import annotations

import re

__all__ = ["AUTHORIZATION_SCHEME", "parse_authorization", "request_message", "response_message"]


AUTHORIZATION_SCHEME = "WECHATPAY2-SHA256-RSA2048"


def request_message(method: str, target: str, timestamp: int | str, nonce: str, body: bytes | str) -> bytes:
    """The canonical message of a request: five lines, each ended by a line feed, the body's too.

    Source: https://pay.weixin.qq.com/doc/v3/merchant/4012365342

    Args:
        method: the verb.
        target: path and query exactly as sent.
        timestamp: Unix time in seconds.
        nonce: the random text of the Authorization header.
        body: exactly what is sent; empty when there is none.
    """
    return f"{method.upper()}\n{target}\n{timestamp}\n{nonce}\n".encode() + _octets(body) + b"\n"


def response_message(timestamp: int | str, nonce: str, body: bytes | str) -> bytes:
    """The canonical message of an answer or a notification: timestamp, nonce, raw body, each ended by a line feed.

    Source: https://pay.weixin.qq.com/doc/v3/merchant/4013053249
    """
    return f"{timestamp}\n{nonce}\n".encode() + _octets(body) + b"\n"


def _octets(body: bytes | str) -> bytes:
    return body.encode() if isinstance(body, str) else body


_CREDENTIAL = re.compile(r'([a-z_]+)="([^"]*)"')


_CREDENTIALS = re.compile(rf"{_CREDENTIAL.pattern}(?:,{_CREDENTIAL.pattern})*", re.ASCII)


def parse_authorization(value: str) -> dict[str, str]:
    """The items of an Authorization header of ours, in whatever order; empty for a header of any other form."""
    scheme, _, credentials = value.partition(" ")
    if scheme != AUTHORIZATION_SCHEME or not _CREDENTIALS.fullmatch(credentials):
        return {}
    items = _CREDENTIAL.findall(credentials)
    return dict(items) if len(dict(items)) == len(items) else {}

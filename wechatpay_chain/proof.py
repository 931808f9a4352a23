"""Whether WeChat Pay's signature proves some bytes: of an answer or of a notification, by the same rules."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import NamedTuple

from wechatpay_chain import crypto
from wechatpay_chain.errors import Reason
from wechatpay_chain.http import response_message
from wechatpay_chain.keyring import Keyring

__all__ = ["Doubt", "find_doubt"]

WINDOW = 300
"""Seconds that the clock may be off. Sources differ on exactly 300; it is refused, which is the safe side."""

_SECONDS = re.compile("[0-9]{1,12}")
# What is no plain text could move the borders between the lines of the message.
_PLAIN = re.compile("[!-~]+")


class Doubt(NamedTuple):
    """Why something is not proven: the reason, and words that follow the name of the thing."""

    reason: Reason
    why: str


def find_doubt(headers: Mapping[str, str], body: bytes, keyring: Keyring) -> Doubt | None:
    """The first reason not to believe that WeChat Pay wrote a body just now, or None where the signature proves it.

    Sources: https://pay.weixin.qq.com/doc/v3/merchant/4013053249 for public keys,
    https://pay.weixin.qq.com/doc/v3/merchant/4013053420 for certificates and for the probes that begin with
    WECHATPAY/SIGNTEST/, which are nothing but bad signatures here.

    Args:
        headers: found by name in any case.
        body: the bytes that were signed.
        keyring: the keys to believe.
    """
    for name in ("Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature", "Wechatpay-Serial"):
        if not headers.get(name):
            return Doubt(Reason.MISSING_HEADER, f"it has no {name} header; does a proxy strip it?")
    timestamp, nonce, serial = (headers[f"Wechatpay-{name}"] for name in ("Timestamp", "Nonce", "Serial"))
    if not _SECONDS.fullmatch(timestamp):
        return Doubt(Reason.BAD_TIMESTAMP, "its Wechatpay-Timestamp is not a number of seconds")
    skew = int(timestamp) - int(time.time())
    if abs(skew) >= WINDOW:
        return Doubt(Reason.CLOCK_SKEW, f"its timestamp is {skew:+} seconds off this machine's clock; check the clock")
    key = keyring.find(serial)
    if key is None:
        return Doubt(
            Reason.UNKNOWN_SERIAL,
            f"it names the key {serial!r}, and here are {keyring!r}; add that key to certs="
            + (f" (fetching certificates failed: {keyring.trouble})" if keyring.trouble else ""),
        )
    signature = headers["Wechatpay-Signature"]
    if not _PLAIN.fullmatch(nonce) or not crypto.verify(response_message(timestamp, nonce, body), signature, key):
        return Doubt(Reason.BAD_SIGNATURE, "its signature does not fit its content")
    return None

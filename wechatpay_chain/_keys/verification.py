"""Checks WeChat Pay's signature over a response or a notification, by the same rules."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import NamedTuple

from wechatpay_chain._keys.keyring import Keyring
from wechatpay_chain._messages.effects import Invoke, Steps
from wechatpay_chain._messages.protocols import Verifier
from wechatpay_chain._messages.redaction import quote
from wechatpay_chain._schemes import rsa
from wechatpay_chain._schemes.canonical import response_message
from wechatpay_chain.errors import ConfigurationError, Reason

__all__ = ["WINDOW", "VerificationFailure", "check_signature"]

WINDOW = 300
"""Seconds that the clock may be off. Sources differ on exactly 300; it is refused, which is the safe side."""

PROBE = "WECHATPAY/SIGNTEST/"
"""The beginning of a deliberately wrong signature."""

_FIELDS = ("Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature", "Wechatpay-Serial")
_SECONDS = re.compile("[0-9]{1,12}")
# What is no plain text could move the borders between the lines of the message.
_PLAIN = re.compile("[!-~]+")


class VerificationFailure(NamedTuple):
    """Why a signature is refused: the reason, and a clause that continues "the response …: "."""

    reason: Reason
    why: str


def check_signature(
    headers: Mapping[str, str],
    body: bytes,
    keyring: Keyring,
    verifier: Verifier | None = None,
    received_at: datetime | None = None,
) -> Steps[VerificationFailure | None]:
    """Returns the first reason to refuse a signature, or None if WeChat Pay signed the body within the time window.

    Sources: https://pay.weixin.qq.com/doc/v3/merchant/4013053249 for public keys,
    https://pay.weixin.qq.com/doc/v3/merchant/4013053420 for certificates and for the probes that begin with
    WECHATPAY/SIGNTEST/, which are nothing but bad signatures here.

    Args:
        headers: found by name in any case.
        body: the bytes that were signed.
        keyring: the keys of WeChat Pay.
        verifier: verifies in place of the keyring; None to use the keyring.
        received_at: when the body was received; None for now.
    """
    timestamp, nonce, signature, serial = values = [headers.get(name, "") for name in _FIELDS]
    if not all(values):
        return VerificationFailure(
            Reason.MISSING_HEADER, f"it has no {_FIELDS[values.index('')]} header; does a proxy strip it?"
        )
    if not _SECONDS.fullmatch(timestamp):
        return VerificationFailure(Reason.BAD_TIMESTAMP, "its Wechatpay-Timestamp is not a number of seconds")
    clock, now = (
        ("this machine's clock", time.time()) if received_at is None else ("received_at", received_at.timestamp())
    )
    skew = int(timestamp) - int(now)
    if abs(skew) >= WINDOW:
        return VerificationFailure(Reason.CLOCK_SKEW, f"its timestamp is {skew:+} seconds off {clock}; check the clock")
    message = response_message(timestamp, nonce, body) if _PLAIN.fullmatch(nonce) else None
    if verifier is not None:
        return (yield from _asked(verifier, message, signature, serial))
    key = keyring.find(serial)
    if key is None:
        return VerificationFailure(
            Reason.UNKNOWN_SERIAL,
            f"it names the key {quote(serial, 64)}, and here are {keyring!r}; add that key to certs="
            + (f" (fetching certificates failed: {keyring.failure})" if keyring.failure else ""),
        )
    if message is None or not rsa.verify(message, signature, key):
        return VerificationFailure(Reason.BAD_SIGNATURE, _misfit(signature))
    return None


def _misfit(signature: str) -> str:
    """Explains a wrong signature. A probe is refused like any other; the text only says that it calls itself one."""
    probe = "; it calls itself a probe, which WeChat Pay sends now and then" if signature.startswith(PROBE) else ""
    return f"its signature does not fit its content{probe}"


def _asked(verifier: Verifier, message: bytes | None, signature: str, serial: str) -> Steps[VerificationFailure | None]:
    """Asks the user's verifier. Only True verifies."""
    if message is not None:
        try:
            verdict = yield Invoke(partial(verifier.verify, message, signature, serial))
        except ConfigurationError:
            raise
        except Exception as error:
            return VerificationFailure(Reason.VERIFIER_FAILED, f"the verifier raised {type(error).__name__}")
        if verdict is True:
            return None
    return VerificationFailure(Reason.BAD_SIGNATURE, _misfit(signature))

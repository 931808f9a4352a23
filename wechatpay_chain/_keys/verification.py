"""Verifies WeChat Pay's signature of a response or a notification; the rules are the same for both."""

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
from wechatpay_chain._schemes.by_key import is_named, verify
from wechatpay_chain._schemes.canonical import response_message
from wechatpay_chain.errors import ConfigurationError, Reason

__all__ = ["WINDOW", "VerificationFailure", "check_signature"]

WINDOW = 300
"""Seconds by which the clocks may differ. Sources disagree about exactly 300; refusing it is the safe choice."""

PROBE = "WECHATPAY/SIGNTEST/"
"""The prefix of a deliberately wrong signature, which WeChat Pay sends as a probe."""

_FIELDS = ("Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature", "Wechatpay-Serial")
_SECONDS = re.compile("[0-9]{1,12}")
# Other characters, such as a line feed, could shift the boundaries between the lines of the message.
_PLAIN = re.compile("[!-~]+")


class VerificationFailure(NamedTuple):
    """The reason why a signature is refused.

    Attributes:
        reason: the reason, for programs.
        why: the reason, for people, as a clause that continues "the response …: ".
    """

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
    WECHATPAY/SIGNTEST/, which are refused like any other wrong signature.

    Args:
        headers: the headers; names are case-insensitive.
        body: the signed bytes.
        keyring: the keys of WeChat Pay.
        verifier: the user's verifier, which replaces the keyring; None to use the keyring.
        received_at: the time at which the body was received; None for now.
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
        return (yield from _ask_verifier(verifier, message, signature, serial))
    key = keyring.find(serial)
    if key is None:
        return VerificationFailure(
            Reason.UNKNOWN_SERIAL,
            f"it names the key {quote(serial, 64)}, which is not in {keyring!r}; add that key to certs="
            + (f" (fetching certificates failed: {keyring.refresh_error})" if keyring.refresh_error else ""),
        )
    # The header names the algorithms; without it, they are those of the key. An unknown name is no name of another.
    named = headers.get("Wechatpay-Signature-Type", "")
    if named and not is_named(named, key):
        return VerificationFailure(
            Reason.BAD_SIGNATURE,
            f"its Wechatpay-Signature-Type is {quote(named, 64)}, which is not a type that the key {quote(serial, 64)} signs with",
        )
    if message is None or not verify(message, signature, key):
        return VerificationFailure(Reason.BAD_SIGNATURE, _explain_mismatch(signature))
    return None


def _explain_mismatch(signature: str) -> str:
    """Explains a wrong signature, with a note if it is marked as one of WeChat Pay's probes."""
    probe = "; it is marked as a probe, which WeChat Pay sends occasionally" if signature.startswith(PROBE) else ""
    return f"its signature does not match its content{probe}"


def _ask_verifier(
    verifier: Verifier, message: bytes | None, signature: str, serial: str
) -> Steps[VerificationFailure | None]:
    """Calls the user's verifier. Only True means verified."""
    if message is not None:
        try:
            verdict = yield Invoke(partial(verifier.verify, message, signature, serial))
        except ConfigurationError:
            raise
        except Exception as error:
            return VerificationFailure(Reason.VERIFIER_FAILED, f"the verifier raised {type(error).__name__}")
        if verdict is True:
            return None
    return VerificationFailure(Reason.BAD_SIGNATURE, _explain_mismatch(signature))

"""One notification: the value, and how it is decrypted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wechatpay_chain._notifications.posted import EMPTY_BODY
from wechatpay_chain._schemes.aead import aes_gcm_decrypt
from wechatpay_chain.errors import (
    DecryptionError,
)

__all__ = ["Decrypt", "Notification", "bind_key", "read_notification"]


@dataclass(frozen=True)
class Notification:
    """A notification that is verified and decrypted. Its repr shows nothing of its resource.

    The set of event types is open. One type can report several things, told apart by `original_type`: a
    `TRANSACTION.SUCCESS` of original type `profitsharing` is no payment. The same notification can come again; let `id`
    and the business number decide what is new.

    Attributes:
        id: the id of the notification, the same each time that it is sent.
        event_type: such as TRANSACTION.SUCCESS.
        create_time: RFC 3339, such as 2018-06-08T10:34:56+08:00.
        summary: a few words in Chinese.
        original_type: the kind of the resource, such as transaction.
        resource: the decrypted resource, any JSON value; {"out_trade_no": "…", "trade_state": "SUCCESS", …} of a payment.
        raw: the body as it came.
    """

    id: str
    event_type: str
    create_time: str
    summary: str
    original_type: str
    resource: Any = field(repr=False)
    raw: bytes = field(repr=False)


Decrypt = Callable[[str, str, str], bytes | None]
"""Decrypts a ciphertext with its nonce and its associated data; None where that fails."""


def bind_key(key: bytes) -> Decrypt:
    """Returns what decrypts with a key. It raises no error, for its frame holds the key, and a traceback would show it."""

    def decrypt(ciphertext: str, nonce: str, associated_data: str) -> bytes | None:
        try:
            return aes_gcm_decrypt(ciphertext, key, nonce, associated_data)
        except DecryptionError:
            return None

    return decrypt


_NOT_ONE = "the notification is not one: expected JSON with an id and an encrypted resource"


def read_notification(body: bytes, decrypt: Decrypt) -> Notification:
    """Reads a verified body.

    Raises:
        DecryptionError: it is no notification, or `apiv3_key` is not the key that it is encrypted with.
    """
    envelope = _load(body)
    encrypted = envelope.get("resource") if isinstance(envelope, dict) else None
    if not isinstance(encrypted, dict):
        raise DecryptionError(_NOT_ONE if body else f"the notification is not one: {EMPTY_BODY}")
    if encrypted.get("algorithm") != "AEAD_AES_256_GCM":
        raise DecryptionError("the notification is encrypted with an algorithm other than AEAD_AES_256_GCM")
    texts = {name: envelope.get(name, "") for name in ("id", "event_type", "create_time", "summary")}
    texts["original_type"] = encrypted.get("original_type", "")
    secret: list[Any] = [encrypted.get("ciphertext"), encrypted.get("nonce"), encrypted.get("associated_data") or ""]
    if not texts["id"] or not all(isinstance(text, str) for text in (*texts.values(), *secret)):
        raise DecryptionError(_NOT_ONE)
    resource = _load(decrypt(*secret))
    if resource is _NOTHING:
        raise DecryptionError(
            "the notification is signed by WeChat Pay and cannot be decrypted: apiv3_key may be wrong; expected the APIv3 key "
            "that is set in the merchant platform now"
        )
    return Notification(**texts, resource=resource, raw=body)


_NOTHING: Any = object()


def _load(octets: bytes | None) -> Any:
    """Returns a JSON value, or `_NOTHING`: the error of a parser carries the whole text."""
    try:
        return _NOTHING if octets is None else json.loads(octets)
    except (ValueError, RecursionError):
        return _NOTHING

"""Parses and decrypts a verified notification."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wechatpay_chain._notifications.posted import EMPTY_BODY
from wechatpay_chain._schemes.by_key import ALGORITHMS, find_algorithm
from wechatpay_chain.errors import DecryptionError

if TYPE_CHECKING:
    from wechatpay_chain._nodes.resources import Resources
else:
    Resources = object  # its overloads are for type checkers

__all__ = ["Decrypt", "Notification", "bind_key", "read_notification"]


@dataclass(frozen=True)
class Notification(Resources):
    """A verified and decrypted notification. Its repr does not show the resource.

    WeChat Pay adds event types over time. One event type can be sent for several kinds of resource, so check
    `original_type` too: a `TRANSACTION.SUCCESS` with the original type `profitsharing` is not a payment. WeChat Pay can
    send the same notification several times; use `id` and the order number to process it once.

    Attributes:
        id: the id of the notification, the same for every delivery.
        event_type: the event, such as TRANSACTION.SUCCESS.
        create_time: RFC 3339, such as 2018-06-08T10:34:56+08:00.
        summary: a short description in Chinese.
        original_type: the kind of the resource, such as transaction.
        resource: the decrypted resource, any JSON value. That of a payment is
            {"out_trade_no": "…", "trade_state": "SUCCESS", …}.
        raw: the bytes of the body as they were received.
    """

    id: str
    event_type: str
    create_time: str
    summary: str
    original_type: str
    resource: Any = field(repr=False)
    raw: bytes = field(repr=False)

    if not TYPE_CHECKING:

        def resource_for(self, event_type: str, original_type: str | None = None) -> Any:
            """Returns the resource if the notification is of an event, else None.

            Type checkers and editors know the resource of each documented event: `wechatpay_chain.types.notifications`.

                if refund := notification.resource_for("REFUND.SUCCESS"):
                    print(refund["out_refund_no"])

            Args:
                event_type: the event.
                original_type: the kind of the resource, for an event that has several; None for any.
            """
            matches = self.event_type == event_type and original_type in (None, self.original_type)
            return self.resource if matches else None


Decrypt = Callable[[str, str, str, str], bytes | None]
"""Decrypts by the name of an algorithm: ciphertext, nonce, associated data. Returns None if that fails."""


def bind_key(key: bytes) -> Decrypt:
    """Returns a function that decrypts with a key.

    The function raises no error: its frame contains the key, and a traceback with local variables would show it.
    """

    def decrypt(algorithm: str, ciphertext: str, nonce: str, associated_data: str) -> bytes | None:
        scheme = find_algorithm(algorithm)
        try:
            return scheme.aead_decrypt(ciphertext, key, nonce, associated_data) if scheme else None
        except DecryptionError:
            return None

    return decrypt


_MALFORMED = "the notification is malformed: expected JSON with an id and an encrypted resource"


def read_notification(body: bytes, decrypt: Decrypt) -> Notification:
    """Parses and decrypts a verified body.

    Args:
        body: the body.
        decrypt: decrypts with the APIv3 key.

    Raises:
        DecryptionError: the body is not a notification, or was not encrypted with `apiv3_key`.
    """
    envelope = _parse_json(body)
    encrypted = envelope.get("resource") if isinstance(envelope, dict) else None
    if not isinstance(encrypted, dict):
        raise DecryptionError(_MALFORMED if body else f"the notification is malformed: {EMPTY_BODY}")
    algorithm = str(encrypted.get("algorithm"))
    if find_algorithm(algorithm) is None:
        raise DecryptionError(f"the notification is encrypted with another algorithm; expected {ALGORITHMS}")
    texts = {name: envelope.get(name, "") for name in ("id", "event_type", "create_time", "summary")}
    texts["original_type"] = encrypted.get("original_type", "")
    secret: list[Any] = [encrypted.get("ciphertext"), encrypted.get("nonce"), encrypted.get("associated_data") or ""]
    if not texts["id"] or not all(isinstance(text, str) for text in (*texts.values(), *secret)):
        raise DecryptionError(_MALFORMED)
    resource = _parse_json(decrypt(algorithm, *secret))
    if resource is _NOTHING:
        raise DecryptionError(
            "the notification is signed by WeChat Pay, but cannot be decrypted: apiv3_key may be wrong; expected "
            "the APIv3 key that is currently set in the merchant platform"
        )
    return Notification(**texts, resource=resource, raw=body)


_NOTHING: Any = object()


def _parse_json(octets: bytes | None) -> Any:
    """Returns a JSON value, or `_NOTHING`, because the error of the parser would contain the whole text."""
    try:
        return _NOTHING if octets is None else json.loads(octets)
    except (ValueError, RecursionError):
        return _NOTHING

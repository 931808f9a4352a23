"""The notifications of APIv2: XML, most of them signed as its responses are.

Sources: https://pay.weixin.qq.com/doc/v2/merchant/4011985004 for payments, https://pay.weixin.qq.com/doc/v2/merchant/4011985454 for
refunds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from wechatpay_chain._messages.xml_body import MalformedXMLError, parse_xml
from wechatpay_chain._notifications.notification import Decrypt
from wechatpay_chain._notifications.posted import EMPTY_BODY
from wechatpay_chain._schemes.apiv2 import V2Keys
from wechatpay_chain._schemes.merchant_rsa import MERCHANT_RSA
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import ConfigurationError, DecryptionError, Reason, SignatureError

__all__ = ["RefundNotice", "XMLNotification", "read_xml_notification"]

Kind = Literal["payment", "combined payment", "contract", "deduction", "vehicle", "risk", "product", "event", "other"]
"""What a notification is about: an order, a combined order, the signing or the end of a contract, a deduction, the state of a vehicle,
a risky transaction; a product whose QR code was scanned (native payment, mode 1), to which `signed_xml_reply` replies with an order; an
event of bookings and rentals, which `event_type` names; or something else, which no documentation lists."""

_KINDS: Mapping[str, Kind] = {
    "event_type": "event",
    "event_code": "risk",
    "vehicle_event_createtime": "vehicle",
    "vehicle_event_type": "vehicle",
    "change_type": "contract",
    "sub_order_list": "combined payment",
    "contract_id": "deduction",
    "transaction_id": "payment",
    "out_trade_no": "payment",
}
"""The field by which a kind is told, in the order in which they are looked for."""


@dataclass(frozen=True)
class XMLNotification:
    """A verified notification of APIv2. Its repr does not show the fields.

    WeChat Pay sends the same notification several times, also at the same time; use the order number to process it once.

    Attributes:
        kind: what it is about.
        fields: its fields, each a text; all of them are signed, also those that no documentation lists.
        event: the decrypted fields of an event; empty for any other kind.
        raw: the bytes of the body as they were received.
    """

    kind: Kind
    fields: Mapping[str, Any] = field(repr=False)
    event: Mapping[str, Any] = field(repr=False)
    raw: bytes = field(repr=False)


@dataclass(frozen=True)
class RefundNotice:
    """A notice of a refund by APIv2, **which nobody has signed**: whoever has seen one such notice can make others of its parts.

    So it is a hint and no proof. Query the refund (`client.v2.pay.refundquery`) before you act on it. Its repr does not show the
    fields.

    Attributes:
        fields: the decrypted fields, such as out_refund_no and refund_status: SUCCESS, CHANGE or REFUNDCLOSE.
        head: the fields that came beside them in plain text: appid, mch_id, and sub_mch_id, which the query of a partner needs.
        raw: the bytes of the body as they were received.
    """

    fields: Mapping[str, Any] = field(repr=False)
    head: Mapping[str, Any] = field(repr=False)
    raw: bytes = field(repr=False)


@shielded
def read_xml_notification(body: bytes, keys: V2Keys, decrypt: Decrypt | None) -> XMLNotification | RefundNotice:
    """Verifies and decrypts a notification.

    Args:
        body: the raw bytes.
        keys: the APIv2 keys.
        decrypt: decrypts with the APIv3 key; None if there is none.

    Raises:
        ConfigurationError: the APIv3 key is missing, which an event is encrypted with.
        DecryptionError: the body is no notification, or was not encrypted with these keys.
        SignatureError: the signature is missing or wrong.
    """
    try:
        fields = parse_xml(body)
    except MalformedXMLError as error:
        why = f"its body {error}" if body else EMPTY_BODY
        raise DecryptionError(f"the notification is malformed: {why}") from None
    if "req_info" in fields:
        head = {name: value for name, value in fields.items() if name != "req_info"}
        return RefundNotice(_read_refund(fields["req_info"], keys), head, body)
    if not keys.verify(fields):
        is_missing = not fields.get("sign")
        raise SignatureError(
            f"the signature of the notification is not verified: "
            f"{'it has no sign' if is_missing else 'its sign does not match its fields; is apiv2_key= the key of this merchant?'}",
            Reason.MISSING_SIGNATURE if is_missing else Reason.BAD_SIGNATURE,
            None,
        )
    kinds: list[Kind] = [kind for name, kind in _KINDS.items() if fields.get(name)]
    # A payment of a product has a result; a scan of its QR code has none yet.
    is_scan = bool(fields.get("product_id")) and "result_code" not in fields
    kind: Kind = "product" if is_scan else kinds[0] if kinds else "other"
    return XMLNotification(kind, fields, _read_event(fields, decrypt) if kind == "event" else {}, body)


def _read_refund(ciphertext: object, keys: V2Keys) -> dict[str, Any]:
    for text in keys.decrypt_req_info(ciphertext) if isinstance(ciphertext, str) else ():
        try:
            return parse_xml(text, ("root", "xml"))
        except MalformedXMLError:
            continue
    raise DecryptionError(
        "the refund notice cannot be decrypted: it was altered, or apiv2_key= is not the key of this merchant"
    )


def _read_event(fields: Mapping[str, Any], decrypt: Decrypt | None) -> dict[str, Any]:
    if decrypt is None:
        raise ConfigurationError("apiv3_key: it is missing; the event in this notification is encrypted with it")
    secret = [fields.get(f"event_{name}", "") for name in ("ciphertext", "nonce", "associated_data")]
    # The field `algorithm` names that of the signature.
    algorithm = fields.get("event_algorithm") or MERCHANT_RSA.algorithm
    text = decrypt(algorithm, *secret) if all(isinstance(each, str) for each in secret) else None
    if text is None:
        raise DecryptionError("the notification is signed, but its event cannot be decrypted: apiv3_key= may be wrong")
    try:
        return parse_xml(text, ("xml", "root"))
    except MalformedXMLError as error:
        raise DecryptionError(f"the notification is signed, but its event {error}") from None

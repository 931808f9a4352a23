"""Makes a notification of APIv2 of any kind, for tests of a server that receives them.

Sources: https://pay.weixin.qq.com/doc/v2/merchant/4011985004 for payments; wechatpay.im (webhook/v2) for the fields of the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from wechatpay_chain import crypto
from wechatpay_chain._messages.xml_body import check_fields
from wechatpay_chain._schemes.apiv2 import HMAC_SHA256, MD5
from wechatpay_chain.errors import ConfigurationError
from wechatpay_chain.sandbox._keys import Keys
from wechatpay_chain.sandbox._operations.v2_notices import encrypt_req_info, format_time, write_signed
from wechatpay_chain.sandbox._xml import to_texts, write_xml

__all__ = ["make_xml_notice"]

_PAYMENT = {
    "return_code": "SUCCESS",
    "result_code": "SUCCESS",
    "appid": "wx8888888888888888",
    "openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
    "is_subscribe": "N",
    "trade_type": "JSAPI",
    "bank_type": "OTHERS",
    "total_fee": 100,
    "cash_fee": 100,
    "transaction_id": "4200000000202601010000000001",
    "out_trade_no": "20260101-0001",
}
_CONTRACT = {
    "contract_id": "202601010000000001",
    "contract_code": "100001256",
    "plan_id": "123",
    "openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
    "request_serial": 1000,
    "change_type": "ADD",
}
_SUB_ORDER = {"mch_id": "1900000109", **{name: _PAYMENT[name] for name in ("appid", "openid", "total_fee", "cash_fee")}}
_SAMPLES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "payment": _PAYMENT,
        "deduction": {**_PAYMENT, "trade_type": "PAP", "contract_id": "202601010000000001"},
        "combined payment": {
            "return_code": "SUCCESS",
            "result_code": "SUCCESS",
            "combine_appid": "wx8888888888888888",
            "combine_out_trade_no": "20260101-0001",
            "trade_type": "JSAPI",
            "sub_order_list": {"order_num": 1, "order_list": [{**_SUB_ORDER, "out_trade_no": "20260101-0002"}]},
        },
        "contract": _CONTRACT,
        "vehicle": {"appid": "wx8888888888888888", "plate_number": "粤B888888", "vehicle_event_type": "NORMAL"},
        "risk": {
            "return_code": "SUCCESS",
            "event_code": "TRANSACTION_RISK",
            "risk_level": "HIGH",
            "risk_level_desc": "高风险",
            "transaction_id_list": {"data": {"transaction_id": ["4200000000202601010000000001"]}},
        },
        "product": {
            "appid": "wx8888888888888888",
            "openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
            "is_subscribe": "N",
            "product_id": "88888",
        },
        "event": {"order_id": "1", "out_order_no": "20260101-0001", "service_id": "500001", "state": "CREATED"},
        "refund": {
            "transaction_id": "4200000000202601010000000001",
            "out_trade_no": "20260101-0001",
            "refund_id": "50000000002026010100000001",
            "out_refund_no": "20260101-0001-1",
            "total_fee": 100,
            "refund_fee": 100,
            "settlement_refund_fee": 100,
            "refund_status": "SUCCESS",
            "refund_account": "REFUND_SOURCE_RECHARGE_FUNDS",
            "refund_request_source": "API",
        },
    }
)
"""Fields of each kind, which those of the caller replace or add to."""

_SIGN_TYPES = {"combined payment": HMAC_SHA256, "vehicle": HMAC_SHA256, "risk": HMAC_SHA256, "event": HMAC_SHA256}
"""How the kinds are signed that are not signed with MD5."""

_EVENT_ALGORITHM = "AEAD_AES_256_GCM"
"""How every event is encrypted: APIv2 has no keys of SM2."""


def make_xml_notice(kind: str, fields: Mapping[str, Any], keys: Keys, now: datetime) -> bytes:
    """Returns the XML of a notification.

    Args:
        kind: what it is about: refund, or a `kind` of `XMLNotification`.
        fields: its fields; those of a refund and of an event are encrypted. A dict or a list is written as JSON.
        keys: the keys of the merchant.
        now: the time on the sandbox's clock.

    Raises:
        ConfigurationError: there is no such kind.
        ArgumentError: a field cannot be written.
    """
    if kind not in _SAMPLES:
        raise ConfigurationError(f"kind: came {kind!r}; expected one of {', '.join(_SAMPLES)}")
    completed = check_fields("fields", {**_SAMPLES[kind], **fields})
    number = {"combine_mch_id" if kind == "combined payment" else "mch_id": keys.number}
    head = {**number, "nonce_str": crypto.nonce()}
    if kind == "refund":
        info = {"success_time": f"{now:%Y-%m-%d %H:%M:%S}", **completed}
        hint = {"return_code": "SUCCESS", "appid": "wx8888888888888888", **head}
        return write_xml({**hint, "req_info": encrypt_req_info(info, keys.apiv2_key)})
    moments = {
        "payment": {"time_end": format_time(now)},
        "deduction": {"time_end": format_time(now)},
        "contract": {"operate_time": f"{now:%Y-%m-%d %H:%M:%S}"},
        "vehicle": {"vehicle_event_createtime": format_time(now)},
    }
    sign_type = _SIGN_TYPES.get(kind, MD5)
    signed = {"sign_type": sign_type} if kind in ("combined payment", "vehicle", "risk") else {}
    body = _encrypt_event(completed, keys, now) if kind == "event" else completed
    return write_signed(keys.apiv2_key, {**head, **signed, **moments.get(kind, {}), **body}, sign_type)


def _encrypt_event(fields: dict[str, str], keys: Keys, now: datetime) -> dict[str, Any]:
    """Returns the fields around an event, which is encrypted with the APIv3 key. `algorithm` is that of the signature."""
    nonce, event_type = crypto.nonce(12), fields.pop("event_type", "CHECK.SUCCESS")
    text = write_xml(to_texts(fields))
    return {
        "appid": "wx8888888888888888",
        "algorithm": HMAC_SHA256,
        "event_id": crypto.nonce(),
        "event_create_time": format_time(now),
        "event_type": event_type,
        "event_algorithm": _EVENT_ALGORITHM,
        "event_nonce": nonce,
        "event_associated_data": "event",
        "event_ciphertext": crypto.aes_gcm_encrypt(text, keys.apiv3_key.encode(), nonce, "event"),
    }

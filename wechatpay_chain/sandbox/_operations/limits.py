"""Limits of fields that the catalogue lacks, from the pages of the operations at pay.weixin.qq.com."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wechatpay_chain._catalogue.operations import Schema

__all__ = ["limit"]

_Limits = Mapping[str, Any]

_MCHID: _Limits = {"pattern": r"^[0-9]{8,10}$"}
_NOTIFY_URL: _Limits = {"maxLength": 255, "pattern": r"^https?://[^\s?#]+$"}
_ORDER_NO: _Limits = {"minLength": 6, "maxLength": 32, "pattern": r"^[0-9A-Za-z_\-|*@]+$"}
_REFUND_NO: _Limits = {"minLength": 1, "maxLength": 64, "pattern": r"^[0-9A-Za-z_\-|*@]+$"}
_SHARING_NO: _Limits = {"minLength": 1, "maxLength": 64, "pattern": r"^[0-9A-Za-z_\-|*@]+$"}

_ORDER: Mapping[str, _Limits] = {
    "appid": {"minLength": 1, "maxLength": 32},
    "mchid": _MCHID,
    "sp_mchid": _MCHID,
    "sub_mchid": _MCHID,
    "combine_mchid": _MCHID,
    "description": {"minLength": 1, "maxLength": 127},
    "out_trade_no": _ORDER_NO,
    "combine_out_trade_no": _ORDER_NO,
    "notify_url": _NOTIFY_URL,
    "transaction_notify_url": _NOTIFY_URL,
    "attach": {"maxLength": 128},
    "goods_tag": {"maxLength": 32},
    "total": {"minimum": 1},
    "total_amount": {"minimum": 1},
    "currency": {"enum": ["CNY"]},
    "quantity": {"minimum": 1},
    "openid": {"minLength": 1, "maxLength": 128},
    "sub_orders": {"minItems": 1, "maxItems": 50},
}
_REFUND: Mapping[str, _Limits] = {
    "out_refund_no": _REFUND_NO,
    "refund": {"minimum": 1},
    "total": {"minimum": 1},
    "currency": {"enum": ["CNY"]},
    "reason": {"maxLength": 80},
    "notify_url": _NOTIFY_URL,
}
_COMPLAINT: Mapping[str, _Limits] = {
    "begin_date": {"pattern": r"^\d{4}-\d\d-\d\d$"},
    "end_date": {"pattern": r"^\d{4}-\d\d-\d\d$"},
    "limit": {"minimum": 1, "maximum": 50},
    "offset": {"minimum": 0},
    "response_content": {"minLength": 1, "maxLength": 200},
    "response_images": {"maxItems": 4},
    "launch_refund_day": {"minimum": 0},
    "reject_reason": {"maxLength": 200},
    "reject_media_list": {"maxItems": 4},
    "remark": {"maxLength": 200},
}
_TIME: _Limits = {"pattern": r"^(?:[0-9]{8}|[0-9]{14}|OnAccept)$"}
_PAYSCORE: Mapping[str, _Limits] = {
    "sub_mchid": _MCHID,
    "out_order_no": {"minLength": 1, "maxLength": 32, "pattern": r"^[0-9A-Za-z_\-|*]+$"},
    "service_introduction": {"maxLength": 20},
    "attach": {"maxLength": 256},
    "notify_url": _NOTIFY_URL,
    "post_payments": {"maxItems": 100},
    "post_discounts": {"maxItems": 30},
    "amount": {"minimum": 0},
    "total_amount": {"minimum": 0},
    "start_time": _TIME,
    "end_time": _TIME,
}
_COUPON_NO: _Limits = {"minLength": 6, "maxLength": 40, "pattern": r"^[0-9A-Za-z_\-]+$"}
_COUPON: Mapping[str, _Limits] = {
    "send_request_no": _COUPON_NO,
    "out_request_no": _COUPON_NO,
    "notify_url": _NOTIFY_URL,
    "deactivate_reason": {"minLength": 1, "maxLength": 150},
    "code_list": {"minItems": 1, "maxItems": 200},
    "page_size": {"minimum": 1, "maximum": 50},
    "max_count": {"minimum": 1},
    "max_count_per_day": {"minimum": 1},
    "max_count_per_user": {"minimum": 1},
    "available_days": {"minimum": 1, "maximum": 3650},
    "available_seconds": {"minimum": 1, "maximum": 10**8},
    "wait_days_after_receive": {"minimum": 0, "maximum": 3650},
}
_TRANSFER: Mapping[str, _Limits] = {
    "appid": {"minLength": 1, "maxLength": 32},
    "sub_mchid": _MCHID,
    "out_bill_no": {"minLength": 1, "maxLength": 32, "pattern": r"^[0-9A-Za-z]+$"},
    "openid": {"minLength": 1, "maxLength": 128},
    "transfer_amount": {"minimum": 10},
    "transfer_remark": {"minLength": 1, "maxLength": 32},
    "notify_url": _NOTIFY_URL,
}
_SHARING: Mapping[str, _Limits] = {
    "sub_mchid": _MCHID,
    "transaction_id": {"minLength": 1, "maxLength": 32},
    "out_order_no": _SHARING_NO,
    "out_return_no": _SHARING_NO,
    "account": {"minLength": 1, "maxLength": 64},
    "return_mchid": {"minLength": 1, "maxLength": 32},
    "amount": {"minimum": 1},
    "description": {"minLength": 1, "maxLength": 80},
    "custom_relation": {"minLength": 1, "maxLength": 10},
}
# By the beginning of the path: the limits of members with these names, at any depth of the body and of the query.
_LIMITS: Mapping[str, Mapping[str, _Limits]] = {
    "/v3/pay/transactions": _ORDER,
    "/v3/pay/partner/transactions": _ORDER,
    "/v3/combine-transactions": _ORDER,
    "/v3/papay/pay": _ORDER,
    "/v3/papay/insurance-pay": _ORDER,
    "/v3/vehicle/transactions": _ORDER,
    "/v3/vehicle/etc/transactions": _ORDER,
    "/v3/qrcode/transactions": _ORDER,
    "/v3/ebike/charge/transactions": _ORDER,
    "/v3/edu-papay/transactions": _ORDER,
    "/v3/eduschoolpay/transactions": _ORDER,
    "/v3/payscore/serviceorder": _PAYSCORE,
    "/v3/payscore/partner/serviceorder": _PAYSCORE,
    "/v3/refund/domestic": _REFUND,
    "/v3/ecommerce/refunds": _REFUND,
    "/v3/fund-app/mch-transfer/transfer-bills": _TRANSFER,
    "/v3/fund-app/mch-transfer/partner/transfer-bills": _TRANSFER,
    "/v3/ecommerce/mch-transfer/transfer-bills": _TRANSFER,
    "/v3/profitsharing": _SHARING,
    "/v3/ecommerce/bill": {"bill_date": {"pattern": r"^\d{4}-\d\d-\d\d$"}},
    "/v3/bill": {"bill_date": {"pattern": r"^\d{4}-\d\d-\d\d$"}, "sub_mchid": _MCHID},
    "/v3/merchant-service/complaint-notifications": {"url": _NOTIFY_URL},
    "/v3/merchant-service/complaints-v2/": {**_COMPLAINT, "limit": {"minimum": 1, "maximum": 300}},
    "/v3/merchant-service/complaints-v2": _COMPLAINT,
    "/v3/marketing/partner/product-coupon": _COUPON,
    "/v3/security/echo": {"notify_url": _NOTIFY_URL},
}


def limit(path: str, schema: Schema) -> Schema:
    """Returns the schema of a body or a query with the limits of its operation.

    Args:
        path: the path template of the operation.
        schema: the schema of the catalogue.
    """
    limits = next((limits for start, limits in _LIMITS.items() if path.startswith(start)), None)
    return _limit(schema, limits) if limits else schema


def _limit(schema: Schema, limits: Mapping[str, _Limits]) -> Schema:
    if schema["type"] == "array":
        return {**schema, "items": _limit(schema["items"], limits)}
    if schema["type"] != "object":
        return schema
    properties = {
        name: {**_limit(member, limits), **(limits.get(name, {}) if member["type"] != "object" else {})}
        for name, member in schema["properties"].items()
    }
    return {**schema, "properties": properties}

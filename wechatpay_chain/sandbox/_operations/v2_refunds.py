"""Refunds by APIv2. They are the same refunds as those of APIv3.

Sources: the pages of secapi/pay/refund and pay/refundquery.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result
from wechatpay_chain.sandbox._operations.refund_operations import accept_refund
from wechatpay_chain.sandbox._operations.refunds import Refund
from wechatpay_chain.sandbox._operations.v2_notices import STATUSES, announce_refund
from wechatpay_chain.sandbox._operations.v2_orders import find_named_order

__all__ = ["V2_REFUND_HANDLERS"]

MOST_SHOWN = 10
"""The number of refunds that one query returns."""

_RENAMED = {
    "transaction_id": "transaction_id",
    "out_trade_no": "out_trade_no",
    "out_refund_no": "out_refund_no",
    "reason": "refund_desc",
    "notify_url": "notify_url",
    "sub_mchid": "sub_mch_id",
}
"""The parameters that APIv3 has, and the fields of APIv2 that they are."""


def _apply(account: Account, request: CheckedRequest) -> Result:
    fields = request.body
    asked = {name: fields[field] for name, field in _RENAMED.items() if field in fields}
    asked["amount"] = {"refund": fields["refund_fee"], "total": fields["total_fee"], "currency": "CNY"}
    known = account.book(Refund).get(fields["out_refund_no"])
    if known is not None and known.asked != asked:
        raise Refusal(400, "REFUND_FEE_MISMATCH", "订单金额或退款金额与之前请求不一致，请核实后再试")
    refund = accept_refund(account, asked, announce_refund)
    return 200, {
        **_describe_order(refund),
        "out_refund_no": refund.out_refund_no,
        "refund_id": refund.refund_id,
        "refund_fee": refund.amount,
        "cash_refund_fee": refund.amount - refund.discount,
        "coupon_refund_fee": refund.discount,
        "coupon_refund_count": 1 if refund.discount else 0,
    }


def _describe_order(refund: Refund) -> dict[str, Any]:
    order = refund.order
    return {
        "transaction_id": order.payment and order.payment.transaction_id,
        "out_trade_no": order.out_trade_no,
        "total_fee": order.total,
        "fee_type": "CNY",
        "cash_fee": order.payer_total,
    }


def _query(account: Account, request: CheckedRequest) -> Result:
    """Shows the refunds of an order from an offset on, or the one that is named; each field has the number of its refund."""
    offset = request.body.get("offset", 0)
    found = _find_refunds(account, request.body)
    shown = found[offset : offset + MOST_SHOWN]
    if not shown:
        raise Refusal(400, "REFUNDNOTEXIST", "退款订单查询失败")
    numbered = {
        f"{name}_{index}": value
        for index, refund in enumerate(shown)
        for name, value in _describe_refund(refund).items()
    }
    return 200, {
        **_describe_order(shown[0]),
        "total_refund_count": len(found),
        "refund_count": len(shown),
        **numbered,
    }


def _find_refunds(account: Account, fields: Mapping[str, Any]) -> list[Refund]:
    refunds = list(account.book(Refund).values())
    for name in ("refund_id", "out_refund_no"):
        if name in fields:
            return [
                refund
                for refund in refunds
                if getattr(refund, name) == fields[name] and refund.order.sub_mchid == fields.get("sub_mch_id")
            ]
    return list(find_named_order(account, fields).refunds)


def _describe_refund(refund: Refund) -> dict[str, Any]:
    is_successful = refund.status == "SUCCESS" and refund.finished_at
    return {
        "out_refund_no": refund.out_refund_no,
        "refund_id": refund.refund_id,
        "refund_channel": refund.channel,
        "refund_fee": refund.amount,
        "settlement_refund_fee": refund.amount - refund.discount,
        "coupon_refund_fee": refund.discount,
        "coupon_refund_count": 1 if refund.discount else 0,
        "refund_status": STATUSES[refund.status],
        "refund_account": "REFUND_SOURCE_UNSETTLED_FUNDS",
        "refund_recv_accout": refund.user_received_account,
        "refund_success_time": f"{refund.finished_at:%Y-%m-%d %H:%M:%S}" if is_successful else None,
    }


V2_REFUND_HANDLERS: dict[tuple[str, str], Handler] = {
    ("POST", "/secapi/pay/refund"): _apply,
    ("POST", "/secapi/pay/refundv2"): _apply,
    ("POST", "/pay/refundquery"): _query,
    ("POST", "/pay/refundqueryv2"): _query,
    ("POST", "/sandboxnew/pay/refund"): _apply,
    ("POST", "/sandboxnew/pay/refundquery"): _query,
}

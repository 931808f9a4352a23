"""The refunds of a platform (收付通): the refunds of `refunds.py` in the form of this family, and what the platform advances.

Source: https://pay.weixin.qq.com/wiki/doc/apiv3_partner/apis/chapter7_6_1.shtml and the pages beside it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.balances import Balances
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result
from wechatpay_chain.sandbox._operations.refund_operations import accept_refund, find_refund, retry_abnormal
from wechatpay_chain.sandbox._operations.refunds import ADVANCED, Refund
from wechatpay_chain.sandbox._operations.responses import respond

__all__ = ["ECOMMERCE_REFUND_HANDLERS"]

_REFUNDS = "/v3/ecommerce/refunds"
_ABNORMAL = f"{_REFUNDS}/{{refund_id}}/apply-abnormal-refund"
_ADVANCE = f"{_REFUNDS}/{{refund_id}}/return-advance"


class _AdvanceReturn(NamedTuple):
    """What a sub-merchant has paid back of a refund that the platform advanced.

    Attributes:
        advance_return_id: the number that the service assigned.
        success_time: when it was paid back.
    """

    advance_return_id: str
    success_time: datetime


def _describe(refund: Refund) -> dict[str, Any]:
    """Returns all that the responses of this family may contain. They spell CLOSED otherwise, and name who pays."""
    known = refund.describe()
    source = refund.asked.get("refund_account", "REFUND_SOURCE_SUB_MERCHANT")
    advance = refund.amount - refund.discount if source == ADVANCED else 0
    return {
        **known,
        "status": "CLOSE" if refund.status == "CLOSED" else refund.status,
        "refund_account": source,
        "amount": {**known["amount"], "advance": advance},
    }


def _apply(account: Account, request: CheckedRequest) -> Result:
    asked = {"refund_account": "REFUND_SOURCE_SUB_MERCHANT", **request.body}
    return respond("POST", f"{_REFUNDS}/apply", _describe(accept_refund(account, asked)))


def _query(account: Account, request: CheckedRequest) -> Result:
    return respond("GET", f"{_REFUNDS}/id/{{refund_id}}", _describe(find_refund(account, request)))


def _apply_abnormal(account: Account, request: CheckedRequest) -> Result:
    return respond("POST", _ABNORMAL, _describe(retry_abnormal(account, request)))


def _return_advance(account: Account, request: CheckedRequest) -> Result:
    refund = find_refund(account, request)
    if refund.asked.get("refund_account") != ADVANCED or refund.status != "SUCCESS":
        raise Refusal(400, "INVALID_REQUEST", "退款单不是垫付退款，或尚未退款成功")
    if refund.refund_id not in account.book(_AdvanceReturn):
        balances, paid = account.part(Balances), refund.amount - refund.discount
        balances.take(refund.order.payee, paid)
        balances.add(refund.payer, paid)
        number = f"121556{account.number('advance return', refund.refund_id, digits=22)}"
        account.book(_AdvanceReturn)[refund.refund_id] = _AdvanceReturn(number, account.now())
    return _query_advance(account, request)


def _query_advance(account: Account, request: CheckedRequest) -> Result:
    refund = find_refund(account, request)
    returned = account.book(_AdvanceReturn).get(refund.refund_id)
    if returned is None:
        raise Refusal(404, "RESOURCE_NOT_EXISTS", "垫付回补单不存在")
    return 200, {
        "refund_id": refund.refund_id,
        "advance_return_id": returned.advance_return_id,
        "return_amount": refund.amount - refund.discount,
        "payer_mchid": refund.order.payee,
        "payer_account": "BASIC",
        "payee_mchid": refund.order.mchid,
        "payee_account": "BASIC",
        "result": "SUCCESS",
        "success_time": returned.success_time.isoformat(timespec="seconds"),
    }


ECOMMERCE_REFUND_HANDLERS: dict[tuple[str, str], Handler] = {
    ("POST", f"{_REFUNDS}/apply"): _apply,
    ("GET", f"{_REFUNDS}/id/{{refund_id}}"): _query,
    ("GET", f"{_REFUNDS}/out-refund-no/{{out_refund_no}}"): _query,
    ("POST", _ABNORMAL): _apply_abnormal,
    ("POST", _ADVANCE): _return_advance,
    ("GET", _ADVANCE): _query_advance,
}

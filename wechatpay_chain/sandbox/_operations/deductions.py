"""Deductions: the merchant asks for money that the user has allowed it to take, and nobody has to be there.

The service accepts a deduction and makes it later; `Order.pay` plays that. What comes of it is an order like any other: it is
queried, refunded and listed in the bills.
Source: https://pay.weixin.qq.com/doc/v2/merchant/4013894074 for the states, and the pages of the operations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result
from wechatpay_chain.sandbox._operations.orders import UNPAID, Order, find_paid_order
from wechatpay_chain.sandbox._operations.placement import require_same
from wechatpay_chain.sandbox._operations.responses import respond

__all__ = ["DEDUCTION_HANDLERS"]

# By the path of the operation that asks for a deduction: the paths of those that query it. `v3/papay` has no query of its own:
# the query of an order finds them.
_ACCEPTED: Mapping[str, tuple[str, ...]] = {
    "/v3/papay/pay/transactions/apply": (),
    "/v3/papay/pay/partner/transactions/apply": (),
    "/v3/papay/pay/harmony/transactions/apply": (),
    "/v3/papay/insurance-pay/transactions/apply": (),
    "/v3/vehicle/transactions/parking": ("/v3/vehicle/transactions/out-trade-no/{out_trade_no}",),
    "/v3/qrcode/transactions": ("/v3/qrcode/transactions/out-trade-no/{out_trade_no}",),
    "/v3/ebike/charge/transactions": (
        "/v3/ebike/charge/transactions/id/{transaction_id}",
        "/v3/ebike/charge/transactions/out-trade-no/{out_trade_no}",
    ),
    "/v3/edu-papay/transactions": (
        "/v3/edu-papay/transactions/id/{transaction_id}",
        "/v3/edu-papay/transactions/out-trade-no/{out_trade_no}",
    ),
}
# The same for those that respond with the payment.
_PAID_AT_ONCE: Mapping[str, tuple[str, ...]] = {
    "/v3/vehicle/etc/transactions/highway": (
        "/v3/vehicle/etc/transactions/id/{transaction_id}",
        "/v3/vehicle/etc/transactions/out-trade-no/{out_trade_no}",
    ),
    "/v3/eduschoolpay/transactions": (
        "/v3/eduschoolpay/transactions/id/{transaction_id}",
        "/v3/eduschoolpay/transactions/out-trade-no/{out_trade_no}",
    ),
}
_STATES = {"ACCEPT": "ACCEPTED", "PAYERROR": "PAY_FAIL"}
"""What the queries of deductions call these states."""


def _place(account: Account, body: Mapping[str, Any]) -> Order:
    """Returns the deduction of that number, which is new if the number is.

    Raises:
        Refusal: no amount is given, or the number was used with other parameters.
    """
    placed, now = _complete(account, body), account.now()
    known = account.book(Order).get(placed["out_trade_no"])
    if known is not None:
        require_same((known.placed, known.trade_type) == (placed, "PAP"))
        return known
    order = Order(placed, "PAP", now, now + UNPAID, _state="ACCEPT", _account=account)
    account.book(Order)[placed["out_trade_no"]] = order
    return order


def _complete(account: Account, body: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters of a deduction in the form of an order. Its merchant is the one that signs.

    Raises:
        Refusal: no amount is given.
    """
    if "total" not in body.get("amount", {}):
        raise Refusal(400, "INVALID_REQUEST", "amount.total必填")
    mchid, contract = account.keys.number, body.get("contract_id", body["out_trade_no"])
    order = {
        **body,
        "description": body.get("description") or body.get("body", ""),
        "notify_url": body.get("transaction_notify_url") or body.get("notify_url"),
        "payer": {"openid": f"o{account.number('contract', contract, digits=27)}"},
    }
    if body.get("profit_sharing") == "Y":
        order["settle_info"] = {"profit_sharing": True}
    if "sub_mchid" not in body:
        return {**order, "mchid": mchid}
    appid = order.pop("appid", "")
    return {**order, "sp_mchid": mchid, "sp_appid": body.get("sp_appid") or appid}


def _describe(account: Account, order: Order) -> dict[str, Any]:
    """Returns all that the responses about a deduction may contain. Each family has names of its own."""
    known, mchid = order.describe(), account.keys.number
    openid = order.payment.openid if order.payment else order.placed["payer"]["openid"]
    return {
        "contract_id": "",
        **order.placed,
        **known,
        "appid": known.get("appid") or known.get("sp_appid"),
        "mchid": mchid,
        "sp_mchid": mchid,
        "payer": {"openid": openid, "sp_openid": openid},
        "amount": {"currency": "CNY", **known["amount"], "discount_total": order.total - order.payer_total},
        "create_time": order.placed_at.isoformat(timespec="seconds"),
        "trade_type": order.trade_type,
        "trade_state": _STATES.get(known["trade_state"], known["trade_state"]),
        **dict.fromkeys(("trade_state_des", "trade_state_description"), known["trade_state_desc"]),
        "accept_state": "SUCCESS",
    }


def _accept(path: str) -> Handler:
    def accept(account: Account, request: CheckedRequest) -> Result:
        return respond("POST", path, _describe(account, _place(account, request.body)))

    return accept


def _pay_at_once(path: str) -> Handler:
    def pay(account: Account, request: CheckedRequest) -> Result:
        order = _place(account, request.body)
        if order.payment is None:
            order.pay(notify=False)
        return respond("POST", path, _describe(account, order))

    return pay


def _query(path: str) -> Handler:
    def query(account: Account, request: CheckedRequest) -> Result:
        by_number = account.book(Order).get(request.path.get("out_trade_no", ""))
        order = by_number or find_paid_order(account, request.path.get("transaction_id", ""))
        if order is None or order.trade_type != "PAP" or order.sub_mchid != request.query.get("sub_mchid"):
            raise Refusal(404, "ORDER_NOT_EXIST", "订单不存在")
        return respond("GET", path, _describe(account, order))

    return query


def _handlers() -> Iterator[tuple[tuple[str, str], Handler]]:
    for make, families in ((_accept, _ACCEPTED), (_pay_at_once, _PAID_AT_ONCE)):
        for path, queries in families.items():
            yield ("POST", path), make(path)
            for each in queries:
                yield ("GET", each), _query(each)


DEDUCTION_HANDLERS: dict[tuple[str, str], Handler] = dict(_handlers())

"""The operations that place, query and close an order, of a merchant and of a partner.

The operations of mini programs are those of JSAPI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from wechatpay_chain.sandbox._notifier import Notice
from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result
from wechatpay_chain.sandbox._operations.orders import (
    Order,
    announce_payment,
    close_order,
    find_paid_order,
    require_payable,
)
from wechatpay_chain.sandbox._operations.placement import make_prepay_id, parse_deadline, require_same

__all__ = [
    "PREPAY",
    "TRANSACTION_HANDLERS",
    "find_order",
    "find_order_by_transaction",
    "place_order",
    "require_merchants",
]

Announce = Callable[[Order, str | None], Notice | None]


def _respond_with_prepay_id(prepay_id: str) -> dict[str, Any]:
    return {"prepay_id": prepay_id}


def _respond_with_h5_url(prepay_id: str) -> dict[str, Any]:
    page = "https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb"
    return {"h5_url": f"{page}?prepay_id={prepay_id}&package={prepay_id[-10:]}"}


def _respond_with_code_url(prepay_id: str) -> dict[str, Any]:
    return {"code_url": f"weixin://wxpay/bizpayurl?pr={prepay_id[-9:]}"}


PREPAY: Mapping[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "jsapi": ("JSAPI", _respond_with_prepay_id),
    "miniprogram": ("JSAPI", _respond_with_prepay_id),
    "app": ("APP", _respond_with_prepay_id),
    "h5": ("MWEB", _respond_with_h5_url),
    "native": ("NATIVE", _respond_with_code_url),
}
"""By the last segment of the path: the trade type, and what makes the body of the response from the prepay_id."""


def find_order(account: Account, out_trade_no: str, caller: Mapping[str, Any]) -> Order:
    """Returns an order by the merchant's number.

    Args:
        account: the merchant's account.
        out_trade_no: the order number.
        caller: contains mchid, or sp_mchid and sub_mchid.

    Raises:
        Refusal: there is no such order of these merchants, or the merchant is not the one that signed.
    """
    account.require_mchid(caller.get("sp_mchid") or caller["mchid"])
    order = account.book(Order).get(out_trade_no)
    # Sub-orders are seen only through their combined order.
    if order is None or order.combined or _merchants(order.placed) != _merchants(caller):
        raise Refusal(404, "ORDER_NOT_EXIST", "订单不存在")
    return order


def require_merchants(account: Account, placed: Mapping[str, Any]) -> None:
    """Checks the merchant numbers of an order, and the appid of the sub-merchant's user.

    Args:
        account: the merchant's account.
        placed: the parameters of the order.

    Raises:
        Refusal: the merchant is not the one that signed, or is its own sub-merchant; or sub_openid has no sub_appid.
    """
    mchid = placed.get("sp_mchid") or placed["mchid"]
    account.require_mchid(mchid)
    if placed.get("sub_mchid") == mchid:
        raise Refusal(400, "INVALID_REQUEST", "sub_mchid不能与sp_mchid相同")
    if "sub_openid" in placed.get("payer", {}) and "sub_appid" not in placed:
        raise Refusal(400, "PARAM_ERROR", "传入sub_openid时，sub_appid必填")


def _merchants(named: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(named.get(name) for name in ("mchid", "sp_mchid", "sub_mchid"))


def place_order(
    account: Account, placed: Mapping[str, Any], trade_type: str, announce: Announce = announce_payment
) -> Order:
    """Returns the order of that number, with a new prepay_id; the order is new if the number is.

    Args:
        account: the merchant's account.
        placed: the parameters of the order.
        trade_type: its trade type.
        announce: posts the notification of its payment.

    Raises:
        Refusal: the order is paid, closed or past its deadline, or was placed with other parameters.
    """
    require_merchants(account, placed)
    number, now = placed["out_trade_no"], account.now()
    order = account.book(Order).get(number)
    if order is None:
        deadline = parse_deadline(placed.get("time_expire"), now)
        order = account.book(Order)[number] = Order(
            placed, trade_type, now, deadline, _account=account, _announce=announce
        )
    else:
        require_payable(order)
        require_same((order.placed, order.trade_type) == (placed, trade_type))
    order.prepay_id = make_prepay_id(account, number)
    return order


def _place(trade_type: str, respond: Callable[[str], dict[str, Any]]) -> Handler:
    """Returns a handler that places an order.

    Args:
        trade_type: the trade type of the order.
        respond: returns the body of the response from the prepay_id.
    """

    def place(account: Account, request: CheckedRequest) -> Result:
        return 200, respond(place_order(account, request.body, trade_type).prepay_id)

    return place


def _query_by_out_trade_no(account: Account, request: CheckedRequest) -> Result:
    return 200, find_order(account, request.path["out_trade_no"], request.query).describe()


def find_order_by_transaction(account: Account, number: str, caller: Mapping[str, Any]) -> Order:
    """Returns a paid order by the number that the service assigned to its payment.

    Args:
        account: the merchant's account.
        number: the transaction_id.
        caller: contains mchid, or sp_mchid and sub_mchid.

    Raises:
        Refusal: there is no such order, or it is of other merchants.
    """
    account.require_mchid(caller.get("sp_mchid") or caller["mchid"])
    order = find_paid_order(account, number)
    if order is None or order.combined:
        raise Refusal(404, "ORDER_NOT_EXIST", "订单不存在")
    if _merchants(order.placed) != _merchants(caller):
        raise Refusal(400, "INVALID_REQUEST", "商户号与订单不匹配")
    return order


def _query_by_transaction_id(account: Account, request: CheckedRequest) -> Result:
    return 200, find_order_by_transaction(account, request.path["transaction_id"], request.query).describe()


def _close_order(account: Account, request: CheckedRequest) -> Result:
    close_order(find_order(account, request.path["out_trade_no"], request.body))
    return 204, None


# By the base of the paths, and by their last segment: how the order is placed.
_WAYS = {way: way for way in ("jsapi", "app", "h5", "native")} | {
    "jsapi-with-contract": "jsapi",
    "app-with-contract": "app",
}
_BASES = {
    "/v3/pay/transactions": _WAYS,
    "/v3/pay/partner/transactions": {**_WAYS, "miniprogram": "miniprogram", "scannedpos": "jsapi"},
}


def _handlers() -> Iterator[tuple[tuple[str, str], Handler]]:
    for base, ways in _BASES.items():
        for segment, way in ways.items():
            yield ("POST", f"{base}/{segment}"), _place(*PREPAY[way])
        yield ("GET", f"{base}/id/{{transaction_id}}"), _query_by_transaction_id
        yield ("GET", f"{base}/out-trade-no/{{out_trade_no}}"), _query_by_out_trade_no
        yield ("POST", f"{base}/out-trade-no/{{out_trade_no}}/close"), _close_order


TRANSACTION_HANDLERS: dict[tuple[str, str], Handler] = dict(_handlers())

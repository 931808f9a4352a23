"""The operations that place, query and close an order."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result

__all__ = ["ORDER_HANDLERS"]


def _place_order(account: Account, order: Mapping[str, Any], trade_type: str) -> dict[str, Any]:
    """Returns the order of that number, which is new if the number is.

    Raises:
        Refusal: the order is closed, or was placed with other parameters.
    """
    account.require_mchid(order["mchid"])
    number, placed = order["out_trade_no"], {"trade_type": trade_type, **order}
    known = account.orders.get(number)
    if known is None:
        known = account.orders[number] = {
            "placed": placed,
            "prepay_id": f"wx{secrets.token_hex(17)}",
            "time": account.now(),
            "state": {
                **{name: order[name] for name in ("appid", "mchid", "out_trade_no", "attach") if name in order},
                # The service assigns a transaction ID when the order is paid. Orders in the sandbox are never paid, so
                # they get it at once; otherwise the query by transaction ID could not be tested.
                "transaction_id": f"42{secrets.randbelow(10**26):026}",
                "trade_type": trade_type,
                "trade_state": "NOTPAY",
                "trade_state_desc": "订单未支付",
                "amount": {"currency": "CNY", "payer_currency": "CNY", **order["amount"]},
            },
        }
    elif known["state"]["trade_state"] == "CLOSED":
        raise Refusal(400, "ORDER_CLOSED", "订单已关闭，请重新下单")
    elif known["placed"] != placed:
        raise Refusal(403, "OUT_TRADE_NO_USED", "商户订单号重复：同一单号的参数须与首次下单一致")
    return known


def _place_native(account: Account, request: CheckedRequest) -> Result:
    order = _place_order(account, request.body, "NATIVE")
    return 200, {"code_url": f"weixin://wxpay/bizpayurl?pr={order['prepay_id'][-9:]}"}


def _place_jsapi(account: Account, request: CheckedRequest) -> Result:
    return 200, {"prepay_id": _place_order(account, request.body, "JSAPI")["prepay_id"]}


def _query_by_out_trade_no(account: Account, request: CheckedRequest) -> Result:
    return 200, account.find_order(request.path["out_trade_no"], request.query["mchid"])["state"]


def _query_by_transaction_id(account: Account, request: CheckedRequest) -> Result:
    states = (order["state"] for order in account.orders.values())
    number = next((s["out_trade_no"] for s in states if s["transaction_id"] == request.path["transaction_id"]), "")
    return 200, account.find_order(number, request.query["mchid"])["state"]


def _close_order(account: Account, request: CheckedRequest) -> Result:
    state = account.find_order(request.path["out_trade_no"], request.body["mchid"])["state"]
    state.update(trade_state="CLOSED", trade_state_desc="订单已关闭")
    return 204, None


_TRANSACTIONS = "/v3/pay/transactions"

ORDER_HANDLERS: dict[tuple[str, str], Handler] = {
    ("POST", f"{_TRANSACTIONS}/native"): _place_native,
    ("POST", f"{_TRANSACTIONS}/jsapi"): _place_jsapi,
    ("GET", f"{_TRANSACTIONS}/id/{{transaction_id}}"): _query_by_transaction_id,
    ("GET", f"{_TRANSACTIONS}/out-trade-no/{{out_trade_no}}"): _query_by_out_trade_no,
    ("POST", f"{_TRANSACTIONS}/out-trade-no/{{out_trade_no}}/close"): _close_order,
}

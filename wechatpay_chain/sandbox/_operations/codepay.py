"""Code payments: the merchant scans the payment code of a user, who pays at once or is asked for a password.

Sources: https://pay.weixin.qq.com/docs/merchant/apis/code-payment-v3/direct/reverse.html for the operations, and
https://pay.weixin.qq.com/wiki/doc/api/wxpay/ch/pay/QuickPay/chapter3_3.shtml for passwords and reversals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result
from wechatpay_chain.sandbox._operations.orders import UNPAID, Order, require_payable, reverse_order
from wechatpay_chain.sandbox._operations.placement import require_same
from wechatpay_chain.sandbox._operations.transactions import find_order, require_merchants

__all__ = ["CODEPAY_HANDLERS", "pay_by_code"]

WITHOUT_PASSWORD = 100_000
"""The largest amount in fen that a user can pay without a password."""


def pay_by_code(account: Account, placed: Mapping[str, Any]) -> Order:
    """Returns the order of that number: paid, or USERPAYING while the user types the password.

    Args:
        account: the merchant's account.
        placed: the parameters of the order.

    Raises:
        Refusal: the order is paid or closed, or was placed with other parameters.
    """
    require_merchants(account, placed)
    number, now = placed["out_trade_no"], account.now()
    order = account.book(Order).get(number)
    if order is not None:
        require_payable(order)
        require_same((order.placed, order.trade_type) == (placed, "MICROPAY"))
        return order
    order = account.book(Order)[number] = Order(
        placed, "MICROPAY", now, now + UNPAID, _state="USERPAYING", _account=account
    )
    if order.total <= WITHOUT_PASSWORD:
        order.pay()
    return order


def _pay(account: Account, request: CheckedRequest) -> Result:
    order = pay_by_code(account, request.body)
    if order.payment is None:
        return 200, _describe_pending(order)
    body = order.describe()
    body.pop("scene_info", None)
    return 200, body


def _describe_pending(order: Order) -> dict[str, Any]:
    """Returns the response while the user types the password. That to a partner has the numbers of the order."""
    names = ("sp_appid", "sp_mchid", "sub_appid", "sub_mchid", "out_trade_no")
    numbers = {name: order.placed[name] for name in names if name in order.placed} if order.sub_mchid else {}
    return {**numbers, "trade_state": "USERPAYING"}


def _reverse(account: Account, request: CheckedRequest) -> Result:
    asked = request.body
    order = find_order(account, request.path["out_trade_no"], asked)
    if asked.get("appid") != order.placed.get("appid"):
        raise Refusal(400, "INVALID_REQUEST", "appid与下单时不一致")
    reverse_order(order)
    return 200, {**asked, "out_trade_no": order.out_trade_no}


CODEPAY_HANDLERS: dict[tuple[str, str], Handler] = {
    ("POST", f"/v3/pay/{base}/codepay"): _pay for base in ("transactions", "partner/transactions")
} | {
    ("POST", f"/v3/pay/{base}/out-trade-no/{{out_trade_no}}/reverse"): _reverse
    for base in ("transactions", "partner/transactions")
}

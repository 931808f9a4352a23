"""Combined orders: up to 50 orders of several merchants that a user pays at once. All of them are paid, or none.

Source: https://pay.weixin.qq.com/doc/v3/partner/4012709095 and the pages of the operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.acts import act_on
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result
from wechatpay_chain.sandbox._operations.orders import (
    Order,
    receive_payment,
    require_payable,
    shut_order,
)
from wechatpay_chain.sandbox._operations.placement import make_prepay_id, parse_deadline, require_same
from wechatpay_chain.sandbox._operations.transactions import PREPAY

if TYPE_CHECKING:
    from wechatpay_chain.sandbox._notifier import Notice

__all__ = ["COMBINED_HANDLERS", "CombinedOrder"]


@dataclass(eq=False, repr=False)
class CombinedOrder:
    """A combined order as the service knows it. It has no state of its own: its sub-orders have theirs.

    Attributes:
        placed: the parameters of the combined order, decrypted.
        trade_type: JSAPI (also for mini programs), APP, MWEB or NATIVE.
        orders: the sub-orders, which can be refunded one by one.
        prepay_id: the last prepay_id.
    """

    placed: Mapping[str, Any]
    trade_type: str
    orders: list[Order] = field(default_factory=list)
    prepay_id: str = ""
    _account: Account = field(kw_only=True)

    def __repr__(self) -> str:
        return f"<CombinedOrder {self.placed['combine_out_trade_no']} of {self.orders}>"

    def pay(self, *, openid: str = "", bank_type: str = "OTHERS", notify: bool = True) -> Notice | None:
        """Pays all sub-orders as their user does, and posts one TRANSACTION.SUCCESS to the notify_url.

        Args:
            openid: the user; by default the payer of the combined order, or a made-up one.
            bank_type: the bank that pays, such as CMB_DEBIT.
            notify: False if the notification is lost.

        Returns:
            The notification, which is posted in another thread; None if it is lost, or if there is no notify_url.

        Raises:
            ConfigurationError: the combined order is paid, closed, or past its deadline.
        """
        payer = openid or self.placed.get("combine_payer_info", {}).get("openid", "")
        with self._account.lock, self._act("NOTPAY, and a deadline that is not over: pay another one"):
            require_payable(self.orders[0])
            for order in self.orders:
                receive_payment(order, self.openid or payer, bank_type, 0)
        url = self.placed.get("notify_url") if notify else None
        return self._account.announce("TRANSACTION.SUCCESS", self.describe(), url, "transaction", "支付成功")

    def expire(self) -> None:
        """Moves the deadline to the present: the user can no longer pay."""
        for order in self.orders:
            order.time_expire = self._account.now()

    def close(self) -> None:
        """Closes all sub-orders, as the operation of that name does. Those that are closed stay closed.

        Raises:
            ConfigurationError: they are paid.
        """
        with self._act("sub-orders that are not paid"):
            _close_all(self)

    @property
    def openid(self) -> str:
        """The user who paid; empty before the payment."""
        payment = self.orders[0].payment
        return payment.openid if payment else ""

    def describe(self) -> dict[str, Any]:
        """Returns the body of the response to a query: only the members that the state has."""
        with self._account.lock:  # all sub-orders have been paid, or none
            return self._describe()

    def _act(self, expected: str) -> AbstractContextManager[None]:
        """Returns what turns the refusals of an act of a test's author into errors for them."""
        return act_on(f"combined order {self.placed['combine_out_trade_no']}", self.orders[0].trade_state, expected)

    def _describe(self) -> dict[str, Any]:
        names = ("combine_appid", "combine_mchid", "combine_out_trade_no")
        device = self.placed.get("scene_info", {}).get("device_id")
        return {
            **{name: self.placed[name] for name in names},
            **({"combine_payer_info": {"openid": self.openid}} if self.openid else {}),
            **({"scene_info": {"device_id": device}} if device else {}),
            "sub_orders": [_describe_sub_order(order) for order in self.orders],
        }


def _close_all(combined: CombinedOrder) -> None:
    """Closes all sub-orders of a combined order.

    Raises:
        Refusal: they are paid.
    """
    with combined._account.lock:
        for order in combined.orders:
            shut_order(order)


def _describe_sub_order(order: Order) -> dict[str, Any]:
    names = ("mchid", "sub_mchid", "sub_appid", "out_trade_no")
    body: dict[str, Any] = {name: order.placed[name] for name in names if name in order.placed}
    body["trade_state"] = order.trade_state
    amount = {"total_amount": order.total, "currency": "CNY"}
    if order.payment is None:
        return {**body, "amount": amount}
    return {
        **body,
        "transaction_id": order.payment.transaction_id,
        "trade_type": order.trade_type,
        "bank_type": order.payment.bank_type,
        "attach": order.placed["attach"],
        "success_time": order.payment.success_time.isoformat(timespec="milliseconds"),
        "amount": {**amount, "payer_amount": order.payer_total, "payer_currency": "CNY"},
        "promotion_detail": order.payment.describe_coupons(),
    }


def _place_combined(account: Account, placed: Mapping[str, Any], trade_type: str) -> CombinedOrder:
    """Returns the combined order of that number, with a new prepay_id; it is new if the number is.

    Raises:
        Refusal: it is paid, closed or past its deadline; or a number was used with other parameters.
    """
    account.require_mchid(placed["combine_mchid"])
    number = placed["combine_out_trade_no"]
    combined = account.book(CombinedOrder).get(number)
    if combined is None:
        combined = CombinedOrder(placed, trade_type, _account=account)
        orders = _make_sub_orders(account, combined)
        require_same(len(orders) == len(placed["sub_orders"]) and not orders.keys() & account.book(Order).keys())
        combined.orders.extend(orders.values())
        account.book(CombinedOrder)[number] = combined
        account.book(Order).update(orders)
    else:
        require_payable(combined.orders[0])
        require_same((combined.placed, combined.trade_type) == (placed, trade_type))
    combined.prepay_id = make_prepay_id(account, number)
    return combined


def _make_sub_orders(account: Account, combined: CombinedOrder) -> dict[str, Order]:
    now, placed = account.now(), combined.placed
    deadline = parse_deadline(placed.get("time_expire"), now)
    shared = {"appid": placed["combine_appid"], "scene_info": placed.get("scene_info", {})}
    return {
        sub["out_trade_no"]: Order(
            {**shared, **sub, "amount": {"total": sub["amount"]["total_amount"], "currency": "CNY"}},
            combined.trade_type,
            now,
            deadline,
            combined=combined,
            _account=account,
        )
        for sub in placed["sub_orders"]
    }


def _place(trade_type: str, respond: Callable[[str], dict[str, Any]]) -> Handler:
    def place(account: Account, request: CheckedRequest) -> Result:
        return 200, respond(_place_combined(account, request.body, trade_type).prepay_id)

    return place


def _find_combined(account: Account, request: CheckedRequest) -> CombinedOrder:
    combined = account.book(CombinedOrder).get(request.path["combine_out_trade_no"])
    if combined is None:
        raise Refusal(404, "ORDER_NOT_EXIST", "订单不存在")
    return combined


def _query(account: Account, request: CheckedRequest) -> Result:
    return 200, _find_combined(account, request).describe()


def _close(account: Account, request: CheckedRequest) -> Result:
    combined = _find_combined(account, request)
    if request.body["combine_appid"] != combined.placed["combine_appid"]:
        raise Refusal(400, "INVALID_REQUEST", "combine_appid与下单时不一致")
    named = {sub["out_trade_no"]: sub for sub in request.body["sub_orders"]}
    known = {order.out_trade_no: order for order in combined.orders}
    if named.keys() != known.keys() or not all(_names(named[number], known[number]) for number in known):
        raise Refusal(400, "INVALID_REQUEST", "子单信息与下单时不一致，不支持关闭部分子单")
    _close_all(combined)
    return 204, None


def _names(named: Mapping[str, Any], order: Order) -> bool:
    """Tells whether a sub-order is named with its merchants."""
    return (named["mchid"], named.get("sub_mchid", order.sub_mchid)) == (order.mchid, order.sub_mchid)


_COMBINED = "/v3/combine-transactions"
_BY_NUMBER = f"{_COMBINED}/out-trade-no/{{combine_out_trade_no}}"

COMBINED_HANDLERS: dict[tuple[str, str], Handler] = {
    **{("POST", f"{_COMBINED}/{method}"): _place(*described) for method, described in PREPAY.items()},
    ("GET", _BY_NUMBER): _query,
    ("POST", f"{_BY_NUMBER}/close"): _close,
}

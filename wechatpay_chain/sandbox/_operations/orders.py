"""An order: its states, what a query says of it in each of them, and what its user does.

Sources: https://pay.weixin.qq.com/doc/v3/merchant/4013070354 and the pages of the operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from wechatpay_chain.errors import ConfigurationError
from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.acts import act_on
from wechatpay_chain.sandbox._operations.balances import Balances
from wechatpay_chain.sandbox._operations.payments import Payment

if TYPE_CHECKING:
    from wechatpay_chain.sandbox._notifier import Notice

__all__ = [
    "UNPAID",
    "Order",
    "announce_payment",
    "close_order",
    "find_paid_order",
    "receive_payment",
    "require_payable",
    "reverse_order",
    "shut_order",
]

UNPAID = timedelta(days=7)
"""The time after which the service closes an order that is not paid."""

PASSWORD_TIME = timedelta(seconds=45)
"""The time that a user has to type the password of a code payment; after it, the service reverses the payment.

Source: https://pay.weixin.qq.com/wiki/doc/api/wxpay/ch/pay/QuickPay/chapter3_3.shtml
"""

_PAYABLE = "NOTPAY, USERPAYING or ACCEPT, and a deadline that is not over: pay another order"
_DESCRIPTIONS = {
    "NOTPAY": "订单未支付",
    "SUCCESS": "支付成功",
    "REFUND": "订单发生过退款，退款详情请查询退款单",
    "CLOSED": "订单已关闭",
    "USERPAYING": "用户支付中，需要输入密码",
    "PAYERROR": "支付失败",
    "REVOKED": "订单已撤销",
    "ACCEPT": "已接收，等待扣款",
}


def announce_payment(order: Order, url: str | None) -> Notice | None:
    """Posts TRANSACTION.SUCCESS of an order.

    Args:
        order: the order, which is paid.
        url: the URL to post to; None or empty for nowhere.
    """
    return order._account.announce("TRANSACTION.SUCCESS", order.describe(), url, "transaction", "支付成功")


@dataclass(eq=False, repr=False)
class Order:
    """An order as the service knows it. Its methods do what the user does, who is not there in a sandbox.

    Attributes:
        placed: the parameters of the order, decrypted. Those of a sub-order have the form of an order.
        trade_type: JSAPI (also for mini programs), APP, MWEB, NATIVE, MICROPAY for a code payment, PAP for a deduction by
            contract, or AUTH for that of a payscore order.
        placed_at: when it was placed.
        time_expire: the last moment at which the user can pay. After it, the order stays NOTPAY until it is closed.
        prepay_id: the last prepay_id; empty for a code payment.
        payment: its payment; None before it is paid.
        refunds: its refunds, each a `Refund`, in the order in which they were accepted.
        combined: the `CombinedOrder` that it is a sub-order of, or None.
        reversed_at: when it was reversed, or None.
    """

    placed: Mapping[str, Any]
    trade_type: str
    placed_at: datetime
    time_expire: datetime
    prepay_id: str = ""
    payment: Payment | None = None
    refunds: list[Any] = field(default_factory=list)
    combined: object = None
    reversed_at: datetime | None = None
    _account: Account = field(kw_only=True)
    _state: str = field(default="NOTPAY", kw_only=True)
    _announce: Callable[[Order, str | None], Notice | None] = field(default=announce_payment, kw_only=True)

    def __repr__(self) -> str:
        return f"<Order {self.out_trade_no} {self.trade_state}>"

    @property
    def out_trade_no(self) -> str:
        """The merchant's order number."""
        return str(self.placed["out_trade_no"])

    @property
    def mchid(self) -> str:
        """The number of the merchant, or of the partner, who placed it."""
        return str(self.placed.get("sp_mchid") or self.placed["mchid"])

    @property
    def sub_mchid(self) -> str | None:
        """The number of the sub-merchant; None for an order of a merchant."""
        return self.placed.get("sub_mchid")

    @property
    def payee(self) -> str:
        """The number of the merchant who receives the money."""
        return self.sub_mchid or self.mchid

    @property
    def total(self) -> int:
        """The amount of the order in fen."""
        return int(self.placed["amount"]["total"])

    @property
    def payer_total(self) -> int:
        """The fen that the user paid: the total without the coupon."""
        return self.total - (self.payment.discount if self.payment else 0)

    @property
    def refundable(self) -> int:
        """The fen that have been paid and not been refunded. A refund that was closed has not been made."""
        if self.payment is None or self.reversed_at is not None:
            return 0
        refunded: int = sum(refund.amount for refund in self.refunds if refund.status != "CLOSED")
        return self.total - refunded

    @property
    def fee(self) -> int:
        """The fee of the service in fen: 0.6% of what the user pays."""
        return (self.payer_total * 6 + 500) // 1000

    @property
    def trade_state(self) -> str:
        """NOTPAY, SUCCESS, REFUND (from the first refund on) or CLOSED.

        A code payment has also USERPAYING, PAYERROR and REVOKED; a deduction has ACCEPT in place of NOTPAY, and PAYERROR.
        """
        if self._state == "SUCCESS" and self.refunds:
            return "REFUND"
        if self._state == "NOTPAY" and self._account.now() >= max(self.placed_at + UNPAID, self.time_expire):
            return "CLOSED"
        if self._state == "USERPAYING" and self._account.now() >= self.placed_at + PASSWORD_TIME:
            return "REVOKED"
        return self._state

    def pay(
        self, *, openid: str = "", bank_type: str = "OTHERS", discount: int = 0, notify: bool = True
    ) -> Notice | None:
        """Pays the order as its user does, and posts TRANSACTION.SUCCESS, or the notification of APIv2, to its notify_url.

        Args:
            openid: the user; by default the payer of the order, or a made-up one.
            bank_type: the bank that pays, such as CMB_DEBIT.
            discount: the fen that a coupon of the merchant pays, less than the total.
            notify: False if the notification is lost.

        Returns:
            The notification, which is posted in another thread; None if it is lost, or if the order has no notify_url.

        Raises:
            ConfigurationError: the order is paid, closed, past its deadline, or a sub-order; or the discount is too high.
        """
        with self._account.lock, self._act(_PAYABLE):
            require_payable(self)
            receive_payment(self, openid, bank_type, discount)
        return self._announce(self, self.placed.get("notify_url") if notify else None)

    def fail(self) -> None:
        """Fails to pay, for lack of money. A code payment or a deduction is PAYERROR; any other order stays NOTPAY.

        Raises:
            ConfigurationError: the order is paid, closed, past its deadline, or a sub-order.
        """
        with self._account.lock, self._act(_PAYABLE):
            require_payable(self)
            if self._state in ("USERPAYING", "ACCEPT"):
                self._state = "PAYERROR"

    def expire(self) -> None:
        """Moves the deadline to the present: the user can no longer pay, and the order stays NOTPAY until it is closed.

        Raises:
            ConfigurationError: the order is a sub-order.
        """
        with self._act(""):
            self.time_expire = self._account.now()

    def close(self) -> None:
        """Closes the order, as the operation of that name does. One that is closed stays closed.

        Raises:
            ConfigurationError: the order is paid, or a code payment, which can only be reversed, or a sub-order.
        """
        with self._act("an order that is not paid, and no code payment"):
            close_order(self)

    def reverse(self) -> None:
        """Reverses a code payment, as the operation of that name does; what was paid goes back to the user.

        Raises:
            ConfigurationError: it is no code payment, a part of it has been refunded, or the balance does not suffice.
        """
        with self._act("a code payment without refunds, and a balance that suffices"):
            reverse_order(self)

    def describe(self) -> dict[str, Any]:
        """Returns the body of the response to a query: only the members that the state has."""
        with self._account.lock:  # a payment in another thread is seen as a whole or not at all
            return self._describe()

    def _describe(self) -> dict[str, Any]:
        names = ("appid", "mchid", "sp_appid", "sp_mchid", "sub_appid", "sub_mchid", "out_trade_no")
        body: dict[str, Any] = {name: self.placed[name] for name in names if name in self.placed}
        if "sp_mchid" in body:  # a partner need not send it for a code payment, and a query shows it
            body.setdefault("sp_appid", f"wx{self._account.number('sp_appid', digits=16)}")
        state, device = self.trade_state, self.placed.get("scene_info", {}).get("device_id", "")
        body.update(trade_state=state, trade_state_desc=_DESCRIPTIONS[state])
        if self.payment is None:
            amount = {"total": self.total, "payer_currency": "CNY"}
            return {**body, "amount": amount, "promotion_detail": [], "scene_info": {"device_id": device}}
        amount = {"total": self.total, "payer_total": self.payer_total, "currency": "CNY", "payer_currency": "CNY"}
        return {
            **body,
            "transaction_id": self.payment.transaction_id,
            "trade_type": self.trade_type,
            "bank_type": self.payment.bank_type,
            "attach": self.placed.get("attach", ""),
            "success_time": self.payment.success_time.isoformat(timespec="seconds"),
            "payer": self._describe_payer(self.payment.openid),
            "amount": amount,
            "promotion_detail": self.payment.describe_coupons(),
            **({"scene_info": {"device_id": device}} if device else {}),
        }

    def _describe_payer(self, openid: str) -> dict[str, str]:
        if "sp_mchid" not in self.placed:
            return {"openid": openid}
        payer = self.placed.get("payer", {})
        return {"sp_openid": openid, **({"sub_openid": payer["sub_openid"]} if "sub_openid" in payer else {})}

    def _act(self, expected: str) -> AbstractContextManager[None]:
        """Returns what turns the refusals of an act of a test's author into errors for them."""
        if self.combined is not None:
            raise ConfigurationError(f"order {self.out_trade_no}: it is a sub-order; act on its combined order instead")
        return act_on(f"order {self.out_trade_no}", self.trade_state, expected)


def require_payable(order: Order) -> None:
    """Checks that a user can pay an order, and that it can be placed again.

    Args:
        order: the order.

    Raises:
        Refusal: the order is paid, closed, or past its deadline.
    """
    _require_unpaid(order)
    if order.trade_state not in ("NOTPAY", "USERPAYING", "ACCEPT"):
        raise Refusal(400, "ORDER_CLOSED", "订单已关闭，请重新下单")
    if order.trade_state == "NOTPAY" and order._account.now() >= order.time_expire:
        raise Refusal(400, "ORDER_CLOSED", "订单已过支付截止时间，请更换商户订单号重新下单")


def receive_payment(order: Order, openid: str, bank_type: str, discount: int) -> None:
    """Receives the payment of an order, also of a sub-order.

    Args:
        order: the order, which can be paid.
        openid: the user; empty for the payer of the order, or a made-up one.
        bank_type: the bank that pays.
        discount: the fen that a coupon of the merchant pays.

    Raises:
        ConfigurationError: the discount is not less than the total.
    """
    if not 0 <= discount < order.total:
        raise ConfigurationError(f"discount: came {discount!r}; expected from 0 to {order.total - 1}")
    account, payer = order._account, order.placed.get("payer", {})
    now, digits = account.now(), account.number(order.out_trade_no, "transaction", digits=15)
    transaction_id = f"42000{digits[:5]}{now:%Y%m%d}{digits[5:]}"
    made_up = f"o{account.number(order.out_trade_no, 'openid', digits=27)}"
    user = openid or payer.get("openid") or payer.get("sp_openid") or made_up
    coupon_id, stock_id = account.number(order.out_trade_no, "coupon", digits=10), account.number("stock", digits=8)
    order.payment = Payment(transaction_id, now, user, bank_type, discount, coupon_id, stock_id)
    account.remember([("transaction_id", transaction_id)], {"out_trade_no": order.out_trade_no})
    order._state = "SUCCESS"
    account.part(Balances).add(order.payee, order.payer_total - order.fee)


def close_order(order: Order) -> None:
    """Closes an order. One that is closed stays closed.

    Args:
        order: the order.

    Raises:
        Refusal: it is paid, or a code payment, which can only be reversed.
    """
    if order.trade_type == "MICROPAY":
        raise Refusal(400, "INVALID_REQUEST", "付款码支付的订单只能撤销，不能关闭")
    shut_order(order)


def shut_order(order: Order) -> None:
    """Closes an order of any kind, also a sub-order.

    Args:
        order: the order.

    Raises:
        Refusal: it is paid.
    """
    with order._account.lock:
        _require_unpaid(order)
        order._state = "CLOSED"


def reverse_order(order: Order) -> None:
    """Reverses a code payment; what was paid goes back to the user.

    Args:
        order: the order.

    Raises:
        Refusal: it is no code payment, a part of it has been refunded, or the balance does not suffice.
    """
    if order.trade_type != "MICROPAY":
        raise Refusal(400, "INVALID_REQUEST", "只有付款码支付的订单可以撤销")
    if order.refunds:
        raise Refusal(400, "INVALID_REQUEST", "订单已退款，不能撤销")
    account = order._account
    with account.lock:
        if order._state == "SUCCESS":
            account.part(Balances).take(order.payee, order.payer_total - order.fee)
            order.reversed_at = account.now()
        order._state = "REVOKED"


def _require_unpaid(order: Order) -> None:
    if order.trade_state in ("SUCCESS", "REFUND"):
        raise Refusal(400, "ORDERPAID", "订单已支付")


def find_paid_order(account: Account, transaction_id: str) -> Order | None:
    """Returns the order of a transaction ID, also a sub-order; None if there is none.

    Args:
        account: the merchant's account.
        transaction_id: the number that the service assigned to the payment.
    """
    orders = account.book(Order)
    known = orders.get(account.recall("transaction_id", transaction_id).get("out_trade_no", ""))
    if known and known.payment and known.payment.transaction_id == transaction_id:
        return known
    return next(
        (one for one in list(orders.values()) if one.payment and one.payment.transaction_id == transaction_id), None
    )

"""The state of a refund: the service and the banks finish it.

Sources: https://pay.weixin.qq.com/doc/v3/merchant/4013071031 and https://pay.weixin.qq.com/doc/v3/merchant/4014959631.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from wechatpay_chain.errors import ConfigurationError
from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.acts import require_act
from wechatpay_chain.sandbox._operations.balances import Balances
from wechatpay_chain.sandbox._operations.complaints import record_refund
from wechatpay_chain.sandbox._operations.orders import Order

if TYPE_CHECKING:
    from wechatpay_chain.sandbox._notifier import Notice

__all__ = ["ADVANCED", "Refund", "announce_refund"]

ADVANCED = "REFUND_SOURCE_PARTNER_ADVANCE"
"""The refund_account of a refund that the partner pays in advance, for the sub-merchant."""

PROCESSING_LIMIT = timedelta(days=7)
"""The time after which a refund that is still processed is closed."""

_SUMMARIES = {"SUCCESS": "退款成功", "ABNORMAL": "退款异常", "CLOSED": "退款关闭"}
_BANKS = {
    "CMB": "招商银行",
    "COMM": "交通银行",
    "ABC": "农业银行",
    "CCB": "建设银行",
    "ICBC": "工商银行",
    "BOC": "中国银行",
    "PAB": "平安银行",
    "SPDB": "浦发银行",
    "CITIC": "中信银行",
    "CEB": "光大银行",
    "CMBC": "民生银行",
    "CIB": "兴业银行",
    "GDB": "广发银行",
    "PSBC": "邮储银行",
    "NBCB": "宁波银行",
}


def announce_refund(refund: Refund, url: str | None) -> Notice | None:
    """Posts REFUND.SUCCESS, .ABNORMAL or .CLOSED of a refund.

    Args:
        refund: the refund, which is finished.
        url: the URL to post to; None or empty for nowhere.
    """
    status = refund._status
    notification = refund._describe_notification()
    return refund._account.announce(f"REFUND.{status}", notification, url, "refund", _SUMMARIES[status])


@dataclass(eq=False, repr=False)
class Refund:
    """A refund as the service knows it. It is closed after 7 days on the sandbox's clock if nobody finishes it before.

    Attributes:
        order: the order that is refunded, or the sub-order.
        asked: the parameters of the refund.
        refund_id: the number that the service assigned.
        create_time: when it was accepted.
        discount: the fen of it that the coupon paid, and that the user does not get.
        fee: the fen of the service's fee that the merchant gets back.
        finished_at: when it became SUCCESS, CLOSED or ABNORMAL; None while it is processed.
        channel: where the money goes: ORIGINAL, or OTHER_BANKCARD after an abnormal refund.
        user_received_account: the account that gets the money.
    """

    order: Order
    asked: Mapping[str, Any]
    refund_id: str
    create_time: datetime
    discount: int
    fee: int
    finished_at: datetime | None = None
    channel: str = "ORIGINAL"
    user_received_account: str = "支付用户零钱"
    _account: Account = field(kw_only=True)
    _status: str = field(default="PROCESSING", init=False)
    _since: datetime = field(init=False)
    _announce: Callable[[Refund, str | None], Notice | None] = field(default=announce_refund, kw_only=True)

    def __post_init__(self) -> None:
        self._since = self.create_time

    def __repr__(self) -> str:
        return f"<Refund {self.out_refund_no} {self.status}>"

    @property
    def out_refund_no(self) -> str:
        """The merchant's refund number."""
        return str(self.asked["out_refund_no"])

    @property
    def amount(self) -> int:
        """The fen to refund."""
        return int(self.asked["amount"]["refund"])

    @property
    def payer(self) -> str:
        """The number of the merchant who pays it: the payee of the order, or the partner that pays in advance."""
        return self.order.mchid if self.asked.get("refund_account") == ADVANCED else self.order.payee

    @property
    def status(self) -> str:
        """PROCESSING, SUCCESS, CLOSED or ABNORMAL, at the time of the sandbox's clock."""
        self.settle()
        return self._status

    def finish(self, status: str = "SUCCESS", *, notify: bool = True) -> Notice | None:
        """Finishes the processing, as the service and the banks do, and posts REFUND.SUCCESS, .ABNORMAL or .CLOSED.

        The notification of a refund by APIv2 is that of APIv2.

        Args:
            status: SUCCESS; ABNORMAL, if the user's card does not take the money; or CLOSED, if the merchant has not enough.
            notify: False if the notification is lost.

        Returns:
            The notification, which is posted in another thread; None if it is lost, or if the refund has no notify_url.

        Raises:
            ConfigurationError: the refund is not in PROCESSING, or there is no such status.
        """
        if status not in _SUMMARIES:
            raise ConfigurationError(f"status: came {status!r}; expected one of {', '.join(_SUMMARIES)}")
        with self._account.lock:
            is_processed = self.status == "PROCESSING"
            require_act(is_processed, f"refund {self.out_refund_no}", self.status, "PROCESSING: finish it once")
            return self._finish(status, self._account.now(), notify=notify)

    def settle(self) -> None:
        """Closes the refund if it has been processed for too long."""
        with self._account.lock:
            due = self._since + PROCESSING_LIMIT
            if self._status == "PROCESSING" and self._account.now() >= due:
                self._finish("CLOSED", due)

    def pay(self) -> None:
        """Takes the money from its payer. The payee of the order gets its fee back.

        Raises:
            Refusal: the balance does not suffice.
        """
        balances, paid, payee = self._account.part(Balances), self.amount - self.discount, self.order.payee
        balances.take(self.payer, paid - (self.fee if self.payer == payee else 0))
        if self.payer != payee:
            balances.add(payee, self.fee)

    def _finish(self, status: str, time: datetime, *, notify: bool = True) -> Notice | None:
        self._status, self.finished_at = status, time
        if status == "SUCCESS":
            record_refund(self._account, self.order)
        elif status == "CLOSED":
            balances = self._account.part(Balances)
            balances.add(self.payer, self.amount - self.discount)
            balances.add(self.order.payee, -self.fee)
        return self._announce(self, self.asked.get("notify_url") if notify else None)

    def describe(self) -> dict[str, Any]:
        """Returns the body of the response to a query: only the members that the status has."""
        paid = self.order.payer_total
        return {
            **self._describe_numbers(),
            "channel": self.channel,
            "user_received_account": self.user_received_account,
            "create_time": self.create_time.isoformat(timespec="seconds"),
            "status": self.status,
            "funds_account": self.asked.get("funds_account", "UNSETTLED"),
            "amount": {
                **self._describe_amount(),
                "settlement_total": paid,
                "settlement_refund": self.amount - self.discount,
                "discount_refund": self.discount,
                "currency": "CNY",
                "refund_fee": 0,
                "from": self.asked["amount"].get("from", []),
            },
            "promotion_detail": self._describe_coupons(),
            **self._describe_success(),
        }

    def retry(self, asked: Mapping[str, Any]) -> None:
        """Processes an abnormal refund again, to another account.

        Args:
            asked: the parameters of the abnormal refund.

        Raises:
            Refusal: the refund is not abnormal, has another number, or the user's card is not described.
        """
        if asked["out_refund_no"] != self.out_refund_no:
            raise Refusal(400, "INVALID_REQUEST", "商户退款单号与微信支付退款单号不匹配")
        if self.status != "ABNORMAL":
            raise Refusal(400, "INVALID_REQUEST", "退款单状态不是退款异常")
        account = "商户基本账户商户结算银行账户"
        if asked["type"] == "USER_BANK_CARD":
            if not asked.keys() >= {"bank_type", "bank_account", "real_name"}:
                raise Refusal(400, "PARAM_ERROR", "退款到用户银行卡时，bank_type、bank_account、real_name必填")
            account = f"{_BANKS[asked['bank_type'].partition('_')[0]]}借记卡{asked['bank_account'][-4:]}"
        self._status, self.finished_at, self._since = "PROCESSING", None, self._account.now()
        self.channel, self.user_received_account = "OTHER_BANKCARD", account

    def _describe_numbers(self) -> dict[str, Any]:
        payment = self.order.payment
        return {
            "refund_id": self.refund_id,
            "out_refund_no": self.out_refund_no,
            "transaction_id": payment.transaction_id if payment else "",
            "out_trade_no": self.order.out_trade_no,
        }

    def _describe_amount(self) -> dict[str, int]:
        return {
            "total": self.order.total,
            "refund": self.amount,
            "payer_total": self.order.payer_total,
            "payer_refund": self.amount - self.discount,
        }

    def _describe_success(self) -> dict[str, str]:
        if self.status != "SUCCESS" or self.finished_at is None:
            return {}
        return {"success_time": self.finished_at.isoformat(timespec="seconds")}

    def _describe_coupons(self) -> list[dict[str, Any]]:
        payment = self.order.payment
        if not self.discount or payment is None:
            return []
        coupon = {
            "promotion_id": payment.coupon_id,
            "scope": "GLOBAL",
            "type": "DISCOUNT",
            "amount": self.order.total - self.order.payer_total,
            "refund_amount": self.discount,
        }
        return [coupon]

    def _describe_notification(self) -> dict[str, Any]:
        sub_mchid, mchid = self.order.sub_mchid, self.order.mchid
        return {
            **({"sp_mchid": mchid, "sub_mchid": sub_mchid} if sub_mchid else {"mchid": mchid}),
            **self._describe_numbers(),
            "refund_status": self.status,
            "user_received_account": self.user_received_account,
            **({"refund_account": self.asked["refund_account"]} if "refund_account" in self.asked else {}),
            "amount": self._describe_amount(),
            **self._describe_success(),
        }

"""Refunds: the merchant applies for one and queries it, and the service finishes it.

Sources: https://pay.weixin.qq.com/doc/v3/merchant/4013071031 and https://pay.weixin.qq.com/doc/v3/merchant/4014959631.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.complaints import record_refund
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result
from wechatpay_chain.sandbox._operations.orders import Order, find_paid_order
from wechatpay_chain.sandbox._operations.sharing import Sharing

if TYPE_CHECKING:
    from wechatpay_chain.sandbox._notifier import Notice

__all__ = ["ADVANCED", "REFUND_HANDLERS", "Refund", "accept_refund", "find_refund", "retry_abnormal"]

ADVANCED = "REFUND_SOURCE_PARTNER_ADVANCE"
"""The refund_account of a refund that the partner pays in advance, for the sub-merchant."""

REFUNDABLE = timedelta(days=365)
"""The time after the payment in which it can be refunded."""

MOST_REFUNDS = 50
"""The number of refunds of one order."""

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


@dataclass(eq=False, repr=False)
class Refund:
    """A refund as the service knows it.

    Attributes:
        order: the order that is refunded, or the sub-order.
        asked: the parameters of the refund.
        refund_id: the number that the service assigned.
        create_time: when it was accepted.
        discount: the fen of it that the coupon paid, and that the user does not get.
        fee: the fen of the service's fee that the merchant gets back.
        status: PROCESSING, SUCCESS, CLOSED or ABNORMAL.
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
    status: str = "PROCESSING"
    finished_at: datetime | None = None
    channel: str = "ORIGINAL"
    user_received_account: str = "支付用户零钱"
    _account: Account = field(kw_only=True)

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

    def finish(self, status: str = "SUCCESS", *, notify: bool = True) -> Notice | None:
        """Finishes the processing, as the service and the banks do, and posts REFUND.SUCCESS, .ABNORMAL or .CLOSED.

        Args:
            status: SUCCESS; ABNORMAL, if the user's card does not take the money; or CLOSED, if the merchant has not enough.
            notify: False if the notification is lost.

        Returns:
            The notification, which is posted in another thread; None if it is lost, or if the refund has no notify_url.

        Raises:
            Refusal: the refund is not in PROCESSING, or there is no such status.
        """
        if status not in _SUMMARIES:
            raise Refusal(400, "PARAM_ERROR", f"退款状态须为{'、'.join(_SUMMARIES)}之一")
        with self._account.lock:
            if self.status != "PROCESSING":
                raise Refusal(400, "INVALID_REQUEST", f"退款单状态为{self.status}")
            self.status, self.finished_at = status, self._account.now()
            if status == "SUCCESS":
                record_refund(self._account, self.order)
        url = self.asked.get("notify_url") if notify else None
        return self._account.announce(
            f"REFUND.{status}", self._describe_notification(), url, "refund", _SUMMARIES[status]
        )

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

    def _retry_abnormal(self, asked: Mapping[str, Any]) -> None:
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
        self.status, self.finished_at = "PROCESSING", None
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
        if not self.discount:
            return []
        coupon = {
            "promotion_id": self.order._coupon_id,
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


def accept_refund(account: Account, asked: Mapping[str, Any]) -> Refund:
    """Returns the refund of that number, which is new if the number is.

    Args:
        account: the merchant's account.
        asked: the parameters of the refund.

    Raises:
        Refusal: the order cannot be refunded so, or the number was used with other parameters.
    """
    number = asked["out_refund_no"]
    known = account.book(Refund).get(number)
    if known is not None:
        if known.asked != asked:
            raise Refusal(400, "INVALID_REQUEST", "订单金额或退款金额与之前请求不一致，请核实后再试")
        return known
    order = _find_order(account, asked)
    _check_amount(account, order, asked["amount"])
    amount, now = asked["amount"]["refund"], account.now()
    made = [refund for refund in order.refunds if refund.status != "CLOSED"]
    discount_left = order.total - order.payer_total - sum(refund.discount for refund in made)
    discount = _share(order.total - order.payer_total, order.total, amount, discount_left, order.refundable)
    fee_left = order.fee - sum(refund.fee for refund in made)
    fee = _share(order.fee, order.payer_total, amount - discount, fee_left, order.refundable - discount_left)
    digits = account.number(number, "refund", digits=15)
    refund_id = f"503000{digits[:4]}{now:%Y%m%d}{digits[4:]}"
    refund = account.book(Refund)[number] = Refund(order, asked, refund_id, now, discount, fee, _account=account)
    order.refunds.append(refund)
    return refund


def _find_order(account: Account, asked: Mapping[str, Any]) -> Order:
    """Returns the paid order that is to be refunded.

    Raises:
        Refusal: no number is given; there is no such order, or it is not paid; or it is another merchant's.
    """
    transaction_id, out_trade_no = asked.get("transaction_id"), asked.get("out_trade_no")
    if transaction_id is None and out_trade_no is None:
        raise Refusal(400, "INVALID_REQUEST", "transaction_id与out_trade_no须填一个")
    found = [] if out_trade_no is None else [account.book(Order).get(out_trade_no)]
    if transaction_id is not None:
        found.append(find_paid_order(account, transaction_id))
    order = found[0]
    if order is None or order.trade_state not in ("SUCCESS", "REFUND") or found[-1] is not order:
        raise Refusal(404, "RESOURCE_NOT_EXISTS", "订单不存在，请检查订单号是否正确且已支付")
    if (order.mchid, order.sub_mchid) != (account.keys.mchid, asked.get("sub_mchid")):
        raise Refusal(403, "NO_AUTH", "没有退款权限")
    return order


def _check_amount(account: Account, order: Order, amount: Mapping[str, Any]) -> None:
    """Checks that an amount can be refunded.

    Raises:
        Refusal: the payment is too long ago; the total is not that of the order; less is left; or the accounts do not add up.
    """
    if order.payment is None or account.now() > order.payment.success_time + REFUNDABLE:
        raise Refusal(400, "INVALID_REQUEST", "订单已过可退款的最大期限")
    if amount["total"] != order.total:
        raise Refusal(400, "INVALID_REQUEST", "订单总金额与原订单不一致")
    sharing, transaction_id = account.part(Sharing), order.payment.transaction_id
    # What has been shared is not taken back: the rest that is frozen has to be unfrozen before more is refunded, from the balance.
    frozen = sharing.count_left(transaction_id) if sharing.find_shares(transaction_id) else 0
    if frozen and amount["refund"] > frozen:
        raise Refusal(400, "INVALID_REQUEST", "退款金额超过订单未分账的冻结金额，请先解冻剩余资金")
    if not order.refundable:
        raise Refusal(400, "INVALID_REQUEST", "订单已全额退款")
    if amount["refund"] > order.refundable:
        raise Refusal(400, "INVALID_REQUEST", "退款金额大于可退金额")
    if len(order.refunds) >= MOST_REFUNDS:
        raise Refusal(400, "INVALID_REQUEST", f"一笔订单最多退款{MOST_REFUNDS}次")
    if sources := amount.get("from"):
        accounts = [source["account"] for source in sources]
        if sum(source["amount"] for source in sources) != amount["refund"] or len(set(accounts)) < len(accounts):
            raise Refusal(400, "INVALID_REQUEST", "出资账户重复，或出资金额之和与退款金额不一致")


def _share(whole: int, total: int, amount: int, whole_left: int, total_left: int) -> int:
    """Returns the part of a whole that an amount carries, in proportion. All parts add up to the whole.

    Args:
        whole: what the total carries, such as a discount.
        total: the total, of which the amount is a part.
        amount: the amount.
        whole_left: what is left of the whole.
        total_left: what is left of the total, the amount included.
    """
    return min(max(whole * amount // total, amount - (total_left - whole_left)), whole_left)


def find_refund(account: Account, request: CheckedRequest) -> Refund:
    """Returns the refund that the path and the sub_mchid name.

    Args:
        account: the merchant's account.
        request: the request, with out_refund_no or refund_id in its path.

    Raises:
        Refusal: there is no such refund of this merchant.
    """
    refunds, path = account.book(Refund), request.path
    if "out_refund_no" in path:
        refund = refunds.get(path["out_refund_no"])
    else:
        refund = next((one for one in list(refunds.values()) if one.refund_id == path["refund_id"]), None)
    sub_mchid = request.query.get("sub_mchid", request.body.get("sub_mchid"))
    if refund is None or refund.order.sub_mchid != sub_mchid:
        raise Refusal(404, "RESOURCE_NOT_EXISTS", "退款单不存在")
    return refund


def retry_abnormal(account: Account, request: CheckedRequest) -> Refund:
    """Processes an abnormal refund again, to the account that the request describes, and returns it.

    Args:
        account: the merchant's account.
        request: the request.

    Raises:
        Refusal: there is no such refund, it is not abnormal, or the user's card is not described.
    """
    refund = find_refund(account, request)
    refund._retry_abnormal(request.body)
    return refund


def _apply(account: Account, request: CheckedRequest) -> Result:
    return 200, accept_refund(account, request.body).describe()


def _query(account: Account, request: CheckedRequest) -> Result:
    return 200, find_refund(account, request).describe()


def _apply_abnormal(account: Account, request: CheckedRequest) -> Result:
    return 200, retry_abnormal(account, request).describe()


_REFUNDS = "/v3/refund/domestic/refunds"

REFUND_HANDLERS: dict[tuple[str, str], Handler] = {
    ("POST", _REFUNDS): _apply,
    ("GET", f"{_REFUNDS}/{{out_refund_no}}"): _query,
    ("POST", f"{_REFUNDS}/{{refund_id}}/apply-abnormal-refund"): _apply_abnormal,
}

"""The operations of refunds: a merchant applies for one, queries it, and asks for another account for an abnormal one.

Sources: https://pay.weixin.qq.com/doc/v3/merchant/4013071031 and https://pay.weixin.qq.com/doc/v3/merchant/4014959631.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from wechatpay_chain.sandbox._notifier import Notice
from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result
from wechatpay_chain.sandbox._operations.orders import Order, find_paid_order
from wechatpay_chain.sandbox._operations.refunds import Refund, announce_refund
from wechatpay_chain.sandbox._operations.sharing import Sharing

__all__ = ["REFUND_HANDLERS", "accept_refund", "find_refund", "retry_abnormal"]

Announce = Callable[[Refund, str | None], Notice | None]

REFUNDABLE = timedelta(days=365)
"""The time after the payment in which it can be refunded."""

MOST_REFUNDS = 50
"""The number of refunds of one order."""


def accept_refund(account: Account, asked: Mapping[str, Any], announce: Announce = announce_refund) -> Refund:
    """Returns the refund of that number, which is new if the number is.

    Args:
        account: the merchant's account.
        asked: the parameters of the refund.
        announce: posts its notification.

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
    refund = Refund(order, asked, refund_id, now, discount, fee, _account=account, _announce=announce)
    refund.pay()
    account.book(Refund)[number] = refund
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
    if (order.mchid, order.sub_mchid) != (account.keys.number, asked.get("sub_mchid")):
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
    refund.retry(request.body)
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

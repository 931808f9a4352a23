"""What has to be there before a call of APIv2 can succeed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tools.site.stage import Given, Preparation, Stage

__all__ = ["list_of_v2"]

NUMBER = "1217752501201407033233368018"
REFUND = "1217752501201407033233368018-1"
DAY = 86400.0

_STARTS = ("v2", "v2.sandboxnew", "v2.xdc.apiv2sandbox")
"""How the names of the pages of payments begin: those of the service, and of its two sandboxes."""


_DEDUCTIONS = {
    "v2.pay.pappayapply": "v2.pay.paporderquery",
    "v2.pay.partner.pappayapply": "v2.pay.partner.paporderquery",
    "v2.transit.pay.payapply": "v2.transit.queryorder",
    "v2.transit.partnerpay.payapply": "v2.transit.partnerpay.queryorder",
}
"""The operations that ask for a deduction, and those that query it."""


_PAYOUTS = {
    "v2.mmpaymkttransfers.gethbinfo": ("v2.mmpaymkttransfers.sendredpack", "mch_billno", "一个已发放的红包"),
    "v2.mmpaymkttransfers.queryworkwxredpack": (
        "v2.mmpaymkttransfers.sendworkwxredpack",
        "mch_billno",
        "一个已发放的红包",
    ),
    "v2.mmpaymkttransfers.gettransferinfo": (
        "v2.mmpaymkttransfers.promotion.transfers",
        "partner_trade_no",
        "一笔付款到零钱",
    ),
    "v2.mmpaymkttransfers.promotion.querywwsptrans2pocket": (
        "v2.mmpaymkttransfers.promotion.paywwsptrans2pocket",
        "partner_trade_no",
        "一笔向员工付款",
    ),
    "v2.mmpaysptrans.query_bank": ("v2.mmpaysptrans.pay_bank", "partner_trade_no", "一笔付款到银行卡"),
}
"""The operations that query red packets and payments to users: what makes one, the name of its number, and what it is."""


def _order(stage: Stage) -> Given:
    """Places an order, and returns its number."""
    stage.call("v2.pay.unifiedorder.post", out_trade_no=NUMBER, time_expire=None, time_start=None, total_fee=100)
    return {"out_trade_no": NUMBER, "transaction_id": None}


def _paid(stage: Stage) -> Given:
    found = _order(stage)
    stage.sandbox.pay(NUMBER, notify=False)
    return found


def _paid_for_refund(stage: Stage) -> Given:
    return {**_paid(stage), "out_refund_no": REFUND, "total_fee": 100, "refund_fee": 100}


def _refund(stage: Stage) -> Given:
    stage.call("v2.secapi.pay.refund.post", **_paid_for_refund(stage))
    return {"out_refund_no": REFUND, "out_trade_no": None, "transaction_id": None, "refund_id": None, "offset": None}


def _micropay(stage: Stage) -> Given:
    stage.call("v2.pay.micropay.post", out_trade_no=NUMBER, time_expire=None, time_start=None, total_fee=100)
    return {"out_trade_no": NUMBER, "transaction_id": None}


def _deduct(start: str) -> Callable[[Stage], Given]:
    """Returns what makes a deduction of that family, and returns its number."""

    def deduct(stage: Stage) -> Given:
        stage.call(f"{start}.post", out_trade_no=NUMBER)
        stage.sandbox.pay(NUMBER, notify=False)
        return {"out_trade_no": NUMBER, "transaction_id": None}

    return deduct


def _pay_out(start: str, name: str) -> Callable[[Stage], Given]:
    """Returns what makes a red packet or a payment, and returns its number.

    Args:
        start: how the name of the page of the operation that makes it begins.
        name: the name of the number.
    """

    def pay_out(stage: Stage) -> Given:
        stage.call(f"{start}.post", **{name: NUMBER[:28]})
        return {name: NUMBER[:28]}

    return pay_out


def _bill_day(stage: Stage) -> Given:
    """Pays an order, and returns the day when its bill is ready."""
    _paid(stage)
    day = stage.sandbox.now.date()
    stage.sandbox.advance(2 * DAY)
    return {"bill_date": f"{day:%Y%m%d}", "sub_mch_id": None}


def list_of_v2() -> Iterator[tuple[str, Preparation]]:
    """Yields the preparations by the names of their pages."""
    paid = Preparation("一笔订单，用户已支付", _paid)
    refund = Preparation("一笔退款", _refund)
    bill = Preparation("前天有一笔已支付的订单", _bill_day)
    for start in _STARTS:
        yield f"{start}.pay.orderquery.post", paid
    for name in ("v2.secapi.pay.refund", "v2.secapi.pay.refundv2", "v2.sandboxnew.pay.refund"):
        yield f"{name}.post", Preparation("一笔已支付的订单", _paid_for_refund)
    for name in ("v2.pay.refundquery", "v2.pay.refundqueryv2", "v2.sandboxnew.pay.refundquery"):
        yield f"{name}.post", refund
    for name in ("v2.pay.downloadbill", "v2.pay.downloadfundflow", "v2.sandboxnew.pay.downloadbill"):
        yield f"{name}.post", bill
    for asked, query in _DEDUCTIONS.items():
        yield f"{query}.post", Preparation("一笔已扣款的订单", _deduct(asked))
    for query, (start, name, words) in _PAYOUTS.items():
        yield f"{query}.post", Preparation(words, _pay_out(start, name))
    yield "v2.pay.closeorder.post", Preparation("一笔订单，尚未支付", _order)
    yield "v2.secapi.pay.reverse.post", Preparation("一笔已支付的付款码订单", _micropay)

"""What has to be there before a deduction can be queried."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tools.site.stage import Given, Preparation, Stage

__all__ = ["list_of_deductions"]

BY_NUMBER = "out-trade-no.out_trade_no.get"
BY_TRANSACTION = "id.transaction_id.get"
NUMBER = "20150806125346"
SUB_MCHID = "1900000109"

_FAMILIES = (
    ("v3.ebike.charge.transactions", "post", (BY_NUMBER, BY_TRANSACTION)),
    ("v3.edu-papay.transactions", "post", (BY_NUMBER, BY_TRANSACTION)),
    ("v3.eduschoolpay.transactions", "post", (BY_NUMBER, BY_TRANSACTION)),
    ("v3.qrcode.transactions", "post", (BY_NUMBER,)),
    ("v3.vehicle.transactions", "parking.post", (BY_NUMBER,)),
    ("v3.vehicle.etc.transactions", "highway.post", (BY_NUMBER, BY_TRANSACTION)),
)
"""The beginning of the pages of a family, the operation that asks for a deduction, and those that query it."""


def list_of_deductions() -> Iterator[tuple[str, Preparation]]:
    """Yields the preparations by the names of their pages."""
    for start, ask, queries in _FAMILIES:
        deducted = Preparation("一笔已扣款成功的订单", partial(_deduct, ask=f"{start}.{ask}"))
        for query in queries:
            yield f"{start}.{query}", deducted


def _deduct(stage: Stage, ask: str) -> Given:
    """Asks for a deduction, waits until it is paid, and returns its numbers."""
    stage.call(ask, out_trade_no=NUMBER, sub_mchid=SUB_MCHID)
    order = stage.sandbox.orders[NUMBER]
    if order.payment is None:  # some families pay at once
        order.pay(notify=False)
    assert order.payment
    return {"out_trade_no": NUMBER, "transaction_id": order.payment.transaction_id, "sub_mchid": SUB_MCHID}

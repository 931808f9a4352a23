"""What has to be there before a call about service orders of WeChat Pay Score can succeed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tools.site.stage import Given, Preparation, Stage

__all__ = ["list_of_service_orders"]

NUMBER = "1234323JKHDFE1243252"

# The total is what is paid without the discounts, and is not above the deposit. The documentation's own examples do not agree.
_PAYMENT = {"name": "就餐费用", "amount": 4000, "count": 1, "description": "四人套餐"}
_TOTAL: Given = {
    "post_payments": [_PAYMENT],
    "post_discounts": [{"name": "满20减1元", "amount": 100, "count": 1, "description": "不与其他优惠叠加"}],
    "total_amount": 3900,
}
_LOWERED: Given = {"post_payments": [{**_PAYMENT, "amount": 3000}], "total_amount": 2900}
_ORDER: Given = {
    **_TOTAL,
    "out_order_no": NUMBER,
    "service_id": "2002000000000558128851361561536",
    "sub_mchid": "1900000109",
    "query_id": None,
    "paid_amount": 3900,
    "paid_time": "20091225121210",
}


def list_of_service_orders() -> Iterator[tuple[str, Preparation]]:
    """Yields the preparations by the names of their pages."""
    for start in ("v3.payscore.serviceorder", "v3.payscore.partner.serviceorder"):
        yield f"{start}.direct-complete.post", Preparation("", lambda _: _TOTAL)
        confirmed = Preparation("一笔用户已确认的支付分订单", partial(_confirm, start=start))
        yield f"{start}.get", confirmed
        for call in ("complete", "cancel"):
            yield f"{start}.out_order_no.{call}.post", confirmed
        completed = Preparation("一笔已完结、待收款的支付分订单", partial(_complete, start=start))
        for call in ("pay", "sync"):
            yield f"{start}.out_order_no.{call}.post", completed
        lowered = Preparation(completed.words, partial(_complete_and_lower, start=start))
        yield f"{start}.out_order_no.modify.post", lowered


def _confirm(stage: Stage, start: str) -> Given:
    """Creates a service order, which its user confirms, and returns its numbers."""
    stage.call(f"{start}.post", **_ORDER, need_user_confirm=True)
    stage.sandbox.service_orders[NUMBER].confirm(notify=False)
    return _ORDER


def _complete(stage: Stage, start: str) -> Given:
    """Completes a service order, whose payment the service then collects."""
    found = _confirm(stage, start)
    stage.call(f"{start}.out_order_no.complete.post", **found)
    return found


def _complete_and_lower(stage: Stage, start: str) -> Given:
    """Completes a service order, and returns a lower amount: a modification cannot raise it."""
    return {**_complete(stage, start), **_LOWERED}

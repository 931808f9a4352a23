"""Whatever is done with a paid order, its money adds up: what was paid is refunded, shared, or left."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wechatpay_chain import APIError
from wechatpay_chain.errors import BadRequestError, ForbiddenError, NotFoundError
from wechatpay_chain.sandbox import Sandbox

ORDER = {"appid": "wx", "description": "d", "notify_url": "https://a.example/", "settle_info": {"profit_sharing": True}}
RECEIVER = {"type": "MERCHANT_ID", "account": "1900000109", "name": "x", "relation_type": "STORE"}
TOTAL = 1000
STEPS = st.lists(
    st.tuples(st.sampled_from(["refund", "share", "unfreeze", "return", "close", "wait"]), st.integers(1, 600)),
    max_size=8,
)


@pytest.fixture(scope="module")
def world():
    with Sandbox() as sandbox, sandbox.client(retry=None) as client:
        yield sandbox, client


def pay(sandbox, client):
    sandbox.reset()
    order = {**ORDER, "mchid": client.mchid, "out_trade_no": "money-1", "amount": {"total": TOTAL}}
    client.v3.pay.transactions.native.post(json=order)
    sandbox.pay("money-1", notify=False)
    sandbox.advance(3600)
    receiver = {name: value for name, value in RECEIVER.items() if name != "name"}
    client.v3.profitsharing.receivers.add.post(json={"appid": "wx", **receiver})
    sandbox.sharing.max_ratio = 10_000
    return sandbox.orders["money-1"].payment.transaction_id


def act(sandbox, client, transaction_id, number, step, amount):
    """Carries out a step, which the service may refuse."""
    sharing = client.v3.profitsharing
    match step:
        case "refund":
            refund = {"out_trade_no": "money-1", "out_refund_no": f"r-{number}"}
            asked = {"refund": amount, "total": TOTAL, "currency": "CNY"}
            client.v3.refund.domestic.refunds.post(json={**refund, "amount": asked})
        case "share":
            receivers = [{"type": "MERCHANT_ID", "account": RECEIVER["account"], "amount": amount, "description": "d"}]
            body = {"appid": "wx", "transaction_id": transaction_id, "out_order_no": f"s-{number}"}
            sharing.orders.post(json={**body, "receivers": receivers, "unfreeze_unsplit": False})
        case "unfreeze":
            body = {"transaction_id": transaction_id, "out_order_no": f"u-{number}", "description": "d"}
            sharing.orders.unfreeze.post(json=body)
        case "return":
            shares = [share for share in sandbox.sharing.orders if share.startswith("s-")]
            body = {"out_order_no": shares[-1] if shares else "none", "out_return_no": f"b-{number}"}
            body |= {"return_mchid": RECEIVER["account"], "amount": amount, "description": "d"}
            sharing.return_orders.post(json=body)
        case "close":
            for refund in sandbox.refunds.values():
                if refund.status == "PROCESSING":
                    refund.finish("CLOSED" if amount % 2 else "SUCCESS")
                    return
        case "wait":
            sandbox.advance(amount * 60)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(steps=STEPS)
def test_the_money_of_an_order_adds_up(world, steps):
    sandbox, client = world
    transaction_id = pay(sandbox, client)
    order, sharing = sandbox.orders["money-1"], sandbox.sharing
    for number, (step, amount) in enumerate(steps):
        with suppress(BadRequestError, ForbiddenError, NotFoundError):
            act(sandbox, client, transaction_id, number, step, amount)
        refunded = sum(refund.amount for refund in sandbox.refunds.values() if refund.status != "CLOSED")
        shared, frozen = sharing.count_shared(transaction_id), sharing.count_left(transaction_id)
        assert order.refundable == TOTAL - refunded >= 0
        assert 0 <= shared <= TOTAL
        assert 0 <= frozen <= max(TOTAL - refunded - shared, 0)
        # As long as anything is frozen, nothing was taken from the balance.
        assert not frozen or refunded + shared <= TOTAL


def test_more_than_is_frozen_is_refunded_after_it_was_unfrozen(world):
    sandbox, client = world
    transaction_id = pay(sandbox, client)
    act(sandbox, client, transaction_id, 1, "share", 300)
    with pytest.raises(APIError, match="INVALID_REQUEST"):
        act(sandbox, client, transaction_id, 1, "refund", 701)
    act(sandbox, client, transaction_id, 2, "refund", 600)
    assert sandbox.sharing.count_left(transaction_id) == 100
    act(sandbox, client, transaction_id, 3, "unfreeze", 1)
    sandbox.advance(60)
    assert sandbox.sharing.count_left(transaction_id) == 0
    act(sandbox, client, transaction_id, 4, "refund", 400)
    assert sandbox.orders["money-1"].refundable == 0

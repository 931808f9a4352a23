"""A refund of the sandbox has the states of one at the service, and no money is lost or made."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.flows.test_orders import SUB_MCHID, code_of
from tests.test_sandbox_operations import to_json_schema
from wechatpay_chain import ConfigurationError, Sensitive
from wechatpay_chain._catalogue.operations import find_operation
from wechatpay_chain.sandbox import Refund, Sandbox

PATH = "/v3/refund/domestic/refunds"
NUMBERS = (f"refund-{index:04}" for index in itertools.count())


def pay_order(sandbox, client, total=100, discount=0, sub_mchid=None):
    """Places and pays an order, and returns it."""
    order = {"description": "公仔", "out_trade_no": next(NUMBERS), "notify_url": "http://127.0.0.1:9/"}
    order["amount"] = {"total": total}
    if sub_mchid:
        order.update(sp_appid="wx8888888888888888", sp_mchid=client.mchid, sub_mchid=sub_mchid)
        client.v3.pay.partner.transactions.native.post(json=order)
    else:
        order.update(appid="wxd678efh567hg6787", mchid=client.mchid)
        client.v3.pay.transactions.native.post(json=order)
    sandbox.pay(order["out_trade_no"], discount=discount, notify=False)
    return sandbox.orders[order["out_trade_no"]]


def ask(order, refund, **more):
    """Returns the parameters of a refund."""
    amount = {"refund": refund, "total": order.total, "currency": "CNY"}
    return {"out_trade_no": order.out_trade_no, "out_refund_no": next(NUMBERS), "amount": amount, **more}


def fits(body):
    schema = find_operation("POST", PATH).response
    assert [error.message for error in Draft202012Validator(to_json_schema(schema)).iter_errors(body)] == []
    assert body.keys() <= schema["properties"].keys()
    assert body["amount"].keys() <= schema["properties"]["amount"]["properties"].keys()
    return body


def query(client, number, send, **params):
    return fits(send(client[f"{PATH}/{{number}}"], "get", number=number, params=params or None).json())


MEMBERS = {
    "refund_id",
    "out_refund_no",
    "transaction_id",
    "out_trade_no",
    "channel",
    "create_time",
    "status",
    "user_received_account",
    "funds_account",
    "promotion_detail",
    "amount",
}


@pytest.mark.parametrize("by", ["out_trade_no", "transaction_id", "both"])
def test_a_whole_refund_succeeds(sandbox, client, shop, send, by):
    order = pay_order(sandbox, client)
    asked = ask(order, 100, notify_url=shop.url, transaction_id=order.payment.transaction_id)
    if by != "both":
        del asked[{"out_trade_no": "transaction_id", "transaction_id": "out_trade_no"}[by]]
    accepted = fits(send(client[PATH], "post", json=asked).json())
    assert accepted.keys() == MEMBERS
    assert accepted["status"] == "PROCESSING"
    assert (len(accepted["refund_id"]), accepted["refund_id"][:2]) == (29, "50")
    assert accepted == query(client, asked["out_refund_no"], send)
    assert (order.trade_state, order.refundable) == ("REFUND", 0)
    refund = sandbox.refunds[asked["out_refund_no"]]
    assert isinstance(refund, Refund)
    assert refund is order.refunds[0]
    assert repr(refund) == f"<Refund {refund.out_refund_no} PROCESSING>"

    notice = refund.finish("SUCCESS")
    event_type, resource = shop.receive()
    assert event_type == notice.event_type == "REFUND.SUCCESS"
    found = query(client, asked["out_refund_no"], send)
    assert found.keys() == MEMBERS | {"success_time"}
    assert found == {**accepted, "status": "SUCCESS", "success_time": found["success_time"]}
    assert resource == {
        "mchid": client.mchid,
        "transaction_id": order.payment.transaction_id,
        "out_trade_no": order.out_trade_no,
        "refund_id": found["refund_id"],
        "out_refund_no": asked["out_refund_no"],
        "refund_status": "SUCCESS",
        "success_time": found["success_time"],
        "user_received_account": "支付用户零钱",
        "amount": {"total": 100, "refund": 100, "payer_total": 100, "payer_refund": 100},
    }


@pytest.mark.parametrize("status", ["ABNORMAL", "CLOSED"])
def test_a_refund_that_does_not_succeed(sandbox, client, shop, send, status):
    order = pay_order(sandbox, client, sub_mchid=SUB_MCHID)
    asked = ask(order, 100, notify_url=shop.url, sub_mchid=SUB_MCHID)
    send(client[PATH], "post", json=asked)
    sandbox.refunds[asked["out_refund_no"]].finish(status)
    event_type, resource = shop.receive()
    assert event_type == f"REFUND.{status}"
    assert (resource["refund_status"], resource["sp_mchid"], resource["sub_mchid"]) == (status, client.mchid, SUB_MCHID)
    assert not resource.keys() & {"mchid", "success_time", "status"}
    found = query(client, asked["out_refund_no"], send, sub_mchid=SUB_MCHID)
    assert found.keys() == MEMBERS
    assert found["status"] == status
    assert order.trade_state == "REFUND"
    assert order.refundable == (100 if status == "CLOSED" else 0)
    again = {**asked, "out_refund_no": next(NUMBERS)}
    if status == "CLOSED":
        assert send(client[PATH], "post", json=again).json()["status"] == "PROCESSING"
    else:
        assert code_of(send, client[PATH], "post", json=again) == (400, "INVALID_REQUEST")


def test_a_refund_is_finished_once(sandbox, client):
    order = pay_order(sandbox, client)
    asked = ask(order, 1, notify_url="http://127.0.0.1:9/")
    client[PATH].post(json=asked)
    refund = sandbox.refunds[asked["out_refund_no"]]
    with pytest.raises(ConfigurationError, match="status: came 'DONE'; expected one of SUCCESS, ABNORMAL, CLOSED"):
        refund.finish("DONE")
    assert refund.finish(notify=False) is None
    for status in ("SUCCESS", "ABNORMAL", "CLOSED"):
        with pytest.raises(
            ConfigurationError, match=f"refund {refund.out_refund_no}: its state is SUCCESS; expected PROC"
        ):
            refund.finish(status)
    silent = ask(order, 1)
    client[PATH].post(json=silent)
    assert sandbox.refunds[silent["out_refund_no"]].finish() is None, "there is no notify_url"


def test_the_same_number_gives_the_same_refund(sandbox, client, send):
    order = pay_order(sandbox, client)
    asked = ask(order, 60, reason="商品已售完")
    first = send(client[PATH], "post", json=asked).json()
    assert send(client[PATH], "post", json=asked).json() == first
    sandbox.refunds[asked["out_refund_no"]].finish()
    assert send(client[PATH], "post", json=asked).json()["status"] == "SUCCESS"
    assert len(order.refunds) == 1
    for other in ({"amount": {**asked["amount"], "refund": 40}}, {"reason": "x"}):
        assert code_of(send, client[PATH], "post", json={**asked, **other}) == (400, "INVALID_REQUEST")


def test_partial_refunds_take_no_more_than_is_left(sandbox, client, send):
    order = pay_order(sandbox, client)
    assert code_of(send, client[PATH], "post", json=ask(order, 101)) == (400, "INVALID_REQUEST")
    assert order.trade_state == "SUCCESS"
    send(client[PATH], "post", json=ask(order, 30))
    send(client[PATH], "post", json=ask(order, 30))
    refused = ask(order, 41)
    assert code_of(send, client[PATH], "post", json=refused) == (400, "INVALID_REQUEST")
    assert code_of(send, client[f"{PATH}/{{n}}"], "get", n=refused["out_refund_no"]) == (404, "RESOURCE_NOT_EXISTS")
    refused["amount"]["refund"] = 40  # a refused refund leaves its number free
    send(client[PATH], "post", json=refused)
    assert code_of(send, client[PATH], "post", json=ask(order, 1)) == (400, "INVALID_REQUEST")
    assert order.refundable == 0


def test_an_order_has_at_most_fifty_refunds(sandbox, client):
    order = pay_order(sandbox, client)
    for _ in range(50):
        client[PATH].post(json=ask(order, 1))
    assert code_of(client[PATH].post, json=ask(order, 1)) == (400, "INVALID_REQUEST")


def test_a_refund_that_is_not_possible_is_refused(sandbox, client, send):
    order = pay_order(sandbox, client)
    partners = pay_order(sandbox, client, sub_mchid=SUB_MCHID)
    client.v3.pay.transactions.native.post(json={**order.placed, "out_trade_no": "never-paid"})
    asked = ask(order, 10)
    unnamed = {name: value for name, value in asked.items() if name != "out_trade_no"}
    accounts = [{"account": "AVAILABLE", "amount": 5}, {"account": "AVAILABLE", "amount": 5}]
    for invalid, expected in (
        (unnamed, (400, "INVALID_REQUEST")),
        ({**asked, "out_trade_no": "unknown"}, (404, "RESOURCE_NOT_EXISTS")),
        ({**asked, "out_trade_no": "never-paid"}, (404, "RESOURCE_NOT_EXISTS")),
        ({**unnamed, "transaction_id": "4200001100202401010000000001"}, (404, "RESOURCE_NOT_EXISTS")),
        ({**asked, "transaction_id": partners.payment.transaction_id}, (404, "RESOURCE_NOT_EXISTS")),
        ({**asked, "sub_mchid": SUB_MCHID}, (403, "NO_AUTH")),
        ({**asked, "out_trade_no": partners.out_trade_no}, (403, "NO_AUTH")),
        ({**asked, "amount": {**asked["amount"], "total": 99}}, (400, "INVALID_REQUEST")),
        ({**asked, "amount": {**asked["amount"], "refund": 0}}, (400, "PARAM_ERROR")),
        ({**asked, "amount": {**asked["amount"], "from": accounts}}, (400, "INVALID_REQUEST")),
        ({**asked, "amount": {**asked["amount"], "from": accounts[:1]}}, (400, "INVALID_REQUEST")),
        ({**asked, "reason": "长" * 81}, (400, "PARAM_ERROR")),
    ):
        assert code_of(send, client[PATH], "post", json=invalid) == expected
    assert order.refundable == 100
    accounts[1]["account"] = "UNAVAILABLE"
    found = send(client[PATH], "post", json={**asked, "amount": {**asked["amount"], "from": accounts}}).json()
    assert found["amount"]["from"] == accounts
    assert code_of(send, client[f"{PATH}/{{n}}"], "get", n=asked["out_refund_no"], params={"sub_mchid": SUB_MCHID}) == (
        404,
        "RESOURCE_NOT_EXISTS",
    )


def test_a_payment_can_be_refunded_for_a_year(send):
    with Sandbox() as sandbox, sandbox.client(retry=None) as client:
        order = pay_order(sandbox, client)
        sandbox.advance(365 * 86400 - 60)
        send(client[PATH], "post", json=ask(order, 1))
        sandbox.advance(120)
        assert code_of(send, client[PATH], "post", json=ask(order, 1)) == (400, "INVALID_REQUEST")


def test_a_refund_that_nobody_finishes_is_closed_after_a_week(sandbox, client, shop, send):
    order = pay_order(sandbox, client)
    asked = ask(order, 100, notify_url=shop.url)
    send(client[PATH], "post", json=asked)
    sandbox.advance(7 * 86400 - 60)
    assert query(client, asked["out_refund_no"], send)["status"] == "PROCESSING"
    sandbox.advance(60)
    event_type, resource = shop.receive()
    assert (event_type, resource["refund_status"]) == ("REFUND.CLOSED", "CLOSED")
    assert query(client, asked["out_refund_no"], send)["status"] == "CLOSED"
    assert order.refundable == 100
    refund = sandbox.refunds[asked["out_refund_no"]]
    assert refund.finished_at - refund.create_time == timedelta(days=7)


def test_a_refund_that_is_processed_again_has_another_week(sandbox, client, send):
    order = pay_order(sandbox, client)
    asked = ask(order, 100)
    refund_id = client[PATH].post(json=asked).json()["refund_id"]
    refund = sandbox.refunds[asked["out_refund_no"]]
    refund.finish("ABNORMAL")
    sandbox.advance(8 * 86400)
    assert refund.status == "ABNORMAL"
    body = {"out_refund_no": asked["out_refund_no"], "type": "MERCHANT_BANK_CARD"}
    send(client[f"{PATH}/{{refund_id}}/apply-abnormal-refund"], "post", refund_id=refund_id, json=body)
    sandbox.advance(6 * 86400)
    assert refund.status == "PROCESSING"
    sandbox.advance(86400)
    assert refund.status == "CLOSED"


CARD = {
    "type": "USER_BANK_CARD",
    "bank_type": "CMB_DEBIT",
    "bank_account": Sensitive("6214830100001234"),
    "real_name": Sensitive("张三"),
}


@pytest.mark.parametrize(
    ("destination", "account"),
    [(CARD, "招商银行借记卡1234"), ({"type": "MERCHANT_BANK_CARD"}, "商户基本账户商户结算银行账户")],
    ids=["user", "merchant"],
)
def test_an_abnormal_refund_goes_to_another_account(sandbox, client, shop, send, destination, account):
    order = pay_order(sandbox, client)
    asked = ask(order, 100, notify_url=shop.url)
    number, refund_id = asked["out_refund_no"], client[PATH].post(json=asked).json()["refund_id"]
    node, body = client[f"{PATH}/{{refund_id}}/apply-abnormal-refund"], {"out_refund_no": number, **destination}

    def apply(**changes):
        return send(node, "post", refund_id=changes.pop("refund_id", refund_id), json={**body, **changes})

    assert code_of(apply) == (400, "INVALID_REQUEST"), "it is still processed"
    sandbox.refunds[number].finish("ABNORMAL")
    assert shop.receive()[0] == "REFUND.ABNORMAL"
    assert code_of(apply, refund_id="50300000382019052709732678859") == (404, "RESOURCE_NOT_EXISTS")
    assert code_of(apply, out_refund_no="another") == (400, "INVALID_REQUEST")
    assert code_of(
        send, node, "post", refund_id=refund_id, json={"out_refund_no": number, "type": "USER_BANK_CARD"}
    ) == (
        400,
        "PARAM_ERROR",
    )
    found = fits(apply().json())
    assert found["status"] == "PROCESSING"
    assert (found["channel"], found["user_received_account"]) == ("OTHER_BANKCARD", account)
    sandbox.refunds[number].finish("SUCCESS")
    event_type, resource = shop.receive()
    assert (event_type, resource["user_received_account"]) == ("REFUND.SUCCESS", account)
    assert query(client, number, send)["status"] == "SUCCESS"
    assert code_of(apply) == (400, "INVALID_REQUEST")


def test_a_refund_of_an_order_with_a_coupon_shows_the_part_of_the_coupon(sandbox, client, send):
    order = pay_order(sandbox, client, total=100, discount=30)
    found = fits(send(client[PATH], "post", json=ask(order, 50)).json())
    amount = {name: value for name, value in found["amount"].items() if name not in ("currency", "from")}
    assert amount == {
        "total": 100,
        "refund": 50,
        "payer_total": 70,
        "payer_refund": 35,
        "settlement_total": 70,
        "settlement_refund": 35,
        "discount_refund": 15,
        "refund_fee": 0,
    }
    (coupon,) = found["promotion_detail"]
    assert (coupon["amount"], coupon["refund_amount"], coupon["type"]) == (30, 15, "DISCOUNT")


@given(
    total=st.integers(1, 10_000),
    coupon=st.floats(0, 1),
    steps=st.lists(st.tuples(st.floats(0, 1.2), st.sampled_from([None, "SUCCESS", "ABNORMAL", "CLOSED"])), max_size=8),
)
def test_what_was_paid_is_what_was_refunded_and_what_is_left(sandbox, client, total, coupon, steps):
    discount = int(coupon * (total - 1))
    order = pay_order(sandbox, client, total, discount)
    for share, outcome in [*steps, (1.0, None)]:
        left = order.refundable
        asked = ask(order, max(int(share * left), 1))
        amount = asked["amount"]["refund"]
        if amount > left:
            assert code_of(client[PATH].post, json=asked) == (400, "INVALID_REQUEST")
        else:
            client[PATH].post(json=asked)
            assert order.refundable == left - amount
            if outcome:
                sandbox.refunds[asked["out_refund_no"]].finish(outcome)
        made = [refund.describe()["amount"] for refund in order.refunds if refund.status != "CLOSED"]
        assert order.total == sum(one["refund"] for one in made) + order.refundable
        assert all(one["refund"] == one["payer_refund"] + one["discount_refund"] for one in made)
        assert all(min(one["payer_refund"], one["discount_refund"]) >= 0 for one in made)
        assert sum(one["payer_refund"] for one in made) <= order.payer_total
        assert sum(one["discount_refund"] for one in made) <= discount
        fees = [refund.fee for refund in order.refunds if refund.status != "CLOSED"]
        assert sum(fees) <= order.fee
        assert min(fees, default=0) >= 0
    if not order.refundable:
        assert sum(one["payer_refund"] for one in made) == order.payer_total
        assert sum(one["discount_refund"] for one in made) == discount
        assert sum(fees) == order.fee

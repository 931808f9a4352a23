"""The sub-orders of a combined order are paid and closed together, and refunded one by one."""

from __future__ import annotations

import itertools

import pytest
from jsonschema import Draft202012Validator

from tests.flows.test_orders import code_of
from tests.test_sandbox_operations import to_json_schema
from wechatpay_chain import ConfigurationError
from wechatpay_chain._catalogue.operations import find_operation
from wechatpay_chain.sandbox import CombinedOrder

BASE = "/v3/combine-transactions"
NUMBERS = (f"combined-{index:04}" for index in itertools.count())


@pytest.fixture
def combined(client):
    """Returns the parameters of a combined order of two sub-merchants that no test has placed."""
    number = next(NUMBERS)
    subs = [
        {
            "mchid": client.mchid,
            "sub_mchid": f"190000010{index}",
            "attach": f"店{index}",
            "description": "公仔",
            "out_trade_no": f"{number}-{index}",
            "amount": {"total_amount": 100 * (index + 1), "currency": "CNY"},
        }
        for index in range(2)
    ]
    return {
        "combine_appid": "wxd678efh567hg6787",
        "combine_mchid": client.mchid,
        "combine_out_trade_no": number,
        "combine_payer_info": {"openid": "oUpF8"},
        "notify_url": "http://127.0.0.1:9/",
        "sub_orders": subs,
    }


def query(client, number, send):
    found = send(client[f"{BASE}/out-trade-no/{{number}}"], "get", number=number).json()
    schema = find_operation("GET", f"{BASE}/out-trade-no/{{combine_out_trade_no}}").response
    assert [error.message for error in Draft202012Validator(to_json_schema(schema)).iter_errors(found)] == []
    assert found.keys() <= schema["properties"].keys()
    return found


def names(combined):
    """Returns the body of a close."""
    members = ("mchid", "sub_mchid", "out_trade_no")
    subs = [{member: sub[member] for member in members} for sub in combined["sub_orders"]]
    return {"combine_appid": combined["combine_appid"], "sub_orders": subs}


H5 = {"device_id": "POS1", "payer_client_ip": "14.17.22.32", "h5_info": {"type": "iOS"}}


@pytest.mark.parametrize(
    ("method", "more", "member", "trade_type"),
    [
        ("jsapi", {}, "prepay_id", "JSAPI"),
        ("app", {}, "prepay_id", "APP"),
        ("h5", {"scene_info": H5}, "h5_url", "MWEB"),
        ("native", {}, "code_url", "NATIVE"),
    ],
)
def test_a_combined_order_from_its_placement_to_its_payment(
    sandbox, client, shop, combined, send, method, more, member, trade_type
):
    number = combined["combine_out_trade_no"]
    combined = {**combined, **more, "notify_url": shop.url}
    assert list(send(client[f"{BASE}/{method}"], "post", json=combined).json()) == [member]
    unpaid = query(client, number, send)
    assert "combine_payer_info" not in unpaid
    assert [sub["trade_state"] for sub in unpaid["sub_orders"]] == ["NOTPAY", "NOTPAY"]
    assert not unpaid["sub_orders"][0].keys() & {"transaction_id", "trade_type", "bank_type", "success_time", "attach"}
    assert isinstance(sandbox.combined_orders[number], CombinedOrder)

    notice = sandbox.pay(number)
    paid = query(client, number, send)
    assert shop.receive(is_combined=True) == ("TRANSACTION.SUCCESS", paid)
    sandbox.advance(0)
    assert notice.is_received
    assert shop.is_empty()
    assert paid["combine_payer_info"] == {"openid": "oUpF8"}
    for index, sub in enumerate(paid["sub_orders"]):
        assert (sub["trade_state"], sub["trade_type"], sub["attach"]) == ("SUCCESS", trade_type, f"店{index}")
        total = 100 * (index + 1)
        assert sub["amount"] == {
            "total_amount": total,
            "payer_amount": total,
            "currency": "CNY",
            "payer_currency": "CNY",
        }
    assert len({sub["transaction_id"] for sub in paid["sub_orders"]}) == 2
    assert repr(sandbox.combined_orders[number]).count(" SUCCESS>") == 2


def test_a_sub_order_is_seen_only_through_its_combined_order(sandbox, client, combined, send):
    send(client[f"{BASE}/native"], "post", json=combined)
    (first, _), transactions = combined["sub_orders"], client.v3.pay.transactions
    sub, caller = first["out_trade_no"], {"mchid": client.mchid}
    partner = {"sp_mchid": client.mchid, "sub_mchid": first["sub_mchid"]}
    for base, params in ((transactions, caller), (client.v3.pay.partner.transactions, partner)):
        assert code_of(send, base.out_trade_no._n_, "get", n=sub, params=params) == (404, "ORDER_NOT_EXIST")
        assert code_of(send, base.out_trade_no._n_.close, "post", n=sub, json=params) == (404, "ORDER_NOT_EXIST")
    live = sandbox.orders[sub]
    for act in (live.pay, live.fail, live.close, live.expire):
        with pytest.raises(ConfigurationError, match=f"order {sub}: it is a sub-order; act on its combined order"):
            act()
    sandbox.pay(combined["combine_out_trade_no"], notify=False)
    by_id = transactions.id._n_
    assert code_of(send, by_id, "get", n=live.payment.transaction_id, params=caller) == (404, "ORDER_NOT_EXIST")


def test_a_sub_order_is_refunded_alone(sandbox, client, combined, send):
    send(client[f"{BASE}/native"], "post", json=combined)
    sandbox.pay(combined["combine_out_trade_no"], notify=False)
    sub = combined["sub_orders"][1]
    refund = {
        "out_trade_no": sub["out_trade_no"],
        "out_refund_no": f"{sub['out_trade_no']}-{send.__name__}",
        "sub_mchid": sub["sub_mchid"],
        "amount": {"refund": 150, "total": 200, "currency": "CNY"},
    }
    assert send(client.v3.refund.domestic.refunds, "post", json=refund).json()["status"] == "PROCESSING"
    found = query(client, combined["combine_out_trade_no"], send)
    assert [one["trade_state"] for one in found["sub_orders"]] == ["SUCCESS", "REFUND"]
    assert sandbox.orders[sub["out_trade_no"]].refundable == 50


def test_a_combined_order_is_closed_with_all_its_sub_orders(sandbox, client, combined, send):
    number = combined["combine_out_trade_no"]
    close = client[f"{BASE}/out-trade-no/{{number}}/close"]
    assert code_of(send, close, "post", number=number, json=names(combined)) == (404, "ORDER_NOT_EXIST")
    send(client[f"{BASE}/native"], "post", json=combined)
    whole = names(combined)
    other = [{**sub, "sub_mchid": "1900000109"} for sub in whole["sub_orders"]]
    for invalid in (
        {**whole, "sub_orders": whole["sub_orders"][:1]},
        {**whole, "sub_orders": other},
        {**whole, "combine_appid": "wx"},
    ):
        assert code_of(send, close, "post", number=number, json=invalid) == (400, "INVALID_REQUEST")
    for _ in range(2):
        assert send(close, "post", number=number, json=whole).status_code == 204
    assert {sub["trade_state"] for sub in query(client, number, send)["sub_orders"]} == {"CLOSED"}
    assert code_of(send, client[f"{BASE}/native"], "post", json=combined) == (400, "ORDER_CLOSED")
    with pytest.raises(ConfigurationError, match="ORDER_CLOSED"):
        sandbox.pay(number)


def test_the_same_number_again(sandbox, client, combined, send):
    native, number = client[f"{BASE}/native"], combined["combine_out_trade_no"]
    first = send(native, "post", json=combined).json()
    assert send(native, "post", json=combined).json() != first
    assert code_of(send, native, "post", json={**combined, "combine_appid": "wx"}) == (403, "OUT_TRADE_NO_USED")
    assert code_of(send, client[f"{BASE}/jsapi"], "post", json=combined) == (403, "OUT_TRADE_NO_USED")
    another = {**combined, "combine_out_trade_no": f"{number}-another"}
    assert code_of(send, native, "post", json=another) == (403, "OUT_TRADE_NO_USED"), (
        "its sub-orders have their numbers"
    )
    sandbox.combined_orders[number].pay(notify=False)
    assert code_of(send, native, "post", json=combined) == (400, "ORDERPAID")
    whole, close = names(combined), client[f"{BASE}/out-trade-no/{{number}}/close"]
    assert code_of(send, close, "post", number=number, json=whole) == (400, "ORDERPAID")
    with pytest.raises(ConfigurationError, match="ORDERPAID"):
        sandbox.pay(number)


def test_what_cannot_be_placed(sandbox, client, combined, send):
    native, subs = client[f"{BASE}/native"], combined["sub_orders"]
    many = [{**subs[0], "out_trade_no": f"many-{index}"} for index in range(51)]
    for invalid, expected in (
        ({"sub_orders": []}, (400, "PARAM_ERROR")),
        ({"sub_orders": many}, (400, "PARAM_ERROR")),
        ({"sub_orders": [subs[0], subs[0]]}, (403, "OUT_TRADE_NO_USED")),
        ({"combine_mchid": "1900000001"}, (400, "PARAM_ERROR")),
    ):
        assert code_of(send, native, "post", json={**combined, **invalid}) == expected
    assert combined["combine_out_trade_no"] not in sandbox.combined_orders
    assert subs[0]["out_trade_no"] not in sandbox.orders
    send(native, "post", json={**combined, "sub_orders": many[:50]})
    sandbox.combined_orders[combined["combine_out_trade_no"]].expire()
    with pytest.raises(ConfigurationError, match="ORDER_CLOSED"):
        sandbox.pay(combined["combine_out_trade_no"])
    sandbox.reset()
    assert sandbox.combined_orders == {}

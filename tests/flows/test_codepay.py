"""A code payment is made at once or waits for the user's password, and can be reversed."""

from __future__ import annotations

import itertools

import pytest
from jsonschema import Draft202012Validator

from tests.flows.test_orders import SUB_MCHID, code_of, query
from tests.test_sandbox_operations import to_json_schema
from wechatpay_chain import ConfigurationError
from wechatpay_chain._catalogue.operations import find_operation

NUMBERS = (f"scanned-{index:04}" for index in itertools.count())
WITH_PASSWORD = 100_001


@pytest.fixture(params=["merchant", "partner"])
def payment(request, client):
    """Returns the parameters of a code payment that no test has made."""
    own = {"appid": "wxd678efh567hg6787", "mchid": client.mchid}
    partners = {"sp_mchid": client.mchid, "sub_mchid": SUB_MCHID}
    return {
        **(own if request.param == "merchant" else partners),
        "description": "公仔",
        "out_trade_no": next(NUMBERS),
        "amount": {"total": 100},
        "payer": {"auth_code": "130061098828009406"},
        "scene_info": {"device_id": "POS1", "store_info": {"id": "0001"}},
    }


def pay(client, payment, send):
    """Returns the body of the response, which fits the catalogue's schema."""
    base = f"/v3/pay/{'partner/' if 'sp_mchid' in payment else ''}transactions/codepay"
    body = send(client[base], "post", json=payment).json()
    schema = find_operation("POST", base).response
    assert [error.message for error in Draft202012Validator(to_json_schema(schema)).iter_errors(body)] == []
    assert body.keys() <= schema["properties"].keys()
    return body


def reverse(client, payment, send, **changes):
    base = client.v3.pay.partner.transactions if "sp_mchid" in payment else client.v3.pay.transactions
    members = ("appid", "mchid", "sp_mchid", "sub_mchid")
    body = {name: payment[name] for name in members if name in payment} | changes
    return send(base.out_trade_no._n_.reverse, "post", n=payment["out_trade_no"], json=body).json()


def test_a_payment_without_a_password_is_made_at_once(sandbox, client, payment, send):
    body = pay(client, payment, send)
    assert (body["trade_state"], body["trade_type"]) == ("SUCCESS", "MICROPAY")
    assert len(body["transaction_id"]) == 28
    assert query(client, payment, send) == {**body, "scene_info": {"device_id": "POS1"}}
    assert code_of(pay, client, payment, send) == (400, "ORDERPAID")
    refund = {"out_trade_no": payment["out_trade_no"], "out_refund_no": f"of-{payment['out_trade_no']}"}
    refund["amount"] = {"refund": 40, "total": 100, "currency": "CNY"}
    if "sub_mchid" in payment:
        refund["sub_mchid"] = SUB_MCHID
    send(client.v3.refund.domestic.refunds, "post", json=refund)
    assert sandbox.orders[payment["out_trade_no"]].refundable == 60
    assert code_of(reverse, client, payment, send) == (400, "INVALID_REQUEST"), "a part of it has been refunded"


def test_a_payment_with_a_password_waits_for_the_user(sandbox, client, payment, send):
    payment["amount"] = {"total": WITH_PASSWORD}
    for _ in range(2):
        body = pay(client, payment, send)
        assert body["trade_state"] == "USERPAYING"
        assert "transaction_id" not in body
    assert list(body) == (
        ["trade_state"] if "mchid" in payment else ["sp_mchid", "sub_mchid", "out_trade_no", "trade_state"]
    )
    assert query(client, payment, send)["trade_state"] == "USERPAYING"
    other = {**payment, "amount": {"total": WITH_PASSWORD + 1}}
    assert code_of(pay, client, other, send) == (403, "OUT_TRADE_NO_USED")
    assert sandbox.pay(payment["out_trade_no"]) is None, "there is no notification of a code payment"
    assert query(client, payment, send)["trade_state"] == "SUCCESS"


def test_a_payment_whose_user_types_no_password_is_reversed(sandbox, client, payment, send):
    payment["amount"] = {"total": WITH_PASSWORD}
    pay(client, payment, send)
    sandbox.advance(44)
    assert query(client, payment, send)["trade_state"] == "USERPAYING"
    sandbox.advance(1)
    found = query(client, payment, send)
    assert found["trade_state"] == "REVOKED"
    assert "transaction_id" not in found
    assert code_of(pay, client, payment, send) == (400, "ORDER_CLOSED")
    reverse(client, payment, send)


def test_a_payment_that_fails_is_not_paid_any_more(sandbox, client, payment, send):
    payment["amount"] = {"total": WITH_PASSWORD}
    pay(client, payment, send)
    order = sandbox.orders[payment["out_trade_no"]]
    order.fail()
    assert query(client, payment, send)["trade_state"] == "PAYERROR"
    for act in (order.pay, order.fail):
        with pytest.raises(ConfigurationError, match="ORDER_CLOSED"):
            act()
    assert code_of(pay, client, payment, send) == (400, "ORDER_CLOSED")
    reverse(client, payment, send)
    assert query(client, payment, send)["trade_state"] == "REVOKED"


@pytest.mark.parametrize("total", [100, WITH_PASSWORD], ids=["paid", "unpaid"])
def test_a_payment_is_reversed(sandbox, client, payment, send, total):
    payment["amount"] = {"total": total}
    pay(client, payment, send)
    order = sandbox.orders[payment["out_trade_no"]]
    for _ in range(2):
        assert reverse(client, payment, send)["out_trade_no"] == payment["out_trade_no"]
    found = query(client, payment, send)
    assert found["trade_state"] == "REVOKED"
    assert ("transaction_id" in found) is (total == 100)
    assert order.refundable == 0
    with pytest.raises(ConfigurationError, match="ORDER_CLOSED"):
        order.pay()
    assert code_of(pay, client, payment, send) == (400, "ORDER_CLOSED")
    refund = {"out_trade_no": payment["out_trade_no"], "out_refund_no": "reversed"}
    refund["amount"] = {"refund": 1, "total": total, "currency": "CNY"}
    assert code_of(send, client.v3.refund.domestic.refunds, "post", json=refund) == (404, "RESOURCE_NOT_EXISTS")


def test_what_cannot_be_reversed_or_closed(sandbox, client, payment, send):
    assert code_of(reverse, client, payment, send) == (404, "ORDER_NOT_EXIST")
    pay(client, payment, send)
    assert code_of(reverse, client, payment, send, appid="wx") == (400, "INVALID_REQUEST")
    base = client.v3.pay.partner.transactions if "sp_mchid" in payment else client.v3.pay.transactions
    caller = {name: payment[name] for name in ("mchid", "sp_mchid", "sub_mchid") if name in payment}
    close = base.out_trade_no._n_.close
    assert code_of(send, close, "post", n=payment["out_trade_no"], json=caller) == (400, "INVALID_REQUEST")
    order = {**caller, "description": "x", "out_trade_no": next(NUMBERS), "amount": {"total": 1}}
    order["notify_url"] = "http://127.0.0.1:9/"
    order |= {"appid": "wx"} if "mchid" in payment else {"sp_appid": "wx"}
    send(base.native, "post", json=order)
    assert code_of(reverse, client, order, send) == (400, "INVALID_REQUEST")
    assert sandbox.orders[order["out_trade_no"]].trade_state == "NOTPAY"

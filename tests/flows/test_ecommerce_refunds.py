"""The refunds of a platform are the refunds of the same orders, in other words, and it can pay them in advance."""

from __future__ import annotations

import pytest

from tests.documented import assert_response
from tests.flows.test_orders import SUB_MCHID, code_of
from tests.flows.test_refunds import CARD, ask, pay_order

BASE = "/v3/ecommerce/refunds"
DOMESTIC = "/v3/refund/domestic/refunds"


@pytest.fixture
def order(sandbox, client):
    return pay_order(sandbox, client, sub_mchid=SUB_MCHID)


def ask_platform(order, refund, **more):
    """Returns the parameters of a refund as a platform sends them."""
    return {**ask(order, refund), "sp_appid": "wx8888888888888888", "sub_mchid": SUB_MCHID, **more}


def call(client, send, method, path, variables=None, **arguments):
    """Returns the body of a response, which fits the catalogue's schema."""
    response = send(client[path], method.lower(), **(variables or {}), **arguments)
    return assert_response(method, path, response.json())


def apply(client, send, asked):
    return call(client, send, "POST", f"{BASE}/apply", json=asked)


def query(client, send, accepted, **by):
    path = f"{BASE}/{'id/{refund_id}' if 'refund_id' in by else 'out-refund-no/{out_refund_no}'}"
    return call(client, send, "GET", path, by, params={"sub_mchid": SUB_MCHID})


def test_a_refund_of_a_platform_succeeds(sandbox, client, shop, send, order):
    asked = ask_platform(order, 40, notify_url=shop.url)
    accepted = apply(client, send, asked)
    assert (accepted["refund_account"], accepted["amount"]["advance"]) == ("REFUND_SOURCE_SUB_MERCHANT", 0)
    assert accepted == apply(client, send, asked), "the same number gives the same refund"
    sandbox.refunds[asked["out_refund_no"]].finish()
    event_type, resource = shop.receive()
    assert (event_type, resource["refund_account"]) == ("REFUND.SUCCESS", "REFUND_SOURCE_SUB_MERCHANT")
    by_number = query(client, send, accepted, out_refund_no=asked["out_refund_no"])
    assert by_number == query(client, send, accepted, refund_id=accepted["refund_id"])
    assert (by_number["status"], by_number["amount"]["refund"]) == ("SUCCESS", 40)


def test_the_refunds_of_both_families_add_up(sandbox, client, send, order):
    apply(client, send, ask_platform(order, 60))
    more = ask(order, 41, sub_mchid=SUB_MCHID)
    assert code_of(send, client[DOMESTIC], "post", json=more) == (400, "INVALID_REQUEST")
    rest = ask(order, 40, sub_mchid=SUB_MCHID)
    refund_id = send(client[DOMESTIC], "post", json=rest).json()["refund_id"]
    assert query(client, send, rest, refund_id=refund_id)["amount"]["refund"] == 40
    assert order.refundable == 0
    assert code_of(apply, client, send, ask_platform(order, 1)) == (400, "INVALID_REQUEST")


def test_a_number_of_the_other_family_is_not_accepted_again(client, send, order):
    asked = ask(order, 10, sub_mchid=SUB_MCHID)
    send(client[DOMESTIC], "post", json=asked)
    assert code_of(apply, client, send, {**asked, "sp_appid": "wx8888888888888888"}) == (400, "INVALID_REQUEST")


def test_a_refund_that_is_closed_is_spelled_as_this_family_spells_it(sandbox, client, send, order):
    accepted = apply(client, send, ask_platform(order, 10))
    sandbox.refunds[accepted["out_refund_no"]].finish("CLOSED")
    assert query(client, send, accepted, refund_id=accepted["refund_id"])["status"] == "CLOSE"


def test_an_abnormal_refund_of_a_platform_goes_to_another_account(sandbox, client, send, order):
    accepted = apply(client, send, ask_platform(order, 10))
    path, refund_id = f"{BASE}/{{refund_id}}/apply-abnormal-refund", {"refund_id": accepted["refund_id"]}
    body = {"sub_mchid": SUB_MCHID, "out_refund_no": accepted["out_refund_no"], **CARD}
    assert code_of(call, client, send, "POST", path, refund_id, json=body) == (400, "INVALID_REQUEST")
    sandbox.refunds[accepted["out_refund_no"]].finish("ABNORMAL")
    foreign = {**body, "sub_mchid": "1900000110"}
    assert code_of(call, client, send, "POST", path, refund_id, json=foreign) == (404, "RESOURCE_NOT_EXISTS")
    found = call(client, send, "POST", path, refund_id, json=body)
    assert (found["status"], found["channel"]) == ("PROCESSING", "OTHER_BANKCARD")


def test_the_sub_merchant_pays_back_what_the_platform_has_advanced(sandbox, client, send, order):
    asked = ask_platform(order, 40, refund_account="REFUND_SOURCE_PARTNER_ADVANCE")
    accepted = apply(client, send, asked)
    assert accepted["amount"]["advance"] == 40
    path, refund_id = f"{BASE}/{{refund_id}}/return-advance", {"refund_id": accepted["refund_id"]}
    body = {"sub_mchid": SUB_MCHID}
    assert code_of(call, client, send, "POST", path, refund_id, json=body) == (400, "INVALID_REQUEST")
    sandbox.refunds[asked["out_refund_no"]].finish()
    assert code_of(call, client, send, "GET", path, refund_id, params=body) == (404, "RESOURCE_NOT_EXISTS")
    returned = call(client, send, "POST", path, refund_id, json=body)
    assert (returned["payer_mchid"], returned["payee_mchid"], returned["return_amount"]) == (
        SUB_MCHID,
        client.mchid,
        40,
    )
    sandbox.advance(60)
    assert call(client, send, "POST", path, refund_id, json=body) == returned
    assert call(client, send, "GET", path, refund_id, params=body) == returned


def test_a_refund_that_nobody_advanced_is_not_paid_back(sandbox, client, send, order):
    accepted = apply(client, send, ask_platform(order, 40))
    sandbox.refunds[accepted["out_refund_no"]].finish()
    path, refund_id = f"{BASE}/{{refund_id}}/return-advance", {"refund_id": accepted["refund_id"]}
    body = {"sub_mchid": SUB_MCHID}
    assert code_of(call, client, send, "POST", path, refund_id, json=body) == (400, "INVALID_REQUEST")

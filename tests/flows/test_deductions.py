"""A deduction is accepted, made later, and then an order like any other: it is queried, refunded and listed in the bills."""

from __future__ import annotations

import itertools

import pytest

from tests.documented import assert_documented
from tests.flows.test_orders import METHODS, SUB_MCHID, code_of, query
from tests.flows.test_refunds import ask
from tests.test_sandbox_operations import sample
from wechatpay_chain import ConfigurationError
from wechatpay_chain._catalogue.operations import find_operation
from wechatpay_chain.sandbox._operations.limits import limit

NUMBERS = (f"deducted-{index:04}" for index in itertools.count())
# By the path of a deduction: what queries it.
ACCEPTED = {
    "/v3/papay/pay/transactions/apply": "/v3/pay/transactions/out-trade-no/{out_trade_no}",
    "/v3/papay/pay/partner/transactions/apply": "/v3/pay/partner/transactions/out-trade-no/{out_trade_no}",
    "/v3/papay/pay/harmony/transactions/apply": "/v3/pay/transactions/out-trade-no/{out_trade_no}",
    "/v3/papay/insurance-pay/transactions/apply": "/v3/pay/transactions/out-trade-no/{out_trade_no}",
    "/v3/vehicle/transactions/parking": "/v3/vehicle/transactions/out-trade-no/{out_trade_no}",
    "/v3/qrcode/transactions": "/v3/qrcode/transactions/out-trade-no/{out_trade_no}",
    "/v3/ebike/charge/transactions": "/v3/ebike/charge/transactions/out-trade-no/{out_trade_no}",
    "/v3/edu-papay/transactions": "/v3/edu-papay/transactions/out-trade-no/{out_trade_no}",
}
PAID_AT_ONCE = {
    "/v3/vehicle/etc/transactions/highway": "/v3/vehicle/etc/transactions/out-trade-no/{out_trade_no}",
    "/v3/eduschoolpay/transactions": "/v3/eduschoolpay/transactions/out-trade-no/{out_trade_no}",
}


def deduct(client, send, path, **changes):
    """Asks for a deduction of one yuan with every documented member, and returns what was sent."""
    body = sample(limit(path, find_operation("POST", path).body), client.mchid, everything=True)
    body |= {"out_trade_no": next(NUMBERS), "amount": {"total": 100, "currency": "CNY"}, **changes}
    if "sub_mchid" in body:
        body["sub_mchid"] = SUB_MCHID
    response = send(client[path], "post", json=body)
    if response.status_code == 200:
        assert_documented(find_operation("POST", path).response, response.json())
    return body


def find(client, send, path, body):
    """Returns the body of a query, which fits the catalogue's schema."""
    params = {name: body[name] for name in ("sub_mchid",) if name in body}
    if path.startswith("/v3/pay/"):
        params["sp_mchid" if params else "mchid"] = client.mchid
    found = send(client[path], "get", out_trade_no=body["out_trade_no"], params=params or None).json()
    assert_documented(find_operation("GET", path).response, found)
    return found


@pytest.mark.parametrize("path", ACCEPTED)
def test_a_deduction_is_accepted_paid_and_refunded(sandbox, client, shop, send, path):
    url = "transaction_notify_url" if "papay/" in path and "edu" not in path else "notify_url"
    body = deduct(client, send, path, **{url: shop.url})
    assert find(client, send, ACCEPTED[path], body)["trade_state"] in ("ACCEPT", "ACCEPTED")
    sandbox.pay(body["out_trade_no"])
    event_type, resource = shop.receive()
    assert (event_type, resource["out_trade_no"]) == ("TRANSACTION.SUCCESS", body["out_trade_no"])
    found = find(client, send, ACCEPTED[path], body)
    order = sandbox.orders[body["out_trade_no"]]
    assert (found["trade_state"], found["transaction_id"]) == ("SUCCESS", order.payment.transaction_id)
    sub_mchid = {"sub_mchid": SUB_MCHID} if "sub_mchid" in body else {}
    send(client.v3.refund.domestic.refunds, "post", json=ask(order, 40, **sub_mchid))
    assert order.refundable == 60
    assert find(client, send, ACCEPTED[path], body)["trade_state"] == "REFUND"


@pytest.mark.parametrize("path", PAID_AT_ONCE)
def test_a_deduction_is_paid_at_once(sandbox, client, send, path):
    body = deduct(client, send, path)
    found = find(client, send, PAID_AT_ONCE[path], body)
    by_id = PAID_AT_ONCE[path].replace("out-trade-no/{out_trade_no}", "id/{transaction_id}")
    params = {"sub_mchid": SUB_MCHID}
    again = send(client[by_id], "get", transaction_id=found["transaction_id"], params=params).json()
    assert again == found
    assert found["trade_state"] == "SUCCESS"
    assert code_of(send, client[by_id], "get", transaction_id="4200001", params=params) == (404, "ORDER_NOT_EXIST")


def test_a_deduction_that_fails_is_not_made_any_more(sandbox, client, send):
    path = "/v3/vehicle/transactions/parking"
    body = deduct(client, send, path)
    order = sandbox.orders[body["out_trade_no"]]
    order.fail()
    assert find(client, send, ACCEPTED[path], body)["trade_state"] == "PAY_FAIL"
    with pytest.raises(ConfigurationError, match="ORDER_CLOSED"):
        order.pay()


def test_the_same_number_gives_the_same_deduction(sandbox, client, send):
    path = "/v3/papay/pay/transactions/apply"
    body = deduct(client, send, path)
    order = sandbox.orders[body["out_trade_no"]]
    assert send(client[path], "post", json=body).json()["out_trade_no"] == body["out_trade_no"]
    assert sandbox.orders[body["out_trade_no"]] is order
    other = {**body, "amount": {"total": 99}}
    assert code_of(send, client[path], "post", json=other) == (403, "OUT_TRADE_NO_USED")


def test_a_deduction_without_an_amount_is_refused(client, send):
    path = "/v3/qrcode/transactions"
    body = {"appid": "wx", "contract_id": "c", "out_trade_no": next(NUMBERS), "trade_scene": "BUS"}
    assert code_of(send, client[path], "post", json=body) == (400, "INVALID_REQUEST")


def test_a_deduction_of_another_sub_merchant_is_not_found(client, send):
    path = "/v3/vehicle/transactions/parking"
    body = deduct(client, send, path)
    assert code_of(find, client, send, ACCEPTED[path], {**body, "sub_mchid": "1900000110"}) == (404, "ORDER_NOT_EXIST")


def test_parking_shares_its_profit_if_it_says_so(sandbox, client, send):
    body = deduct(client, send, "/v3/vehicle/transactions/parking", profit_sharing="Y")
    sandbox.pay(body["out_trade_no"], notify=False)
    transaction_id = sandbox.orders[body["out_trade_no"]].payment.transaction_id
    assert sandbox.sharing.count_left(transaction_id) == 100


WITH_CONTRACT = {"contract_code": "c-1", "plan_id": "1", "contract_appid": "wx", "contract_mchid": "1900000109"}
WITH_CONTRACT |= {"contract_display_account": "张三", "request_serial": "1"}


@pytest.mark.parametrize("way", ["jsapi-with-contract", "app-with-contract"])
@pytest.mark.parametrize("base", ["transactions", "partner/transactions"])
def test_an_order_with_a_contract_is_an_order(sandbox, client, send, base, way):
    payers = {"openid": "oUpF8"} if base == "transactions" else {"sp_openid": "oUpF8"}
    merchants = {"appid": "wx", "mchid": client.mchid}
    if base != "transactions":
        merchants = {"sp_appid": "wx", "sp_mchid": client.mchid, "sub_mchid": SUB_MCHID}
    order = {
        **merchants,
        "description": "公仔",
        "out_trade_no": next(NUMBERS),
        "notify_url": "http://127.0.0.1:9/",
        "amount": {"total": 100},
        "contract_info": WITH_CONTRACT,
        "payer": payers,
    }
    assert send(client[f"v3/pay/{base}/{way}"], "post", json=order).json()["prepay_id"]
    sandbox.pay(order["out_trade_no"], notify=False)
    found = query(client, order, send)
    assert (found["trade_state"], found["trade_type"]) == ("SUCCESS", METHODS[way.partition("-")[0]][2])


def test_a_partner_places_an_order_that_a_device_has_scanned(sandbox, client, send):
    order = {
        "sp_appid": "wx",
        "sp_mchid": client.mchid,
        "sub_mchid": SUB_MCHID,
        "description": "公仔",
        "out_trade_no": next(NUMBERS),
        "amount": {"total": 100},
        "payer": {"sp_openid": "oUpF8"},
        "scene_info": {"payer_client_ip": "14.23.150.211", "store_info": {"id": "1"}},
    }
    assert send(client.v3.pay.partner.transactions.scannedpos, "post", json=order).json()["prepay_id"]
    sandbox.pay(order["out_trade_no"])
    assert query(client, order, send)["trade_state"] == "SUCCESS"

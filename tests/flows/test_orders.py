"""An order of the sandbox has the states of one at the service, and a query shows the members of its state."""

from __future__ import annotations

import asyncio
import itertools
import threading
from datetime import timedelta

import pytest
from jsonschema import Draft202012Validator

from tests.test_sandbox_operations import to_json_schema
from wechatpay_chain import APIError, ConfigurationError
from wechatpay_chain._catalogue.operations import find_operation
from wechatpay_chain.sandbox import Order, Sandbox

SUB_MCHID = "1900000109"
NUMBERS = (f"order-{index:04}" for index in itertools.count())


@pytest.fixture
def order(client):
    """Returns the parameters of an order of a merchant that no test has placed."""
    return {
        "appid": "wxd678efh567hg6787",
        "mchid": client.mchid,
        "description": "公仔",
        "out_trade_no": next(NUMBERS),
        "notify_url": "http://127.0.0.1:9/",
        "amount": {"total": 100},
    }


@pytest.fixture
def partner_order(client, order):
    """Returns the parameters of an order of a partner."""
    own = {name: value for name, value in order.items() if name not in ("appid", "mchid")}
    return {**own, "sp_appid": "wx8888888888888888", "sp_mchid": client.mchid, "sub_mchid": SUB_MCHID}


def query(client, placed, send):
    """Returns the body of a query, which fits the catalogue's schema."""
    caller = {name: placed[name] for name in ("mchid", "sp_mchid", "sub_mchid") if name in placed}
    base = client.v3.pay.partner.transactions if "sp_mchid" in placed else client.v3.pay.transactions
    node = base.out_trade_no._number_
    found = send(node, "get", number=placed["out_trade_no"], params=caller).json()
    path = f"/v3/pay/{'partner/' if 'sp_mchid' in placed else ''}transactions/out-trade-no/{{out_trade_no}}"
    schema = find_operation("GET", path).response
    assert [error.message for error in Draft202012Validator(to_json_schema(schema)).iter_errors(found)] == []
    assert found.keys() <= schema["properties"].keys()
    return found


def code_of(call, *arguments, **options):
    with pytest.raises(APIError) as caught:
        call(*arguments, **options)
    return caught.value.status_code, caught.value.code


UNPAID = {
    "appid",
    "mchid",
    "out_trade_no",
    "trade_state",
    "trade_state_desc",
    "amount",
    "promotion_detail",
    "scene_info",
}
PAID = (UNPAID - {"scene_info"}) | {"transaction_id", "trade_type", "bank_type", "attach", "success_time", "payer"}

METHODS = {
    "jsapi": ({"payer": {"openid": "oUpF8"}}, "prepay_id", "JSAPI"),
    "app": ({}, "prepay_id", "APP"),
    "h5": ({"scene_info": {"payer_client_ip": "14.23.150.211", "h5_info": {"type": "Wap"}}}, "h5_url", "MWEB"),
    "native": ({}, "code_url", "NATIVE"),
}


@pytest.mark.parametrize("method", METHODS)
def test_an_order_of_a_merchant_from_its_placement_to_its_payment(sandbox, client, shop, order, send, method):
    more, member, trade_type = METHODS[method]
    order = {**order, **more, "notify_url": shop.url}
    placed = send(client.v3.pay.transactions[method], "post", json=order).json()
    assert list(placed) == [member]
    unpaid = query(client, order, send)
    assert unpaid.keys() == UNPAID
    assert (unpaid["trade_state"], unpaid["amount"]) == ("NOTPAY", {"total": 100, "payer_currency": "CNY"})
    live = sandbox.orders[order["out_trade_no"]]
    assert isinstance(live, Order)
    assert (live.trade_state, live.payment, live.refundable) == ("NOTPAY", None, 0)

    notice = sandbox.pay(order["out_trade_no"])
    paid = query(client, order, send)
    assert shop.receive() == ("TRANSACTION.SUCCESS", paid)
    assert notice.event_type == "TRANSACTION.SUCCESS"
    assert paid.keys() == PAID
    assert (paid["trade_state"], paid["trade_type"]) == ("SUCCESS", trade_type)
    assert paid["amount"] == {"total": 100, "payer_total": 100, "currency": "CNY", "payer_currency": "CNY"}
    assert paid["payer"]["openid"] == ("oUpF8" if method == "jsapi" else live.payment.openid)
    assert (len(paid["transaction_id"]), paid["transaction_id"][:5]) == (28, "42000")
    assert paid["success_time"] == live.payment.success_time.isoformat(timespec="seconds")
    by_id = client.v3.pay.transactions.id._id_
    found = send(by_id, "get", id=paid["transaction_id"], params={"mchid": client.mchid})
    assert found.json() == paid
    assert (live.trade_state, live.refundable) == ("SUCCESS", 100)
    assert repr(live) == f"<Order {live.out_trade_no} SUCCESS>"


@pytest.mark.parametrize("method", [*METHODS, "miniprogram"])
def test_an_order_of_a_partner_from_its_placement_to_its_payment(sandbox, client, shop, partner_order, send, method):
    payer = {"payer": {"sp_openid": "oUpF8", "sub_openid": "oSub"}, "sub_appid": "wxd678efh567hg6999"}
    more = payer if method in ("jsapi", "miniprogram") else METHODS[method][0]
    order = {**partner_order, **more, "notify_url": shop.url}
    send(client.v3.pay.partner.transactions[method], "post", json=order)
    unpaid = query(client, order, send)
    names = {"sp_appid", "sp_mchid", "sub_mchid"} | ({"sub_appid"} if payer is more else set())
    assert unpaid.keys() == (UNPAID - {"appid", "mchid"}) | names
    sandbox.orders[order["out_trade_no"]].pay()
    paid = query(client, order, send)
    assert shop.receive() == ("TRANSACTION.SUCCESS", paid)
    assert paid.keys() == (PAID - {"appid", "mchid"}) | names
    if payer is more:
        assert paid["payer"] == {"sp_openid": "oUpF8", "sub_openid": "oSub"}
    caller = {"sp_mchid": client.mchid, "sub_mchid": SUB_MCHID}
    found = send(client.v3.pay.partner.transactions.id._id_, "get", id=paid["transaction_id"], params=caller)
    assert found.json() == paid


def test_the_members_that_were_sent_are_shown(sandbox, client, order, send):
    order = {**order, "attach": "自定义", "scene_info": {"device_id": "POS1", "payer_client_ip": "14.23.150.211"}}
    send(client.v3.pay.transactions.native, "post", json=order)
    unpaid = query(client, order, send)
    assert unpaid["scene_info"] == {"device_id": "POS1"}
    assert "attach" not in unpaid
    sandbox.pay(order["out_trade_no"], openid="oPayer", bank_type="CMB_DEBIT", discount=30, notify=False)
    paid = query(client, order, send)
    assert (paid["attach"], paid["scene_info"]) == ("自定义", {"device_id": "POS1"})
    assert (paid["payer"], paid["bank_type"]) == ({"openid": "oPayer"}, "CMB_DEBIT")
    assert (paid["amount"]["payer_total"], paid["amount"]["total"]) == (70, 100)
    (coupon,) = paid["promotion_detail"]
    parts = ("wechatpay_contribute", "merchant_contribute", "other_contribute")
    assert coupon["amount"] == 30 == sum(coupon[part] for part in parts)


def test_the_same_parameters_give_a_new_prepay_id_and_others_are_refused(sandbox, client, order, send):
    order = {**order, "payer": {"openid": "oUpF8"}}
    jsapi = client.v3.pay.transactions.jsapi
    first = send(jsapi, "post", json=order).json()["prepay_id"]
    second = send(jsapi, "post", json=order).json()["prepay_id"]
    assert first != second == sandbox.orders[order["out_trade_no"]].prepay_id
    assert len(second) == 36
    for other in ({"amount": {"total": 200}}, {"payer": {"openid": "oOther"}}, {"attach": "x"}):
        assert code_of(send, jsapi, "post", json={**order, **other}) == (403, "OUT_TRADE_NO_USED")
    app = {name: value for name, value in order.items() if name != "payer"}
    assert code_of(send, client.v3.pay.transactions.app, "post", json=app) == (403, "OUT_TRADE_NO_USED")


def test_a_paid_order_is_neither_placed_again_nor_paid_again_nor_closed(sandbox, client, order, send):
    native, number = client.v3.pay.transactions.native, order["out_trade_no"]
    send(native, "post", json=order)
    sandbox.pay(number, notify=False)
    assert code_of(send, native, "post", json=order) == (400, "ORDERPAID")
    close = client.v3.pay.transactions.out_trade_no._number_.close
    assert code_of(send, close, "post", number=number, json={"mchid": client.mchid}) == (400, "ORDERPAID")
    for act in (sandbox.orders[number].pay, sandbox.orders[number].fail, sandbox.orders[number].close):
        with pytest.raises(ConfigurationError, match="ORDERPAID"):
            act()
    assert query(client, order, send)["trade_state"] == "SUCCESS"


def test_a_closed_order_stays_closed(sandbox, client, order, partner_order, send):
    for placed, base in ((order, client.v3.pay.transactions), (partner_order, client.v3.pay.partner.transactions)):
        number = placed["out_trade_no"] = f"{placed['out_trade_no']}-{'sp_mchid' in placed}"
        caller = {name: placed[name] for name in ("mchid", "sp_mchid", "sub_mchid") if name in placed}
        send(base.native, "post", json=placed)
        for _ in range(2):
            closed = send(base.out_trade_no._number_.close, "post", number=number, json=caller)
            assert (closed.status_code, closed.content) == (204, b"")
        found = query(client, placed, send)
        assert found["trade_state"] == "CLOSED"
        assert not found.keys() & {"transaction_id", "trade_type", "bank_type", "success_time", "payer", "attach"}
        assert code_of(send, base.native, "post", json=placed) == (400, "ORDER_CLOSED")
        with pytest.raises(ConfigurationError, match="ORDER_CLOSED"):
            sandbox.pay(number)


def test_a_payment_that_fails_leaves_the_order_as_it_is(sandbox, client, order, send):
    send(client.v3.pay.transactions.native, "post", json=order)
    live = sandbox.orders[order["out_trade_no"]]
    live.fail()
    assert query(client, order, send)["trade_state"] == "NOTPAY"
    live.pay(notify=False)
    assert live.trade_state == "SUCCESS"


@pytest.mark.parametrize("discount", [-1, 100, 101])
def test_a_discount_is_less_than_the_total(sandbox, client, order, discount):
    client.v3.pay.transactions.native.post(json=order)
    with pytest.raises(ConfigurationError, match=f"discount: came {discount}; expected from 0 to 99"):
        sandbox.pay(order["out_trade_no"], discount=discount)
    assert sandbox.orders[order["out_trade_no"]].trade_state == "NOTPAY"


def test_after_its_deadline_an_order_is_unpaid_until_it_is_closed(sandbox, client, order, send):
    native, number = client.v3.pay.transactions.native, order["out_trade_no"]
    order["time_expire"] = (sandbox.now + timedelta(minutes=5)).isoformat(timespec="seconds")
    send(native, "post", json=order)
    sandbox.advance(299 - 5)
    send(native, "post", json=order)
    sandbox.advance(10)
    assert query(client, order, send)["trade_state"] == "NOTPAY"
    assert code_of(send, native, "post", json=order) == (400, "ORDER_CLOSED")
    with pytest.raises(ConfigurationError, match="ORDER_CLOSED"):
        sandbox.pay(number)
    sandbox.orders[number].close()
    assert query(client, order, send)["trade_state"] == "CLOSED"


@pytest.mark.parametrize(
    "time_expire", ["2018-06-08T10:34:56+08:00", "2018-06-08T02:34:56Z", "2018-06-08T10:34:56.5+08:00"]
)
def test_a_deadline_in_the_past_is_moved_to_a_minute_from_now(sandbox, client, order, time_expire):
    client.v3.pay.transactions.native.post(json={**order, "time_expire": time_expire})
    live = sandbox.orders[order["out_trade_no"]]
    assert live.time_expire - live.placed_at == timedelta(minutes=1)
    live.expire()
    with pytest.raises(ConfigurationError, match="ORDER_CLOSED"):
        live.pay()


@pytest.mark.parametrize("time_expire", ["2018-13-08T10:34:56+08:00", "9999-12-31T23:59:59-08:00"])
def test_a_deadline_that_is_no_time_is_refused(client, order, send, time_expire):
    order["time_expire"] = time_expire
    assert code_of(send, client.v3.pay.transactions.native, "post", json=order) == (400, "PARAM_ERROR")


def test_the_service_closes_an_unpaid_order_after_seven_days(send):
    with Sandbox() as sandbox, sandbox.client(retry=None) as client:
        order = {"appid": "wx", "mchid": client.mchid, "description": "x", "out_trade_no": "1234567"}
        order.update(notify_url="http://127.0.0.1:9/", amount={"total": 1})
        send(client.v3.pay.transactions.native, "post", json=order)
        sandbox.advance(7 * 86400 - 60)
        assert query(client, order, send)["trade_state"] == "NOTPAY"
        sandbox.advance(60)
        assert query(client, order, send)["trade_state"] == "CLOSED"
        with pytest.raises(ConfigurationError, match="ORDER_CLOSED"):
            sandbox.pay("1234567")
        sandbox.reset()
        assert sandbox.orders == {}
        with pytest.raises(KeyError):
            sandbox.pay("1234567")


def test_the_numbers_of_other_merchants_are_refused(sandbox, client, order, partner_order, send):
    merchant, partner = client.v3.pay.transactions, client.v3.pay.partner.transactions
    partner_order["out_trade_no"] += "-p"
    send(merchant.native, "post", json=order)
    send(partner.native, "post", json=partner_order)
    own, other = {"mchid": client.mchid}, {"mchid": "1900000001"}
    of_sub = {"sp_mchid": client.mchid, "sub_mchid": SUB_MCHID}
    of_other_sub = {**of_sub, "sub_mchid": "1900000108"}
    numbers = [order["out_trade_no"], partner_order["out_trade_no"]]
    ids = []
    for number in numbers:
        sandbox.pay(number, notify=False)
        ids.append(sandbox.orders[number].payment.transaction_id)
    for base, number, caller, expected in (
        (merchant, numbers[0], other, (400, "PARAM_ERROR")),
        (merchant, numbers[1], own, (404, "ORDER_NOT_EXIST")),
        (partner, numbers[0], of_sub, (404, "ORDER_NOT_EXIST")),
        (partner, numbers[1], of_other_sub, (404, "ORDER_NOT_EXIST")),
        (partner, numbers[1], {**of_sub, "sp_mchid": "1900000001"}, (400, "PARAM_ERROR")),
    ):
        assert code_of(send, base.out_trade_no._number_, "get", number=number, params=caller) == expected
        assert code_of(send, base.out_trade_no._number_.close, "post", number=number, json=caller) == expected
    for base, number, caller, expected in (
        (merchant, ids[1], own, (400, "INVALID_REQUEST")),
        (partner, ids[0], of_sub, (400, "INVALID_REQUEST")),
        (partner, ids[1], of_other_sub, (400, "INVALID_REQUEST")),
        (merchant, ids[0], other, (400, "PARAM_ERROR")),
        (merchant, "4200001100202401010000000001", own, (404, "ORDER_NOT_EXIST")),
    ):
        assert code_of(send, base.id._number_, "get", number=number, params=caller) == expected
    for invalid, code in (
        ({"sub_mchid": client.mchid}, "INVALID_REQUEST"),
        ({"sp_mchid": "1900000001"}, "PARAM_ERROR"),
    ):
        refused = {**partner_order, "out_trade_no": "refused-1", **invalid}
        assert code_of(send, partner.native, "post", json=refused) == (400, code)
    jsapi = {**partner_order, "out_trade_no": "refused-1", "payer": {"sp_openid": "o", "sub_openid": "o"}}
    assert code_of(send, partner.jsapi, "post", json=jsapi) == (400, "PARAM_ERROR")
    assert "refused-1" not in sandbox.orders


def test_a_lost_notification_is_not_posted(sandbox, client, shop, order):
    client.v3.pay.transactions.native.post(json={**order, "notify_url": shop.url})
    assert sandbox.pay(order["out_trade_no"], notify=False) is None
    sandbox.advance(86400)
    assert shop.is_empty()


def test_a_notification_that_is_not_received_comes_again(sandbox, client, order):
    client.v3.pay.transactions.native.post(json=order)
    notice = sandbox.pay(order["out_trade_no"])
    sandbox.advance(24 * 3600 + 240)
    assert len(notice.posts) == 16


def test_an_order_is_either_paid_or_closed(sandbox, client, order):
    """A user pays in one thread while the merchant closes in another."""
    outcomes = set()
    for index in range(40):
        placed = {**order, "out_trade_no": f"{order['out_trade_no']}-{index}"}
        client.v3.pay.transactions.native.post(json=placed)
        live, refused, start = sandbox.orders[placed["out_trade_no"]], [], threading.Barrier(2)

        def act(do, refused=refused, start=start):
            start.wait()
            try:
                do()
            except ConfigurationError as error:
                refused.append(str(error).rpartition("(")[2].rstrip(")"))

        other = threading.Thread(target=act, args=(live.close,))
        other.start()
        act(lambda live=live: live.pay(notify=False))
        other.join()
        outcomes.add((live.trade_state, *refused))
    assert outcomes <= {("SUCCESS", "ORDERPAID"), ("CLOSED", "ORDER_CLOSED")}


def test_the_same_seed_gives_the_same_numbers():
    def number(seed):
        with Sandbox(seed=seed) as sandbox, sandbox.client() as client:
            order = {"appid": "wx", "mchid": client.mchid, "description": "x", "out_trade_no": "1234567"}
            order.update(notify_url="http://127.0.0.1:9/", amount={"total": 1})
            asyncio.run(client.v3.pay.transactions.native.post_async(json=order))
            sandbox.pay("1234567", notify=False)
            return sandbox.orders["1234567"].payment.transaction_id

    assert number(1) == number(1)
    assert number(1) != number(2)

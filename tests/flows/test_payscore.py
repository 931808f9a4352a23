"""A payscore order is confirmed, completed and paid; what was paid is refunded and listed like any other order."""

from __future__ import annotations

import itertools

import pytest

from tests.documented import assert_documented
from tests.flows.test_orders import SUB_MCHID, code_of
from tests.flows.test_refunds import ask
from wechatpay_chain import ConfigurationError
from wechatpay_chain._catalogue.operations import find_operation
from wechatpay_chain.sandbox import ServiceOrder

NUMBERS = (f"service-{index:04}" for index in itertools.count())
PAYMENTS = [{"name": "租金", "amount": 3000, "count": 1}, {"name": "清洁", "amount": 500}]
DISCOUNTS = [{"name": "新客", "description": "满减", "amount": 500}]


class Caller:
    """Calls the operations of a merchant or of a partner; each response fits the catalogue's schema."""

    def __init__(self, client, send, role):
        self.base = f"/v3/payscore/{'partner/' if role == 'partner' else ''}serviceorder"
        self.client, self.send = client, send
        own = {"appid": "wxd678efh567hg6787", "service_id": "2002000000000558128851361561536"}
        partners = {"service_id": own["service_id"], "sub_mchid": SUB_MCHID}
        self.identity, self.created = (own, own) if role == "merchant" else (partners, {**own, **partners})

    def post(self, rest="", number=None, **body):
        identity = self.identity if number else self.created
        path = f"{self.base}{rest}"
        variables = {"out_order_no": number} if number else {}
        return self.fit("POST", path, self.send(self.client[path], "post", **variables, json={**identity, **body}))

    def create(self, **more):
        """Returns the number of a new order."""
        number = next(NUMBERS)
        self.post(
            out_order_no=number,
            **{
                "service_introduction": "某某充电宝",
                "time_range": {"start_time": "20260101120000"},
                "risk_fund": {"name": "DEPOSIT", "amount": 10_000},
                "notify_url": "http://127.0.0.1:9/",
                **more,
            },
        )
        return number

    def complete(self, number, **changes):
        body = {"post_payments": PAYMENTS, "post_discounts": DISCOUNTS, "total_amount": 3000, **changes}
        return self.post("/{out_order_no}/complete", number, **body)

    def query(self, **by):
        return self.fit("GET", self.base, self.send(self.client[self.base], "get", params={**self.identity, **by}))

    def fit(self, method, path, response):
        schema = find_operation(method, path).response
        if schema is None:
            assert response.status_code == 204
            return None
        assert_documented(schema, response.json())
        return response.json()


@pytest.fixture(params=["merchant", "partner"])
def caller(request, client, send):
    return Caller(client, send, request.param)


def test_an_order_from_its_creation_to_its_refund(sandbox, client, shop, send, caller):
    number = caller.create(notify_url=shop.url, need_user_confirm=True)
    order = sandbox.service_orders[number]
    assert isinstance(order, ServiceOrder)
    assert caller.query(out_order_no=number)["state"] == "CREATED"
    order.confirm(openid="oUpF8")
    event_type, resource = shop.receive()
    assert (event_type, resource["state_description"], resource["openid"]) == (
        "PAYSCORE.USER_CONFIRM",
        "USER_CONFIRM",
        "oUpF8",
    )
    caller.complete(number)
    found = caller.query(out_order_no=number)
    assert (found["state"], found["state_description"], found["collection"]["state"]) == (
        "DOING",
        "MCH_COMPLETE",
        "USER_PAYING",
    )
    sandbox.pay(number, discount=1000)
    event_type, resource = shop.receive()
    assert (event_type, resource["state"]) == ("PAYSCORE.USER_PAID", "DONE")
    found = caller.query(query_id=order.query_id)
    assert (found["state"], found["collection"]["state"], found["collection"]["paid_amount"]) == (
        "DONE",
        "USER_PAID",
        3000,
    )
    (detail,) = found["collection"]["details"]
    assert detail["paid_type"] == "NEWTON"
    assert order.order.payment.transaction_id == detail["transaction_id"]
    sub_mchid = {"sub_mchid": SUB_MCHID} if "sub_mchid" in caller.identity else {}
    asked = ask(order.order, 1200, transaction_id=detail["transaction_id"], **sub_mchid)
    del asked["out_trade_no"]
    send(client.v3.refund.domestic.refunds, "post", json=asked)
    assert order.order.refundable == 1800
    assert repr(order) == f"<ServiceOrder {number} DONE>"


def test_an_order_without_confirmation_begins_at_once(sandbox, caller):
    number = caller.create(need_user_confirm=False, openid="oUpF8")
    found = caller.query(out_order_no=number)
    assert (found["state"], found["state_description"], found["openid"]) == ("DOING", "USER_CONFIRM", "oUpF8")
    with pytest.raises(ConfigurationError, match=f"{number}: its state is DOING; expected CREATED"):
        sandbox.service_orders[number].confirm()


def test_an_order_is_created_and_completed_at_once(sandbox, caller):
    number = next(NUMBERS)
    times = {"start_time": "20260101120000", "end_time": "20260101130000"}
    body = {"out_order_no": number, "time_range": times, "post_payments": PAYMENTS, "notify_url": "http://127.0.0.1:9/"}
    if "sub_mchid" in caller.identity:
        body |= {"sub_appid": "wx8888888888888888", "service_introduction": "某某充电宝", "total_amount": 3500}
    made = caller.post("/direct-complete", **body)
    assert caller.post("/direct-complete", **body) == made
    assert sandbox.service_orders[number].total == 3500
    sandbox.pay(number, notify=False)
    assert caller.query(out_order_no=number)["state"] == "DONE"


def test_nothing_is_collected_of_an_order_that_costs_nothing(sandbox, caller):
    number = caller.create(need_user_confirm=False)
    caller.complete(number, post_payments=[{"name": "租金", "amount": 500}], total_amount=0)
    found = caller.query(out_order_no=number)
    assert (found["state"], found["need_collection"]) == ("DONE", False)
    assert "collection" not in found
    with pytest.raises(ConfigurationError, match=f"{number}: its state is DONE; expected MCH_COMPLETE"):
        sandbox.pay(number)


def test_an_order_that_nobody_confirms_expires(sandbox, caller):
    number = caller.create()
    sandbox.advance(30 * 86400)
    assert caller.query(out_order_no=number)["state"] == "EXPIRED"
    with pytest.raises(ConfigurationError, match="EXPIRED"):
        sandbox.service_orders[number].confirm()


def test_an_order_is_cancelled_until_it_is_completed(sandbox, caller):
    number = caller.create()
    for _ in range(2):
        caller.post("/{out_order_no}/cancel", number, reason="用户投诉")
    assert caller.query(out_order_no=number)["state"] == "REVOKED"
    assert code_of(caller.post, "/{out_order_no}/cancel", number, reason="x") == (400, "INVALID_REQUEST")
    assert code_of(caller.complete, number) == (400, "INVALID_REQUEST")
    completed = caller.create(need_user_confirm=False)
    caller.complete(completed)
    assert code_of(caller.post, "/{out_order_no}/cancel", completed, reason="x") == (400, "INVALID_REQUEST")


def test_an_amount_is_the_sum_of_its_parts_and_within_the_deposit(caller):
    number = caller.create(need_user_confirm=False)
    assert code_of(caller.complete, number, total_amount=2999) == (400, "PARAM_ERROR")
    much = {"post_payments": [{"name": "租金", "amount": 10_501}], "total_amount": 10_001}
    assert code_of(caller.complete, number, **much) == (400, "INVALID_REQUEST")
    caller.complete(number)  # what was refused can be sent again with other parameters
    caller.complete(number)
    assert code_of(caller.complete, number, goods_tag="x") == (400, "INVALID_REQUEST")


def test_a_service_has_an_end_after_its_start_and_not_in_the_future(sandbox, caller):
    number = caller.create(need_user_confirm=False)
    tomorrow = f"{sandbox.now.year + 1}0101000000"
    for end in ("20260101115959", "20251231", tomorrow):
        times = {"end_time": end}
        assert code_of(caller.complete, number, time_range=times) == (400, "INVALID_REQUEST")
    caller.complete(number, time_range={"end_time": "20260101130000"})
    assert caller.query(out_order_no=number)["time_range"] == {
        "start_time": "20260101120000",
        "end_time": "20260101130000",
    }


def test_an_amount_is_modified_downwards(sandbox, caller):
    number = caller.create(need_user_confirm=False)
    lower = {"post_payments": [{"name": "租金", "amount": 1000}], "total_amount": 1000, "reason": "优惠"}
    if "sub_mchid" in caller.identity:
        lower["post_discounts"] = []
    assert code_of(caller.post, "/{out_order_no}/modify", number, **lower) == (400, "INVALID_REQUEST")
    caller.complete(number)
    higher = {"post_payments": [{"name": "租金", "amount": 3001}], "total_amount": 3001, "post_discounts": []}
    assert code_of(caller.post, "/{out_order_no}/modify", number, **higher, reason="x") == (400, "INVALID_REQUEST")
    caller.post(
        "/{out_order_no}/modify", number, **lower, **({} if "post_discounts" in lower else {"post_discounts": []})
    )
    assert caller.query(out_order_no=number)["total_amount"] == sandbox.service_orders[number].total == 1000


def test_an_order_that_was_paid_in_another_way_is_synchronized(sandbox, caller):
    number = caller.create(need_user_confirm=False)
    body = {"type": "Order_Paid", "detail": {"paid_time": "20260101131500"}}
    assert code_of(caller.post, "/{out_order_no}/sync", number, **body) == (400, "INVALID_REQUEST")
    caller.complete(number)
    assert code_of(caller.post, "/{out_order_no}/sync", number, **{**body, "type": "x"}) == (400, "PARAM_ERROR")
    for _ in range(2):
        caller.post("/{out_order_no}/sync", number, **body)
    found = caller.query(out_order_no=number)
    assert (found["state"], found["collection"]["state"]) == ("DONE", "USER_PAID")
    (detail,) = found["collection"]["details"]
    assert (detail["paid_type"], detail["paid_time"]) == ("MCH", "20260101131500")
    assert sandbox.service_orders[number].order is None


def test_the_merchant_asks_for_the_collection(sandbox, caller):
    number = caller.create(need_user_confirm=False)
    assert code_of(caller.post, "/{out_order_no}/pay", number) == (400, "INVALID_REQUEST")
    caller.complete(number)
    caller.post("/{out_order_no}/pay", number)
    assert sandbox.service_orders[number].state == "DOING", "nobody has paid"


def test_a_number_is_created_with_the_same_parameters(caller):
    number = caller.create()
    changed = {
        "service_introduction": "x",
        "time_range": {"start_time": "OnAccept"},
        "notify_url": "http://127.0.0.1:9/",
    }
    fund = {"name": "DEPOSIT", "amount": 10_000}
    assert code_of(caller.post, out_order_no=number, risk_fund=fund, **changed) == (400, "INVALID_REQUEST")


def test_an_order_of_another_service_is_not_found(caller):
    number = caller.create()
    assert code_of(caller.query, out_order_no="unknown") == (404, "ORDER_NOT_EXIST")
    assert code_of(caller.query, out_order_no=number, service_id="1") == (404, "ORDER_NOT_EXIST")
    assert code_of(caller.query, query_id="1") == (404, "ORDER_NOT_EXIST")

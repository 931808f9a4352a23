"""The sandbox posts the notifications of APIv2: what a flow causes, and any kind on request."""

from __future__ import annotations

import pytest

from tests.shop import keep_shop
from wechatpay_chain import APIError, ArgumentError, ConfigurationError, RefundNotice
from wechatpay_chain.sandbox import Sandbox

KINDS = ["payment", "deduction", "combined payment", "contract", "vehicle", "risk", "product", "event"]
DEDUCTION = {
    "appid": "wx8888888888888888",
    "body": "会员",
    "out_trade_no": "d-10001",
    "total_fee": 100,
    "spbill_create_ip": "203.0.113.7",
    "trade_type": "PAP",
    "contract_id": "202601010000000001",
}


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def client(sandbox):
    sandbox.reset()
    with sandbox.client(retry=None) as client:
        yield client


@pytest.fixture
def shop(client):
    with keep_shop(lambda headers, body: client.notifications.parse_xml(body)) as shop:
        yield shop


@pytest.mark.parametrize("kind", KINDS)
def test_a_notification_of_each_kind_is_posted(sandbox, shop, kind):
    posted = sandbox.notify_xml(kind, {"out_trade_no": "o-1"}, shop.url)
    notification = shop.wait()
    assert notification.kind == kind
    assert posted.posts[0].outcome in (200, 204)
    fields = notification.event if kind == "event" else notification.fields
    assert fields["out_trade_no"] == "o-1"
    assert sandbox.credentials["mchid"] in notification.fields.values()


def test_a_refund_notice_is_encrypted(sandbox, client):
    notice = client.notifications.parse_xml(sandbox.notification_xml("refund", {"out_refund_no": "r-1"}))
    assert isinstance(notice, RefundNotice)
    assert notice.fields["out_refund_no"] == "r-1"


def test_the_type_of_an_event_can_be_chosen(sandbox, client):
    body = sandbox.notification_xml("event", {"event_type": "TRANSACTION.FAIL", "out_order_no": "1"})
    notification = client.notifications.parse_xml(body)
    assert (notification.fields["event_type"], notification.event["out_order_no"]) == ("TRANSACTION.FAIL", "1")


def test_an_unknown_kind_is_refused(sandbox):
    with pytest.raises(ConfigurationError, match="expected one of payment"):
        sandbox.notification_xml("nothing")
    for fields in ({"a b": "x"}, {"x": "\0"}, {"x": {"y": object()}}):
        with pytest.raises(ArgumentError):
            sandbox.notification_xml("payment", fields)


@pytest.mark.parametrize(
    ("path", "query", "more"),
    [
        ("v2/pay/pappayapply", "v2/pay/paporderquery", {}),
        ("v2/pay/partner/pappayapply", "v2/pay/partner/paporderquery", {"sub_mch_id": "1900000109"}),
        (
            "v2/transit/pay/payapply",
            "v2/transit/queryorder",
            {"version": "2.0", "trade_scene": "METRO", "scene_info": {"scene_info": {}}},
        ),
    ],
)
def test_a_deduction_is_accepted_then_paid_and_notified(sandbox, client, shop, path, query, more):
    asked = {**DEDUCTION, **more, "notify_url": shop.url}
    assert client[path].post(xml=asked).xml()["result_code"] == "SUCCESS"
    assert client[path].post(xml=asked).xml()["result_code"] == "SUCCESS", "the same number is the same deduction"
    if "contract_id" in asked:
        with pytest.raises(APIError, match="OUT_TRADE_NO_USED"):
            client[path].post(xml={**asked, "contract_id": "9"})
    named = {name: value for name, value in asked.items() if name in ("appid", "out_trade_no", "sub_mch_id")}
    assert client[query].post(xml=named).xml()["trade_state"] == "ACCEPT"
    sandbox.pay("d-10001")
    notification = shop.wait()
    assert (notification.kind, notification.fields["contract_id"]) == ("deduction", DEDUCTION["contract_id"])
    found = client[query].post(xml=named).xml()
    assert (found["trade_state"], found["transaction_id"]) == ("SUCCESS", notification.fields["transaction_id"])


def test_an_order_with_a_contract_signs_it_when_it_is_paid(sandbox, client, shop):
    order = {name: value for name, value in DEDUCTION.items() if name != "contract_id"}
    contract = {
        "contract_mchid": client.mchid,
        "contract_appid": "wx8888888888888888",
        "contract_code": "100001256",
        "contract_display_account": "微信代扣",
        "contract_notify_url": shop.url,
        "plan_id": "123",
        "request_serial": 1000,
    }
    placed = client.v2.pay.contractorder.post(
        xml={**order, **contract, "trade_type": "NATIVE", "notify_url": shop.url}
    ).xml()
    assert (placed["contract_result_code"], placed["code_url"][:9]) == ("SUCCESS", "weixin://")
    sandbox.pay("d-10001")
    received = {notification.kind: notification.fields for notification in (shop.wait(), shop.wait())}
    assert received["payment"]["out_trade_no"] == "d-10001"
    assert (received["contract"]["change_type"], received["contract"]["contract_code"]) == ("ADD", "100001256")

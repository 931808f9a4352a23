"""The sandbox posts the notifications of APIv2: what a flow causes, and any kind on request."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.apiv2.conftest import signature_of, xml_of
from tests.apiv2.test_sandbox import receiver
from tests.shop import keep_shop
from wechatpay_chain import APIError, ArgumentError, ConfigurationError, RefundNotice
from wechatpay_chain._messages.xml_body import parse_xml
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


def test_an_event_names_the_algorithm_of_its_signature_and_that_of_its_encryption(sandbox):
    fields = parse_xml(sandbox.notification_xml("event"))
    assert fields.keys() == {
        "mch_id",
        "appid",
        "algorithm",
        "nonce_str",
        "sign",
        "event_id",
        "event_create_time",
        "event_type",
        "event_algorithm",
        "event_nonce",
        "event_associated_data",
        "event_ciphertext",
    }
    assert (fields["algorithm"], fields["event_algorithm"]) == ("HMAC-SHA256", "AEAD_AES_256_GCM")
    assert fields["sign"] == signature_of(fields, "HMAC-SHA256", sandbox.credentials["apiv2_key"])


@pytest.mark.parametrize(
    ("kind", "delays"),
    [
        ("contract", [10, 10, 10, 30, 30, 30, *[300] * 23]),
        ("deduction", [15, 15, 30, 180, 1800, 1800, 1800, 1800, 3600]),
        ("vehicle", [6, 12, 24, 48, 96, 192, 384, 768, 1536]),
        ("risk", [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600]),
    ],
)
def test_each_kind_is_retried_by_its_own_schedule(sandbox, kind, delays):
    notice = sandbox.notify_xml(kind, {}, "http://127.0.0.1:9/")
    sandbox.advance(10**6)
    times = [post.at for post in notice.posts]
    assert [round(after - before) for before, after in pairwise(times)] == delays


def test_a_notification_has_a_request_id(sandbox):
    with keep_shop(lambda headers, _: dict(headers)) as shop:
        sandbox.notify_xml("payment", {}, shop.url)
        first = shop.wait()["Request-ID"]
        sandbox.notify_xml("payment", {}, shop.url)
        assert first
        assert shop.wait()["Request-ID"] != first
        sandbox.notify("TRANSACTION.SUCCESS", {}, shop.url)
        assert shop.wait()["Request-ID"]


SCAN = {"return_code": "SUCCESS", "result_code": "SUCCESS", "appid": "wx1", "prepay_id": "wx2026"}


@pytest.mark.parametrize("sign_type", ["MD5", "HMAC-SHA256"])
def test_a_scan_is_received_if_the_reply_is_signed(sandbox, client, sign_type):
    reply = client.notifications.signed_xml_reply({**SCAN, "sign_type": sign_type}).body
    with receiver(reply) as (url, _):
        assert sandbox.notify_xml("product", {}, url).is_received


@pytest.mark.parametrize("problem", ["unsigned", "another key", "no prepay_id", "altered", "FAIL"])
def test_a_scan_is_not_received_if_the_reply_has_no_order_or_is_not_signed(sandbox, client, problem):
    sign = client.notifications.signed_xml_reply
    match problem:
        case "unsigned":
            reply = xml_of(SCAN)
        case "another key":
            reply = xml_of({**SCAN, "sign": signature_of(SCAN, "MD5", "x" * 32)})
        case "no prepay_id":
            reply = sign({name: text for name, text in SCAN.items() if name != "prepay_id"}).body
        case "altered":
            reply = sign(SCAN).body.replace(b"wx2026", b"wx2027")
        case "FAIL":
            reply = sign({**SCAN, "return_code": "FAIL"}).body
    with receiver(reply) as (url, _):
        notice = sandbox.notify_xml("product", {}, url)
        assert (notice.posts[0].outcome, notice.is_received) == (200, False)


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

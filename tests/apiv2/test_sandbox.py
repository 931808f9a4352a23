"""The sandbox keeps the state of orders and refunds by APIv2, and refuses what WeChat Pay refuses."""

from __future__ import annotations

import gzip
import json
import queue
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.apiv2.conftest import signature_of, xml_of
from tests.apiv2.test_sandbox_operations import arguments
from wechatpay_chain import (
    APIError,
    AuthenticationError,
    Client,
    NotFoundError,
    ServerError,
    SignatureError,
    TransportError,
)
from wechatpay_chain._catalogue.operations import find_operation
from wechatpay_chain._messages.xml_body import parse_xml
from wechatpay_chain.sandbox import Refusal, Sandbox

ORDER = {
    "appid": "wx8888888888888888",
    "body": "公仔 <大> & 小",
    "out_trade_no": "n-1",
    "total_fee": 100,
    "spbill_create_ip": "123.12.12.123",
    "notify_url": "http://127.0.0.1:9/",
    "trade_type": "NATIVE",
}
CODE = {name: value for name, value in ORDER.items() if name not in ("notify_url", "trade_type")}
CODE["auth_code"] = "134567890123456789"
RECEIVED = b"<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>"


@pytest.fixture(scope="module")
def world():
    with Sandbox(seed=1) as sandbox, sandbox.client(retry=None) as client:
        yield sandbox, client


@pytest.fixture
def sandbox(world):
    world[0].reset()
    return world[0]


@pytest.fixture
def v2(world, sandbox):
    return world[1].v2


@pytest.fixture
def do(send):
    """Posts in either mode, and returns the fields of the response."""

    def do(node, **fields):
        return parse_xml(send(node, "post", xml=fields).content)

    return do


def code_of(do, node, **fields):
    with pytest.raises(APIError) as caught:
        do(node, **fields)
    return caught.value.code


def post(sandbox, path, fields, key=None, sign_type="MD5"):
    """Posts fields as they are, with their signature, and returns the fields of the response."""
    key = key or sandbox.credentials["apiv2_key"]
    body = xml_of({**fields, "sign": signature_of(fields, sign_type, key)})
    with urllib.request.urlopen(f"{sandbox.base_url}{path}", body) as response:
        assert response.status == 200
        return parse_xml(response.read())


@contextmanager
def receiver(reply):
    """Receives notifications, and yields the URL and a queue of their bodies."""
    bodies = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.put(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/", bodies
        server.shutdown()


def test_an_order_is_placed_paid_refunded_and_in_the_bill(sandbox, v2, do, send):
    assert do(v2.pay.unifiedorder, **ORDER)["code_url"].startswith("weixin://")
    query = {"appid": ORDER["appid"], "out_trade_no": "n-1"}
    assert do(v2.pay.orderquery, **query)["trade_state"] == "NOTPAY"
    sandbox.pay("n-1", discount=10)
    paid = do(v2.pay.orderquery, **query)
    shown = {"trade_state": "SUCCESS", "total_fee": "100", "cash_fee": "90", "coupon_fee_0": "10", "coupon_count": "1"}
    assert shown.items() <= paid.items()
    by_id = do(v2.pay.orderquery, appid=ORDER["appid"], transaction_id=paid["transaction_id"])
    assert by_id["out_trade_no"] == "n-1"

    refund = {"out_trade_no": "n-1", "out_refund_no": "r-1", "total_fee": 100, "refund_fee": 30}
    made = do(v2.secapi.pay.refund, appid=ORDER["appid"], **refund)
    assert (made["refund_fee"], made["transaction_id"]) == ("30", paid["transaction_id"])
    found = do(v2.pay.refundquery, **query)
    assert (found["refund_count"], found["refund_status_0"]) == ("1", "PROCESSING")
    sandbox.refunds["r-1"].finish()
    assert do(v2.pay.refundquery, appid=ORDER["appid"], out_refund_no="r-1")["refund_status_0"] == "SUCCESS"
    assert do(v2.pay.orderquery, **query)["trade_state"] == "REFUND"

    day = {"appid": ORDER["appid"], "bill_date": f"{sandbox.now - timedelta(days=2):%Y%m%d}"}
    bill = send(v2.pay.downloadbill, "post", xml={**day, "bill_type": "ALL"}).content
    assert bill.decode().count("`n-1,") == 2
    packed = send(v2.pay.downloadbill, "post", xml={**day, "bill_type": "ALL", "tar_type": "GZIP"}).content
    assert gzip.decompress(packed) == bill
    funds = send(v2.pay.downloadfundflow, "post", xml={**day, "account_type": "Basic"}).content
    assert "资金流水单号" in funds.decode()


def test_an_order_by_apiv2_is_the_same_order_in_apiv3(world, sandbox, v2, do):
    do(v2.pay.unifiedorder, **ORDER)
    sandbox.pay("n-1")
    client = world[1]
    found = client.v3.pay.transactions.out_trade_no["{n}"].get(n="n-1", params={"mchid": client.mchid}).json()
    assert (found["trade_state"], found["amount"]["total"]) == ("SUCCESS", 100)
    refund = {"out_trade_no": "n-1", "out_refund_no": "r-1", "amount": {"refund": 1, "total": 100, "currency": "CNY"}}
    client.v3.refund.domestic.refunds.post(json=refund)
    assert do(v2.pay.refundquery, appid=ORDER["appid"], out_trade_no="n-1")["out_refund_no_0"] == "r-1"


@pytest.mark.parametrize(
    ("trade_type", "more", "member"),
    [
        ("JSAPI", {"openid": "o1"}, "prepay_id"),
        ("APP", {}, "prepay_id"),
        ("NATIVE", {}, "code_url"),
        ("MWEB", {}, "mweb_url"),
    ],
)
def test_each_trade_type_has_its_response(v2, do, trade_type, more, member):
    placed = do(v2.pay.unifiedorder, **{**ORDER, "trade_type": trade_type, **more})
    assert placed["trade_type"] == trade_type
    assert placed[member]


def test_an_order_of_a_partner(sandbox, v2, do):
    do(v2.pay.unifiedorder, **ORDER, sub_mch_id="1900000109")
    sandbox.pay("n-1")
    query = {"appid": ORDER["appid"], "out_trade_no": "n-1"}
    assert do(v2.pay.orderquery, **query, sub_mch_id="1900000109")["sub_mch_id"] == "1900000109"
    assert code_of(do, v2.pay.orderquery, **query) == "ORDERNOTEXIST"


def test_what_the_state_of_an_order_forbids_is_a_signed_error(sandbox, v2, do):
    query = {"appid": ORDER["appid"], "out_trade_no": "n-1"}
    with pytest.raises(NotFoundError) as caught:
        do(v2.pay.orderquery, **query)
    assert caught.value.code == "ORDERNOTEXIST"
    fields = parse_xml(caught.value.response.content)
    assert fields["sign"] == signature_of(fields, "MD5", sandbox.credentials["apiv2_key"])
    do(v2.pay.unifiedorder, **ORDER)
    assert code_of(do, v2.pay.unifiedorder, **{**ORDER, "total_fee": 3}) == "OUT_TRADE_NO_USED"
    refund = {"appid": ORDER["appid"], "out_trade_no": "n-1", "out_refund_no": "r-1", "total_fee": 100}
    assert code_of(do, v2.secapi.pay.refund, **refund, refund_fee=1) == "ORDERNOTEXIST"
    sandbox.pay("n-1")
    assert code_of(do, v2.pay.unifiedorder, **ORDER) == "ORDERPAID"
    assert code_of(do, v2.pay.closeorder, **query) == "ORDERPAID"
    assert code_of(do, v2.pay.refundquery, **query) == "REFUNDNOTEXIST"
    do(v2.secapi.pay.refund, **refund, refund_fee=1)
    assert code_of(do, v2.secapi.pay.refund, **refund, refund_fee=2) == "REFUND_FEE_MISMATCH"
    sandbox.balances[sandbox.credentials["mchid"]] = 0
    assert code_of(do, v2.secapi.pay.refund, **{**refund, "out_refund_no": "r-2"}, refund_fee=9) == "NOTENOUGH"


def test_a_closed_order_stays_closed(v2, do):
    do(v2.pay.unifiedorder, **ORDER)
    query = {"appid": ORDER["appid"], "out_trade_no": "n-1"}
    do(v2.pay.closeorder, **query)
    assert do(v2.pay.orderquery, **query)["trade_state"] == "CLOSED"
    assert code_of(do, v2.pay.closeorder, **query) == "ORDERCLOSED"
    assert code_of(do, v2.pay.unifiedorder, **ORDER) == "ORDERCLOSED"


def test_a_code_payment_is_paid_or_asks_for_the_password_and_is_reversed(sandbox, v2, do):
    assert do(v2.pay.micropay, **CODE)["transaction_id"]
    with pytest.raises(ServerError) as caught:
        do(v2.pay.micropay, **{**CODE, "out_trade_no": "n-2", "total_fee": 200_000})
    assert caught.value.code == "USERPAYING"
    query = {"appid": ORDER["appid"], "out_trade_no": "n-2"}
    assert do(v2.pay.orderquery, **query)["trade_state"] == "USERPAYING"
    sandbox.pay("n-2")
    assert do(v2.pay.orderquery, **query)["trade_state"] == "SUCCESS"
    assert do(v2.secapi.pay.reverse, **query)["recall"] == "N"
    assert do(v2.pay.orderquery, **query)["trade_state"] == "REVOKED"
    assert code_of(do, v2.pay.micropay, **{**CODE, "auth_code": "999"}) == "AUTH_CODE_INVALID"


def test_a_day_without_a_bill(sandbox, v2, do):
    day = {"appid": ORDER["appid"], "bill_date": f"{sandbox.now - timedelta(days=9):%Y%m%d}"}
    assert code_of(do, v2.pay.downloadbill, **day, bill_type="ALL") == "20002"
    assert code_of(do, v2.pay.downloadfundflow, **day, account_type="Basic") == "NO_BILL_EXIST"


@pytest.mark.parametrize("sign_type", ["MD5", "HMAC-SHA256"])
def test_the_notifications_of_a_payment_and_a_refund_are_those_of_apiv2(world, sandbox, v2, do, sign_type):
    with receiver(RECEIVED) as (url, bodies):
        do(v2.pay.unifiedorder, **{**ORDER, "notify_url": url, "sign_type": sign_type})
        notice = sandbox.pay("n-1")
        payment = world[1].notifications.parse_xml(bodies.get(timeout=20))
        assert (payment.kind, payment.fields["out_trade_no"]) == ("payment", "n-1")
        assert len(payment.fields["sign"]) == (32 if sign_type == "MD5" else 64)
        refund = {"out_trade_no": "n-1", "out_refund_no": "r-1", "total_fee": 100, "refund_fee": 30, "notify_url": url}
        do(v2.secapi.pay.refund, appid=ORDER["appid"], **refund)
        sandbox.refunds["r-1"].finish("ABNORMAL")
        told = world[1].notifications.parse_xml(bodies.get(timeout=20)).fields
        assert (told["out_refund_no"], told["refund_status"], told["refund_fee"]) == ("r-1", "CHANGE", "30")
        sandbox.advance(0)
        assert notice.is_received
        assert len(notice.posts) == 1


@pytest.mark.parametrize(
    "reply", [b"", b"SUCCESS", RECEIVED + b"\n", b"<xml><return_code><![CDATA[FAIL]]></return_code></xml>"]
)
def test_a_notification_is_posted_again_until_the_reply_says_success(sandbox, v2, do, reply):
    with receiver(reply) as (url, _):
        do(v2.pay.unifiedorder, **{**ORDER, "notify_url": url})
        notice = sandbox.pay("n-1")
        sandbox.advance(24 * 3600 + 240)
        assert not notice.is_received
        assert len(notice.posts) == 16


def test_a_wrong_signature_is_refused_and_the_refusal_is_unsigned(sandbox, v2, do):
    fields = {**ORDER, "total_fee": "100", "mch_id": sandbox.credentials["mchid"], "nonce_str": "n"}
    refused = {"return_code": "FAIL", "return_msg": "签名错误"}
    assert post(sandbox, "pay/unifiedorder", fields, key="x" * 32) == refused
    assert post(sandbox, "pay/unifiedorder", fields, sign_type="HMAC-SHA256") == refused
    assert post(sandbox, "pay/unifiedorder", fields)["return_code"] == "SUCCESS"
    with sandbox.client(apiv2_key="x" * 32) as stranger, pytest.raises(AuthenticationError, match="签名错误"):
        stranger.v2.pay.unifiedorder.post(xml=ORDER)
    assert sandbox.history[-1].response.verification.problem == "签名错误"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"body": ""}, "缺少参数body"),
        ({"nonce_str": ""}, "缺少参数nonce_str"),
        ({"total_fee": "1.5"}, "total_fee参数格式错误"),
        ({"out_trade_no": "x" * 33}, "out_trade_no参数格式错误"),
        ({"mch_id": "1"}, "商户号mch_id不存在"),
        ({"sign_type": "SHA1"}, "sign_type参数格式错误"),
        ({"trade_type": "X"}, "trade_type参数格式错误"),
        ({"trade_type": "JSAPI"}, "JSAPI支付必须传openid"),
        ({"time_expire": "2026"}, "time_expire参数格式错误"),
    ],
)
def test_a_field_that_is_not_valid_is_named(sandbox, change, message):
    fields = {**ORDER, "total_fee": "100", "mch_id": sandbox.credentials["mchid"], "nonce_str": "n", **change}
    refused = post(sandbox, "pay/unifiedorder", fields)
    assert refused.keys() == {"return_code", "return_msg"}
    assert refused["return_msg"].startswith(message)


@pytest.mark.parametrize("total", ["0", "-1"])
@pytest.mark.parametrize("path", ["pay/unifiedorder", "pay/micropay", "pay/pappayapply"])
def test_an_order_has_a_positive_amount(sandbox, path, total):
    own = {"mch_id": sandbox.credentials["mchid"], "nonce_str": "n", "auth_code": CODE["auth_code"], "contract_id": "1"}
    deduction = {"trade_type": "PAP"} if path == "pay/pappayapply" else {}
    refused = post(sandbox, path, {**ORDER, **own, **deduction, "total_fee": total})
    assert refused["return_code"] == "FAIL"
    assert refused["return_msg"].startswith("total_fee参数格式错误")
    assert not sandbox.orders


@pytest.mark.parametrize("fee", [0, -50])
def test_a_refund_has_a_positive_amount_and_leaves_the_rest_as_it_was(sandbox, v2, do, fee):
    do(v2.pay.unifiedorder, **ORDER)
    sandbox.pay("n-1")
    refund = {"appid": ORDER["appid"], "out_trade_no": "n-1", "total_fee": 100}
    with pytest.raises(APIError, match="refund_fee参数格式错误"):
        do(v2.secapi.pay.refund, **refund, out_refund_no="r-1", refund_fee=fee)
    with pytest.raises(APIError):
        do(v2.secapi.pay.refund, **refund, out_refund_no="r-2", refund_fee=101)
    assert do(v2.secapi.pay.refund, **refund, out_refund_no="r-3", refund_fee=100)["refund_fee"] == "100"


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("mmpaymkttransfers/sendredpack", {"total_amount": -1}),
        ("mmpaymkttransfers/sendredpack", {"total_num": 0}),
        ("mmpaymkttransfers/promotion/transfers", {"amount": -1}),
        ("mmpaysptrans/pay_bank", {"amount": 0}),
        ("pay/refundquery", {"offset": -1}),
        ("secapi/pay/profitsharingreturn", {"return_amount": 0}),
        ("wxv/finishhotelbill", {"total_amount": -1}),
        ("wxv/finishhotelbill", {"other_fee": -1}),
    ],
)
def test_an_amount_that_no_order_can_have_is_refused(world, do, path, change):
    sandbox, client = world
    operation = find_operation("POST", f"/{path}")
    fields = arguments(operation, sandbox, client, everything=True)["xml"]
    (name,) = change
    with pytest.raises(APIError, match=f"{name}参数格式错误"):
        do(client.v2[path], **{**fields, **change})


def test_a_part_of_an_amount_can_be_zero_and_a_rented_thing_can_be_free(world, do):
    sandbox, client = world
    operation = find_operation("POST", "/wxv/finishhotelbill")
    fields = arguments(operation, sandbox, client, everything=True)["xml"]
    free = {name: 0 for name in fields if name.endswith(("_fee", "_fine", "_amount", "_rate"))}
    assert do(client.v2.wxv.finishhotelbill, **{**fields, **free})["result_code"] == "SUCCESS"


def test_a_field_that_an_operation_does_not_have_is_a_wrong_signature(sandbox):
    own = {"mch_id": sandbox.credentials["mchid"]}
    bank = {**own, "nonce_str": "n", "partner_trade_no": "t-1", "sign_type": "MD5"}
    assert post(sandbox, "mmpaysptrans/query_bank", bank)["return_msg"].startswith("签名错误")
    rate = {**own, "appid": "wx1", "fee_type": "HKD", "date": "20260101", "nonce_str": "n"}
    assert post(sandbox, "pay/queryexchagerate", rate)["return_msg"].startswith("签名错误")


@pytest.mark.parametrize("path", ["mmpaysptrans/query_bank", "mmpaymkttransfers/sendredpack"])
def test_an_appid_is_a_wrong_signature_where_a_payment_to_a_user_has_none(world, do, path):
    sandbox, client = world
    fields = arguments(find_operation("POST", f"/{path}"), sandbox, client, everything=False)["xml"]
    with pytest.raises(AuthenticationError, match="签名错误：此接口没有参数appid"):
        do(client.v2[path], **fields, appid="wx8888888888888888")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<xml><a>",
        "<xml><a>😀</a></xml>".encode(),
        b"<xml><a>&#128512;</a></xml>",
        b"<xml><a><b>1</b></a></xml>",
    ],
)
def test_a_body_that_is_no_message_is_refused(sandbox, body):
    with urllib.request.urlopen(f"{sandbox.base_url}pay/unifiedorder", body or b"\n") as response:
        fields = parse_xml(response.read())
    assert fields["return_code"] == "FAIL"
    assert "XML格式错误" in fields["return_msg"]


def test_a_message_without_fields_is_refused(sandbox):
    with urllib.request.urlopen(f"{sandbox.base_url}pay/unifiedorder", b"<xml></xml>") as response:
        assert parse_xml(response.read())["return_msg"].startswith("缺少参数")


@pytest.mark.parametrize("fault", ["wrong-signature", "missing-header"])
def test_a_response_with_a_faulty_signature_is_not_trusted(sandbox, v2, do, fault):
    sandbox.fault(fault)
    with pytest.raises(SignatureError):
        do(v2.pay.unifiedorder, **ORDER)


def test_an_operation_of_ones_own(sandbox, v2, do):
    @sandbox.operation("POST", "/pay/tomorrow")
    def answer(request):
        if request.body["count"] == "9":
            raise Refusal(400, "TOO_MANY", "数量过多")
        return {"state": "MADE"}

    assert do(v2.pay.tomorrow, mch_id=sandbox.credentials["mchid"], count=1)["state"] == "MADE"
    assert code_of(do, v2.pay.tomorrow, count=9) == "TOO_MANY"


def test_an_upload_of_ones_own(sandbox, v2, send):
    @sandbox.operation("POST", "/secapi/mch/newupload")
    def answer(request):
        return {"state": f"{request.body['purpose']} {request.file.name} {request.file.content.decode()}"}

    upload = {"xml": {"purpose": "licence"}, "files": {"media": ("a.jpg", b"content")}}
    made = parse_xml(send(v2.secapi.mch.newupload, "post", **upload).content)
    assert made["state"] == "licence a.jpg content"
    with pytest.raises(NotFoundError):
        send(v2.secapi.mch.newuploads, "post", **upload)
    assert "does not know POST /secapi/mch/newuploads" in sandbox.history[-1].response.body.decode()


@pytest.fixture(scope="module")
def secure():
    with Sandbox(tls=True, seed=1) as sandbox:
        yield sandbox


def test_over_https_some_operations_require_the_certificate(secure, do, send):
    refund = {"appid": ORDER["appid"], "out_trade_no": "n-9", "out_refund_no": "r-9", "total_fee": 1, "refund_fee": 1}
    with secure.client(retry=None) as client:
        assert code_of(do, client.v2.secapi.pay.refund, **refund) == "ORDERNOTEXIST"
        assert code_of(do, client.v2.pay.orderquery, appid="wx1", out_trade_no="n-9") == "ORDERNOTEXIST"
        with pytest.raises(APIError, match="证书验证失败"):
            send(client.v2.secapi.pay.refund, "post", xml=refund, certificate=False)


def test_a_certificate_of_another_authority_is_refused(secure):
    with Sandbox() as other:
        stranger = {name: other.credentials[name] for name in ("private_key", "certificate", "serial")}
    with (
        secure.client(retry=None, **stranger) as client,
        pytest.raises(TransportError),
    ):
        client.v2.secapi.pay.refund.post(
            xml={"appid": "wx1", "out_trade_no": "n", "out_refund_no": "r", "total_fee": 1, "refund_fee": 1}
        )


def test_without_https_no_certificate_is_asked_for(sandbox, v2, do):
    refund = {"appid": "wx1", "out_trade_no": "n", "out_refund_no": "r", "total_fee": 1, "refund_fee": 1}
    with pytest.raises(NotFoundError):
        v2.secapi.pay.refund.post(xml=refund, certificate=False)


def test_the_file_of_credentials_has_all_that_apiv2_needs(secure, tmp_path):
    (tmp_path / "authority.pem").write_text(secure.authority)
    known = {**secure.credentials, "ca_bundle": "authority.pem", "proxies": {}, "retry": False}
    (tmp_path / "merchant.json").write_text(json.dumps(known))
    with Client.from_file(tmp_path / "merchant.json") as client, pytest.raises(NotFoundError):
        client.v2.secapi.pay.refund.post(
            xml={"appid": "wx1", "out_trade_no": "n", "out_refund_no": "r", "total_fee": 1, "refund_fee": 1}
        )

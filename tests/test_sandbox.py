"""The sandbox checks requests as strictly as the service does, and signs responses in the same way."""

from __future__ import annotations

import asyncio
import base64
import gzip
import http.client
import json
import os
import re
import secrets
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.sandbox_command import run_sandbox
from tests.service import rsa_sign
from wechatpay_chain import APIError, Client, ConfigurationError, Sensitive, crypto, errors
from wechatpay_chain.sandbox import Sandbox, Signer

COUPON = {
    "brand_id": "120344",
    "product_coupon_id": "1000000013",
    "stock_id": "1000000013001",
    "coupon_code": "123446565767",
    "appid": "wx233544546545989",
    "send_request_no": "34657_20250101_123456",
    "attach": "example_attach",
}
PRE_SEND = "v3/marketing/partner/product-coupon/users/{openid}/pre-send-coupon"


@pytest.fixture
def client(sandbox):
    with sandbox.client() as client:
        yield client


@pytest.fixture
def order(client):
    return {
        "appid": "wxd678efh567hg6787",
        "mchid": client.mchid,
        "description": "Image形象店-深圳腾大-QQ公仔",
        "out_trade_no": secrets.token_hex(12),
        "notify_url": "https://www.weixin.qq.com/wxpay/pay.php",
        "amount": {"total": 100, "currency": "CNY"},
    }


def test_six_styles_of_a_chain_make_the_same_call(client, send):
    tokens = [
        send(node, "post", openid="oh-394z-6CGkNoJrsDLTTUKiAnp4", json=COUPON).json()["token"]
        for node in (
            client.v3.marketing.partner.product_coupon.users._openid_.pre_send_coupon,
            client.v3.marketing.partner.productCoupon.users._openid_.preSendCoupon,
            client.chain(PRE_SEND),
            client[PRE_SEND],
            client[PRE_SEND.replace("{openid}", "<openid>")],
        )
    ]
    assert len(set(tokens)) == 1, "the same parameters give the same token"
    other = send(client[PRE_SEND], "post", openid="another", json=COUPON).json()["token"]
    assert other != tokens[0]


def test_an_order_is_placed_queried_and_closed(client, send, order):
    number, caller = order["out_trade_no"], {"mchid": client.mchid}
    transactions = client.v3.pay.transactions
    code_url = send(transactions.native, "post", json=order).json()["code_url"]
    assert code_url.startswith("weixin://wxpay/bizpayurl?pr=")
    assert send(transactions.native, "post", json=order).json()["code_url"] != code_url, "the last one is valid"
    by_number = transactions.out_trade_no._out_trade_no_
    found = send(by_number, "get", out_trade_no=number, params=caller).json()
    assert found["trade_state"] == "NOTPAY"
    assert found["amount"]["total"] == 100
    assert "transaction_id" not in found
    with pytest.raises(errors.ForbiddenError) as number_used:
        send(transactions.native, "post", json={**order, "amount": {"total": 200}})
    assert number_used.value.code == "OUT_TRADE_NO_USED"
    with pytest.raises(errors.ForbiddenError):
        send(transactions.jsapi, "post", json={**order, "payer": {"openid": "oUpF8"}})
    assert send(by_number.close, "post", out_trade_no=number, json=caller).status_code == 204
    assert send(by_number.close, "post", out_trade_no=number, json=caller).status_code == 204
    assert send(by_number, "get", out_trade_no=number, params=caller).json()["trade_state"] == "CLOSED"
    with pytest.raises(errors.BadRequestError) as order_closed:
        send(transactions.native, "post", json=order)
    assert order_closed.value.code == "ORDER_CLOSED"


def test_a_jsapi_order_is_placed(client, send, order):
    response = send(client.v3.pay.transactions.jsapi, "post", json={**order, "payer": {"openid": "oUpF8uMuAJO"}})
    assert response.json()["prepay_id"].startswith("wx")


@pytest.mark.parametrize("number", ["none", "a b", "a|b", "中文", "a/b", "%2F", "a?b=c"])
def test_an_order_that_does_not_exist_is_not_found(client, send, number):
    transactions, caller = client.v3.pay.transactions, {"mchid": client.mchid}
    for node, verb, more in (
        (transactions.out_trade_no._number_, "get", {"params": caller}),
        (transactions.id._number_, "get", {"params": caller}),
        (transactions.out_trade_no._number_.close, "post", {"json": caller}),
    ):
        with pytest.raises(errors.NotFoundError) as caught:
            send(node, verb, number=number, **more)
        assert caught.value.code == "ORDER_NOT_EXIST"
        assert "Wechatpay-Signature" in caught.value.response.headers


def test_no_serial_number_begins_with_a_zero(monkeypatch):
    """Java and wechatpayv3 leave it out in Wechatpay-Serial; else one run in eight would fail with them."""
    monkeypatch.setattr(x509, "random_serial_number", lambda: 0xABC)
    credentials = Sandbox().credentials
    _, serial = credentials["certs"]
    for number in (credentials["serial"], serial):
        assert re.fullmatch("[1-9A-F][0-9A-F]{36}ABC", number)


def test_certificates_are_listed_and_can_be_decrypted(client, sandbox, send):
    (listed,) = send(client.v3.certificates, "get", params={"algorithm_type": "RSA"}).json()["data"]
    encrypted = listed["encrypt_certificate"]
    assert encrypted["algorithm"] == "AEAD_AES_256_GCM"
    pem = crypto.aes_gcm_decrypt(
        encrypted["ciphertext"],
        sandbox.credentials["apiv3_key"].encode(),
        encrypted["nonce"],
        encrypted["associated_data"],
    )
    assert crypto.serial_number(pem) == listed["serial_no"]
    assert sandbox.credentials["certs"][listed["serial_no"]] == pem.decode()
    for name in ("effective_time", "expire_time"):
        assert listed[name].endswith("+08:00")


def test_echo_decrypts_and_encrypts_a_message(client, sandbox, send):
    merchant = crypto.load_private_key(sandbox.credentials["private_key"])
    for key_id, pem in sandbox.credentials["certs"].items():
        ciphertext = crypto.encrypt("张三", crypto.load_public_key(pem))
        body = {"echo_message": "hello", "encrypted_echo_message": ciphertext}
        response = send(client.v3.security.echo, "post", json=body, headers={"Wechatpay-Serial": key_id})
        assert response.headers["Wechatpay-Serial"] == key_id
        assert response.json()["echo_message"] == "hello"
        assert crypto.decrypt(response.json()["encrypted_echo_message"], merchant) == "张三"
    other = next(key_id for key_id in sandbox.credentials["certs"] if key_id != response.headers["Wechatpay-Serial"])
    for named in (other, "A" * 40):
        with pytest.raises(errors.BadRequestError, match="decrypt"):
            send(client.v3.security.echo, "post", json=body, headers={"Wechatpay-Serial": named})


def send_raw(sandbox, method, target, body=b"", headers=None, *, sent_target=None, **credentials):
    """Sends a hand-made request, any part of which may be wrong, and returns status, headers and JSON body."""
    valid = sandbox.credentials
    nonce, timestamp = (
        credentials.pop("nonce_str", secrets.token_hex(16)),
        credentials.pop("timestamp", str(int(time.time()))),
    )
    message = f"{method}\n{target}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"
    items = {
        "mchid": valid["mchid"],
        "nonce_str": nonce,
        "timestamp": timestamp,
        "serial_no": valid["serial"],
        "signature": rsa_sign(crypto.load_private_key(valid["private_key"]), message),
        **credentials,
    }
    all_headers = {
        "Accept": "application/json",
        "User-Agent": "by hand",
        "Content-Type": "application/json",
        "Authorization": "WECHATPAY2-SHA256-RSA2048 "
        + ",".join(f'{k}="{v}"' for k, v in items.items() if v is not None),
        **(headers or {}),
    }
    host = sandbox.base_url.split("/")[2]
    connection = http.client.HTTPConnection(host)
    connection.request(
        method, sent_target or target, body or None, {k: v for k, v in all_headers.items() if v is not None}
    )
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, dict(response.getheaders()), json.loads(content) if content else None


def test_a_response_is_signed_with_the_key_that_the_call_names(sandbox):
    public_key_id, serial = sandbox.credentials["certs"]
    assert send_raw(sandbox, "GET", "/v3/certificates")[1]["Wechatpay-Serial"] == serial
    for key_id in (public_key_id, serial):
        _, headers, _ = send_raw(sandbox, "GET", "/v3/certificates", headers={"Wechatpay-Serial": key_id})
        assert headers["Wechatpay-Serial"] == key_id
        assert headers["Wechatpay-Signature-Type"] == "WECHATPAY2-SHA256-RSA2048"
        assert headers["Request-ID"].endswith("-0")
    for key_id in ("A" * 40, sandbox.credentials["serial"], "\xff"):  # an SDK names the merchant's own certificate
        status, headers, _ = send_raw(sandbox, "GET", "/v3/certificates", headers={"Wechatpay-Serial": key_id})
        assert (status, headers["Wechatpay-Serial"]) == (200, serial)


@pytest.mark.parametrize("signer", Signer)
def test_one_key_may_sign_all_responses(signer):
    with Sandbox(sign_with=signer.value) as sandbox:
        expected = dict(zip(Signer, sandbox.credentials["certs"], strict=True))[signer]
        for key_id in (None, *sandbox.credentials["certs"]):
            _, headers, _ = send_raw(sandbox, "GET", "/v3/certificates", headers={"Wechatpay-Serial": key_id})
            assert headers["Wechatpay-Serial"] == expected
        with sandbox.client() as client:
            assert client.v3.certificates.get().headers["Wechatpay-Serial"] == expected
    with pytest.raises(ConfigurationError, match="public-key or certificate"):
        Sandbox(sign_with="nothing")


ECHO = b'{"echo_message":"x"}'


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"headers": {"Authorization": None}}, "格式错误"),
        ({"headers": {"Authorization": "Bearer x"}}, "认证类型"),
        ({"headers": {"Authorization": "WECHATPAY2-SHA256-RSA2048 mchid=1"}}, "格式错误"),
        ({"nonce_str": None}, "格式错误"),
        ({"serial_no": None}, "格式错误"),
        ({"timestamp": str(int(time.time()) - 400)}, "timestamp"),
        ({"timestamp": str(int(time.time()) + 4000)}, "timestamp"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"serial_no": "0" * 40}, "序列号"),
        ({"mchid": "1900000000"}, "商户号"),
        ({"nonce_str": ""}, "格式错误"),
        ({"nonce_str": "a b"}, "格式错误"),
        ({"nonce_str": "\xff"}, "格式错误"),
        ({"signature": "AAAA"}, "验签失败"),
        ({"signature": base64.b64encode(bytes(256)).decode()}, "验签失败"),
    ],
)
def test_a_request_with_wrong_credentials_is_refused(sandbox, fault, message):
    status, headers, body = send_raw(sandbox, "POST", "/v3/security/echo", ECHO, **fault)
    assert (status, body["code"]) == (401, "SIGN_ERROR")
    assert message in body["message"]
    assert "Wechatpay-Signature" not in headers
    if message == "验签失败":
        information = body["detail"]["sign_information"]
        assert (information["method"], information["url"]) == ("POST", "/v3/security/echo")
        shown = information["truncated_sign_message"]
        assert shown.startswith("POST\n/v3/security/echo\n")
        assert shown.endswith('{"echo_m\n')
        assert information["sign_message_length"] > len(shown)


def test_the_error_for_another_private_key_says_so(sandbox, client):
    good = send_raw(sandbox, "POST", "/v3/security/echo", ECHO)
    assert good[0] == 200
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with (
        sandbox.client(private_key=other) as client_with_another_key,
        pytest.raises(errors.AuthenticationError) as caught,
    ):
        client_with_another_key.v3.security.echo.post(json={"echo_message": "x"})
    _, ours, theirs, advice = str(caught.value).splitlines()
    assert ours.partition(": ")[2] == theirs.partition(": ")[2]
    assert "They are the same, so private_key= is not the key" in advice


@pytest.mark.parametrize("name", ["Accept", "User-Agent"])
def test_accept_and_user_agent_are_required(sandbox, name):
    status, headers, body = send_raw(sandbox, "GET", "/v3/certificates", headers={name: ""})
    assert (status, body["code"]) == (400, "INVALID_REQUEST")
    assert "Wechatpay-Signature" not in headers


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_must_be_json(sandbox, content_type):
    status, _, body = send_raw(sandbox, "POST", "/v3/security/echo", ECHO, {"Content-Type": content_type})
    assert (status, body["detail"]["location"]) == (400, "header")
    deep, emoji = b"[" * 100_000, '{"echo_message":"😀"}'.encode()
    for body in (
        b"",
        b"{",
        b"[]",
        b"1",
        b"\xff",
        deep,
        emoji,
        b'{"echo_message":NaN}',
        b'{"echo_message":"\\ud800"}',
        b'{"echo_message":1e400}',
        '{"echo_message":"x"}'.encode("utf-16"),
        gzip.compress(ECHO),
    ):
        status, _, refusal = send_raw(sandbox, "POST", "/v3/security/echo", body)
        assert (status, refusal["code"], refusal["detail"]["location"]) == (400, "PARAM_ERROR", "body")
    assert (
        send_raw(sandbox, "POST", "/v3/security/echo", ECHO, {"Content-Type": "application/json; charset=UTF-8"})[0]
        == 200
    )


_WITH_EXTENSIONS = pytest.mark.skipif(
    bool(os.environ.get("AIOHTTP_NO_EXTENSIONS")),
    reason="aiohttp's parser in Python waits for the end of the connection of a CONNECT",
)


@pytest.mark.parametrize(
    ("method", "path", "status", "nearest"),
    [
        ("GET", "/v3/certificate", 404, "GET /v3/certificates"),
        ("GET", "/v3/certificates/", 404, "GET /v3/certificates"),
        ("POST", "/v3/pay/transactions/natve", 404, "POST /v3/pay/transactions/native"),
        ("GET", "/v3/pay/transactions/out_trade_no/1217752501", 404, "GET /v3/pay/transactions/out-trade-no/{out_trade_no}"),
        ("GET", "/v3/pay/transactions/id/a/b", 404, "GET /v3/pay/transactions/id/{transaction_id}"),
        ("POST", "/v3/pay/transactions/out-trade-no/1217752501/closed", 404, "POST /v3/pay/transactions/out-trade-no/{out_trade_no}/close"),
        ("GET", "/v3/bill/tradebills?bill_date=2026-01-01", 404, "GET /v3/bill/tradebill"),
        ("POST", "/", 404, ""),
        ("GET", "//", 404, ""),
        ("OPTIONS", "*", 404, ""),
        pytest.param("CONNECT", "api.mch.weixin.qq.com:443", 404, "", marks=_WITH_EXTENSIONS),
        ("GET", "/v3/%zz", 404, ""),
        ("GET", "/v3/" + "a/" * 3000, 404, ""),
        ("GET", "/v3/pay/transactions/native", 405, "POST /v3/pay/transactions/native"),
        ("POST", "/v3/certificates", 405, "GET /v3/certificates"),
        ("DELETE", "/v3/pay/transactions/id/42", 405, "GET /v3/pay/transactions/id/{transaction_id}"),
        ("OPTIONS", "/v3/certificates", 405, "GET /v3/certificates"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_the_error_of_an_unknown_operation_names_the_nearest(sandbox, method, path, status, nearest):
    actual, headers, body = send_raw(sandbox, method, path)
    assert (actual, body["code"]) == (status, {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}[status])
    path_alone = path.partition("?")[0]
    shown = path_alone if len(path_alone) <= 256 else f"{path_alone[:256]}…"
    assert body["message"].startswith(
        f"This sandbox does not know {method} {shown}. The nearest operation that it knows is "
    )
    assert body["message"].endswith(f" {nearest}." if nearest else ".")
    assert headers.get("Allow") == (nearest.split()[0] if status == 405 else None)
    assert "Wechatpay-Signature" in headers
    assert headers["Request-ID"]
    actual, headers, body = send_raw(sandbox, method, path, signature="AAAA")
    assert (actual, body["code"]) == (401, "SIGN_ERROR")
    assert "does not know" not in body["message"]


def test_a_client_shows_the_nearest_operation(client, send):
    with pytest.raises(
        errors.NotFoundError, match="nearest operation that it knows is POST /v3/pay/transactions/native"
    ):
        send(client.v3.pay.transactions.nativ, "post", json={})
    with pytest.raises(errors.ClientError, match="knows is GET /v3/certificates") as caught:
        send(client.v3.certificates, "post", json={})
    assert caught.value.status_code == 405
    with pytest.raises(errors.NotFoundError, match="/v3/merchant/media/upload"):
        send(
            client.v3.merchant.media.uploads, "post", files={"file": ("a.png", b"picture")}, json={"filename": "a.png"}
        )


def test_head_is_refused(sandbox):
    status, headers, body = send_raw(sandbox, "HEAD", "/v3/certificates")
    assert (status, headers["Allow"], body) == (405, "GET", None)
    assert send_raw(sandbox, "HEAD", "/v3/nothing")[0] == 404
    assert send_raw(sandbox, "HEAD", "/v3/nothing", signature="AAAA")[0] == 401


@pytest.mark.parametrize("origin", ["http://api.mch.weixin.qq.com", "HTTPS://api.mch.weixin.qq.com:443"])
def test_a_target_may_be_a_full_url(sandbox, origin):
    """Clients send a full URL as the target if they use a proxy, and sign only the path and the query."""
    target = "/v3/certificates?algorithm_type=RSA"
    status, _, body = send_raw(sandbox, "GET", target, sent_target=origin + target)
    assert (status, len(body["data"])) == (200, 1)
    assert send_raw(sandbox, "GET", origin + target)[0] == 401
    assert send_raw(sandbox, "GET", "/", sent_target=origin)[0] == 404
    assert send_raw(sandbox, "GET", "/?a=b", sent_target=f"{origin}?a=b")[0] == 404


@pytest.mark.parametrize(
    "request_line",
    [b"GET v3/certificates HTTP/1.1", b"GET /v3/a b HTTP/1.1", b"GET  HTTP/1.1", b"garbage", b"G@T /v3/x HTTP/1.1",
     b"GET /" + b"a" * 9000 + b" HTTP/1.1"],
    ids=lambda line: line[:20].decode(),
)  # fmt: skip
def test_a_malformed_request_is_refused_in_json(sandbox, caplog, request_line):
    host, port = sandbox.base_url.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(request_line + b"\r\nHost: x\r\n\r\n")
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert (response.status, json.loads(response.read())["code"]) == (400, "INVALID_REQUEST")
        assert response.headers["Request-ID"]
    assert not caplog.records


WRONG_FIELDS = [
    ("/appid", None, "missing"),
    ("/mchid", None, "missing"),
    ("/description", None, "missing"),
    ("/out_trade_no", None, "missing"),
    ("/notify_url", None, "missing"),
    ("/amount", None, "missing"),
    ("/amount/total", None, "missing"),
    ("/amount/total", "100", "integer"),
    ("/amount/total", True, "integer"),
    ("/amount/total", 0, "at least 1"),
    ("/amount/total", 1.5, "integer"),
    ("/amount/currency", "XYZ", "one of"),
    ("/amount", [], "object"),
    ("/description", "长" * 128, "characters"),
    ("/description", "", "characters"),
    ("/out_trade_no", "a b c d e f", "match"),
    ("/out_trade_no", "12345", "characters"),
    ("/notify_url", "https://a.b/c?d=e", "match"),
    ("/support_fapiao", "yes", "boolean"),
    ("/detail/goods_detail", {}, "array"),
    ("/detail/goods_detail/0/quantity", None, "missing"),
    ("/payer/identity/name", "张三", "decrypt"),
]


@pytest.mark.parametrize(("pointer", "value", "issue"), WRONG_FIELDS)
def test_a_wrong_field_is_named(client, send, order, pointer, value, issue):
    order["detail"] = {"goods_detail": [{"merchant_goods_id": "a", "quantity": 1, "unit_price": 1}]}
    order["payer"] = {"identity": {"type": "IDCARD", "number": Sensitive("1"), "name": Sensitive("a")}}
    container = order
    *parents, last = pointer.strip("/").split("/")
    for parent in parents:
        container = container[int(parent)] if isinstance(container, list) else container.setdefault(parent, {})
    if value is None:
        del container[last]
    else:
        container[last] = value
    with pytest.raises(errors.BadRequestError) as caught:
        send(client.v3.pay.transactions.native, "post", json=order)
    assert caught.value.code == "PARAM_ERROR"
    assert caught.value.detail["field"] == pointer
    assert caught.value.detail["location"] == "body"
    assert issue in caught.value.detail["issue"]


def test_an_order_with_all_fields_is_accepted(client, send, order):
    order.update(
        time_expire="2026-06-08T10:34:56+08:00",
        attach="自定义数据",
        goods_tag="WXG",
        support_fapiao=True,
        detail={
            "cost_price": 1,
            "invoice_id": "微信123",
            "goods_detail": [{"merchant_goods_id": "a", "quantity": 1, "unit_price": 1}],
        },
        scene_info={
            "payer_client_ip": "14.23.150.211",
            "device_id": "1",
            "store_info": {"id": "0001", "name": "腾讯大厦分店"},
        },
        settle_info={"profit_sharing": False},
        payer={"identity": {"type": "IDCARD", "number": Sensitive("1"), "name": Sensitive("张三")}},
        unknown="ignored",
    )
    assert send(client.v3.pay.transactions.native, "post", json=order).status_code == 200


def test_the_merchant_number_and_query_fields_are_checked(client, send, order):
    node = client.v3.pay.transactions.out_trade_no._n_
    with pytest.raises(errors.BadRequestError) as caught:
        send(node, "get", n="123456")
    assert (caught.value.detail["field"], caught.value.detail["location"]) == ("mchid", "query")
    for call in (
        lambda: send(node, "get", n="123456", params={"mchid": "1"}),
        lambda: send(client.v3.pay.transactions.native, "post", json={**order, "mchid": "1"}),
    ):
        with pytest.raises(errors.BadRequestError, match="mchid"):
            call()
    with pytest.raises(errors.BadRequestError, match="must be one of SM2, RSA"):
        send(client.v3.certificates, "get", params={"algorithm_type": "X"})


def test_echo_repeats_the_message(client, send):
    with pytest.raises(APIError):
        send(client.v3.security.echo, "post", json={})
    assert send(client.v3.security.echo, "post", json={"echo_message": "你好"}).json() == {"echo_message": "你好"}


def test_an_idle_sandbox_stops_at_once():
    with Sandbox() as sandbox, sandbox.client() as client:
        client.v3.certificates.get()
        asyncio.run(client.v3.certificates.get_async())
        began = time.monotonic()
    assert time.monotonic() - began < 2
    with pytest.raises(errors.TransportError):
        client.v3.certificates.get()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::1", "localhost"])
def test_the_sandbox_listens_at_other_addresses(host):
    with Sandbox(host=host) as sandbox, sandbox.client() as client:
        assert client.v3.certificates.get().status_code == 200
        assert sandbox.base_url in repr(sandbox)


def test_two_authorization_headers_are_refused(sandbox):
    host = sandbox.base_url.split("/")[2]
    connection = http.client.HTTPConnection(host)
    connection.putrequest("GET", "/v3/certificates")
    for name, value in (
        ("Accept", "*/*"),
        ("User-Agent", "x"),
        ("Authorization", "Basic x"),
        ("Authorization", "Basic y"),
    ):
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 401
    connection.close()


def test_a_port_that_is_in_use_is_an_error(sandbox):
    port = int(sandbox.base_url.split(":")[2].strip("/"))
    with pytest.raises(OSError), Sandbox(port=port):
        raise AssertionError


KEYS = ("apiv3_key", "apiv2_key", "workwx_secret", "certificate")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("sign_with", [[], ["--sign-with", "public-key"], ["--sign-with", "certificate"]])
def test_the_command_runs_until_a_signal(tmp_path, number, sign_with):
    file = tmp_path / "merchant.json"
    with run_sandbox("--credentials", file, *sign_with) as process:
        line = process.stdout.readline()
        credentials = json.loads(file.read_text())
        assert credentials["base_url"] in line
        assert credentials["private_key"] not in line
        assert set(credentials) == {"base_url", "mchid", "serial", "private_key", "certs", *KEYS}
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert [path.name for path in tmp_path.iterdir()] == ["merchant.json"]
        with Client(**credentials, proxies={}) as client:
            response = client.v3.certificates.get()
            kinds = {"public-key": 0, "certificate": 1}
            expected = list(credentials["certs"])[kinds[sign_with[1]] if sign_with else 0]
            assert response.headers["Wechatpay-Serial"] == expected
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
        assert (process.returncode, out, err) == (0, "", "")


def test_the_command_without_a_file_names_the_option():
    with run_sandbox() as process:
        assert "http://127.0.0.1:" in process.stdout.readline()
        assert "--credentials" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0


def test_no_private_key_is_in_the_repository():
    root = Path(__file__).parents[1]
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False
    ).stdout.split("\0")
    files = [root / name for name in tracked if name] or [path for path in root.rglob("*.*") if path.is_file()]
    assert len(files) > 20
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace")
        assert not re.search("-----BEGIN [A-Z ]*PRIVATE" + " KEY-----\\s+[A-Za-z0-9+/]{20}", text), file

"""The sandbox takes requests in the forms in which SDKs in other languages write them.

Each form has what its source code shows: the headers, the order of the items in Authorization, how JSON is written, and what
is sent with a request that has no body.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from http.client import HTTPConnection
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives import serialization

from tests.service import rsa_sign

JAVA_AGENT = (
    "WechatPay-Java/0.2.17 (Linux/6.1) Java/17 Credential/WechatPay2Credential Validator/Validator okhttp3/4.12"
)
PHP_ACCEPT = "application/json, text/plain, application/x-gzip, application/pdf, image/png, image/*;q=0.5"


def write_go_json(value):
    """Returns JSON as Go's encoder writes it: with a line feed at its end, and without the characters of HTML."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f"{text}\n"


class Form(NamedTuple):
    """How an SDK writes a request.

    Attributes:
        headers: the headers of every request.
        items: the items of Authorization in their order.
        write: writes a value as JSON.
        content_type: the Content-Type of a request with a body.
        bodyless_type: the Content-Type of a request without a body; empty if it has none.
        make_nonce: returns a nonce.
    """

    headers: dict[str, str]
    items: str = "mchid nonce_str timestamp serial_no signature"
    write: Callable[[object], str] = json.dumps
    content_type: str = "application/json"
    bodyless_type: str = ""
    make_nonce: Callable[[], str] = lambda: secrets.token_hex(16)


FORMS = {
    "wechatpay-go": Form(
        {"Accept": "*/*", "Accept-Encoding": "gzip", "User-Agent": "WechatPay-Go/0.2.21 (linux) GO/1.22"},
        write=write_go_json,
        bodyless_type="application/json",
    ),
    "wechatpay-java": Form(
        {"Accept": "application/json", "User-Agent": JAVA_AGENT, "Connection": "Keep-Alive", "Accept-Encoding": "gzip"},
        write=lambda value: json.dumps(value, ensure_ascii=False),
        content_type="application/json; charset=utf-8",
        bodyless_type="application/json",
    ),
    "wechatpay-java, sent again to the other domain": Form(
        {"Accept": "application/json", "User-Agent": f"{JAVA_AGENT} (Retried-V1)"},
    ),
    "wechatpay-php": Form(
        {"accept": PHP_ACCEPT, "user-agent": "wechatpay-php/1.4.12 GuzzleHttp/7 curl/8.5.0 (Linux/6.1) PHP/8.3"},
        "mchid serial_no timestamp nonce_str signature",
        write=lambda value: json.dumps(value).replace("/", "\\/"),
        content_type="application/json; charset=utf-8",
        bodyless_type="application/json; charset=utf-8",
    ),
    "wechatpay-guzzle-middleware": Form(
        {"Accept": "application/json", "User-Agent": "WechatPay-Guzzle/0.2.0 GuzzleHttp/7 (Linux/6.1) PHP/7.4"},
    ),
    "EasyWeChat": Form(
        {"Accept": "application/json", "User-Agent": "easywechat-sdk/6.17"},
        bodyless_type="application/json",
        make_nonce=lambda: f"nonce{secrets.token_hex(7)[:13]}",
    ),
    "wechatpayv3": Form(
        {"Accept": "application/json", "User-Agent": "wechatpay python sdk"},
        "mchid nonce_str signature timestamp serial_no",
        bodyless_type="application/json",
        make_nonce=lambda: secrets.token_hex(16).upper(),
    ),
}


@pytest.fixture(params=FORMS)
def send(request, sandbox):
    """Sends a request in the form of an SDK, and returns the status and the JSON."""
    form, known = FORMS[request.param], sandbox.credentials
    key = serialization.load_pem_private_key(known["private_key"].encode(), None)

    def send(method, target, value=None):
        body = "" if value is None else form.write(value)
        items = {"mchid": known["mchid"], "nonce_str": form.make_nonce(), "timestamp": str(int(time.time()))}
        message = f"{method}\n{target}\n{items['timestamp']}\n{items['nonce_str']}\n{body}\n".encode()
        items.update(serial_no=known["serial"], signature=rsa_sign(key, message))
        authorization = ",".join(f'{name}="{items[name]}"' for name in form.items.split())
        headers = {**form.headers, "Authorization": f"WECHATPAY2-SHA256-RSA2048 {authorization}"}
        if content_type := form.bodyless_type if value is None else form.content_type:
            headers["Content-Type"] = content_type
        connection = HTTPConnection(urlsplit(sandbox.base_url).netloc, timeout=5)
        connection.request(method, target, body.encode() or None, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, json.loads(content) if content else None

    return send


def test_an_order_and_its_queries_are_accepted(send, sandbox):
    mchid, number = sandbox.credentials["mchid"], f"form-{secrets.token_hex(8)}"
    order = {
        "appid": "wxd678efh567hg6787",
        "mchid": mchid,
        "description": "公仔 <a&b>",
        "out_trade_no": number,
        "notify_url": "https://www.weixin.qq.com/wxpay/pay.php",
        "amount": {"total": 1, "currency": "CNY"},
    }
    status, placed = send("POST", "/v3/pay/transactions/native", order)
    assert (status, list(placed)) == (200, ["code_url"])
    status, found = send("GET", f"/v3/pay/transactions/out-trade-no/{number}?mchid={mchid}")
    assert (status, found["trade_state"]) == (200, "NOTPAY")
    assert send("POST", f"/v3/pay/transactions/out-trade-no/{number}/close", {"mchid": mchid}) == (204, None)


def test_the_first_download_of_certificates_is_accepted(send):
    status, listed = send("GET", "/v3/certificates")
    assert (status, len(listed["data"])) == (200, 1)


@pytest.mark.parametrize("query", ["name=a+b", "name=a%20b", "name=a%20b&"])
def test_a_query_is_verified_as_it_is_sent(send, sandbox, query):
    """Java and Go write a space as `+`, PHP as `%20`."""

    @sandbox.operation("GET", "/v3/peers/search")
    def search(request):
        return {"query": request.query}

    assert send("GET", f"/v3/peers/search?{query}") == (200, {"query": {query.partition("=")[0]: "a b"}})


def test_a_post_without_a_body_is_accepted(send):
    """It has `Content-Length: 0`, and in some SDKs a Content-Type."""
    number = f"form{secrets.token_hex(8)}"
    transfer = {
        "appid": "wxf636efh567hg4356",
        "out_bill_no": number,
        "transfer_scene_id": "1000",
        "openid": "o-MYE42l80oelYMDE34nYD456Xoy",
        "transfer_amount": 100,
        "transfer_remark": "新会员开通有礼",
        "transfer_scene_report_infos": [{"info_type": "活动名称", "info_content": "新会员有礼"}],
    }
    assert send("POST", "/v3/fund-app/mch-transfer/transfer-bills", transfer)[0] == 200
    status, cancelled = send("POST", f"/v3/fund-app/mch-transfer/transfer-bills/out-bill-no/{number}/cancel")
    assert (status, cancelled["state"]) == (200, "CANCELING")

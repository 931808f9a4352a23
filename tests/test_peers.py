"""Other SDKs, unmodified, work with the sandbox as they do with WeChat Pay."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import secrets
import shutil
import subprocess
import threading
import time
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from wechatpayv3 import WeChatPay, WeChatPayType

from tests.service import rsa_sign
from wechatpay_chain.sandbox import Sandbox

AXIOS_PLUGIN = "wechatpay-axios-plugin@0.9.6"


@pytest.fixture(params=["certificate", "public-key", None])
def wechatpayv3(request, tmp_path):
    with Sandbox(sign_with=request.param) as sandbox:
        credentials = sandbox.credentials
        (public_key_id, public_key), (serial, certificate) = credentials["certs"].items()
        (tmp_path / f"{serial}.pem").write_text(certificate)
        keys = {"cert_dir": str(tmp_path)}
        if request.param == "public-key":
            keys = {"public_key": public_key, "public_key_id": public_key_id}
        client = WeChatPay(
            wechatpay_type=WeChatPayType.NATIVE,
            mchid=credentials["mchid"],
            private_key=credentials["private_key"],
            cert_serial_no=credentials["serial"],
            appid="wxd678efh567hg6787",
            apiv3_key=credentials["apiv3_key"],
            notify_url="https://www.weixin.qq.com/wxpay/pay.php",
            logger=logging.getLogger("wechatpayv3"),
            timeout=(5, 5),
            **keys,
        )
        client._core._gate_way = sandbox.base_url.rstrip("/")
        client.sandbox = sandbox
        yield client


def test_wechatpayv3_places_queries_and_closes_orders(wechatpayv3):
    number = f"py-{secrets.token_hex(8)}"

    def pay(number, **more):
        status, text = wechatpayv3.pay(description="公仔", out_trade_no=number, amount={"total": 1}, **more)
        return status, json.loads(text)

    status, order = pay(number)
    assert (status, list(order)) == (200, ["code_url"])
    status, order = pay(f"{number}-j", payer={"openid": "oUpF8"}, pay_type=WeChatPayType.JSAPI)
    assert (status, list(order)) == (200, ["prepay_id"])
    status, text = wechatpayv3.query(out_trade_no=number)
    found = json.loads(text)
    assert (status, found["trade_state"]) == (200, "NOTPAY")
    wechatpayv3.sandbox.pay(f"{number}-j", notify=False)
    status, text = wechatpayv3.query(out_trade_no=f"{number}-j")
    paid = json.loads(text)
    assert (status, paid["trade_state"]) == (200, "SUCCESS")
    status, text = wechatpayv3.query(transaction_id=paid["transaction_id"])
    assert (status, json.loads(text)) == (200, paid)
    assert wechatpayv3.close(out_trade_no=number)[0] == 204
    assert json.loads(wechatpayv3.query(out_trade_no=number)[1])["trade_state"] == "CLOSED"
    assert wechatpayv3.query(out_trade_no="none-of-ours")[0] == 404


def test_wechatpayv3_fetches_bills(wechatpayv3):
    number = f"py-{secrets.token_hex(8)}"
    wechatpayv3.pay(description="公仔", out_trade_no=number, amount={"total": 1})
    wechatpayv3.sandbox.pay(number, notify=False)
    day = (datetime.now(timezone(timedelta(hours=8))) - timedelta(days=2)).date().isoformat()
    status, text = wechatpayv3.trade_bill(bill_date=day, tar_type="GZIP")
    bill = json.loads(text)
    assert (status, bill["hash_type"]) == (200, "SHA1")
    status, content = wechatpayv3.download_bill(bill["download_url"])
    content = gzip.decompress(content)
    assert (status, hashlib.sha1(content).hexdigest()) == (200, bill["hash_value"])
    assert number in content.decode()


def test_wechatpayv3_uploads_a_multipart_body_without_a_boundary_in_its_header(wechatpayv3, tmp_path):
    """wechatpayv3 has done so for years, and the service reads the boundary from the body."""
    (tmp_path / "a.png").write_bytes(bytes(range(256)))
    status, text = wechatpayv3.image_upload(str(tmp_path / "a.png"))
    assert (status, list(json.loads(text))) == (200, ["media_id"])
    assert wechatpayv3.sandbox.history[-1].call.headers["Content-Type"] == "multipart/form-data"


@pytest.mark.parametrize("name", ["a.png", "门店 1.jpg"])
def test_an_upload_in_the_multipart_form_of_requests_is_accepted(sandbox, name):
    """requests writes a Chinese name as `filename*`."""
    content = bytes(range(256)) + b"\r\n--"
    meta = json.dumps({"filename": name, "sha256": hashlib.sha256(content).hexdigest()}).encode()
    credentials, target = sandbox.credentials, "/v3/merchant/media/upload"
    timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
    message = f"POST\n{target}\n{timestamp}\n{nonce}\n".encode() + meta + b"\n"
    key = serialization.load_pem_private_key(credentials["private_key"].encode(), None)
    authorization = (
        f'WECHATPAY2-SHA256-RSA2048 mchid="{credentials["mchid"]}",serial_no="{credentials["serial"]}",'
        f'nonce_str="{nonce}",timestamp="{timestamp}",signature="{rsa_sign(key, message)}"'
    )
    response = requests.post(
        sandbox.base_url.rstrip("/") + target,
        data={"meta": meta},
        files={"file": (name, content, "image/png")},
        headers={"Authorization": authorization, "Accept": "application/json"},
        timeout=5,
    )
    assert (response.status_code, list(response.json())) == (200, ["media_id"])


def test_wechatpayv3_reads_notifications(wechatpayv3):
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(wechatpayv3.callback(dict(self.headers), body.decode()))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        notice = wechatpayv3.sandbox.notify("TRANSACTION.SUCCESS", {"out_trade_no": "公仔"}, url)
    assert notice.is_received
    assert received[0]["event_type"] == "TRANSACTION.SUCCESS"
    assert received[0]["resource"]["out_trade_no"] == "公仔"


def test_wechatpayv3_fetches_certificates(sandbox, monkeypatch):
    """Its constructor downloads and decrypts them, and later responses are verified with them."""
    from wechatpayv3.core import Core

    gate_way = property(lambda core: sandbox.base_url.rstrip("/"), lambda core, value: None)
    monkeypatch.setattr(Core, "_gate_way", gate_way, raising=False)
    credentials = sandbox.credentials
    client = WeChatPay(
        wechatpay_type=WeChatPayType.NATIVE,
        mchid=credentials["mchid"],
        private_key=credentials["private_key"],
        cert_serial_no=credentials["serial"],
        appid="wx",
        apiv3_key=credentials["apiv3_key"],
        notify_url="https://weixin.qq.com/",
    )
    assert client.pay(description="x", out_trade_no=secrets.token_hex(8), amount={"total": 1})[0] == 200


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory):
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    command = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(folder), AXIOS_PLUGIN]
    process = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if process.returncode:
        pytest.skip(f"npm cannot install {AXIOS_PLUGIN} from its registry")
    return folder


@pytest.mark.parametrize("sign_with", ["certificate", "public-key", None])
def test_wechatpay_axios_plugin_makes_every_kind_of_call(node_modules, tmp_path, sign_with):
    script = shutil.copy(Path(__file__).parent / "peers" / "orders.js", node_modules / "orders.js")
    with Sandbox(sign_with=sign_with) as sandbox:
        (tmp_path / "merchant.json").write_text(json.dumps(sandbox.credentials))
        process = subprocess.run(
            ["node", str(script), str(tmp_path / "merchant.json")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert process.returncode == 0, process.stderr
    result = json.loads(process.stdout)
    assert result["native"]["code_url"].startswith("weixin://")
    assert result["jsapi"]["prepay_id"].startswith("wx")
    assert result["order"]["trade_state"] == "NOTPAY"
    assert result["unknown"] == {"status": 404, "code": "ORDER_NOT_EXIST"}
    assert result["close"] == 204
    assert result["token"]
    assert result["certificates"] == 1
    assert result["echo"] == {"echo_message": "你好"}
    assert result["media"]["media_id"]
    assert result["refused"] == {"status": 400, "code": "PARAM_ERROR"}

"""The sandbox has a merchant, with RSA or SM2 keys, and a brand. Each is known by its own scheme only."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.sm2_service import has_sm2, openssl
from wechatpay_chain import (
    AuthenticationError,
    BadRequestError,
    Client,
    ConfigurationError,
    NotFoundError,
    Sensitive,
    SignatureError,
)
from wechatpay_chain.sandbox import Fault, Sandbox


@pytest.fixture(scope="module")
def sm2():
    pytest.importorskip("gmssl_pyx")
    with Sandbox(sm2=True) as sandbox:
        yield sandbox


@pytest.fixture
def brand(sandbox):
    @sandbox.operation("GET", "/brand/store/brandstores")
    def list_stores(_request):
        return {"data": []}

    with sandbox.brand_client(retry=None) as client:
        yield client
    sandbox.reset()


ORDER = {
    "appid": "wxd678efh567hg6787",
    "description": "公仔",
    "notify_url": "https://shop.example/notify",
    "amount": {"total": 100},
}


def test_an_sm2_merchant_orders_is_paid_and_refunds(sm2, send):
    number = f"sm2-{send.__name__}"
    with sm2.client() as client:
        order = {**ORDER, "mchid": client.mchid, "out_trade_no": number}
        response = send(client.v3.pay.transactions.native, "post", json=order)
        assert response.headers["Wechatpay-Signature-Type"] == "WECHATPAY2-SM2-WITH-SM3"
        sm2.pay(number)
        refund = {
            "out_trade_no": number,
            "out_refund_no": f"{number}-r",
            "amount": {"refund": 100, "total": 100, "currency": "CNY"},
        }
        assert send(client.v3.refund.domestic.refunds, "post", json=refund).json()["status"] == "PROCESSING"
        echo = {"echo_message": "a", "encrypted_echo_message": Sensitive("张三")}
        found = send(client.v3.security.echo, "post", json=echo)
        assert found.decrypt("encrypted_echo_message")["encrypted_echo_message"] == "张三"


def test_an_sm2_merchant_fetches_certificates_and_gets_notifications(sm2):
    known = {**sm2.credentials, "certs": {}, "proxies": {}}
    with Client(**known) as client:
        assert client.v3.security.echo.post(json={"echo_message": "a"}).json() == {"echo_message": "a"}
        headers, body = sm2.notification("TRANSACTION.SUCCESS", {"out_trade_no": "1"})
        assert b"AEAD_SM4_GCM" in body
        assert client.notifications.parse(headers, body).resource["out_trade_no"] == "1"
        with pytest.raises(NotFoundError):
            client.v3.certificates.get(params={"algorithm_type": "RSA"})
    sm2.rotate()
    with Client(**known) as client:
        client.v3.security.echo.post(json={"echo_message": "b"})
        assert len(client.platform_certificates()) == 2


def test_faults_of_signatures_are_those_of_sm2(sm2):
    with sm2.client(retry=None) as client:
        for fault in (Fault.WRONG_SIGNATURE, Fault.SIGNTEST, Fault.OLD_CLOCK, Fault.UNKNOWN_SERIAL):
            sm2.fault(fault)
            with pytest.raises(SignatureError, match="not verified"):
                client.v3.security.echo.post(json={"echo_message": "a"})


@pytest.mark.skipif(not has_sm2(), reason="needs OpenSSL's command with SM2")
def test_openssl_reads_the_files_of_an_sm2_merchant(sm2, tmp_path):
    credentials = sm2.credentials
    assert "certificate" not in credentials  # TLS cannot use it
    (tmp_path / "key.pem").write_text(credentials["private_key"])
    assert b"SM2" in openssl("pkey", "-in", tmp_path / "key.pem", "-noout", "-text")
    for key_id, pem in credentials["certs"].items():
        (tmp_path / "cert.pem").write_text(pem)
        if key_id.startswith("PUB_KEY_ID_"):
            assert b"SM2" in openssl("pkey", "-pubin", "-in", tmp_path / "cert.pem", "-noout", "-text")
            continue
        shown = openssl("x509", "-in", tmp_path / "cert.pem", "-noout", "-serial", "-text")
        assert key_id.encode() in shown
        assert b"SM2-with-SM3" in shown


def test_a_merchant_with_rsa_keys_is_no_merchant_with_sm2_keys(sandbox, sm2):
    theirs = {name: value for name, value in sm2.credentials.items() if name not in ("base_url", "certs")}
    with (
        Client(
            **{**theirs, "base_url": sandbox.base_url, "certs": sandbox.credentials["certs"], "proxies": {}}
        ) as client,
        pytest.raises(AuthenticationError, match="认证类型不正确"),
    ):
        client.v3.security.echo.post(json={"echo_message": "a"})


def test_a_brand_calls_what_is_added_for_it(brand, sandbox, send):
    assert send(brand.brand.store.brandstores, "get").json() == {"data": []}
    assert sandbox.history[-1].call.headers["Authorization"].startswith("WECHATPAY-BRAND-SHA256-RSA2048 brand_id=")
    with pytest.raises(NotFoundError, match="does not know GET /brand/card-member/cards"):
        send(brand.brand.card_member.cards, "get")


def send_to(client, target):
    """Lets the client send its calls elsewhere, as a program would that signs in the wrong way."""

    def change(request):
        method = "POST" if "v3" in target else "GET"
        return (yield replace(request.with_message(target, b""), method=method))

    client.middleware.insert_before("sign", "elsewhere", change)


def test_an_upload_can_be_added(brand, sandbox, send):
    @sandbox.operation("POST", "/brand/marketing/product-coupon/media/upload-image")
    def upload(request):
        return {"image_url": request.file.name, "sha256": request.body["sha256"], "size": len(request.file.content)}

    node = brand.brand.marketing.product_coupon.media.upload_image
    made = send(node, "post", files={"file": ("a.png", b"content")}).json()
    assert made == {"image_url": "a.png", "sha256": hashlib.sha256(b"content").hexdigest(), "size": 7}


def test_each_operation_is_for_one_identity(brand, sandbox):
    send_to(brand, "/v3/security/echo")
    with pytest.raises(AuthenticationError, match="认证类型不正确"):
        brand.brand.store.brandstores.get()
    with sandbox.client(retry=None) as merchant:
        send_to(merchant, "/brand/store/brandstores")
        with pytest.raises(AuthenticationError, match="认证类型不正确"):
            merchant.v3.certificates.get()


def test_a_brand_has_to_name_the_public_key_in_every_request(brand):
    def rename(request):
        return (yield request.with_headers({"Wechatpay-Serial": "PUB_KEY_ID_1"}))

    brand.middleware.insert_after("sign", "rename", rename)
    with pytest.raises(BadRequestError, match="Wechatpay-Serial"):
        brand.brand.store.brandstores.get()


def test_a_notification_to_a_brand_has_its_keys(brand, sandbox):
    headers, body = sandbox.notification("DELIVERY_PLAN.CHANGE", {"plan_id": "1"}, to="brand")
    assert brand.notifications.parse(headers, body).resource["plan_id"] == "1"
    with sandbox.client() as merchant, pytest.raises(SignatureError, match="not verified"):
        merchant.notifications.parse(headers, body)
    with pytest.raises(ConfigurationError, match="merchant or brand"):
        sandbox.notification("DELIVERY_PLAN.CHANGE", {}, to="nobody")


def test_without_gmssl_pyx_an_sm2_sandbox_says_what_to_install():
    program = (
        "import sys; sys.modules['gmssl_pyx'] = None\nfrom wechatpay_chain.sandbox import Sandbox\nSandbox(sm2=True)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "pip install 'wechatpay-chain[sm2]'" in run.stderr.splitlines()[-1]


def test_there_is_one_brand_however_many_threads_ask_for_it_first():
    with Sandbox() as sandbox, ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(lambda: sandbox.brand_credentials["brand_id"]) for _ in range(8)]
        assert len({each.result() for each in asked}) == 1

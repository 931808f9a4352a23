"""A client of a brand signs with the brand's scheme, and neither it nor a merchant's client makes the other's calls."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import secrets

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.service import PUBLIC_KEY_ID, SERIAL, Reply, public_pem, rsa_verifies
from wechatpay_chain import (
    ArgumentError,
    Client,
    ConfigurationError,
    PathVariableError,
    Sensitive,
    UnsupportedError,
    crypto,
    middleware,
    pages,
)

BRAND_ID = "120344"
KEY = "0123456789abcdef0123456789ABCDEF"
FILE = b"a file"


@pytest.fixture
def settings(service, wire):
    return {
        "brand_id": BRAND_ID,
        "serial": SERIAL,
        "private_key": service.merchant,
        "certs": {PUBLIC_KEY_ID: public_pem(service.public_key)},
        "apiv3_key": KEY,
        "base_url": wire.base_url,
        "retry": None,
    }


@pytest.fixture
def brand(settings):
    with Client(**settings) as client:
        yield client


@pytest.mark.parametrize("verb", ["get", "post"])
def test_every_call_of_a_brand_has_its_scheme_and_names_the_public_key(brand, service, wire, send, verb):
    body = {"json": {"store": "店"}} if verb == "post" else {}
    send(brand.brand.store.brandstores._store_id_, verb, store_id="1", **body)
    received = wire.received[-1]
    assert received.target == "/brand/store/brandstores/1"
    assert received.header("Wechatpay-Serial") == PUBLIC_KEY_ID
    scheme, _, items = received.header("Authorization").partition(" ")
    assert scheme == "WECHATPAY-BRAND-SHA256-RSA2048"
    found = {name: text.strip('"') for name, _, text in (item.partition("=") for item in items.split(","))}
    assert found.keys() == {"brand_id", "nonce_str", "signature", "timestamp", "serial_no"}
    assert (found["brand_id"], found["serial_no"]) == (BRAND_ID, SERIAL)
    message = "\n".join(
        [received.method, received.target, found["timestamp"], found["nonce_str"], received.body.decode(), ""]
    )
    assert rsa_verifies(service.merchant, found["signature"], message.encode())


def test_sensitive_fields_are_encrypted_with_the_public_key_of_the_brand(brand, service, wire):
    brand.brand.card_member.user_cards.post(json={"phone": Sensitive("13800138000")})
    ciphertext = json.loads(wire.received[-1].body)["phone"]
    assert crypto.decrypt(ciphertext, service.public_key) == "13800138000"


@pytest.mark.parametrize(
    "path",
    [
        "v3/pay/transactions/native",
        "v2/pay/orderquery",
        "hk/v3/transactions/native",
        "v3/brand/partner/store/brandstores",
    ],
)
def test_a_brand_makes_no_call_of_a_merchant(brand, wire, send, path):
    with pytest.raises(UnsupportedError, match="mchid=") as refused:
        send(brand[path], "post")
    assert not refused.value.sent
    assert wire.received == []


def test_a_merchant_makes_no_call_of_a_brand(client, wire, send):
    with pytest.raises(UnsupportedError, match="brand_id="):
        send(client.brand.store.brandstores, "get")
    assert wire.received == []
    send(client.v3.brand.partner.store.brandstores, "get")  # a partner's call, signed by the merchant
    assert wire.received[-1].header("Authorization").startswith("WECHATPAY2-SHA256-RSA2048 mchid=")


@pytest.mark.parametrize(
    ("path", "of_merchant", "variables"),
    [
        ("{a}/x", "{a}/x", {"a": "brand"}),
        ("{a}", "{a}", {"a": "brand"}),
        ("brand?x=1", "v3?x=1", {}),
        ("%62rand/x", "%763/x", {}),
    ],
)
def test_the_root_of_a_call_is_that_of_the_path_that_is_sent(client, brand, wire, send, path, of_merchant, variables):
    with pytest.raises(UnsupportedError, match="brand_id="):
        send(client[path], "get", **variables)
    with pytest.raises(UnsupportedError, match="mchid="):
        send(brand[of_merchant], "get", **dict.fromkeys(variables, "v3"))
    assert wire.received == []
    send(brand[path], "get", **variables)
    assert wire.received[-1].target.startswith("/")


@pytest.mark.parametrize(
    ("path", "items"),
    [
        ("brand/marketing/product-coupon/product-coupons/1/stocks", "stock_list"),
        ("brand/marketing/product-coupon/product-coupons/1/stocks/2/associated-stores", "store_list"),
        ("brand/marketing/product-coupon/users/o1/coupons", "user_coupon_list"),
    ],
)
def test_the_lists_of_product_coupons_come_in_pages(brand, service, wire, path, items):
    def respond(received):
        is_first = "page_token" not in received.target
        page = {items: [{"number": 1 if is_first else 2}], "total_count": 2}
        return service.signed(json.dumps({**page, "next_page_token": "t"} if is_first else page).encode())

    wire.respond = respond
    assert list(pages(brand[path])) == [{"number": 1}, {"number": 2}]
    assert len(wire.received) == 2


def test_a_brand_starts_no_payment(brand):
    with pytest.raises(UnsupportedError, match="BRAND"):
        brand.payment.jsapi("wx1", "p")


def test_a_notification_of_a_brand_is_verified_and_decrypted_with_its_keys(brand, service):
    nonce = secrets.token_hex(6)
    resource = json.dumps({"coupon_code": "1"}).encode()
    ciphertext = AESGCM(KEY.encode()).encrypt(nonce.encode(), resource, b"delivery_plan")
    body = json.dumps(
        {
            "id": "1",
            "event_type": "DELIVERY_PLAN.CHANGE",
            "resource": {
                "algorithm": "AEAD_AES_256_GCM",
                "original_type": "delivery_plan",
                "associated_data": "delivery_plan",
                "nonce": nonce,
                "ciphertext": base64.b64encode(ciphertext).decode(),
            },
        }
    ).encode()
    headers = {**service.signature(body), "Wechatpay-Signature-Type": "WECHATPAY-BRAND-SHA256-RSA2048"}
    assert brand.notifications.parse(headers, body).resource == {"coupon_code": "1"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mchid": "1900007291"}, "mchid and brand_id"),
        ({"brand_id": "wx1"}, "brand_id: came 'wx1', which contains .* expected the number of the brand"),
        ({"brand_id": "wx8888888888888888"}, "brand_id: .*an appid"),
        ({"brand_id": 1.5}, "brand_id: came a float"),
        ({"brand_id": True}, "brand_id: came a bool"),
        ({"brand_id": -1}, "brand_id: came a int"),
        ({"brand_id": b"120344"}, "brand_id: came a bytes"),
        ({"brand_id": "1" * 5000}, "brand_id: came a string of 5000 characters"),
        ({"brand_id": "\u200b "}, "brand_id: it is missing"),
        ({"certs": {}}, "certs"),
    ],
)
def test_wrong_settings_of_a_brand_are_refused(settings, change, message):
    with pytest.raises(ConfigurationError, match=message):
        Client(**{**settings, **change})


@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_of_more_digits_than_python_writes_is_refused(settings, sign):
    with pytest.raises(ConfigurationError, match="brand_id: came a int; expected the number of the brand"):
        Client(**{**settings, "brand_id": sign * 10**5000})


@pytest.mark.parametrize("empty", [0, "", None])
def test_without_a_number_both_settings_are_named(settings, empty):
    with pytest.raises(ConfigurationError) as caught:
        Client(**{**settings, "brand_id": empty})
    assert re.search("mchid: .*brand_id.*1900007291.*120344", str(caught.value))


@pytest.mark.parametrize("brand_id", [120344, " 120344", "１２０344", '"120344"', "\u200e120344\n"])
def test_the_number_of_a_brand_may_be_an_int_or_copied_with_invisible_characters(settings, brand_id):
    with Client(**{**settings, "brand_id": brand_id}) as client:
        assert client.brand_id == BRAND_ID


def test_a_certificate_cannot_be_of_a_brand(settings, service):
    with pytest.raises(ConfigurationError, match="public keys"):
        Client(**{**settings, "certs": service.certs})


def test_a_brand_fetches_no_certificates(settings, wire):
    with pytest.raises(ConfigurationError, match="certs"):
        Client(**{**settings, "certs": {}})
    assert wire.received == []


def test_its_number_is_an_attribute(brand):
    assert (brand.brand_id, brand.mchid) == (BRAND_ID, "")
    assert f"brand_id={BRAND_ID}" in repr(brand)


# What a brand's client reaches besides calls, and what it refuses, in each spelling of a path


@pytest.fixture(params=["sync", "async"])
def download(request):
    def run(client, url, to):
        announced = {"download_url": url, "hash_type": "SHA1", "hash_value": hashlib.sha1(FILE).hexdigest()}
        if request.param == "sync":
            return client.download(announced, to)
        return asyncio.run(client.download_async(announced, to))

    return run


def test_a_download_of_a_brand_is_signed_by_it_and_names_the_public_key(brand, wire, download, tmp_path):
    wire.respond = lambda received: Reply(200, {}, FILE)
    download(brand, f"{wire.base_url}brand/file/1", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == FILE
    received = wire.received[-1]
    assert received.header("Authorization").startswith("WECHATPAY-BRAND-SHA256-RSA2048 ")
    assert received.header("Wechatpay-Serial") == PUBLIC_KEY_ID


@pytest.mark.parametrize("path", ["v3/billdownload/file?token=1", "v3/x", "hk/v3/x"])
def test_a_brand_downloads_no_file_of_a_merchant(brand, wire, download, tmp_path, path):
    with pytest.raises(UnsupportedError, match="mchid="):
        download(brand, f"{wire.base_url}{path}", tmp_path / "file")
    assert not wire.received
    assert not (tmp_path / "file").exists()


def test_a_merchant_downloads_no_file_of_a_brand(client, wire, download, tmp_path):
    for base_url in (wire.base_url, "https://api.mch.weixin.qq.com/"):
        with pytest.raises(UnsupportedError, match="brand_id="):
            download(client, f"{base_url}brand/file/1", tmp_path / "file")
    assert not wire.received


def test_a_request_that_a_layer_makes_names_the_public_key_too(brand, wire):
    def query_first(request):
        headers = middleware.Headers({})
        query = middleware.Request("GET", "brand/q", request.origin, "/brand/q", headers, b"", request.timeout)
        yield from middleware.send(query)
        return (yield from middleware.send(request))

    brand.middleware.insert_before("sign", "query", query_first)
    brand.brand.x.post(json={})
    assert [received.header("Wechatpay-Serial") for received in wire.received] == [PUBLIC_KEY_ID] * 2


@pytest.mark.parametrize(
    "path",
    [
        "brand/x",
        "Brand/x",
        "BRAND/x",
        "%62rand/x",
        "%42rand/x",
        "brand;a=1/x",
        "brand{;x}",
        "v3%2F..%2Fbrand/x",
        "v3/..;/brand/x",
    ],
)
def test_a_merchant_calls_nothing_of_a_brand_however_the_path_is_written(client, wire, send, path):
    with pytest.raises((UnsupportedError, ArgumentError, PathVariableError)):
        send(client[path], "get", **({"x": "1"} if "{" in path else {}))
    assert not wire.received


@pytest.mark.parametrize(
    "path", ["v3/x", "V3/x", "%763/x", "v3;a=1/x", "brand%2F..%2Fv3/x", "brand/..;/v3/x", "V2/pay/orderquery"]
)
def test_a_brand_calls_nothing_of_a_merchant_however_the_path_is_written(brand, wire, send, path):
    with pytest.raises((UnsupportedError, ArgumentError, PathVariableError)):
        send(brand[path], "get")
    assert not wire.received


@pytest.mark.parametrize(
    "more",
    [
        {"apiv2_key": KEY},
        {"former_apiv2_keys": [KEY]},
        {"workwx_secret": "secret"},
        {"certificate": "apiclient_cert.pem"},
    ],
)
def test_a_brand_has_no_settings_of_apiv2(settings, more):
    with pytest.raises(ConfigurationError, match=f"{next(iter(more))}: it belongs to APIv2"):
        Client(**settings, **more)


def test_a_brand_signs_nothing_with_an_apiv2_key(brand):
    for call in (
        lambda: brand.payment.v2,
        lambda: brand.payment.payscore_use("package"),
        lambda: brand.notifications.parse_xml(b"<xml><a>1</a></xml>"),
        lambda: brand.notifications.signed_xml_reply({"return_code": "SUCCESS"}),
        lambda: brand.payment.coupons([{"stock_id": "1", "out_request_no": "1"}]),
    ):
        with pytest.raises(UnsupportedError, match="brand_id="):
            call()


def test_a_brand_with_a_verifier_of_its_own_still_names_a_key(settings):
    class Verifier:
        def verify(self, message, signature, serial):
            return True

    with pytest.raises(ConfigurationError, match="certs: no RSA key came"):
        Client(**{**settings, "certs": {}, "verifier": Verifier()})

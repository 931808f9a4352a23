"""What a brand's client reaches besides calls: downloads, requests of layers; and what it refuses, in each spelling of a path."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from tests.service import PUBLIC_KEY_ID, SERIAL, Reply, public_pem
from wechatpay_chain import ArgumentError, Client, ConfigurationError, PathVariableError, UnsupportedError
from wechatpay_chain.middleware import Headers, Request, send

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
        yield from send(Request("GET", "brand/q", request.origin, "/brand/q", Headers({}), b"", request.timeout))
        return (yield from send(request))

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

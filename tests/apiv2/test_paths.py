"""Paths of APIv2 in the spellings that callers write: upper case, a query in the chain, other forms of the service's address."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.apiv2.conftest import KEY, reply, signature_of, signed
from tests.service import MCHID, Reply
from wechatpay_chain import ArgumentError, Client, ContentError, Sensitive, TransportError
from wechatpay_chain._cli.request import make_arguments


@pytest.mark.parametrize("path", ["V2/pay/orderquery", "/v2/pay/orderquery", "v2/pay/orderquery"])
def test_the_root_is_never_sent(shop, send, path):
    send(shop.client[path], "post", xml={"out_trade_no": "1"})
    assert shop.request.target == "/pay/orderquery"
    assert shop.fields["sign"] == signature_of(shop.fields)


def test_a_root_in_upper_case_is_the_same_operation_everywhere(shop, tmp_path):
    assert str(shop.client["V2/pay/orderquery"]) == str(shop.client["V2"].pay.orderquery) == "v2/pay/orderquery"
    with pytest.raises(ArgumentError, match="returns no file"):
        shop.client.download(shop.client["V2/pay/unifiedorder"], tmp_path / "bill.csv", xml={})
    assert not shop.wire.received
    arguments = make_arguments("POST", "V2/mmpaysptrans/pay_bank", (), (), (), {"enc_bank_no": "6222"})
    assert isinstance(arguments["xml"]["enc_bank_no"], Sensitive)


def answer(shop):
    shop.receives(reply({"return_code": "SUCCESS", "result_code": "SUCCESS", "redirect_url": "https://a.example"}))


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("v2/papay/h5entrustweb?plan_id=5", {}),
        ("v2/papay/h5entrustweb?plan_id=5", {"params": {"appid": "wx1"}}),
        ("v2/papay/h5entrustweb{?plan_id}", {"plan_id": "5", "params": {"appid": "wx1"}}),
        ("v2/papay/h5entrustweb", {"params": {"plan_id": "5"}}),
    ],
)
def test_a_query_in_the_chain_is_signed_and_sent(shop, send, path, arguments):
    answer(shop)
    send(shop.client[path], "get", **arguments)
    sent = dict(parse_qsl(urlsplit(shop.request.target).query))
    assert sent["plan_id"] == "5"
    assert sent["mch_id"] == MCHID
    assert sent["sign"] == signature_of(sent, sent["sign_type"])
    assert sent.get("appid") == arguments.get("params", {}).get("appid")


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("v2/papay/h5entrustweb?plan_id=5", {"plan_id": "6"}),
        ("v2/papay/h5entrustweb?plan_id=5&plan_id=6", {}),
        ("v2/papay/h5entrustweb?mch_id=999", {}),
        ("v2/papay/h5entrustweb?sign=0", {}),
        ("v2/papay/h5entrustweb?name=%F0%9F%98%80", {}),
    ],
)
def test_a_query_in_the_chain_that_cannot_be_signed_is_refused(shop, send, path, params):
    with pytest.raises(ArgumentError, match="params"):
        send(shop.client[path], "get", params=params)
    assert not shop.wire.received


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("https://api.mch.weixin.qq.com/", "fraud.mch.weixin.qq.com"),
        ("https://API.mch.weixin.qq.com", "fraud.mch.weixin.qq.com"),
        ("https://api.mch.weixin.qq.com:443/", "fraud.mch.weixin.qq.com"),
        ("https://api2.mch.weixin.qq.com/", "fraud.mch.weixin.qq.com"),
        ("https://api.mch.weixin.qq.com:8443/", "api.mch.weixin.qq.com"),
        ("https://gateway.example/", "gateway.example"),
    ],
)
def test_an_operation_has_its_own_host_at_every_form_of_the_address_of_the_service(service, base_url, host):
    class Catcher:
        def send(self, request):
            self.url = request.url
            raise OSError

    catcher = Catcher()
    client = Client(**{**service.settings(base_url), "apiv2_key": KEY}, transport=catcher)
    with pytest.raises(TransportError):
        client.v2.secsvc.realnameauth.post(xml={"appid": "wx1"})
    assert urlsplit(catcher.url).hostname == host


@pytest.mark.parametrize("body", [b"{}", b'{"code":"SYSTEM_ERROR"}', b"[]", b'"retcode"'])
def test_json_without_its_code_is_no_success(shop, send, body):
    shop.receives(Reply(200, {"Content-Type": "application/json"}, body))
    with pytest.raises(ContentError):
        send(shop.client.v2.appauth.getaccesstoken, "get", params={"appid": "wx1"})


@pytest.mark.parametrize(
    ("files", "xml", "words"),
    [
        ({"file": ("a.jpg", b"1")}, None, "'media'"),
        ({"media": ("a.jpg", b"1" * (2 * 1024 * 1024 + 1))}, None, "2097152"),
        ({"media": ("a.jpg", b"1")}, {"media_hash": "0" * 32}, "media_hash"),
        (None, {"media_hash": "0" * 32}, "files"),
    ],
)
def test_an_upload_that_the_service_would_refuse_is_not_sent(shop, send, files, xml, words):
    with pytest.raises(ArgumentError, match=words):
        send(shop.client.v2.secapi.mch.uploadmedia, "post", xml=xml, files=files, certificate=False)
    assert not shop.wire.received


def test_an_upload_that_the_catalogue_lacks_may_be_of_any_size(shop, send):
    send(shop.client["v2/some/upload"], "post", files={"file": ("a.bin", b"1" * (2 * 1024 * 1024 + 1))})
    assert len(shop.request.body) > 2 * 1024 * 1024


def test_an_upload_may_name_its_own_digest(shop, send):
    shop.receives(signed(media_id="m"))
    digest = "C4CA4238A0B923820DCC509A6F75849B"  # MD5 of 1
    response = send(
        shop.client.v2.secapi.mch.uploadmedia,
        "post",
        xml={"media_hash": digest},
        files={"media": ("a.jpg", b"1")},
        certificate=False,
    )
    assert response.xml()["media_id"] == "m"
    assert digest.lower().encode() in shop.request.body

"""What front ends and browsers get, signed with the APIv2 key."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from tests.apiv2.conftest import KEY, signature_of
from tests.service import MCHID
from wechatpay_chain import ArgumentError, Client, ConfigurationError


@pytest.fixture
def payment(service):
    return Client(**service.settings("https://a.example"), apiv2_key=KEY).payment.v2


def without(fields, *names):
    return {name: text for name, text in fields.items() if name not in names}


@pytest.mark.parametrize("sign_type", ["MD5", "HMAC-SHA256"])
def test_a_page_gets_the_type_of_its_order(payment, sign_type):
    fields = payment.jsapi("wx1", "wx201410272009395522", sign_type)
    assert (fields["package"], fields["signType"]) == ("prepay_id=wx201410272009395522", sign_type)
    assert fields["paySign"] == signature_of(without(fields, "paySign"), sign_type)


def test_the_url_of_a_contract_is_signed_with_the_type_that_it_names(payment):
    for fields, sign_type in (({}, "MD5"), ({"sign_type": "HMAC-SHA256"}, "HMAC-SHA256")):
        found = dict(parse_qsl(urlsplit(payment.entrust_url({"plan_id": "1", **fields})).query))
        assert found["sign"] == signature_of(found, sign_type)
    with pytest.raises(ArgumentError, match="sign_type"):
        payment.entrust_url({"plan_id": "1", "sign_type": "SHA1"})


@pytest.mark.parametrize("package", [None, "", b"a", 1])
def test_a_package_that_is_no_text_is_refused(payment, package):
    with pytest.raises(ArgumentError, match="package"):
        payment.red_packet("wx1", package)


def test_an_app_gets_names_in_lower_case(payment):
    fields = payment.app("wx1", "wx2")
    assert list(fields) == ["appid", "partnerid", "prepayid", "package", "noncestr", "timestamp", "sign"]
    assert fields["partnerid"] == MCHID
    assert fields["sign"] == signature_of(fields)


def test_a_red_packet_signs_no_type(payment):
    fields = payment.red_packet("wx1", "sendid=242e8a&ver=8&sign=a b")
    assert unquote(fields["package"]) == "sendid=242e8a&ver=8&sign=a b"
    assert fields["paySign"] == signature_of({**without(fields, "paySign", "signType"), "appId": "wx1"})


@pytest.mark.parametrize(
    ("make", "sign_type", "start", "end"),
    [
        (lambda payment: payment.native_url("wx1", "商品 1"), "MD5", "weixin://wxpay/bizpayurl?", ""),
        (
            lambda payment: payment.entrust_url(
                {"appid": "wx1", "notify_url": "https://a.example/n?x=1", "plan_id": 12}
            ),
            "MD5",
            "https://api.mch.weixin.qq.com/papay/entrustweb?",
            "#wechat_redirect",
        ),
        (
            lambda payment: payment.busifavor_url({"stock_id": "1", "out_request_no": "2", "open_id": "o"}),
            "HMAC-SHA256",
            "https://action.weixin.qq.com/busifavor/getcouponinfo?",
            "#wechat_pay&wechat_redirect",
        ),
    ],
)
def test_the_query_of_a_url_is_signed_raw_and_encoded(payment, make, sign_type, start, end):
    url = make(payment)
    assert url.startswith(start)
    assert url.endswith(end)
    query = urlsplit(url).query
    assert " " not in query
    assert "+" not in query
    fields = dict(parse_qsl(query, strict_parsing=True))
    assert fields["sign"] == signature_of(fields, sign_type)


@pytest.mark.parametrize(
    "call",
    [
        lambda payment: payment.jsapi("wx1", "prepay_id=wx2"),
        lambda payment: payment.jsapi("wx1", ""),
        lambda payment: payment.jsapi("wx1\n", "wx2"),
        lambda payment: payment.jsapi("wx1", "wx2", "RSA"),
        lambda payment: payment.app("wx1", "wx2", "SHA1"),
        lambda payment: payment.entrust_url({"notify_url": "x" * 1024}),
        lambda payment: payment.entrust_url({"plan_id": 1.5}),
    ],
)
def test_what_cannot_be_signed_is_refused(payment, call):
    with pytest.raises(ArgumentError):
        call(payment)


def test_a_url_is_of_this_merchant_and_signed_by_the_client(payment):
    for fields in ({"mch_id": "999"}, {"sign": "0"}, {"plan_id": "emoji 😀"}):
        with pytest.raises(ArgumentError):
            payment.entrust_url({"appid": "wx1", **fields})
        with pytest.raises(ArgumentError):
            payment.busifavor_url({"stock_id": "1", **fields})
    with pytest.raises(ArgumentError, match="emoji"):
        payment.jsapi("wx1", "p😀")


def test_a_client_without_the_key_says_so(client):
    with pytest.raises(ConfigurationError, match="apiv2_key"):
        client.payment.v2  # noqa: B018

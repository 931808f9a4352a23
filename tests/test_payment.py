"""The signed dictionaries that a front end passes to WeChat Pay."""

from __future__ import annotations

import hashlib
import hmac
import time

import pytest

from tests.service import MCHID, rsa_verifies
from wechatpay_chain import ArgumentError, Client, ConfigurationError

APPID, PREPAY_ID = "wxd678efh567hg6787", "wx201410272009395522657a690389285100"
APIV2_KEY = "0123456789abcdef0123456789ABCDEF"


@pytest.fixture
def payment(service):
    return Client(**service.settings("http://127.0.0.1:9/"), apiv2_key=APIV2_KEY).payment


def is_signed(service, signature: str, *lines: str) -> bool:
    return rsa_verifies(service.merchant, signature, "".join(f"{line}\n" for line in lines).encode())


def is_now(timestamp: str) -> bool:
    return abs(int(timestamp) - time.time()) < 5


def test_jsapi_is_signed(service, payment):
    signed = payment.jsapi(APPID, PREPAY_ID)
    assert list(signed) == ["appId", "timeStamp", "nonceStr", "package", "signType", "paySign"]
    assert (signed["appId"], signed["package"], signed["signType"]) == (APPID, f"prepay_id={PREPAY_ID}", "RSA")
    assert is_now(signed["timeStamp"])
    assert is_signed(service, signed["paySign"], APPID, signed["timeStamp"], signed["nonceStr"], signed["package"])
    assert payment.jsapi(APPID, PREPAY_ID)["nonceStr"] != signed["nonceStr"]


def test_mini_program_is_signed(service, payment):
    signed = payment.mini_program(APPID, PREPAY_ID)
    assert list(signed) == ["timeStamp", "nonceStr", "package", "signType", "paySign"]
    assert is_signed(service, signed["paySign"], APPID, signed["timeStamp"], signed["nonceStr"], signed["package"])


def test_a_package_with_more_parameters_is_signed_whole(service, payment):
    package = f"prepay_id={PREPAY_ID}&subsidy_period_type=PERIOD"
    signed = payment.jsapi(APPID, package)
    assert signed["package"] == package
    assert is_signed(service, signed["paySign"], APPID, signed["timeStamp"], signed["nonceStr"], package)


def test_app_is_signed(service, payment):
    signed = payment.app(APPID, PREPAY_ID)
    assert list(signed) == ["appid", "partnerid", "prepayid", "package", "noncestr", "timestamp", "sign"]
    assert (signed["partnerid"], signed["prepayid"], signed["package"]) == (MCHID, PREPAY_ID, "Sign=WXPay")
    assert is_signed(service, signed["sign"], APPID, signed["timestamp"], signed["noncestr"], PREPAY_ID)
    with pytest.raises(ArgumentError, match="bare"):
        payment.app(APPID, f"prepay_id={PREPAY_ID}")


def apiv2_sign(fields: dict[str, str]) -> str:
    text = "&".join(f"{name}={fields[name]}" for name in sorted(fields) if fields[name]) + f"&key={APIV2_KEY}"
    return hmac.new(APIV2_KEY.encode(), text.encode(), hashlib.sha256).hexdigest().upper()


def test_payscore_is_signed_with_the_apiv2_key(payment):
    use = payment.payscore_use("XXXXXXXX")
    assert set(use) == {"mch_id", "package", "timestamp", "nonce_str", "sign_type", "sign"}
    detail = payment.payscore_detail("500001", "1234323JKHDFE1243252")
    assert set(detail) == {"mch_id", "service_id", "out_order_no", "timestamp", "nonce_str", "sign_type", "sign"}
    for signed in (use, detail):
        sign = signed.pop("sign")
        assert (signed["mch_id"], signed["sign_type"]) == (MCHID, "HMAC-SHA256")
        assert is_now(signed["timestamp"])
        assert sign == apiv2_sign(signed)


def test_coupons_are_signed_with_the_apiv2_key(payment):
    coupons = [{"stock_id": "1", "out_request_no": "a"}, {"stock_id": "2", "out_request_no": "b", "coupon_code": ""}]
    signed = payment.coupons(coupons)
    assert signed["send_coupon_params"] == coupons
    flat = {"stock_id0": "1", "out_request_no0": "a", "stock_id1": "2", "out_request_no1": "b"}
    assert signed["sign"] == apiv2_sign({**flat, "send_coupon_merchant": MCHID})
    assert payment.coupons(coupons, "1900000001")["sign"] == apiv2_sign({**flat, "send_coupon_merchant": "1900000001"})
    for invalid in ([], 5, [5], [{"a": 0}], [{"a": "\ud800"}], None):
        with pytest.raises(ArgumentError, match="coupons"):
            payment.coupons(invalid)
    with pytest.raises(ArgumentError, match="merchant"):
        payment.coupons(coupons, 5)


def test_only_payscore_and_coupons_need_the_apiv2_key(service):
    payment = Client(**service.settings("http://127.0.0.1:9/")).payment
    assert payment.jsapi(APPID, PREPAY_ID)
    for call in (lambda: payment.payscore_use("x"), lambda: payment.coupons([{"stock_id": "1"}])):
        with pytest.raises(ConfigurationError, match="apiv2_key"):
            call()
    with pytest.raises(ConfigurationError, match="apiv2_key"):
        Client(**service.settings("http://127.0.0.1:9/"), apiv2_key="short")


@pytest.mark.parametrize("value", ["", None, 5, "a\nb", "\ud800"])
def test_wrong_arguments_are_refused(payment, value):
    for call in (payment.jsapi, payment.mini_program, payment.app):
        with pytest.raises(ArgumentError, match="appid"):
            call(value, PREPAY_ID)
        with pytest.raises(ArgumentError, match="prepay_id"):
            call(APPID, value)
    with pytest.raises(ArgumentError):
        payment.payscore_use(value)


def test_the_apiv2_key_is_not_shown(payment):
    assert APIV2_KEY not in repr(payment)

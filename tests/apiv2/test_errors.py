"""How a response of APIv2 is judged: status, return_code, signature, result_code."""

from __future__ import annotations

import pickle
import time

import pytest

from tests.apiv2.conftest import reply, signature_of, signed
from tests.service import Reply
from wechatpay_chain import (
    APIError,
    AuthenticationError,
    BadRequestError,
    Client,
    ContentError,
    ForbiddenError,
    NotFoundError,
    RateLimitError,
    Retry,
    ServerError,
    SignatureError,
)
from wechatpay_chain._catalogue.v2_rules import RULES

QUERY = {"appid": "wx1", "out_trade_no": "v2-1"}


def failed(code, words="", **more):
    return signed({"result_code": "FAIL", "err_code": code, "err_code_des": words, **more})


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ORDERPAID", BadRequestError),
        ("ORDERNOTEXIST", NotFoundError),
        ("NOAUTH", ForbiddenError),
        ("FREQUENCY_LIMITED", RateLimitError),
        ("SYSTEMERROR", ServerError),
        ("USERPAYING", ServerError),
        ("A_NEW_CODE", BadRequestError),
    ],
)
def test_a_business_failure_is_verified_and_raised(shop, send, code, kind):
    shop.receives(failed(code, "订单已支付"))
    with pytest.raises(APIError) as raised:
        send(shop.client.v2.pay.orderquery, "post", xml=QUERY)
    error = raised.value
    assert type(error) is kind
    assert (error.code, error.message, error.status_code, error.sent) == (code, "订单已支付", 200, True)
    assert (error.return_code, error.result_code, error.err_code, error.err_code_des) == (
        "SUCCESS",
        "FAIL",
        code,
        "订单已支付",
    )
    assert code in str(error)
    assert pickle.loads(pickle.dumps(error)).err_code == code


def test_fields_that_are_missing_are_named_but_for_those_that_the_client_adds(shop):
    shop.receives(signed(result_code="FAIL", err_code="PARAM_ERROR"))
    with pytest.raises(APIError) as raised:
        shop.client.v2.mmpaymkttransfers.sendredpack.post(xml={"wxappid": "wx1", "re_openid": "o1"}, certificate=False)
    found = "\n".join(getattr(raised.value, "__notes__", [str(raised.value)]))  # in the text before Python 3.11
    assert "xml: the operation requires" in found
    named = found.partition("requires ")[2]
    assert not [name for name in ("mch_id", "nonce_str", "sign", "wxappid", "re_openid") if name in named]


def test_a_business_failure_that_is_not_verified_is_no_failure(shop):
    """Somebody could make an order that was paid look unpaid."""
    shop.receives(
        reply({"return_code": "SUCCESS", "result_code": "FAIL", "err_code": "ORDERNOTEXIST", "sign": "0" * 32})
    )
    with pytest.raises(SignatureError):
        shop.client.v2.pay.orderquery.post(xml=QUERY)


@pytest.mark.parametrize(
    ("words", "kind"),
    [("签名错误", AuthenticationError), ("mch_id参数格式错误", BadRequestError), ("", BadRequestError)],
)
@pytest.mark.parametrize("return_code", ["FAIL", "ERROR", ""])
def test_another_return_code_than_success_is_unsigned_and_raised(shop, send, return_code, words, kind):
    shop.receives(reply({"return_code": return_code, "return_msg": words}))
    with pytest.raises(APIError) as raised:
        send(shop.client.v2.pay.orderquery, "post", xml=QUERY)
    assert type(raised.value) is kind
    assert (raised.value.return_code, raised.value.message) == (return_code, words)


def test_a_response_without_any_code_is_raised(shop):
    shop.receives(Reply(200, {}, b"<xml></xml>"))
    with pytest.raises(BadRequestError):
        shop.client.v2.pay.orderquery.post(xml=QUERY)


@pytest.mark.parametrize("status", [302, 404, 500, 502])
def test_another_status_than_2xx_is_raised_whatever_the_body_is(shop, status):
    shop.receives(Reply(status, {}, signed().body))
    with pytest.raises(APIError) as raised:
        shop.client.v2.pay.orderquery.post(xml=QUERY)
    assert raised.value.status_code == status


def test_unsigned_operations_are_taken_without_a_signature_and_with_a_valid_one(shop):
    send = shop.client.v2.payitil.report.post
    shop.receives(reply({"return_code": "SUCCESS", "result_code": "SUCCESS"}))
    assert send(xml=QUERY).xml()["return_code"] == "SUCCESS"
    shop.receives(signed())
    assert send(xml=QUERY).xml()["return_code"] == "SUCCESS"
    shop.receives(signed(sign_type="HMAC-SHA256", key="x" * 32))
    with pytest.raises(SignatureError):
        send(xml=QUERY)


UNSIGNED = sorted(
    f"v2{rule.partition(' ')[2]}"
    for rule, each in RULES.items()
    if rule.startswith("POST") and not each.signed and each.content == "xml"
)


@pytest.mark.parametrize("path", [*UNSIGNED, "v2/pay/unifiedorder"])
@pytest.mark.parametrize("body", [b"", b"service busy", b'{"retcode":0}', b"\x1f\x8b\x08", b"<html></html>"])
def test_what_is_no_xml_is_never_a_success(shop, path, body):
    """A proxy that answers 200 must not pass for a red packet that was sent."""
    shop.receives(Reply(200, {}, body))
    arguments = {"files": ("a.png", b"a")} if path.endswith("uploadmedia") else {}
    with pytest.raises(ContentError) as caught:
        shop.client[path].post(xml={"a": "1", "workwx_sign": "0" * 32}, certificate=False, **arguments)
    assert caught.value.sent


@pytest.mark.parametrize("body", [b"", b'{"errcode":1}', b"<html></html>"])
def test_a_bill_is_not_empty_and_no_error_of_a_proxy(shop, send, body):
    shop.receives(Reply(200, {}, body))
    with pytest.raises(ContentError):
        send(shop.client.v2.pay.downloadbill, "post", xml={"appid": "wx1"})


@pytest.mark.parametrize(
    "path", ["mmpaymkttransfers/sendredpack", "mmpaymkttransfers/promotion/transfers", "mmpaysptrans/pay_bank"]
)
def test_an_unsigned_response_without_its_result_is_no_success(shop, path):
    shop.receives(Reply(200, {}, b"<xml><return_code>SUCCESS</return_code></xml>"))
    with pytest.raises(ContentError, match="result_code"):
        shop.client.v2[path].post(xml={"a": "1"}, certificate=False)


@pytest.mark.parametrize("body", [b"", b"service busy", b"<html></html>", b'{"retcode"'])
def test_what_is_no_json_is_no_token(shop, body):
    shop.receives(Reply(200, {}, body))
    with pytest.raises(ContentError):
        shop.client.v2.appauth.getaccesstoken.get(params={"appid": "wx1"})


def test_a_bill_is_text_or_an_error_in_xml(shop, send):
    bill = "交易时间,公众账号ID\n`2026-01-01,`wx1\n".encode()
    shop.receives(Reply(200, {"Content-Type": "text/plain"}, bill))
    assert send(shop.client.v2.pay.downloadbill, "post", xml={"bill_date": "20260101"}).content == bill
    shop.receives(reply({"return_code": "FAIL", "return_msg": "No Bill Exist", "error_code": "20002"}))
    with pytest.raises(BadRequestError) as raised:
        send(shop.client.v2.pay.downloadbill, "post", xml={"bill_date": "20260101"})
    assert (raised.value.code, raised.value.message) == ("20002", "No Bill Exist")


def test_the_one_operation_with_json_has_its_own_codes(shop):
    shop.receives(Reply(200, {}, b'{"retcode":0,"access_token":"t"}'))
    node = shop.client.v2.appauth.getaccesstoken
    assert node.get(params={"appid": "wx1", "code": "c"}).json()["access_token"] == "t"
    assert "sign=" in shop.request.target
    shop.receives(Reply(200, {}, b'{"retcode":40001,"retmsg":"invalid"}'))
    with pytest.raises(BadRequestError) as raised:
        node.get(params={"appid": "wx1", "code": "c"})
    assert (raised.value.code, raised.value.message) == ("40001", "invalid")


@pytest.mark.parametrize(("idempotent", "attempts"), [(True, 2), (False, 1)])
def test_a_temporary_failure_is_repeated_only_if_the_caller_says_so(service, wire, idempotent, attempts):
    answers = [failed("SYSTEMERROR"), signed()]
    wire.respond = lambda received: answers[min(len(wire.received), 2) - 1]
    settings = {**service.settings(wire.base_url), "apiv2_key": "192006250b4c09247ec02edce69f6a2d"}
    with Client(**{**settings, "retry": Retry(attempts=3, backoff=0.01)}) as client:
        call = client.v2.mmpaymkttransfers.querycouponsinfo
        if idempotent:
            call.post(xml={"coupon_id": "1"}, idempotent=True)
        else:
            with pytest.raises(ServerError) as raised:
                call.post(xml={"coupon_id": "1"})
            assert raised.value.sent
    assert len(wire.received) == attempts


def test_nothing_is_sent_again_after_a_signature_that_is_not_verified(service, wire):
    wire.respond = lambda received: reply({"return_code": "SUCCESS", "result_code": "SUCCESS", "sign": "0" * 32})
    settings = {
        **service.settings(wire.base_url),
        "apiv2_key": "192006250b4c09247ec02edce69f6a2d",
        "retry": Retry(backoff=0.01),
    }
    with Client(**settings) as client, pytest.raises(SignatureError):
        client.v2.pay.orderquery.post(xml=QUERY, idempotent=True)
    assert len(wire.received) == 1


def test_lists_of_elements_are_read(shop):
    body = (
        b"<xml><return_code>SUCCESS</return_code><result_code>SUCCESS</result_code><hblist><hbinfo><openid>a</openid></hbinfo>"
        b"<hbinfo><openid>b</openid></hbinfo></hblist></xml>"
    )
    shop.receives(Reply(200, {}, body))
    # This operation needs the certificate, which False leaves out.
    found = shop.client.v2.mmpaymkttransfers.gethbinfo.post(xml={"mch_billno": "1"}, certificate=False).xml()
    assert [each["openid"] for each in found["hblist"]["hbinfo"]] == ["a", "b"]
    shop.receives(Reply(200, {}, body.replace(b"<hbinfo><openid>b</openid></hbinfo>", b"")))
    found = shop.client.v2.mmpaymkttransfers.gethbinfo.post(xml={"mch_billno": "1"}, certificate=False).xml()
    assert found["hblist"] == {"hbinfo": [{"openid": "a"}]}


@pytest.mark.parametrize("pattern", ["<a_{}>1</a_{}>", "<a_0_{}>1</a_0_{}>", "<hbinfo><b>1</b></hbinfo>"])
def test_reading_takes_time_in_proportion_to_the_size(shop, pattern):
    """A megabyte would take minutes if each field were compared with each other."""
    many = "".join(pattern.replace("{}", str(index)) for index in range(40_000))
    head = "<return_code>SUCCESS</return_code><result_code>SUCCESS</result_code>"
    shop.receives(Reply(200, {}, f"<xml>{head}{many}</xml>".encode()))
    started = time.process_time()
    assert shop.client.v2.payitil.report.post(xml={"a": "1"}).xml()
    assert time.process_time() - started < 10


def test_numbered_fields_come_as_lists_too(shop):
    numbered = {
        "refund_count": "2",
        "refund_id_0": "x",
        "refund_id_1": "y",
        "coupon_refund_id_0_0": "a",
        "coupon_refund_id_0_1": "b",
        "coupon_refund_id_1_0": "c",
    }
    shop.receives(signed(numbered))
    found = shop.client.v2.pay.refundquery.post(xml=QUERY).xml()
    assert found["refund_id_$n"] == ["x", "y"]
    assert found["coupon_refund_id_$n_$m"] == [["a", "b"], ["c"]]
    assert found["refund_id_1"] == "y"


def test_a_number_that_is_missing_leaves_a_gap_in_its_list(shop):
    """Only some of several refunds have coupons, or a time of success."""
    numbered = {
        "refund_id_0": "x",
        "refund_id_1": "y",
        "refund_id_2": "z",
        "refund_success_time_1": "T1",
        "coupon_refund_id_2_0": "c",
        "coupon_name_0": "",
        "a_999999": "1",
        "b_00": "1",
    }
    shop.receives(signed(numbered))
    found = shop.client.v2.pay.refundquery.post(xml=QUERY).xml()
    assert found["refund_success_time_$n"] == ["", "T1"]
    assert found["coupon_refund_id_$n_$m"] == [[], [], ["c"]]
    assert found["coupon_name_$n"] == [""]
    assert not {"a_$n", "b_$n"} & found.keys()
    assert (found["a_999999"], found["b_00"]) == ("1", "1")


def test_the_error_hides_what_the_call_sent(shop):
    shop.receives(failed("PARAM_ERROR", "openid oUpF8uMuAJO_M2pxb1Q9zNjWeS6o is wrong"))
    with pytest.raises(APIError) as raised:
        shop.client.v2.pay.orderquery.post(xml={**QUERY, "openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"})
    assert "oUpF8u" not in str(raised.value)
    assert "oUpF8u" in raised.value.message


def test_an_error_of_a_call_that_a_layer_has_rewritten_shows_no_message(shop, send):
    """What was sent is not known then, and the message may repeat it."""

    def rewrite(request):
        return (yield request.with_message(request.target, b"openid=oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"))

    shop.client.middleware.insert_after("sign", "rewrite", rewrite)
    shop.receives(failed("PARAM_ERROR", "openid oUpF8uMuAJO_M2pxb1Q9zNjWeS6o is wrong"))
    with pytest.raises(BadRequestError) as raised:
        send(shop.client.v2.pay.orderquery, "post", xml=QUERY)
    assert "oUpF8u" not in str(raised.value)
    assert raised.value.err_code == "PARAM_ERROR"


def test_the_signature_is_of_the_fields_as_they_were_sent(shop):
    answer = {"return_code": "SUCCESS", "result_code": "SUCCESS", "attach": " 空格 "}
    shop.receives(reply({**answer, "sign": signature_of(answer)}))
    assert shop.client.v2.pay.orderquery.post(xml=QUERY).xml()["attach"] == " 空格 "

"""What wechatpay-php and wechatpay-axios-plugin test themselves with: their ciphertexts, messages and responses, read by this client.

Sources, for the values only: `tests/` of wechatpay-apiv3/wechatpay-php and of TheNorthMemory/wechatpay-axios-plugin.
"""

from __future__ import annotations

import hashlib
import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.apiv2.conftest import KEY, reply, signature_of, xml_of
from tests.apiv2.test_notifications import encrypt_ecb, encrypt_ecb_with
from tests.service import MCHID, Reply
from wechatpay_chain import (
    APIError,
    ContentError,
    DecryptionError,
    Notifications,
    RefundNotice,
    SignatureError,
    XMLNotification,
)

NOTIFICATIONS = Notifications({}, None, apiv2_keys=[KEY])

# paysuccess.notification.sample.xml; the number has no CDATA section there.
PAYMENT = {
    "appid": "wx2421b1c4370ec43b",
    "attach": "支付测试",
    "bank_type": "CFT",
    "fee_type": "CNY",
    "is_subscribe": "Y",
    "mch_id": "10000100",
    "nonce_str": "5d2b6c2a8db53831f7eda20af46e531c",
    "openid": "oUpF8uMEb4qRXf22hE3X68TekukE",
    "out_trade_no": "1409811653",
    "result_code": "SUCCESS",
    "return_code": "SUCCESS",
    "time_end": "20140903131540",
    "total_fee": "1",
    "coupon_fee": "10",
    "coupon_count": "1",
    "coupon_type": "CASH",
    "coupon_id": "10000",
    "trade_type": "JSAPI",
    "transaction_id": "1004400740201409030005092168",
}
# refund.notification.req_info.sample.xml, with the service's own spelling of refund_recv_accout
REFUND = {
    "out_refund_no": "131811191610442717309",
    "out_trade_no": "71106718111915575302817",
    "refund_account": "REFUND_SOURCE_RECHARGE_FUNDS",
    "refund_fee": "3960",
    "refund_id": "50000408942018111907145868882",
    "refund_recv_accout": "支付用户零钱",
    "refund_request_source": "API",
    "refund_status": "SUCCESS",
    "settlement_refund_fee": "3960",
    "settlement_total_fee": "3960",
    "success_time": "2018-11-19 16:24:13",
    "total_fee": "3960",
    "transaction_id": "4200000215201811190261405420",
}
# sendredpack.sample.xml and unifiedorder.sample.xml
RED_PACKET = {
    "mch_billno": "0010010404201411170000046545",
    "wxappid": "wxcbda96de0b165486",
    "send_name": "send_name",
    "re_openid": "onqOjjmM1tad-3ROpncN-yUfa6uI",
    "total_amount": "200",
    "total_num": "1",
    "wishing": "恭喜发财",
    "client_ip": "127.0.0.1",
    "act_name": "新年红包",
    "remark": "新年红包",
    "scene_id": "PRODUCT_2",
    "nonce_str": "50780e0cca98c8c8e814883e5caa672e",
    "risk_info": "posttime%3d123123412%26clientversion%3d234134%26mobile%3d122344545%26deviceid%3dIOS",
}
ORDER = {
    "appid": "wx2421b1c4370ec43b",
    "attach": "支付测试",
    "body": "JSAPI支付测试",
    "detail": '{ "goods_detail":[ { "goods_id":"iphone6s_16G", "goods_name":"iPhone6s 16G", "body":"苹果手机" } ] }',
    "nonce_str": "1add1a30ac87aa2db72f57a2375d8fec",
    "notify_url": "https://wxpay.wxutil.com/pub_v2/pay/notify.v2.php",
    "openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
    "out_trade_no": "1415659990",
    "spbill_create_ip": "14.23.150.211",
    "total_fee": "1",
    "trade_type": "JSAPI",
}


def test_the_refund_of_the_fixture_is_read():
    """The vector is of AesEcbTest.php; the same encryption, with the key of APIv2, makes the notice."""
    assert encrypt_ecb_with(b"0123456789abcdef0123456789abcdef", b"hello") == "pZwJZBLuy3mDACEQT4YTBw=="
    inside = "".join(["<root>\n", *(f"<{name}><![CDATA[{text}]]></{name}>\n" for name, text in REFUND.items())])
    body = xml_of({"return_code": "SUCCESS", "appid": "wx1", "req_info": encrypt_ecb(f"{inside}</root>\n".encode())})
    notice = NOTIFICATIONS.parse_xml(body)
    assert isinstance(notice, RefundNotice)
    assert notice.fields == REFUND


def test_the_payment_of_the_fixture_is_read():
    body = xml_of({**PAYMENT, "sign": signature_of(PAYMENT)}).replace(b"<![CDATA[1]]></total_fee>", b"1</total_fee>")
    notification = NOTIFICATIONS.parse_xml(re.sub(rb"(</\w+>)", rb"\1\n  ", body))
    assert isinstance(notification, XMLNotification)
    assert notification.kind == "payment"
    assert notification.fields.items() >= PAYMENT.items()


@pytest.mark.parametrize(
    "body",
    [
        b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE foo [<!ENTITY xxe SYSTEM "http://tst.qq.com/xxe">]>\n'
        b"<foo><value>&xxe;</value></foo>",
        b'<?xml version="1.0" standalone="yes"?>\n<movies>\n <movie>\n  <titles>PHP&nbsp;Parser</titles>\n </movie>\n</movies>',
        b"<batchjob><payment><account>5678</account></payment><payment><account>1234</account></payment></batchjob>",
        b"<span>test</span>",
        b"<xml><![CDATA[2>1<0]]></xml>",
        b"<xml/>",
        b"test",
        b"",
    ],
)
def test_what_is_no_message_of_the_service_is_refused(shop, body):
    with pytest.raises((DecryptionError, SignatureError)):
        NOTIFICATIONS.parse_xml(body)
    shop.receives(Reply(200, {"Content-Type": "text/xml"}, body))
    with pytest.raises((ContentError, APIError)):
        shop.client.v2.pay.orderquery.post(xml={"appid": "wx1", "out_trade_no": "1409811653"})


def test_the_order_of_the_fixture_is_sent_as_it_is(shop, send):
    send(shop.client.v2.pay.unifiedorder, "post", xml=ORDER)
    assert shop.fields == {**ORDER, "mch_id": MCHID, "sign": shop.fields["sign"]}


def test_the_red_packet_of_the_fixture_is_sent_as_it_is(shop, send):
    send(shop.client.v2.mmpaymkttransfers.sendredpack, "post", xml=RED_PACKET, certificate=False)
    assert shop.fields == {**RED_PACKET, "mch_id": MCHID, "sign": shop.fields["sign"]}


@pytest.mark.parametrize(
    ("fields", "sign", "message"),
    [
        ({"return_code": "FAIL", "return_msg": "invalid reason"}, "", "invalid reason"),
        (
            {"return_code": "SUCCESS", "return_msg": "", "result_code": "FAIL", "err_code": "AUTH_CODE_INVALID"},
            "valid",
            "AUTH_CODE_INVALID",
        ),
    ],
)
def test_a_failure_of_authcodetoopenid_is_raised(shop, send, fields, sign, message):
    fields = {**fields, "appid": "123", "mch_id": "123", "nonce_str": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"}
    shop.receives(reply({**fields, **({"sign": signature_of(fields)} if sign else {})}))
    with pytest.raises(APIError, match=message):
        send(shop.client.v2.tools.authcodetoopenid, "post", xml={"appid": "123", "auth_code": "123"})


def test_a_failure_with_a_wrong_signature_is_not_taken_for_one(shop, send):
    fields = {"return_code": "SUCCESS", "result_code": "FAIL", "err_code": "AUTH_CODE_INVALID", "sign": "fake"}
    shop.receives(reply(fields))
    with pytest.raises(SignatureError):
        send(shop.client.v2.tools.authcodetoopenid, "post", xml={"appid": "123", "auth_code": "123"})


@pytest.mark.parametrize("more", [{}, {"result_code": "SUCCESS", "err_code": "", "openid": "123"}])
def test_a_signed_success_of_authcodetoopenid_is_returned(shop, send, more):
    fields = {"return_code": "SUCCESS", "return_msg": "", "appid": "123", "mch_id": "123", "nonce_str": "1", **more}
    shop.receives(reply({**fields, "sign": signature_of(fields)}))
    response = send(shop.client.v2.tools.authcodetoopenid, "post", xml={"appid": "123", "auth_code": "123"})
    assert response.xml() == {**fields, "sign": signature_of(fields)}


def test_the_contract_page_is_asked_for_without_a_nonce(shop, send):
    query = {
        "appid": "wxcbda96de0b165486",
        "mch_id": MCHID,
        "plan_id": "12535",
        "contract_code": "100000",
        "request_serial": 1000,
        "contract_display_account": "微信代扣",
        "notify_url": "https://weixin.qq.com",
        "version": "1.0",
        "sign_type": "HMAC-SHA256",
        "timestamp": 1764500000,
        "return_appid": "wxcbda96de0b165486",
    }
    shop.receives(
        reply(
            {
                "return_code": "SUCCESS",
                "return_msg": "",
                "result_code": "SUCCESS",
                "result_msg": "",
                "redirect_url": "https://payapp.weixin.qq.com",
            }
        )
    )
    response = send(shop.client["v2/papay/h5entrustweb"], "get", params=query)
    assert response.xml()["redirect_url"] == "https://payapp.weixin.qq.com"
    sent = {name: texts[0] for name, texts in parse_qs(urlsplit(shop.request.target).query).items()}
    assert sent.pop("sign") == signature_of({name: str(value) for name, value in query.items()}, "HMAC-SHA256")
    assert sent == {name: str(value) for name, value in query.items()}


def test_the_transfer_of_the_fixture_is_returned(shop, send):
    shop.receives(reply({"mchid": MCHID, "return_code": "SUCCESS", "result_code": "SUCCESS"}))
    response = send(
        shop.client.v2.mmpaymkttransfers.promotion.transfers, "post", xml={"mchid": MCHID}, certificate=False
    )
    assert response.xml() == {"mchid": MCHID, "return_code": "SUCCESS", "result_code": "SUCCESS"}


def test_the_combined_order_of_the_fixture_is_returned(shop, send):
    order = {
        "combine_mch_id": MCHID,
        "combine_appid": "wx8888888888888888",
        "combine_openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
        "sub_order_list": '{"order_num":1,"order_list":[]}',
        "return_code": "SUCCESS",
        "result_code": "SUCCESS",
    }
    shop.receives(reply({**order, "sign": signature_of(order)}))
    response = send(shop.client.v2.pay.querycombinedorder, "post", xml={"combine_mch_id": MCHID})
    assert response.xml().items() >= order.items()


def test_the_media_of_the_fixture_are_sent(shop, send, tmp_path):
    (tmp_path / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"logo" * 100)
    fields = {"media_id": "m" * 107, "return_code": "SUCCESS", "return_msg": "OK", "result_code": "SUCCESS"}
    shop.receives(reply({**fields, "sign": signature_of(fields)}))
    response = send(
        shop.client.v2.secapi.mch.uploadmedia, "post", files={"media": tmp_path / "logo.png"}, certificate=False
    )
    assert response.xml()["media_id"] == "m" * 107
    body = shop.request.body
    sent = dict(re.findall(rb'name="(\w+)"\r\n\r\n([^\r]+)\r\n', body))
    sent = {name.decode(): text.decode() for name, text in sent.items()}
    assert sent["media_hash"] == hashlib.md5((tmp_path / "logo.png").read_bytes()).hexdigest()
    assert sent["mch_id"] == MCHID
    assert sent["sign"] == signature_of(sent, sent.get("sign_type", "MD5"))
    assert re.search(rb'name="media"; filename="logo.png"', body)


def test_the_missing_bill_of_the_fixture_is_an_error(shop, tmp_path):
    shop.receives(reply({"return_code": "FAIL", "return_msg": "invalid reason", "error_code": "20001"}))
    fields = {"appid": "wx8888888888888888", "bill_type": "ALL", "bill_date": "20140603"}
    with pytest.raises(APIError, match="20001"):
        shop.client.download(shop.client.v2.pay.downloadbill, tmp_path / "bill.csv", xml=fields)
    assert not (tmp_path / "bill.csv").exists()


def test_a_list_in_a_field_is_sent_as_json(shop):
    """TransformerTest.php makes elements `item` of it, which no operation has; `detail` is a text of JSON."""
    goods = [{"goods_detail": "华为手机", "url": "https://huawei.com"}]
    shop.client.v2.pay.unifiedorder.post(xml={**ORDER, "detail": goods})
    assert json.loads(shop.fields["detail"]) == goods

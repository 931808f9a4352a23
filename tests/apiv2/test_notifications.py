"""Notifications of APIv2: signed, or encrypted and not signed, and the replies to them."""

from __future__ import annotations

import base64
import hashlib
import logging
import secrets

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from tests.apiv2.conftest import FORMER, KEY, fields_of, signature_of, xml_of
from tests.service import MCHID
from wechatpay_chain import (
    ArgumentError,
    Client,
    ConfigurationError,
    DecryptionError,
    Notifications,
    Reason,
    RefundNotice,
    Reply,
    SignatureError,
    XMLNotification,
)

APIV3_KEY = "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb"
PAYMENT = {
    "return_code": "SUCCESS",
    "result_code": "SUCCESS",
    "mch_id": MCHID,
    "out_trade_no": "v2-1",
    "total_fee": "1",
    "attach": "",
    "coupon_fee_0": "3",
    "a_new_field": "新",
}


def body_of(fields, sign_type="MD5", key=KEY):
    return xml_of({**fields, "sign": signature_of(fields, sign_type, key)})


def encrypt_ecb(text: bytes, key=KEY):
    return encrypt_ecb_with(hashlib.md5(key.encode()).hexdigest().encode(), text)


def encrypt_ecb_with(key: bytes, text: bytes):
    padding = 16 - len(text) % 16
    cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return base64.b64encode(cipher.update(text + bytes([padding]) * padding) + cipher.finalize()).decode()


@pytest.fixture
def notifications(service):
    settings = service.settings("https://a.example")
    client = Client(
        **settings, apiv2_key=KEY, former_apiv2_keys=[FORMER], apiv3_key=APIV3_KEY, fetch_certificates=False
    )
    return client.notifications


@pytest.mark.parametrize("sign_type", ["MD5", "HMAC-SHA256"])
@pytest.mark.parametrize("key", [KEY, FORMER])
def test_a_payment_is_verified_with_every_field(notifications, sign_type, key):
    notification = notifications.parse_xml(body_of(PAYMENT, sign_type, key))
    assert isinstance(notification, XMLNotification)
    assert notification.kind == "payment"
    assert notification.fields.items() >= PAYMENT.items()
    assert "v2-1" not in repr(notification)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"change_type": "ADD", "contract_id": "1", "contract_code": "c"}, "contract"),
        ({"contract_id": "1", "out_trade_no": "v2-1", "total_fee": "1"}, "deduction"),
        ({"combine_out_trade_no": "c", "sub_order_list": "{}"}, "combined payment"),
        ({"vehicle_event_type": "NORMAL", "plate_number": "粤B"}, "vehicle"),
        ({"vehicle_event_createtime": "20260101120000", "plate_number": "粤B"}, "vehicle"),
        ({"mch_id": MCHID, "a_new_field": "1"}, "other"),
        ({"event_code": "BLOCK", "risk_level": "1"}, "risk"),
        ({"product_id": "1", "openid": "o", "is_subscribe": "Y"}, "product"),
        ({"product_id": "1", "result_code": "SUCCESS", "out_trade_no": "v2-1"}, "payment"),
    ],
)
def test_the_kind_is_told_by_the_fields(notifications, fields, kind):
    assert notifications.parse_xml(body_of({"mch_id": MCHID, **fields}, "HMAC-SHA256")).kind == kind


@pytest.mark.parametrize(
    "change", [{"total_fee": "100"}, {"more": "x"}, {"sign": ""}, {"sign": "0" * 32}, {"sign": "0" * 64}]
)
def test_a_payment_that_was_changed_is_refused_and_logged(notifications, caplog, change):
    signed = {**PAYMENT, "sign": signature_of(PAYMENT), **change}
    with caplog.at_level(logging.WARNING, "wechatpay_chain"), pytest.raises(SignatureError) as refused:
        notifications.parse_xml(xml_of(signed))
    assert refused.value.reason is (Reason.BAD_SIGNATURE if signed["sign"] else Reason.MISSING_SIGNATURE)
    assert not refused.value.sent
    assert "a notification was refused" in caplog.text
    assert "v2-1" not in caplog.text


@given(st.data())
def test_a_notification_that_was_changed_anywhere_is_refused(notifications, data):
    body = body_of(PAYMENT)
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, min(len(body), start + 20)))
    changed = body[:start] + data.draw(st.binary(max_size=20)) + body[end:]
    try:
        same = notifications.parse_xml(changed)
    except (SignatureError, DecryptionError):
        return
    # White space between the fields, say: what was signed has not changed.
    assert same.fields == notifications.parse_xml(body).fields


@given(st.binary(max_size=200) | st.text(alphabet="<>/!?xmlDOCTYPE&;[]'\" =a1", max_size=200).map(str.encode))
def test_bytes_that_nobody_signed_are_refused(notifications, body):
    with pytest.raises((SignatureError, DecryptionError)):
        notifications.parse_xml(body)


def test_a_field_that_nobody_can_sign_is_refused(notifications):
    """Only texts are signed, so elements in an element could be anybody's."""
    body = body_of(PAYMENT).replace(b"</xml>", b"<more><total_fee>100</total_fee></more></xml>")
    with pytest.raises(SignatureError):
        notifications.parse_xml(body)


def test_no_key_is_in_the_frames_of_an_error(notifications):
    with pytest.raises(SignatureError) as refused:
        notifications.parse_xml(xml_of({**PAYMENT, "sign": "0" * 32}))
    frames = refused.value.__traceback__
    while frames is not None:
        if frames.tb_frame.f_code.co_filename != __file__:
            assert KEY not in str(frames.tb_frame.f_locals)
        frames = frames.tb_next


@pytest.mark.parametrize("key", [KEY, FORMER])
def test_a_refund_notice_is_decrypted_and_is_no_verified_notification(notifications, key):
    text = b"<root><out_refund_no>r1</out_refund_no><refund_status>SUCCESS</refund_status></root>"
    head = {"return_code": "SUCCESS", "mch_id": MCHID, "sub_mch_id": "1900000109"}
    notice = notifications.parse_xml(xml_of({**head, "req_info": encrypt_ecb(text, key)}))
    assert isinstance(notice, RefundNotice)
    assert not isinstance(notice, XMLNotification)
    assert dict(notice.fields) == {"out_refund_no": "r1", "refund_status": "SUCCESS"}
    assert dict(notice.head) == head
    assert "1900000109" not in repr(notice)


@pytest.mark.parametrize(
    "req_info",
    [
        "",
        "AAAA",
        "not base64",
        encrypt_ecb(b"<root><a>1</a></root>", "x" * 32),
        encrypt_ecb(b"<xml"),
        encrypt_ecb(b"<!DOCTYPE a []><root><a>1</a></root>"),
        encrypt_ecb(b"<html><a>1</a></html>"),
    ],
)
def test_a_refund_notice_that_cannot_be_decrypted_is_refused(notifications, req_info):
    with pytest.raises(DecryptionError):
        notifications.parse_xml(xml_of({"return_code": "SUCCESS", "req_info": req_info}))


def event_of(text: bytes, key=APIV3_KEY):
    nonce = secrets.token_hex(6)
    ciphertext = AESGCM(key.encode()).encrypt(nonce.encode(), text, b"transaction")
    return {
        "appid": "wx1",
        "mch_id": MCHID,
        "nonce_str": secrets.token_hex(16),
        "algorithm": "HMAC-SHA256",
        "event_id": "EV-1",
        "event_create_time": "20260101120000",
        "event_type": "CHECK.SUCCESS",
        "event_algorithm": "AEAD_AES_256_GCM",
        "event_ciphertext": base64.b64encode(ciphertext).decode(),
        "event_nonce": nonce,
        "event_associated_data": "transaction",
    }


def test_an_event_is_verified_and_decrypted(notifications):
    notification = notifications.parse_xml(
        body_of(event_of(b"<xml><out_trade_no>w1</out_trade_no></xml>"), "HMAC-SHA256")
    )
    assert (notification.kind, notification.event) == ("event", {"out_trade_no": "w1"})
    with pytest.raises(DecryptionError, match="cannot be decrypted"):
        notifications.parse_xml(body_of({**event_of(b"<xml><a>1</a></xml>"), "event_algorithm": "AEAD_SM4_GCM"}))


def test_an_event_for_another_key_is_refused(notifications, service):
    body = body_of(event_of(b"<xml><a>1</a></xml>", "x" * 32), "HMAC-SHA256")
    with pytest.raises(DecryptionError):
        notifications.parse_xml(body)
    only_v2 = Notifications({}, None, apiv2_keys=[KEY])
    with pytest.raises(ConfigurationError, match="apiv3_key"):
        only_v2.parse_xml(body)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"<xml>", b"<!DOCTYPE a []><xml><a>1</a></xml>", b"<html><a>1</a></html>"]
)
def test_what_is_no_notification_is_refused(notifications, body):
    with pytest.raises(DecryptionError):
        notifications.parse_xml(body)


def test_a_body_that_was_parsed_is_refused(notifications):
    with pytest.raises(TypeError, match="bytes"):
        notifications.parse_xml(body_of(PAYMENT).decode())


def test_each_kind_needs_its_own_key(client):
    with pytest.raises(ConfigurationError, match="apiv3_key"):
        client.notifications  # noqa: B018
    only_v2 = Notifications({}, None, apiv2_keys=[KEY])
    assert only_v2.parse_xml(body_of(PAYMENT)).kind == "payment"
    with pytest.raises(ConfigurationError, match="apiv3_key"):
        only_v2.parse({}, b"{}")


def test_the_replies_are_exactly_what_the_service_expects():
    ok = b"<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>"
    assert (Reply.xml_ok().status, Reply.xml_ok().body) == (200, ok)
    assert Reply.xml_fail().status == 500
    assert b"FAIL" in Reply.xml_fail().body


def test_the_reply_of_native_payment_in_mode_1_is_signed(notifications):
    reply = notifications.signed_xml_reply(
        {"return_code": "SUCCESS", "appid": "wx1", "mch_id": MCHID, "prepay_id": "wx2", "result_code": "SUCCESS"}
    )
    fields = fields_of(reply.body)
    assert fields["sign"] == signature_of(fields)
    assert fields["nonce_str"]
    assert reply.status == 200


def test_the_reply_of_native_payment_in_mode_1_is_of_this_merchant_and_of_the_sign_type_that_it_names(notifications):
    fields = fields_of(notifications.signed_xml_reply({"prepay_id": "wx2", "sign_type": "HMAC-SHA256"}).body)
    assert fields["mch_id"] == MCHID
    assert fields["sign"] == signature_of(fields, "HMAC-SHA256")
    for wrong in ({"mch_id": "999"}, {"sign_type": "SHA1"}, {"sign": "x"}):
        with pytest.raises(ArgumentError, match=next(iter(wrong))):
            notifications.signed_xml_reply(wrong)
    by_itself = Notifications({}, None, apiv2_keys=[KEY]).signed_xml_reply({"mch_id": "999", "prepay_id": "wx2"})
    assert fields_of(by_itself.body)["mch_id"] == "999"


def test_an_empty_body_is_explained_once(notifications):
    with pytest.raises(DecryptionError) as refused:
        notifications.parse_xml(b"")
    assert str(refused.value).count("empty") == 1

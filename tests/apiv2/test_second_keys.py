"""What APIv2 needs besides its key: the key for card numbers, and the secret of an application of enterprise WeChat."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from traceback import walk_tb

import pytest
from cryptography.hazmat.primitives import serialization

from tests.apiv2.conftest import KEY, fields_of, reply, signature_of, signed
from tests.service import MCHID, Reply, certificate_pem, new_certificate, new_key
from wechatpay_chain import (
    APIError,
    ArgumentError,
    Client,
    ConfigurationError,
    Sensitive,
    TransportError,
    WeChatPayError,
    crypto,
)
from wechatpay_chain._chain import card_key

PAYMENT = {"partner_trade_no": "1", "bank_code": "1001", "amount": 100}
SECRET = "agent-Secret_0123456789"


def pkcs1(key):
    form = serialization.PublicFormat.PKCS1
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


class Bank:
    """Hands out its key, and keeps what it is sent."""

    def __init__(self):
        self.key, self.answer = new_key(), signed()
        self.published = reply({"return_code": "SUCCESS", "result_code": "SUCCESS", "pub_key": pkcs1(self.key)})
        self.paths, self.fields = [], {}

    def __call__(self, received):
        self.paths.append(received.target)
        if received.target == "/risk/getpublickey":
            return self.published
        self.fields = fields_of(received.body)
        return self.answer


@pytest.fixture
def bank(wire):
    wire.respond = bank = Bank()
    return bank


@pytest.fixture
def client(service, wire):
    # TLS is not the matter here, so no certificate is asked for; the settings need one.
    settings = {
        **service.settings(wire.base_url),
        "apiv2_key": KEY,
        "certificate": certificate_pem(new_certificate(service.merchant)),
        "workwx_secret": SECRET,
    }
    with Client(**settings) as client:
        yield client


def pay(client, send, **fields):
    xml = {**PAYMENT, "enc_bank_no": Sensitive("6222001"), "enc_true_name": Sensitive("张三"), **fields}
    return send(client.v2.mmpaysptrans.pay_bank, "post", xml=xml)


def test_card_numbers_are_encrypted_with_a_key_that_is_fetched_once(client, bank, send):
    pay(client, send)
    assert crypto.decrypt(bank.fields["enc_bank_no"], bank.key) == "6222001"
    assert crypto.decrypt(bank.fields["enc_true_name"], bank.key) == "张三"
    assert bank.fields["sign"] == signature_of(bank.fields)
    pay(client, send)
    assert bank.paths == ["/risk/getpublickey", "/mmpaysptrans/pay_bank", "/mmpaysptrans/pay_bank"]


# wechatpay-php tests/fixtures/getpublickey.response.sample.xml
KEY_OF_PHP = """-----BEGIN RSA PUBLIC KEY-----
MIIBCgKCAQEArT82k67xybiJS9AD8nNAeuDYdrtCRaxkS6cgs8L9h83eqlDTlrdw
zBVSv5V4imTq/URbXn4K0V/KJ1TwDrqOI8hamGB0fvU13WW1NcJuv41RnJVua0QA
lS3tS1JzOZpMS9BEGeFvyFF/epbi/m9+2kUWG94FccArNnBtBqqvFncXgQsm98JB
3a62NbS1ePP/hMI7Kkz+JNMyYsWkrOUFDCXAbSZkWBJekY4nGZtK1erqGRve8Jbx
TWirAm/s08rUrjOuZFA21/EI2nea3DidJMTVnXVPY2qcAjF+595shwUKyTjKB8v1
REPB3hPF1Z75O6LwuLfyPiCrCTmVoyfqjwIDAQAB
-----END RSA PUBLIC KEY-----
"""


def test_a_key_in_the_form_of_wechatpay_php_is_taken(client, bank, send):
    bank.published = reply(
        {"return_code": "SUCCESS", "return_msg": "OK", "result_code": "SUCCESS", "pub_key": KEY_OF_PHP}
    )
    pay(client, send)
    assert len(bank.fields["enc_bank_no"]) == 344  # 2,048 bits in base64


def test_a_call_without_such_fields_needs_no_key(client, bank, send):
    send(client.v2.mmpaysptrans.query_bank, "post", xml={"partner_trade_no": "1"})
    assert bank.paths == ["/mmpaysptrans/query_bank"]


def test_the_key_is_fetched_again_after_a_refusal_and_after_a_time(client, bank, send, monkeypatch):
    bank.answer = signed({"result_code": "FAIL", "err_code": "PARAM_ERROR"})
    with pytest.raises(APIError):
        pay(client, send)
    assert bank.paths.count("/mmpaysptrans/pay_bank") == 1, "nothing is sent twice"
    bank.key, bank.answer = new_key(), signed()
    bank.published = reply({"return_code": "SUCCESS", "result_code": "SUCCESS", "pub_key": pkcs1(bank.key)})
    pay(client, send)
    assert crypto.decrypt(bank.fields["enc_bank_no"], bank.key) == "6222001"
    assert bank.paths.count("/risk/getpublickey") == 2
    monkeypatch.setattr(card_key, "TTL", -1)
    pay(client, send)
    assert bank.paths.count("/risk/getpublickey") == 3


@pytest.mark.parametrize(
    "published",
    [
        reply({"return_code": "FAIL", "return_msg": "签名错误"}),
        reply({"return_code": "SUCCESS", "result_code": "SUCCESS"}),
        reply({"return_code": "SUCCESS", "result_code": "SUCCESS", "pub_key": "no key"}),
        Reply(500),
        None,
    ],
)
def test_without_the_key_nothing_is_sent(client, bank, send, published):
    bank.published = published
    with pytest.raises(TransportError, match="risk/getpublickey") as failed:
        pay(client, send)
    assert not failed.value.sent
    assert failed.value.__cause__ is not None
    assert "/mmpaysptrans/pay_bank" not in bank.paths


def test_the_path_of_a_key_file_is_no_key(client, bank, send, tmp_path):
    """The response with the key is not signed."""
    file = tmp_path / "own.pem"
    file.write_text(pkcs1(new_key()))
    bank.published = reply({"return_code": "SUCCESS", "result_code": "SUCCESS", "pub_key": str(file)})
    with pytest.raises(TransportError, match="no usable public key"):
        pay(client, send)


def test_a_mistake_in_the_call_shows_before_the_key_is_fetched(client, bank, send):
    with pytest.raises(ArgumentError, match="mch_id"):
        pay(client, send, mch_id="1")
    with pytest.raises(ArgumentError, match="at most 214"):
        pay(client, send, enc_true_name=Sensitive("x" * 215))
    assert "/mmpaysptrans/pay_bank" not in bank.paths


def test_no_error_shows_a_card_number(client, bank, send):
    bank.answer = signed({"result_code": "FAIL", "err_code": "PARAM_ERROR", "err_code_des": "6222001 不存在"})
    with pytest.raises(APIError) as raised:
        pay(client, send)
    assert "6222001" not in str(raised.value)
    assert "6222001" in raised.value.message
    assert "6222001" not in shown_by(raised.tb)


def test_no_error_shows_a_name_that_cannot_be_encrypted(client, bank, send):
    with pytest.raises(ArgumentError) as raised:
        pay(client, send, enc_true_name=Sensitive("张三" * 40))
    assert "张三" not in str(raised.value) + shown_by(raised.tb)
    with pytest.raises(ArgumentError) as raised:
        send(client.v3.x, "post", json={"name": Sensitive("张三" * 40)})
    assert "张三" not in str(raised.value) + shown_by(raised.tb)


def breaks_the_body(request):
    response = yield request.with_message(request.target, b"no XML")
    return response


@pytest.mark.parametrize(
    "call",
    [
        lambda client, send: send(client.v2.pay.unifiedorder, "post", xml={"body": "😀"}),
        lambda client, send: send(client.v2.pay.unifiedorder, "post", xml={"mch_id": "1"}),
        lambda client, send: send(client.v2.pay.unifiedorder, "post", xml={}, timeout="x"),
        lambda client, send: send(client["v2/pay/{x}"], "post", xml={}),
        lambda client, send: send(client.v2.secapi.mch.uploadmedia, "post", files={"media": ("a.jpg", b"")}),
        lambda client, send: send(client.v2.pay.unifiedorder, "post", xml={"body": "a layer breaks it"}),
        lambda client, send: send(client.v3.pay.transactions.native, "post", json={"amount": object()}),
        lambda client, send: send(client["v3/pay/{x}"], "get"),
        lambda client, send: client.notifications.parse_xml(b"<xml><a>1</a></xml>"),
        lambda client, send: client.payment.v2.entrust_url({"body": "😀"}),
        lambda client, send: client.download(client.v2.pay.downloadbill, "a.csv", xml={"mch_id": "1"}),
    ],
)
def test_no_key_is_in_what_an_error_tracker_lists(client, bank, send, call):
    client.middleware.insert_before("sign", "broken", breaks_the_body)
    with pytest.raises(WeChatPayError) as raised:
        call(client, send)
    shown = shown_by(raised.tb)
    assert KEY not in shown
    assert SECRET not in shown


def shown_by(traceback):
    """Returns the local variables of the package's frames as an error tracker lists them."""
    frames = [frame for frame, _ in walk_tb(traceback) if "/wechatpay_chain/" in frame.f_code.co_filename]
    return repr([listed(frame.f_locals) for frame in frames])


def listed(value, level=0):
    """Returns what is in dicts, lists and tuples, also in named ones, whatever their repr is."""
    if level == 8:
        return "…"
    if isinstance(value, Mapping):
        return {repr(name): listed(each, level + 1) for name, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [listed(each, level + 1) for each in value]
    return repr(value)


def pem_of(modulus, exponent=65537):
    """Returns a public key of any numbers as PKCS#1, in DER as X.690 says."""
    numbers = b""
    for number in (modulus, exponent):
        octets = number.to_bytes(number.bit_length() // 8 + 1, "big")
        numbers += (
            b"\x02\x82" + len(octets).to_bytes(2, "big") + octets
            if len(octets) > 127
            else bytes([2, len(octets)]) + octets
        )
    head = b"\x30\x82" + len(numbers).to_bytes(2, "big") if len(numbers) > 127 else bytes([0x30, len(numbers)])
    text = base64.encodebytes(head + numbers).decode()
    return f"-----BEGIN RSA PUBLIC KEY-----\n{text}-----END RSA PUBLIC KEY-----\n"


@pytest.mark.parametrize("modulus", [(1 << 511) + 1, (1 << 2047) + 2], ids=["short", "even"])
def test_a_key_that_cannot_be_used_is_not_kept(client, bank, send, modulus):
    good, bank.published = (
        bank.published,
        reply({"return_code": "SUCCESS", "result_code": "SUCCESS", "pub_key": pem_of(modulus)}),
    )
    with pytest.raises(TransportError, match="no usable public key"):
        pay(client, send)
    bank.published = good
    pay(client, send)
    assert crypto.decrypt(bank.fields["enc_bank_no"], bank.key) == "6222001"


def test_a_key_whose_signature_is_wrong_is_refused(client, bank, send):
    wrong = {"return_code": "SUCCESS", "result_code": "SUCCESS", "pub_key": pkcs1(bank.key), "sign": "0" * 32}
    bank.published = reply(wrong)
    with pytest.raises(TransportError, match="signature"):
        pay(client, send)
    assert "/mmpaysptrans/pay_bank" not in bank.paths


RED_PACKET = {
    "mch_billno": "1",
    "wxappid": "wx1",
    "re_openid": "o1",
    "total_amount": 1000,
    "act_name": "活动",
    "wishing": "恭喜",
    "remark": "备注",
}


def workwx(fields, *names):
    text = "".join(f"{name}={fields[name]}&" for name in sorted(names)) + f"secret={SECRET}"
    return hashlib.md5(text.encode()).hexdigest().upper()


def test_a_red_packet_of_enterprise_wechat_has_two_signatures(client, bank, send):
    send(client.v2.mmpaymkttransfers.sendworkwxredpack, "post", xml=RED_PACKET)
    names = ("act_name", "mch_billno", "mch_id", "nonce_str", "re_openid", "total_amount", "wxappid")
    assert bank.fields["workwx_sign"] == workwx(bank.fields, *names)
    assert bank.fields["sign"] == signature_of(bank.fields), "which is over the other one too"
    assert bank.fields["mch_id"] == MCHID


def test_a_second_signature_of_the_callers_own_is_kept(client, bank, send):
    send(client.v2.mmpaymkttransfers.sendworkwxredpack, "post", xml={**RED_PACKET, "workwx_sign": "A" * 32})
    assert bank.fields["workwx_sign"] == "A" * 32


def test_a_payment_of_enterprise_wechat_has_two_signatures(client, bank, send):
    fields = {
        "appid": "wx1",
        "partner_trade_no": "1",
        "openid": "o",
        "amount": 1,
        "desc": "报销",
        "ww_msg_type": "NORMAL_MSG",
    }
    send(client.v2.mmpaymkttransfers.promotion.paywwsptrans2pocket, "post", xml=fields)
    names = ("amount", "appid", "desc", "mch_id", "nonce_str", "openid", "partner_trade_no", "ww_msg_type")
    assert bank.fields["workwx_sign"] == workwx(bank.fields, *names)


def test_other_calls_have_one_signature(client, bank):
    client.v2.mmpaymkttransfers.queryworkwxredpack.post(xml={"mch_billno": "1", "appid": "wx1"})
    assert "workwx_sign" not in bank.fields


def test_without_the_secret_the_caller_signs_or_nothing_is_sent(service, wire, bank):
    settings = {
        **service.settings(wire.base_url),
        "apiv2_key": KEY,
        "certificate": certificate_pem(new_certificate(service.merchant)),
    }
    with Client(**settings) as client:
        node = client.v2.mmpaymkttransfers.sendworkwxredpack
        with pytest.raises(ConfigurationError, match="workwx_secret"):
            node.post(xml=RED_PACKET)
        assert bank.paths == []
        node.post(xml={**RED_PACKET, "nonce_str": "n", "workwx_sign": "OWN"})
        assert (bank.fields["workwx_sign"], bank.fields["nonce_str"]) == ("OWN", "n")
    for wrong in ("", "张", 5, "a b"):
        with pytest.raises(ConfigurationError, match="workwx_secret"):
            Client(**settings, workwx_secret=wrong)

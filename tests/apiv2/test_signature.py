"""The signature of APIv2: official vectors, and what is signed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.apiv2.conftest import FORMER, KEY, fields_of, reply, signature_of, signed
from tests.service import MCHID, Reply
from wechatpay_chain import ArgumentError, Client, ConfigurationError, ContentError, Reason, SignatureError

SAMPLE = {
    "appid": "wxd930ea5d5a258f4f",
    "mch_id": "10000100",
    "device_info": "1000",
    "body": "test",
    "nonce_str": "ibuaiVcKdpRxkhJA",
}
ORDER = {
    "appid": "wxd930ea5d5a258f4f",
    "body": "公仔 <Q&Q> ]]>",
    "out_trade_no": "v2-1",
    "total_fee": 1,
    "notify_url": "https://a.example/n?b=c",
    "trade_type": "NATIVE",
    "spbill_create_ip": "127.0.0.1",
}


@pytest.mark.parametrize(
    ("sign_type", "sign"),
    [
        ("MD5", "9A0A8659F005D6984697E2CA0A9CF3B7"),
        ("HMAC-SHA256", "6A9AE1657590FD6257D693A078E1C3E4BB6BA4DC30B23E0EE2496E54170DACD6"),
    ],
)
def test_the_official_vector(service, wire, sign_type, sign):
    """Source: the sample of the signature's page; the service of the tests computes it too."""
    assert signature_of(SAMPLE, sign_type) == sign
    wire.respond = lambda received: signed()
    with Client(**{**service.settings(wire.base_url), "mchid": "10000100", "apiv2_key": KEY}) as client:
        # An operation that is not in the table gets nothing but the signature.
        client.v2.some.thing.post(xml=SAMPLE)
        assert fields_of(wire.received[-1].body) == {**SAMPLE, "sign": "9A0A8659F005D6984697E2CA0A9CF3B7"}
        client.v2.some.thing.post(xml={**SAMPLE, "sign_type": sign_type})
        fields = fields_of(wire.received[-1].body)
        assert fields["sign"] == signature_of({**SAMPLE, "sign_type": sign_type}, sign_type)


def test_a_call_is_xml_that_is_signed(shop, send):
    response = send(shop.client.v2.pay.unifiedorder, "post", xml=ORDER)
    assert response.xml()["result_code"] == "SUCCESS"
    assert (shop.request.method, shop.request.target) == ("POST", "/pay/unifiedorder")
    assert shop.request.header("Content-Type") == "text/xml; charset=utf-8"
    assert shop.request.header("Authorization") is None
    assert shop.request.header("Wechatpay-Serial") is None
    fields = shop.fields
    assert (fields["mch_id"], fields["body"], fields["total_fee"]) == (MCHID, ORDER["body"], "1")
    assert len(fields["nonce_str"]) == 32
    assert "sign_type" not in fields


def test_each_spelling_of_the_chain_is_the_same_call(shop):
    client = shop.client
    for node in (
        client.v2.pay.unifiedorder,
        client["v2/pay/unifiedorder"],
        client.chain("v2/pay/unifiedorder"),
        client.v2["pay/unifiedorder"],
    ):
        node.post(xml=ORDER)
        assert shop.request.target == "/pay/unifiedorder"


@pytest.mark.parametrize(
    ("path", "given", "added"),
    [
        ("pay/orderquery", {}, {"mch_id", "nonce_str"}),
        ("pay/profitsharingquery", {}, {"mch_id", "nonce_str", "sign_type"}),
        ("papay/querycontract", {}, {"mch_id"}),
        ("pay/settlementquery", {}, {"mchid", "nonce_str"}),
        ("pay/closecombinedorder", {}, {"combine_mch_id", "nonce_str", "sign_type"}),
        ("pay/orderquery", {"nonce_str": "mine", "sign_type": "HMAC-SHA256"}, {"mch_id"}),
    ],
)
def test_the_table_says_what_is_added(shop, path, given, added):
    given = {"appid": "wx1", **given}
    shop.client[f"v2/{path}"].post(xml=given)
    assert shop.fields.keys() - given.keys() - {"sign"} == added
    assert shop.fields.get("sign_type", "MD5") == ("HMAC-SHA256" if "sign_type" in {*added, *given} else "MD5")


def test_each_attempt_has_its_own_nonce(shop):
    nonces = set()
    for _ in range(3):
        shop.client.v2.pay.orderquery.post(xml={"appid": "wx1", "out_trade_no": "1"})
        nonces.add(shop.fields["nonce_str"])
    assert len(nonces) == 3


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ({"mch_id": "1900000001"}, "mch_id"),
        ({"combine_mch_id": "1900000001"}, "combine_mch_id"),
        ({"sign": "x"}, "sign"),
        ({"sign_type": "HMAC_SHA256"}, "sign_type"),
        ({"body": "😀"}, "U\\+1F600"),
        ({"body": "a\x08"}, "U\\+0008"),
        ({"total_fee": 1.0}, "float"),
        ({"total_fee": True}, "bool"),
        ({"to tal": "1"}, "to tal"),
        ({"<a>": "1"}, "<a>"),
        ([("a", "1")], "list"),
        ("<xml/>", "str"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_sending(shop, send, xml, message):
    with pytest.raises(ArgumentError, match=message):
        send(shop.client.v2.pay.unifiedorder, "post", xml=xml)
    assert shop.wire.received == []


def test_each_api_takes_its_own_body(shop):
    with pytest.raises(ArgumentError, match="xml="):
        shop.client.v2.pay.unifiedorder.post(json={})
    with pytest.raises(ArgumentError, match="json="):
        shop.client.v3.pay.transactions.native.post(xml={})
    with pytest.raises(ArgumentError, match=r"client\.v2"):
        shop.client["pay/unifiedorder"].post(xml={})
    assert shop.wire.received == []


def test_a_client_without_the_key_says_so(client, wire):
    with pytest.raises(ConfigurationError, match="apiv2_key"):
        client.v2.pay.orderquery.post(xml={"appid": "wx1"})
    assert wire.received == []


def test_an_operation_that_needs_a_certificate_says_so(shop):
    with pytest.raises(ConfigurationError, match="certificate"):
        shop.client.v2.secapi.pay.refund.post(xml={"appid": "wx1"})
    assert shop.wire.received == []


@pytest.mark.parametrize("sign_type", ["MD5", "HMAC-SHA256"])
@pytest.mark.parametrize("key", [KEY, FORMER])
def test_a_response_is_verified_with_all_its_fields(shop, send, sign_type, key):
    """The length of the signature tells the algorithm, whatever sign_type says; the service may still use a former key."""
    shop.receives(signed({"coupon_id_0": "7", "unknown": "值", "empty": "", "sign_type": "MD5"}, sign_type, key))
    found = send(shop.client.v2.pay.orderquery, "post", xml={"appid": "wx1"}).xml()
    assert (found["unknown"], found["empty"], found["coupon_id_$n"]) == ("值", "", ["7"])


def test_a_signature_in_lower_case_is_the_same(shop):
    answer = {"return_code": "SUCCESS", "result_code": "SUCCESS"}
    shop.receives(reply({**answer, "sign": signature_of(answer).lower()}))
    assert shop.client.v2.pay.orderquery.post(xml={"appid": "wx1"}).xml()["result_code"] == "SUCCESS"


@pytest.mark.parametrize(
    "change",
    [{"total_fee": "2"}, {"more": "x"}, {"sign": "0" * 32}, {"sign": "0" * 64}, {"sign": "é" * 32}, {"sign": ""}],
)
def test_a_response_that_was_changed_is_refused(shop, send, change):
    answer = {"return_code": "SUCCESS", "result_code": "SUCCESS", "total_fee": "1"}
    shop.receives(reply({**answer, "sign": signature_of(answer), **change}))
    with pytest.raises(SignatureError) as refused:
        send(shop.client.v2.pay.orderquery, "post", xml={"appid": "wx1"})
    assert refused.value.sent
    assert refused.value.reason is (Reason.MISSING_SIGNATURE if change == {"sign": ""} else Reason.BAD_SIGNATURE)


def test_a_response_with_a_field_that_nobody_can_sign_is_refused(shop):
    from tests.service import Reply

    body = signed().body.replace(b"</xml>", b"<hblist><hbinfo><amount>1</amount></hbinfo></hblist></xml>")
    shop.receives(Reply(200, {}, body))
    with pytest.raises(SignatureError):
        shop.client.v2.pay.orderquery.post(xml={"appid": "wx1"})


def test_a_layer_that_makes_the_body_no_xml_is_an_argument_error(shop):
    def spoil(request):
        return (yield request.with_message(request.target, b"{}"))

    shop.client.middleware.insert_before("sign", "spoil", spoil)
    with pytest.raises(ArgumentError, match="a layer has changed the body"):
        shop.client.v2.pay.orderquery.post(xml={"appid": "wx1"})
    assert shop.wire.received == []


def test_a_call_of_apiv3_presents_no_certificate(shop):
    with pytest.raises(ArgumentError, match="certificate"):
        shop.client.v3.pay.transactions.native.post(json={}, certificate=True)


def test_a_response_without_a_signature_is_refused(shop):
    shop.receives(reply({"return_code": "SUCCESS", "result_code": "SUCCESS", "trade_state": "SUCCESS"}))
    with pytest.raises(SignatureError) as refused:
        shop.client.v2.pay.orderquery.post(xml={"appid": "wx1"})
    assert refused.value.reason is Reason.MISSING_SIGNATURE


def test_a_response_of_an_unknown_operation_must_be_signed(shop):
    shop.receives(reply({"return_code": "SUCCESS"}))
    with pytest.raises(SignatureError):
        shop.client.v2.some.thing.post(xml={"a": "1"})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<html><p>502</p></html>",
        b"<xml><return_code>SUCCESS</return_code>",
        b"\xff\xfe<xml/>",
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><return_code>&a;</return_code></xml>',
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><xml><return_code>&b;</return_code></xml>',
        # The shapes that wechatpay-php tests its reader with: entities that are broken or from outside, a fragment, the page of a 404.
        b"<xml><return_code>&undefined;</return_code></xml>",
        b"<xml><return_code>SUCCESS&</return_code></xml>",
        b"<return_code>SUCCESS</return_code><result_code>SUCCESS</result_code>",
        b'<!DOCTYPE html><html><head><meta charset="utf-8"><title>404</title></head><body><br>Not Found</body></html>',
        b'<!DOCTYPE x [<!ENTITY % a SYSTEM "http://127.0.0.1:9/a.dtd"> %a;]><xml><return_code>SUCCESS</return_code></xml>',
        '<?xml version="1.0" encoding="utf-16"?><xml><return_code>SUCCESS</return_code></xml>'.encode("utf-16"),
        b"<xml><return_code>SUCCESS</return_code><return_code>FAIL</return_code></xml>",
        b"<xml>" + b"<a>" * 100 + b"</a>" * 100 + b"</xml>",
        b"<xml>" + b"<a>" + b"x" * (1 << 20) + b"</a></xml>",
    ],
)
def test_what_is_no_xml_of_the_service_is_refused(shop, send, body):
    shop.receives(Reply(200, {}, body))
    with pytest.raises(ContentError) as refused:
        send(shop.client.v2.pay.orderquery, "post", xml={"appid": "wx1"})
    assert refused.value.sent


texts = st.text(
    st.characters(max_codepoint=0xFFFD, exclude_categories=["Cs", "Cc"], include_characters="\r\n\t"), max_size=40
)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z_]{0,20}", fullmatch=True).filter(
            lambda name: name not in ("sign", "sign_type", "mch_id", "mchid", "combine_mch_id")
        ),
        texts,
        max_size=8,
    )
)
def test_every_text_arrives_as_it_was_and_is_signed_as_it_was(shop, xml):
    shop.client.v2.some.thing.post(xml=xml)
    assert shop.fields.items() >= xml.items()


@pytest.mark.parametrize(
    ("path", "variables"), [("{root}/pay/orderquery", {"root": "v2"}), ("%762/pay/orderquery", {})]
)
def test_v2_is_written_as_it_is(shop, path, variables):
    """Otherwise it would be sent, and no rule of an operation would be found."""
    with pytest.raises(ArgumentError, match="v2/"):
        shop.client[path].post(xml={"appid": "wx1"}, **variables)
    assert shop.wire.received == []


def test_a_response_may_have_characters_that_xml_forbids_and_names_that_nobody_knows(shop):
    """They are left out before the signature is computed, as the service's own tools do; refund_recv_accout is the service's spelling."""
    sent = {
        "return_code": "SUCCESS",
        "result_code": "SUCCESS",
        "refund_recv_accout_0": "支付用户零钱",
        "nickname": "张三",
    }
    body = signed(sent).body.replace("张三".encode(), "张\x08三".encode())
    shop.receives(Reply(200, {}, body))
    found = shop.client.v2.pay.refundquery.post(xml={"appid": "wx1", "out_trade_no": "1"}).xml()
    assert (found["nickname"], found["refund_recv_accout_0"]) == ("张三", "支付用户零钱")

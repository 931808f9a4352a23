"""The sandbox makes red packets and payments to users by APIv2 once each, and says what it has made."""

from __future__ import annotations

import hashlib

import pytest

from tests.apiv2.test_sandbox import code_of
from tests.apiv2.test_sandbox_operations import PAID_BY, arguments
from wechatpay_chain import NotFoundError, crypto
from wechatpay_chain._catalogue.operations import find_operation
from wechatpay_chain._messages.xml_body import parse_xml
from wechatpay_chain.sandbox import Sandbox

PACKET = {
    "mch_billno": "hb-1",
    "wxappid": "wx8888888888888888",
    "send_name": "天虹百货",
    "re_openid": "oxTWIuGaIt6gTKsQRLau2M0yL16E",
    "total_amount": 1000,
    "total_num": 1,
    "wishing": "新年快乐",
    "client_ip": "192.168.0.1",
    "act_name": "新年红包",
    "remark": "新年红包",
}
TRANSFER = {
    "mch_appid": "wx8888888888888888",
    "partner_trade_no": "t-1",
    "openid": "oxTWIuGaIt6gTKsQRLau2M0yL16E",
    "check_name": "NO_CHECK",
    "amount": 12345,
    "desc": "理赔",
    "spbill_create_ip": "192.168.0.1",
}


@pytest.fixture(scope="module")
def world():
    with Sandbox(seed=1, keep=3) as sandbox, sandbox.client(retry=None) as client:
        yield sandbox, client


@pytest.fixture
def transfers(world):
    sandbox, client = world
    sandbox.reset()
    return client.v2.mmpaymkttransfers


@pytest.fixture
def do(send):
    """Posts in either mode, and returns the fields of the response."""

    def do(node, **fields):
        return parse_xml(send(node, "post", xml=fields).content)

    return do


def query_packet(do, transfers, number):
    return do(transfers.gethbinfo, appid=PACKET["wxappid"], mch_billno=number, bill_type="MCHT")


def test_a_red_packet_is_made_once_and_can_be_queried(transfers, do):
    made = do(transfers.sendredpack, **PACKET)
    assert do(transfers.sendredpack, **PACKET)["send_listid"] == made["send_listid"]
    other = do(transfers.sendredpack, **{**PACKET, "mch_billno": "hb-2"})
    assert other["send_listid"] != made["send_listid"]
    found = query_packet(do, transfers, "hb-1")
    assert (found["total_amount"], found["hb_type"], found["detail_id"]) == ("1000", "NORMAL", made["send_listid"])
    (received,) = found["hblist"]["hbinfo"]
    assert (received["openid"], received["amount"]) == (PACKET["re_openid"], "1000")


def test_a_transfer_is_made_once_and_can_be_queried(transfers, do):
    made = do(transfers.promotion.transfers, **TRANSFER)
    assert do(transfers.promotion.transfers, **TRANSFER)["payment_no"] == made["payment_no"]
    other = do(transfers.promotion.transfers, **{**TRANSFER, "partner_trade_no": "t-2"})
    assert other["payment_no"] != made["payment_no"]
    found = do(transfers.gettransferinfo, appid="wx1", partner_trade_no="t-1")
    assert (found["payment_amount"], found["status"], found["detail_id"]) == ("12345", "SUCCESS", made["payment_no"])
    assert "transfer_name" not in found


def test_a_payment_to_a_bank_card_shows_the_digests_of_the_card(world, do):
    _, client = world
    key = crypto.load_public_key(parse_xml(client.v2.risk.getpublickey.post(xml={}).content)["pub_key"])
    secret = {"enc_bank_no": crypto.encrypt("6225000000000000", key), "enc_true_name": crypto.encrypt("张三", key)}
    do(client.v2.mmpaysptrans.pay_bank, partner_trade_no="bank-0001", bank_code="1002", amount=500, **secret)
    found = do(client.v2.mmpaysptrans.query_bank, partner_trade_no="bank-0001")
    assert (found["amount"], found["status"]) == ("500", "SUCCESS")
    assert found["bank_no_md5"] == hashlib.md5(b"6225000000000000").hexdigest()
    assert found["true_name_md5"] == hashlib.md5("张三".encode()).hexdigest()


@pytest.mark.parametrize("change", [{"total_amount": 2000}, {"re_openid": "another"}])
def test_another_red_packet_under_the_same_number_is_refused(transfers, do, change):
    do(transfers.sendredpack, **PACKET)
    assert code_of(do, transfers.sendredpack, **{**PACKET, **change}) == "FATAL_ERROR"
    assert query_packet(do, transfers, "hb-1")["total_amount"] == "1000"


def test_another_transfer_under_the_same_number_is_refused(transfers, do):
    do(transfers.promotion.transfers, **TRANSFER)
    assert code_of(do, transfers.promotion.transfers, **{**TRANSFER, "amount": 999}) == "FATAL_ERROR"


@pytest.mark.parametrize("amount", [99, 20001])
def test_a_red_packet_has_limits_unless_it_is_of_a_scene(transfers, do, amount):
    packet = {**PACKET, "total_amount": amount}
    assert code_of(do, transfers.sendredpack, **packet) == "MONEY_LIMIT"
    with pytest.raises(NotFoundError):
        query_packet(do, transfers, "hb-1")
    assert do(transfers.sendredpack, **packet, scene_id="PRODUCT_2")["total_amount"] == str(amount)


@pytest.mark.parametrize("amount", [100, 20000])
def test_the_limits_of_a_red_packet_are_allowed(transfers, do, amount):
    assert do(transfers.sendredpack, **{**PACKET, "total_amount": amount})["send_listid"]


def test_each_red_packet_of_a_group_has_the_limits(transfers, do):
    names = {name: value for name, value in PACKET.items() if name != "client_ip"}
    group = {**names, "total_num": 3, "amt_type": "ALL_RAND"}
    assert code_of(do, transfers.sendgroupredpack, **{**group, "total_amount": 299}) == "MONEY_LIMIT"
    do(transfers.sendgroupredpack, **{**group, "total_amount": 60000})
    assert query_packet(do, transfers, "hb-1")["hb_type"] == "GROUP"


@pytest.mark.parametrize("path", PAID_BY)
def test_an_unknown_number_is_not_found(world, do, path):
    sandbox, client = world
    operation = find_operation("POST", path)
    fields = arguments(operation, sandbox, client, everything=True)["xml"]
    sandbox.reset()
    with pytest.raises(NotFoundError) as caught:
        do(client.v2[path.strip("/")], **fields)
    assert caught.value.code == "NOT_FOUND"
    assert caught.value.message == "指定单号数据不存在"
    assert parse_xml(caught.value.response.content)["return_code"] == "SUCCESS"


def test_the_oldest_are_forgotten(transfers, do):
    for number in range(4):
        do(transfers.sendredpack, **{**PACKET, "mch_billno": f"hb-{number}"})
    assert query_packet(do, transfers, "hb-1")["mch_billno"] == "hb-1"
    with pytest.raises(NotFoundError):
        query_packet(do, transfers, "hb-0")

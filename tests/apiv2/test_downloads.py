"""A bill of APIv2 is written as it arrives; an error, which has the same status, is raised, and leaves no file."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from tests.apiv2.conftest import KEY, reply
from tests.service import Reply
from wechatpay_chain import APIError, ArgumentError, Client, ContentError, Retry, TransportError

FIELDS = {"appid": "wx1", "bill_date": "20260101", "bill_type": "ALL"}
BILL = "\ufeff交易时间,商户号\r\n`2026-01-01,`1900007291\r\n".encode()


@pytest.fixture(params=["sync", "async"])
def download(request, shop):
    """Returns a function that downloads in one of the modes."""

    def run(source, to, **arguments):
        if request.param == "sync":
            return shop.client.download(source, to, **arguments)
        return asyncio.run(shop.client.download_async(source, to, **arguments))

    return run


@pytest.mark.parametrize(
    "content",
    [BILL, BILL * 50_000, b"a\n" * 2, b" " * 70 + BILL, BILL.removeprefix(b"\xef\xbb\xbf")],
    ids=["short", "long", "tiny", "blanks", "no mark"],
)
def test_a_bill_is_written_as_it_came(shop, download, tmp_path, content):
    shop.receives(Reply(200, {"Content-Type": "text/plain"}, content))
    response = download(shop.client.v2.pay.downloadbill, tmp_path / "bill.csv", xml=FIELDS)
    assert (tmp_path / "bill.csv").read_bytes() == content
    assert response.content == b""
    assert shop.fields["bill_date"] == "20260101"


def test_a_compressed_bill_is_decompressed(shop, download, tmp_path):
    shop.receives(Reply(200, {"Content-Type": "application/x-gzip"}, gzip.compress(BILL)))
    pieces = []
    arguments = {"gunzip": True, "progress": lambda received, total: pieces.append((received, total))}
    download(shop.client.v2.pay.downloadbill, tmp_path / "bill.csv", xml={**FIELDS, "tar_type": "GZIP"}, **arguments)
    assert (tmp_path / "bill.csv").read_bytes() == BILL
    assert pieces[-1][0] == len(gzip.compress(BILL))


@pytest.mark.parametrize("code", ["20002", "SYSTEMERROR"])
@pytest.mark.parametrize(
    "before", [b"", b"\n", b"\xef\xbb\xbf", b'<?xml version="1.0" encoding="utf-8"?>\n', b" " * 40]
)
def test_an_error_in_place_of_a_bill_is_raised(shop, download, tmp_path, code, before):
    """As the service does: SUCCESS in no member, and the code in error_code."""
    error = reply({"return_code": "FAIL", "return_msg": "No Bill Exist", "error_code": code})
    shop.receives(Reply(200, error.headers, before + error.body))
    (tmp_path / "bill.csv").write_bytes(b"of yesterday")
    with pytest.raises(APIError) as raised:
        download(shop.client.v2.pay.downloadbill, tmp_path / "bill.csv", xml=FIELDS)
    assert (raised.value.code, raised.value.message) == (code, "No Bill Exist")
    assert (tmp_path / "bill.csv").read_bytes() == b"of yesterday"
    assert list(tmp_path.iterdir()) == [tmp_path / "bill.csv"]


@pytest.mark.parametrize(
    "content",
    [
        b"<xml><return_code>SUCCESS</return_code></xml>",
        b"",
        b"\xef\xbb\xbf",
        b"\n\n",
        b"<xml>" + b"x" * 2_000_000,
        b"<xml><a",
        b"<html><body>Please log in",
        b"<!DOCTYPE html>",
        b"<",
        b'{"errcode":1}',
    ],
)
def test_what_is_neither_a_bill_nor_an_error_is_refused(shop, download, tmp_path, content):
    shop.receives(Reply(200, {}, content))
    with pytest.raises((TransportError, ContentError)):
        download(shop.client.v2.pay.downloadbill, tmp_path / "bill.csv", xml=FIELDS)
    assert list(tmp_path.iterdir()) == []


def test_a_bill_that_is_cut_off_is_discarded(shop, download, tmp_path):
    shop.receives(cut_off(BILL))
    with pytest.raises(TransportError):
        download(shop.client.v2.pay.downloadbill, tmp_path / "bill.csv", xml=FIELDS)
    assert list(tmp_path.iterdir()) == []


def cut_off(content):
    return b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + content


@pytest.mark.parametrize("second", [b"", b"\n", b"<xml><return_code>FAIL</return_code></xml>"])
def test_a_bill_that_is_cut_off_is_never_completed_by_the_next_attempt(service, wire, tmp_path, second):
    replies = [cut_off(BILL), Reply(200, {}, second)]
    wire.respond = lambda received: replies.pop(0)
    settings = {**service.settings(wire.base_url), "apiv2_key": KEY, "retry": Retry(attempts=2)}
    with Client(**settings) as client, pytest.raises((TransportError, APIError)):
        client.download(client.v2.pay.downloadbill, tmp_path / "bill.csv", xml=FIELDS)
    assert replies == []
    assert list(tmp_path.iterdir()) == []


def test_a_bill_is_asked_for_again_and_nothing_else_is(service, wire, tmp_path):
    replies = [Reply(503), Reply(200, {}, BILL)]
    wire.respond = lambda received: replies.pop(0)
    settings = {**service.settings(wire.base_url), "apiv2_key": KEY, "retry": Retry(attempts=3)}
    with Client(**settings) as client:
        client.download(client.v2.pay.downloadbill, tmp_path / "bill.csv", xml=FIELDS)
        assert (tmp_path / "bill.csv").read_bytes() == BILL
        wire.received.clear()
        replies = [Reply(503), Reply(200, {}, BILL)]
        with pytest.raises(APIError):
            client.download(client.v2.pay.anotherbill, tmp_path / "a", xml={"appid": "wx1"})
        assert len(wire.received) == 1


def test_only_an_operation_that_returns_a_file_is_called(shop, download, service, tmp_path):
    client = shop.client
    with Client(**service.settings(shop.wire.base_url), apiv2_key=KEY) as another:
        for source, arguments in (
            (client.v3.bill.tradebill, {}),
            (client.v3.pay.transactions.native, {"xml": {}}),
            ("https://api.mch.weixin.qq.com/v3/x", {"xml": {}}),
            (client.v2.pay.downloadbill, {"xml": "<xml/>"}),
            (client.v2.secapi.pay.refund, {"xml": {"appid": "wx1", "out_trade_no": "1"}}),
            (another.v2.pay.downloadbill, {"xml": FIELDS}),
        ):
            with pytest.raises(ArgumentError):
                download(source, tmp_path / "a", **arguments)
    assert shop.wire.received == []
    assert list(tmp_path.iterdir()) == []

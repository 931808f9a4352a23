"""The sandbox keeps the latest things of each kind, so that its memory has a bound."""

from __future__ import annotations

import pytest

from wechatpay_chain import APIError, ConfigurationError
from wechatpay_chain.sandbox import Sandbox

KEPT = 20


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(keep=KEPT) as sandbox:
        yield sandbox


@pytest.fixture
def client(sandbox):
    sandbox.reset()
    with sandbox.client(retry=None) as client:
        yield client


def place(client, number):
    order = {
        "appid": "wxd678efh567hg6787",
        "mchid": client.mchid,
        "description": "公仔",
        "out_trade_no": number,
        "notify_url": "https://shop.example/notify",
        "amount": {"total": 100},
    }
    client.v3.pay.transactions.native.post(json=order)


def test_the_oldest_orders_refunds_and_requests_are_forgotten(sandbox, client):
    count = KEPT + 5
    for index in range(count):
        place(client, f"order-{index:02}")
        sandbox.pay(f"order-{index:02}", notify=False)
        refund = {
            "out_trade_no": f"order-{index:02}",
            "out_refund_no": f"refund-{index:02}",
            "amount": {"refund": 1, "total": 100, "currency": "CNY"},
        }
        client.v3.refund.domestic.refunds.post(json=refund)
    assert list(sandbox.orders) == [f"order-{index:02}" for index in range(5, count)]
    assert list(sandbox.refunds) == [f"refund-{index:02}" for index in range(5, count)]
    assert len(sandbox.history) == KEPT
    query = client.v3.pay.transactions.out_trade_no._out_trade_no_
    assert query.get(out_trade_no="order-05", params={"mchid": client.mchid}).json()["trade_state"] == "REFUND"
    with pytest.raises(APIError) as refused:
        query.get(out_trade_no="order-04", params={"mchid": client.mchid})
    assert refused.value.code == "ORDER_NOT_EXIST"


def test_an_order_is_found_by_a_transaction_id_that_a_test_has_set(sandbox, client):
    place(client, "order-1")
    sandbox.pay("order-1", notify=False)
    order, by_id = sandbox.orders["order-1"], client.v3.pay.transactions.id._transaction_id_
    was = order.payment.transaction_id
    order.payment = order.payment._replace(transaction_id="4200001100202611290000000001")
    found = by_id.get(transaction_id="4200001100202611290000000001", params={"mchid": client.mchid}).json()
    assert found["out_trade_no"] == "order-1"
    with pytest.raises(APIError):
        by_id.get(transaction_id=was, params={"mchid": client.mchid})


def test_files_of_more_than_64_mib_are_forgotten():
    with Sandbox() as sandbox, sandbox.client() as client:
        uploaded = [
            client.v3.merchant_service.images.upload.post(files={"file": ("a.png", bytes([index]) * 2_000_000)}).json()
            for index in range(34)
        ]
        image = client.v3.merchant_service.images._media_id_
        assert image.get(media_id=uploaded[-1]["media_id"]).content == bytes([33]) * 2_000_000
        assert image.get(media_id=uploaded[1]["media_id"]).content == bytes([1]) * 2_000_000
        with pytest.raises(APIError) as refused:
            image.get(media_id=uploaded[0]["media_id"])
        assert refused.value.code == "RESOURCE_NOT_EXISTS"


@pytest.mark.parametrize("keep", [0, -1, 1_000_001, 1.5, "10", True])
def test_the_number_that_is_kept_is_checked(keep):
    with pytest.raises(ConfigurationError, match="keep"):
        Sandbox(keep=keep)

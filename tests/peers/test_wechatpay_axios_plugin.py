"""wechatpay-axios-plugin for Node.js, unmodified, works with the sandbox as it does with WeChat Pay."""

from __future__ import annotations

import pytest

from tests.peers.npm import run_script
from wechatpay_chain.sandbox import Sandbox


@pytest.fixture(scope="module")
def shared_sandbox():
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(params=["certificate", "public-key"])
def sandbox(request, shared_sandbox):
    shared_sandbox.reset()
    shared_sandbox.sign_with = request.param
    return shared_sandbox


@pytest.fixture
def run(node, sandbox):
    """Runs a script with the sandbox's credentials, and returns the JSON that it prints."""
    return lambda name: run_script(node, name, sandbox.credentials)


def test_wechatpay_axios_plugin_takes_a_payment_from_the_order_to_the_bill(run, request):
    result = run("shop.js")
    if "axios 1.8" in request.node.name:
        assert result["axios"].startswith("1.8.")
    assert result["placed"]["prepay_id"].startswith("wx")
    assert result["paid"]["trade_state"] == "SUCCESS"
    assert result["by_id"] == result["paid"]
    assert result["payment_notice"] == {"event_type": "TRANSACTION.SUCCESS", "resource": result["paid"]}
    assert (result["refund"]["status"], result["refund"]["amount"]["refund"]) == ("PROCESSING", 30)
    assert result["found_refund"] == result["refund"]
    assert result["forged_notice"] is None
    assert result["refund_notice"]["resource"]["out_refund_no"] == result["refund"]["out_refund_no"]
    assert result["sha1"] == result["bill"]["hash_value"]
    assert [row["交易状态"] for row in result["rows"]] == ["SUCCESS", "REFUND"]
    assert result["media"]["media_id"]


def test_wechatpay_axios_plugin_makes_every_kind_of_call(run):
    result = run("orders.js")
    assert result["native"]["code_url"].startswith("weixin://")
    assert result["jsapi"]["prepay_id"].startswith("wx")
    assert result["order"]["trade_state"] == "NOTPAY"
    assert result["unknown"] == {"status": 404, "code": "ORDER_NOT_EXIST"}
    assert result["close"] == 204
    assert result["token"]
    assert result["certificates"] == 1
    assert result["echo"] == {"echo_message": "你好"}
    assert result["media"]["media_id"]
    assert result["refused"] == {"status": 400, "code": "PARAM_ERROR"}


def test_wechatpay_axios_plugin_takes_a_payment_by_apiv2_from_the_order_to_the_bill(run):
    result = run("v2.js")
    assert result["placed"]["code_url"].startswith("weixin://")
    assert (result["paid"]["trade_state"], result["paid"]["total_fee"]) == ("SUCCESS", "100")
    assert result["payment_notice"]["transaction_id"] == result["paid"]["transaction_id"]
    assert result["refund"]["refund_fee"] == "30"
    assert result["refund_notice"]["refund_id"] == result["refund"]["refund_id"]
    assert (result["found_refund"]["refund_id_0"], result["found_refund"]["refund_status_0"]) == (
        result["refund"]["refund_id"],
        "SUCCESS",
    )
    assert result["micropay"]["trade_type"] == "MICROPAY"
    assert result["unknown"]["err_code"] == "ORDERNOTEXIST"
    assert [row["交易状态"] for row in result["rows"]] == ["SUCCESS", "REFUND"]

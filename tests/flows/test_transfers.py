"""A transfer to a user is confirmed, cancelled, closed or fails, and its end is notified."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from jsonschema import Draft202012Validator

from tests.test_sandbox_operations import to_json_schema
from wechatpay_chain import APIError, ConfigurationError, Sensitive
from wechatpay_chain._catalogue.operations import find_event

TRANSFER = {
    "appid": "wxf636efh567hg4356",
    "out_bill_no": "plfk2020042013",
    "transfer_scene_id": "1000",
    "openid": "o-MYE42l80oelYMDE34nYD456Xoy",
    "transfer_amount": 400,
    "transfer_remark": "新会员开通有礼",
    "transfer_scene_report_infos": [{"info_type": "活动名称", "info_content": "新会员有礼"}],
}
NUMBER = {"out_bill_no": TRANSFER["out_bill_no"]}
HOURS = 3600


@pytest.fixture
def bills(client):
    return client.v3.fund_app.mch_transfer.transfer_bills


@pytest.fixture
def query(bills, send):
    return lambda: send(bills.out_bill_no._out_bill_no_, "get", **NUMBER).json()


@pytest.fixture
def cancel(bills, send):
    return lambda: send(bills.out_bill_no._out_bill_no_.cancel, "post", **NUMBER).json()


def place(bills, send, **changes):
    return send(bills, "post", json={**TRANSFER, **changes}).json()


def outcome(act):
    """Returns the status and the code of a refused call."""
    with pytest.raises(APIError) as caught:
        act()
    return caught.value.status_code, caught.value.code


def test_a_transfer_waits_for_the_user_and_is_then_paid_out(sandbox, client, bills, send, query):
    placed = place(bills, send)
    assert placed.pop("package_info")
    assert placed["transfer_bill_no"].startswith("1330")
    assert len(placed["transfer_bill_no"]) == 40
    assert placed == {
        **NUMBER,
        "transfer_bill_no": placed["transfer_bill_no"],
        "state": "WAIT_USER_CONFIRM",
        "create_time": placed["create_time"],
    }
    sent = ("appid", "openid", "transfer_amount", "transfer_remark")
    assert query() == {
        **placed,
        **{name: TRANSFER[name] for name in sent},
        "mch_id": client.mchid,
        "update_time": placed["create_time"],
    }
    transfer = sandbox.transfers[TRANSFER["out_bill_no"]]
    transfer.confirm()
    assert query()["state"] == "TRANSFERING"
    sandbox.advance(25)
    assert transfer.state == "TRANSFERING"
    sandbox.advance(5)
    paid = query()
    assert paid["state"] == transfer.state == "SUCCESS"
    assert paid.keys() == query().keys()
    assert "package_info" not in paid.keys() | place(bills, send).keys()
    assert "fail_reason" not in paid
    since_placed = datetime.fromisoformat(paid["update_time"]) - datetime.fromisoformat(paid["create_time"])
    assert timedelta(seconds=30) <= since_placed < timedelta(minutes=1)


def test_a_transfer_is_found_by_the_number_of_the_service(bills, send, query):
    number = place(bills, send)["transfer_bill_no"]
    assert send(bills.transfer_bill_no._transfer_bill_no_, "get", transfer_bill_no=number).json() == query()


def test_an_unknown_transfer_is_refused(bills, send, query, cancel):
    assert outcome(query) == outcome(cancel) == (404, "NOT_FOUND")
    by_number = bills.transfer_bill_no._transfer_bill_no_
    assert outcome(lambda: send(by_number, "get", transfer_bill_no="1330")) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("fail_reason", "expected"),
    [("", ("SUCCESS", None)), ("NAME_NOT_CORRECT", ("FAIL", "NAME_NOT_CORRECT"))],
    ids=["success", "fail"],
)
def test_the_end_of_a_payout_is_notified(sandbox, client, bills, send, query, shop, fail_reason, expected):
    place(bills, send, notify_url=shop.url)
    transfer = sandbox.transfers[TRANSFER["out_bill_no"]]
    transfer.confirm()
    notice = transfer.finish(fail_reason)
    notification = shop.wait()
    resource = notification.resource
    assert (notification.id, notification.event_type) == (notice.id, "MCHTRANSFER.BILL.FINISHED")
    assert notification.original_type == "mch_payment"
    assert (resource["state"], resource.get("fail_reason")) == expected
    assert resource["mch_id"] == client.mchid
    assert resource == {name: query()[name] for name in resource}
    schema = to_json_schema(find_event(notification.event_type).resources[0].schema)
    assert [error.message for error in Draft202012Validator(schema).iter_errors(resource)] == []
    sandbox.advance(48 * HOURS)
    assert shop.is_empty()
    assert transfer.state == expected[0]


def test_a_transfer_that_nobody_confirms_is_closed_after_24_hours(sandbox, bills, send, query, cancel, shop):
    placed = place(bills, send, notify_url=shop.url)
    sandbox.advance(24 * HOURS - 30)
    assert query()["state"] == "WAIT_USER_CONFIRM"
    assert shop.is_empty()
    sandbox.advance(30)
    resource = shop.wait().resource  # nobody has queried it
    assert (resource["state"], resource["fail_reason"]) == ("FAIL", "OVERDUE_CLOSE")
    closed = query()
    assert (closed["state"], closed["fail_reason"]) == ("FAIL", "OVERDUE_CLOSE")
    lasted = datetime.fromisoformat(closed["update_time"]) - datetime.fromisoformat(placed["create_time"])
    assert lasted == timedelta(hours=24)
    assert outcome(cancel) == (400, "INVALID_REQUEST")
    with pytest.raises(ConfigurationError, match="its state is FAIL; expected WAIT_USER_CONFIRM"):
        sandbox.transfers[TRANSFER["out_bill_no"]].confirm()
    assert place(bills, send, notify_url=shop.url)["state"] == "FAIL"
    assert shop.is_empty()


@pytest.mark.parametrize("ended_by", ["user", "time"])
def test_a_transfer_is_cancelled(sandbox, bills, send, query, cancel, shop, ended_by):
    number = place(bills, send, notify_url=shop.url)["transfer_bill_no"]
    first = cancel()
    assert first == {
        **NUMBER,
        "transfer_bill_no": number,
        "state": "CANCELING",
        "update_time": first["update_time"],
    }
    assert query()["state"] == "CANCELING"
    assert cancel() == first
    assert shop.is_empty()
    transfer = sandbox.transfers[TRANSFER["out_bill_no"]]
    with pytest.raises(ConfigurationError, match="its state is CANCELING; expected WAIT_USER_CONFIRM"):
        transfer.confirm()
    with pytest.raises(ConfigurationError, match="its state is CANCELING; expected TRANSFERING"):
        transfer.finish("NAME_NOT_CORRECT")
    if ended_by == "user":
        transfer.finish()
    else:
        sandbox.advance(30)
    resource = shop.wait().resource
    assert (resource["state"], resource["fail_reason"]) == ("CANCELLED", "MCH_CANCEL")
    assert (transfer.state, transfer.fail_reason) == ("CANCELLED", "MCH_CANCEL")
    assert query()["state"] == cancel()["state"] == "CANCELLED"


def test_what_the_user_has_confirmed_is_not_cancelled(sandbox, bills, send, cancel):
    place(bills, send)
    transfer = sandbox.transfers[TRANSFER["out_bill_no"]]
    transfer.confirm()
    assert outcome(cancel) == (400, "INVALID_REQUEST")
    assert transfer.finish() is None  # there is no notify_url
    assert outcome(cancel) == (400, "INVALID_REQUEST")
    assert transfer.state == "SUCCESS"


def test_only_documented_reasons_and_states_can_be_played(sandbox, bills, send):
    place(bills, send)
    transfer = sandbox.transfers[TRANSFER["out_bill_no"]]
    with pytest.raises(ConfigurationError, match="fail_reason: came 'NO'; expected one of ACCOUNT_FROZEN"):
        transfer.finish("NO")
    with pytest.raises(ConfigurationError, match="transfer plfk2020042013: its state is WAIT_USER_CONFIRM; expected"):
        transfer.finish()


def test_the_same_number_is_the_same_transfer(sandbox, bills, send):
    name = {"user_name": Sensitive("张三")}
    first = place(bills, send, **name)
    sandbox.advance(60)
    assert place(bills, send, **name) == first  # encrypted anew
    for change in ({"transfer_amount": 401}, {"user_name": Sensitive("李四")}, {"user_recv_perception": "现金奖励"}):
        assert outcome(lambda change=change: place(bills, send, **{**name, **change})) == (400, "INVALID_REQUEST")
    assert len(sandbox.transfers) == 1


def test_the_name_of_the_user_is_encrypted_and_required_from_2000_yuan(client, bills, send, query):
    assert outcome(lambda: place(bills, send, transfer_amount=200_000)) == (400, "PARAM_ERROR")
    place(bills, send, transfer_amount=200_000, user_name=Sensitive("张三"))
    assert client.decrypt(query()["user_name"]) == "张三"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("out_bill_no", "plfk-1"),
        ("out_bill_no", "a" * 33),
        ("transfer_amount", 9),
        ("transfer_remark", "注" * 33),
        ("notify_url", "https://a.example/x?y=1"),
        ("openid", ""),
    ],
)
def test_a_field_out_of_its_limits_is_refused(bills, send, field, value):
    with pytest.raises(APIError) as caught:
        place(bills, send, **{field: value})
    assert (caught.value.code, caught.value.detail["field"]) == ("PARAM_ERROR", f"/{field}")


FAMILIES = {
    "partner": "v3/fund-app/mch-transfer/partner/transfer-bills",
    "platform": "v3/ecommerce/mch-transfer/transfer-bills",
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_transfer_for_another_merchant(sandbox, client, send, bills, query, shop, family):
    node, sub = client[FAMILIES[family]], {"sub_mchid": "1900001121"}
    placed = place(node, send, **sub, notify_url=shop.url)
    assert placed["sub_mchid"] == "1900001121"
    assert placed["package_info"]
    one = node.out_bill_no._out_bill_no_
    found = send(one, "get", **NUMBER, params=sub).json()
    assert (found["mchid"], found["sub_mchid"], found["state"]) == (client.mchid, "1900001121", "WAIT_USER_CONFIRM")
    assert "mch_id" not in found
    assert outcome(lambda: send(one, "get", **NUMBER, params={"sub_mchid": "1900001122"})) == (404, "NOT_FOUND")
    assert outcome(query) == (404, "NOT_FOUND")
    assert outcome(lambda: place(bills, send)) == (400, "INVALID_REQUEST")
    assert send(one.cancel, "post", **NUMBER, json=sub).json()["state"] == "CANCELING"
    sandbox.advance(30)
    resource = shop.wait().resource
    assert (resource["mchid"], resource["sub_mchid"], resource["state"]) == (client.mchid, "1900001121", "CANCELLED")
    assert "mch_id" not in resource


def test_the_seed_decides_the_numbers_and_a_reset_forgets_the_transfers(bills, send, sandbox, query):
    first = place(bills, send)
    sandbox.reset()
    assert sandbox.transfers == {}
    assert outcome(query) == (404, "NOT_FOUND")
    second = place(bills, send)
    for name in ("transfer_bill_no", "package_info"):
        assert first[name] == second[name]

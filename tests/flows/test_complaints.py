"""The sandbox's complaints: what payers do, the merchant's operations in each state, and the notifications."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.documented import assert_response
from wechatpay_chain import APIError, ConfigurationError

COMPLAINTS = "/v3/merchant-service/complaints-v2"
PICTURE = b"\xff\xd8\xff picture"


@pytest.fixture
def shop(client, shop):
    client.v3.merchant_service.complaint_notifications.post(json={"url": shop.url})
    return shop


@pytest.fixture
def complaint(sandbox, client):
    place(sandbox, client)
    return sandbox.complain("ordered-1", problem_type="REFUND", refund=100)


def place(sandbox, client, number="ordered-1", *, is_paid=True):
    order = {
        "appid": "wxd678efh567hg6787",
        "mchid": client.mchid,
        "description": "公仔",
        "out_trade_no": number,
        "notify_url": "https://www.weixin.qq.com/wxpay/pay.php",
        "amount": {"total": 100},
    }
    client.v3.pay.transactions.native.post(json=order)
    if is_paid:
        sandbox.pay(number, notify=False)


def apply_refund(client, amount=100):
    refund = {
        "out_trade_no": "ordered-1",
        "out_refund_no": f"refund-{amount}",
        "amount": {"refund": amount, "total": 100, "currency": "CNY"},
    }
    client.v3.refund.domestic.refunds.post(json=refund)


def receive_refund(sandbox, client, amount=100):
    apply_refund(client, amount)
    sandbox.refunds[f"refund-{amount}"].finish()


def node_of(client, complaint):
    return client.v3.merchant_service.complaints_v2[complaint.complaint_id]


def query(client, complaint):
    return assert_response("GET", f"{COMPLAINTS}/{{complaint_id}}", node_of(client, complaint).get().json())


def history(client, complaint, **page):
    found = node_of(client, complaint).negotiation_historys.get(params=page).json()
    return assert_response("GET", f"{COMPLAINTS}/{{complaint_id}}/negotiation-historys", found)


def respond(client, complaint, send=None, **more):
    body = {"complainted_mchid": client.mchid, "response_content": "已与用户沟通解决", **more}
    node = node_of(client, complaint).response
    return send(node, "post", json=body) if send else node.post(json=body)


def complete(client, complaint):
    return node_of(client, complaint).complete.post(json={"complainted_mchid": client.mchid})


def update_refund(client, complaint, **body):
    return node_of(client, complaint).update_refund_progress.post(json=body)


def list_on(client, day, **more):
    days = {"begin_date": str(day), "end_date": str(day)}
    return assert_response(
        "GET", COMPLAINTS, client.v3.merchant_service.complaints_v2.get(params={**days, **more}).json()
    )


def code_of(call, *arguments, **more):
    with pytest.raises(APIError) as caught:
        call(*arguments, **more)
    return caught.value.status_code, caught.value.code


def test_a_complaint_can_be_queried(sandbox, client, send):
    place(sandbox, client)
    complaint = sandbox.complain("ordered-1", "漏发", problem_type="REFUND", refund=60, images=[PICTURE])
    assert sandbox.complaints == {complaint.complaint_id: complaint}
    assert sandbox.complaints[complaint.complaint_id] is complaint
    found = send(node_of(client, complaint), "get").json()
    assert client.decrypt(found.pop("payer_phone")) == "13800138000"
    assert found.pop("payer_openid")
    assert found["complaint_order_info"] == [
        {
            "transaction_id": sandbox.orders["ordered-1"].payment.transaction_id,
            "out_trade_no": "ordered-1",
            "amount": 100,
        }
    ]
    assert (found["complaint_id"], found["complaint_state"]) == (complaint.complaint_id, "PENDING")
    assert (found["complaint_detail"], found["problem_type"], found["apply_refund_amount"]) == ("漏发", "REFUND", 60)
    (listed,) = list_on(client, sandbox.now.date())["data"]
    listed.pop("payer_phone")
    assert listed == found
    (url,) = found["complaint_media_list"][0]["media_url"]
    assert client[url.removeprefix(sandbox.base_url)].get().content == PICTURE


def test_a_complaint_goes_through_its_states(client, complaint, send):
    assert complaint.state == "PENDING"
    assert code_of(complete, client, complaint) == (400, "INVALID_REQUEST")
    assert respond(client, complaint, send).status_code == 204
    assert query(client, complaint)["complaint_state"] == "PROCESSING"
    complaint.reply("还没收到")
    assert query(client, complaint)["incoming_user_response"] is True
    respond(client, complaint)
    assert query(client, complaint)["incoming_user_response"] is False
    assert complete(client, complaint).status_code == 204
    assert query(client, complaint)["complaint_state"] == "PROCESSED"
    assert code_of(complete, client, complaint) == (400, "INVALID_REQUEST")
    complaint.repeat("又坏了")
    found = query(client, complaint)
    assert (found["complaint_state"], found["user_complaint_times"]) == ("PENDING", 2)
    complaint.withdraw()
    assert query(client, complaint)["complaint_state"] == "PROCESSED"


def test_an_approved_refund_ends_the_complaint_when_it_arrives(sandbox, client, complaint):
    assert update_refund(client, complaint, action="APPROVE", launch_refund_day=0).status_code == 204
    assert query(client, complaint)["complaint_state"] == "PROCESSING"
    assert code_of(update_refund, client, complaint, action="APPROVE") == (400, "INVALID_REQUEST")
    apply_refund(client)
    assert query(client, complaint)["complaint_state"] == "PROCESSING"
    sandbox.refunds["refund-100"].finish()
    found = query(client, complaint)
    assert (found["complaint_state"], found["complaint_full_refunded"]) == ("PROCESSED", True)


def test_a_refund_without_approval_does_not_end_the_complaint(sandbox, client, complaint):
    for amount, is_full in ((40, False), (60, True)):
        receive_refund(sandbox, client, amount)
        found = query(client, complaint)
        assert (found["complaint_state"], found["complaint_full_refunded"]) == ("PENDING", is_full)
    full, partial, _ = history(client, complaint)["data"]
    assert full["operate_type"] == "COMPLAINT_FULL_REFUNDED_SYSTEM_MESSAGE"
    assert partial["operate_type"] == "COMPLAINT_PARTIAL_REFUNDED_SYSTEM_MESSAGE"
    update_refund(client, complaint, action="APPROVE")
    assert query(client, complaint)["complaint_state"] == "PROCESSED"


def test_a_rejected_refund_ends_the_complaint(sandbox, client, complaint):
    update_refund(client, complaint, action="REJECT", reject_reason="已使用")
    assert query(client, complaint)["complaint_state"] == "PROCESSED"
    (rejected, _) = history(client, complaint)["data"]
    assert (rejected["operate_type"], rejected["operate_details"]) == ("MERCHANT_REFUSE_RERUND", "已使用")
    assert code_of(update_refund, client, complaint, action="REJECT") == (400, "INVALID_REQUEST")
    place(sandbox, client, "ordered-2")
    other = sandbox.complain("ordered-2")
    assert code_of(update_refund, client, other, action="REJECT") == (400, "INVALID_REQUEST")


def test_the_history_contains_what_was_done_newest_first(sandbox, client, complaint, send):
    uploaded = client.v3.merchant_service.images.upload.post(files={"file": ("a.png", PICTURE)}).json()["media_id"]
    respond(client, complaint, response_images=[uploaded])
    complaint.reply("看图", [PICTURE])
    complaint.apply_platform_service("商家不理我")
    complaint.finish_platform_service("已协商")
    complete(client, complaint)
    found = history(client, complaint)
    assert [entry["operate_type"] for entry in found["data"]] == [
        "MERCHANT_CONFIRM_COMPLETE",
        "PLATFORM_SERVICE_FINISHED",
        "USER_APPLY_PLATFORM_SERVICE",
        "USER_RESPONSE",
        "MERCHANT_RESPONSE",
        "USER_CREATE_COMPLAINT",
    ]
    assert (found["limit"], found["offset"], found["total_count"]) == (100, 0, 6)
    assert len({entry["log_id"] for entry in found["data"]}) == 6
    assert found["data"][2]["user_appy_platform_service_reason"] == "商家不理我"
    for entry, media_type in ((3, "USER_COMPLAINT_IMAGE"), (4, "OPERATION_IMAGE")):
        media = found["data"][entry]["complaint_media_list"]
        assert media["media_type"] == media_type
        assert client[media["media_url"][0].removeprefix(sandbox.base_url)].get().content == PICTURE
    node = node_of(client, complaint).negotiation_historys
    assert send(node, "get", params={"limit": 2, "offset": 4}).json() == {
        "data": found["data"][4:],
        "limit": 2,
        "offset": 4,
    }
    assert code_of(node.get, params={"limit": 301}) == (400, "PARAM_ERROR")


def test_complaints_are_listed_by_day_and_merchant(sandbox, client):
    for number in range(3):
        place(sandbox, client, f"ordered-{number}")
        sandbox.complain(f"ordered-{number}")
    today = sandbox.now.date()
    page = list_on(client, today, limit=2)
    assert [each["complaint_order_info"][0]["out_trade_no"] for each in page["data"]] == ["ordered-2", "ordered-1"]
    assert (page["limit"], page["offset"], page["total_count"]) == (2, 0, 3)
    rest = list_on(client, today, limit=2, offset=2)
    assert len(rest["data"]) == 1
    assert "total_count" not in rest
    assert list_on(client, today.replace(year=2020, day=1))["total_count"] == 0
    assert list_on(client, today, complainted_mchid="1900000001")["total_count"] == 0
    assert list_on(client, today, complainted_mchid=client.mchid)["total_count"] == 3


@pytest.mark.parametrize(
    ("begin", "end", "more", "code"),
    [("2026-01-01", "2026-01-31", {}, None), ("2026-01-01", "2026-02-01", {}, "INVALID_REQUEST"),
     ("2026-01-02", "2026-01-01", {}, "INVALID_REQUEST"), ("2026-02-30", "2026-02-30", {}, "PARAM_ERROR"),
     ("20260101", "2026-01-01", {}, "PARAM_ERROR"), ("2026-01-01", "2026-01-01", {"limit": 51}, "PARAM_ERROR"),
     ("2026-01-01", "2026-01-01", {"limit": 0}, "PARAM_ERROR"),
     ("2026-01-01", "2026-01-01", {"offset": -1}, "PARAM_ERROR")],
)  # fmt: skip
def test_the_days_of_a_list_are_limited(client, begin, end, more, code):
    params = {"begin_date": begin, "end_date": end, **more}
    if code is None:
        assert client.v3.merchant_service.complaints_v2.get(params=params).json()["data"] == []
    else:
        assert code_of(client.v3.merchant_service.complaints_v2.get, params=params) == (400, code)


def test_a_response_is_checked(client, complaint):
    assert code_of(respond, client, complaint, response_content="长" * 201) == (400, "PARAM_ERROR")
    assert code_of(respond, client, complaint, response_images=["unknown"]) == (400, "PARAM_ERROR")
    assert code_of(respond, client, complaint, response_images=["x"] * 5) == (400, "PARAM_ERROR")
    assert code_of(respond, client, complaint, jump_url="https://a.example/x") == (400, "PARAM_ERROR")
    assert code_of(respond, client, complaint, complainted_mchid="1900000001") == (403, "NO_AUTH")
    assert complaint.state == "PENDING"


def test_a_complaint_that_does_not_exist_is_not_found(client):
    node = client.v3.merchant_service.complaints_v2["200201820200101080076610000"]
    not_found = (404, "RESOURCE_NOT_EXISTS")
    assert code_of(node.get) == not_found
    assert code_of(node.negotiation_historys.get) == not_found
    assert code_of(node.complete.post, json={"complainted_mchid": client.mchid}) == not_found


def test_an_immediate_response_with_the_same_number_is_one_response(client, complaint, send):
    node = node_of(client, complaint).response_immediate_service
    body = {
        "complainted_mchid": client.mchid,
        "idempotent_id": "550e8400",
        "message": {"blocks": [{"type": "TEXT", "text": {"text": "您好"}}]},
    }
    first = send(node, "post", json=body).json()
    assert send(node, "post", json=body).json() == first
    assert complaint.state == "PROCESSING"
    entry, _ = history(client, complaint)["data"]
    assert (entry["log_id"], entry["normal_message"]) == (first["log_id"], body["message"])
    assert code_of(node.post, json={**body, "message": {"blocks": []}}) == (400, "INVALID_REQUEST")
    assert send(node, "post", json={**body, "idempotent_id": "other"}).json() != first


def test_every_action_is_announced(sandbox, client, shop):
    place(sandbox, client)
    complaint = sandbox.complain("ordered-1", problem_type="REFUND")

    def received():
        event_type, resource = shop.receive()
        assert resource["complaint_id"] == complaint.complaint_id
        return event_type, resource["action_type"]

    assert received() == ("COMPLAINT.CREATE", "CREATE_COMPLAINT")
    for action, action_type in (
        (lambda: respond(client, complaint), "MERCHANT_RESPONSE"),
        (lambda: complaint.reply("?"), "USER_RESPONSE"),
        (lambda: complaint.apply_platform_service(), "USER_APPLY_PLATFORM_SERVICE"),
        (lambda: complaint.cancel_platform_service(), "USER_CANCEL_PLATFORM_SERVICE"),
        (lambda: complaint.apply_platform_service(), "USER_APPLY_PLATFORM_SERVICE"),
        (lambda: complaint.finish_platform_service(), "PLATFORM_SERVICE_FINISHED"),
        (lambda: complete(client, complaint), "MERCHANT_CONFIRM_COMPLETE"),
        (lambda: complaint.repeat("!"), "CONTINUE_COMPLAINT"),
        (lambda: update_refund(client, complaint, action="APPROVE"), "MERCHANT_APPROVE_REFUND"),
        (lambda: receive_refund(sandbox, client), "REFUND_SUCCESS"),
        (lambda: complaint.repeat("!"), "CONTINUE_COMPLAINT"),
        (lambda: update_refund(client, complaint, action="REJECT"), "MERCHANT_REJECT_REFUND"),
    ):
        action()
        assert received() == ("COMPLAINT.STATE_CHANGE", action_type)


def test_the_url_of_notifications_is_set_replaced_and_deleted(sandbox, client, send):
    node = client.v3.merchant_service.complaint_notifications
    url = {"url": "https://a.example/x"}
    assert code_of(node.get) == code_of(node.delete) == (404, "RESOURCE_NOT_EXISTS")
    assert code_of(node.put, json=url) == (404, "RESOURCE_NOT_EXISTS")
    assert code_of(node.post, json={"url": "nowhere"}) == (400, "PARAM_ERROR")
    place(sandbox, client)
    complaint = sandbox.complain("ordered-1")
    assert complaint.reply("nobody listens") is None
    assert send(node, "post", json=url).json() == {"mchid": client.mchid, **url}
    assert code_of(node.post, json=url) == (400, "INVALID_REQUEST")
    other = {"url": "http://127.0.0.1:9/"}
    assert send(node, "put", json=other).json() == send(node, "get").json() == {"mchid": client.mchid, **other}
    assert complaint.reply("somebody listens").url == "http://127.0.0.1:9/"
    assert send(node, "delete").status_code == 204
    assert complaint.reply("nobody listens") is None


def test_an_order_that_is_not_paid_has_no_complaint(sandbox, client):
    place(sandbox, client, is_paid=False)
    with pytest.raises(ConfigurationError, match="expected the number of an order that is paid"):
        sandbox.complain("ordered-1")


def test_an_impossible_complaint_is_refused(sandbox, client):
    with pytest.raises(
        ConfigurationError, match="out_trade_no: came 'unknown'; expected the number of an order that is paid"
    ):
        sandbox.complain("unknown")
    place(sandbox, client)
    with pytest.raises(ConfigurationError, match="problem_type: came 'X'; expected one of REFUND, "):
        sandbox.complain("ordered-1", problem_type="X")
    for refund in (0, 101):
        with pytest.raises(ConfigurationError, match="expected an amount from 1 to 100"):
            sandbox.complain("ordered-1", refund=refund)
    complaint = sandbox.complain("ordered-1")
    with pytest.raises(ConfigurationError, match="expected an order without a complaint"):
        sandbox.complain("ordered-1")
    with pytest.raises(ConfigurationError, match="its state is PENDING; expected PROCESSED"):
        complaint.repeat("!")
    for impossible in (complaint.cancel_platform_service, complaint.finish_platform_service):
        with pytest.raises(ConfigurationError, match="expected one with the help of WeChat Pay"):
            impossible()
    complaint.withdraw()
    for impossible in (complaint.withdraw, lambda: complaint.reply("?")):
        with pytest.raises(ConfigurationError, match="its state is PROCESSED; expected PENDING or PROCESSING"):
            impossible()
    sandbox.reset()
    assert sandbox.complaints == {}


ACTIONS = {
    "respond": lambda client, complaint: respond(client, complaint),
    "complete": complete,
    "approve": lambda client, complaint: update_refund(client, complaint, action="APPROVE"),
    "reject": lambda client, complaint: update_refund(client, complaint, action="REJECT"),
    "reply": lambda _, complaint: complaint.reply("?"),
    "repeat": lambda _, complaint: complaint.repeat("!"),
    "withdraw": lambda _, complaint: complaint.withdraw(),
}


@given(st.lists(st.sampled_from(sorted(ACTIONS)), max_size=12))
def test_what_is_refused_changes_nothing(shared_sandbox, names):
    shared_sandbox.reset()
    with shared_sandbox.client(retry=None) as client:
        place(shared_sandbox, client)
        complaint = shared_sandbox.complain("ordered-1", problem_type="REFUND")
        for name in names:
            before = query(client, complaint), len(complaint.history)
            try:
                ACTIONS[name](client, complaint)
            except (APIError, ConfigurationError):
                after = query(client, complaint), len(complaint.history)
                before[0].pop("payer_phone"), after[0].pop("payer_phone")
                assert after == before
            else:
                assert len(complaint.history) == before[1] + 1
        found = query(client, complaint)
        repeats = [entry for entry in complaint.history if entry["operate_type"] == "USER_CONTINUE_COMPLAINT"]
        assert found["user_complaint_times"] == 1 + len(repeats)
        assert found["complaint_state"] == complaint.state

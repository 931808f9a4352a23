"""Programs in other languages steer the sandbox over HTTP, and nobody else does."""

from __future__ import annotations

import pytest
import requests

from wechatpay_chain import APIError
from wechatpay_chain.sandbox import Sandbox


@pytest.fixture
def world():
    with Sandbox() as sandbox, sandbox.client(retry=None) as client:
        yield sandbox, client


def ask(sandbox, action, method="POST", headers=None, **arguments):
    url = f"{sandbox.base_url}_sandbox/{action}"
    return requests.request(method, url, json=arguments or None, headers=headers, timeout=5)


def test_faults_are_switched_on_and_off(world):
    sandbox, client = world
    assert ask(sandbox, "fault", fault="503", times=1).json() == {"result": None}
    with pytest.raises(APIError, match="503"):
        client.v3.certificates.get()
    ask(sandbox, "fault", fault="503", share=1)
    ask(sandbox, "heal")
    assert client.v3.certificates.get().status_code == 200


def test_the_clock_and_the_certificate_are_turned(world):
    sandbox, client = world
    before = sandbox.now
    ask(sandbox, "advance", seconds=86400)
    assert (sandbox.now - before).days == 1
    ask(sandbox, "rotate")
    assert len(client.v3.certificates.get().json()["data"]) == 2


def test_a_notification_is_posted(world):
    sandbox, _ = world
    posted = ask(sandbox, "notify", event_type="REFUND.SUCCESS", resource={"a": 1}, url="http://127.0.0.1:9/").json()
    assert posted["result"]["event_type"] == "REFUND.SUCCESS"
    assert posted["result"]["posts"][0]["outcome"] == "ConnectionError"


def test_the_state_has_no_key(world):
    sandbox, client = world
    state = ask(sandbox, "state", "GET")
    assert state.json()["result"]["mchid"] == client.mchid
    assert "PRIVATE" not in state.text
    assert sandbox.credentials["apiv3_key"] not in state.text


@pytest.mark.parametrize(
    ("action", "method", "arguments", "status", "said"),
    [
        ("nothing", "POST", {}, 404, "POST /_sandbox/nothing is none of GET /_sandbox/state"),
        ("fault", "GET", {}, 404, "is none of"),
        ("fault", "POST", {"fault": "no-such"}, 400, "no-such"),
        ("fault", "POST", {"faul": "503"}, 400, "faul"),
        ("advance", "POST", {"seconds": "x"}, 400, "seconds: came 'x'"),
    ],
)
def test_a_mistake_is_named(world, action, method, arguments, status, said):
    sandbox, _ = world
    response = ask(sandbox, action, method, **arguments)
    assert response.status_code == status
    assert said in response.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://www.example.com"},
        {"Origin": "null"},
        {"Host": "www.example.com"},
        {"Host": "localhost.example:80"},
    ],
)
def test_a_page_of_another_origin_is_refused(world, headers):
    sandbox, client = world
    assert ask(sandbox, "fault", headers=headers, fault="503").status_code == 403
    assert client.v3.certificates.get().status_code == 200


def test_a_page_of_its_own_origin_is_accepted(world):
    sandbox, _ = world
    assert ask(sandbox, "heal", headers={"Origin": sandbox.base_url.rstrip("/")}).status_code == 200


def test_requests_below_the_prefix_are_not_in_the_history(world):
    sandbox, _ = world
    ask(sandbox, "heal")
    assert sandbox.history == []


def test_an_act_of_an_object_is_done(world):
    sandbox, client = world
    order = {"mchid": client.mchid, "appid": "wxd678efh567hg6787", "description": "x", "out_trade_no": "20260101-0001"}
    order |= {"notify_url": "https://www.example.com/", "amount": {"total": 1, "currency": "CNY"}}
    client.v3.pay.transactions.native.post(json=order)
    assert ask(sandbox, "act", kind="order", number="20260101-0001", act="close").json() == {"result": None}
    assert sandbox.orders["20260101-0001"].trade_state == "CLOSED"
    refused = ask(sandbox, "act", kind="order", number="20260101-0001", act="fail")
    assert refused.status_code == 400
    assert "error" in refused.json()


@pytest.mark.parametrize("name", ["describe", "__init__", "_shut", "placed"])
def test_only_an_act_is_called(world, name):
    sandbox, _ = world
    sandbox.transfers["T1"] = object()
    response = ask(sandbox, "act", kind="transfer", number="T1", act=name)
    assert response.status_code == 400
    assert "expected one of confirm, finish, cancel" in response.json()["error"]

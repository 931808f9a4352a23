"""`sandbox.notification` makes what WeChat Pay would post, for test clients that have no URL."""

from __future__ import annotations

import socketserver
import threading
from contextlib import contextmanager

import pytest
from jsonschema import Draft202012Validator

from tests.test_sandbox_operations import to_json_schema
from wechatpay_chain._catalogue.operations import find_event, list_events
from wechatpay_chain.sandbox import Sandbox


@pytest.fixture(scope="module")
def world():
    with Sandbox(seed=1) as sandbox, sandbox.client() as client:
        yield sandbox, client


@pytest.mark.parametrize("event_type", list_events())
def test_every_event_is_made_with_what_it_requires(world, event_type):
    sandbox, client = world
    for resource in find_event(event_type).resources:
        headers, body = sandbox.notification(event_type, original_type=resource.original_type)
        parsed = client.notifications.parse(headers, body)
        assert parsed.event_type == event_type
        assert parsed.original_type == resource.original_type or not resource.original_type
        if resource.schema:
            fits = Draft202012Validator(to_json_schema(resource.schema))
            assert [error.message for error in fits.iter_errors(parsed.resource)] == []
            assert parsed.resource.keys() == set(resource.schema["required"])


def test_members_that_are_given_stay_as_they_are(world):
    sandbox, client = world
    given = {"out_refund_no": "r-1", "amount": {"refund": 5}, "of_tomorrow": True}
    refund = client.notifications.parse(*sandbox.notification("REFUND.SUCCESS", given)).resource
    assert (refund["out_refund_no"], refund["of_tomorrow"]) == ("r-1", True)
    assert refund["amount"]["refund"] == 5
    assert {"total", "payer_total", "payer_refund"} <= refund["amount"].keys()


def test_an_event_of_tomorrow(world):
    sandbox, client = world
    parsed = client.notifications.parse(*sandbox.notification("THINGS.MADE", {"a": 1}))
    assert (parsed.event_type, parsed.original_type, parsed.resource) == ("THINGS.MADE", "things", {"a": 1})


@contextmanager
def receive_with(reply):
    """Runs a receiver that responds with these bytes, and yields its URL."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            length = 0
            while (line := self.rfile.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            self.rfile.read(length)
            self.wfile.write(reply)

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/notify"
        server.shutdown()
        thread.join()


HEAD = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n"
REASON = '{"code": "FAIL", "message": "订单不存在"}'


@pytest.mark.parametrize(
    ("reply", "outcome", "response"),
    [
        (HEAD % (b"500 x", len(REASON.encode())) + REASON.encode(), 500, REASON),
        (HEAD % (b"200 OK", 40_000) + b"x" * 40_000, 200, "x" * 1000),
        (HEAD % (b"200 OK", 40_000) + "长".encode() * 500, 200, "长" * 500),  # it ends too early
        (HEAD % (b"400 x", 2) + b"\xff\xfe", 400, "��"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        (b"x", "ConnectionError", ""),
    ],
    ids=["reason", "long", "cut", "not UTF-8", "none", "no response"],
)
def test_the_beginning_of_the_receivers_response_is_kept(world, reply, outcome, response):
    sandbox, _ = world
    with receive_with(reply) as url:
        (posted,) = sandbox.notify("TRANSACTION.SUCCESS", {}, url).posts
    assert (posted.outcome, posted.response) == (outcome, response)

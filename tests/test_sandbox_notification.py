"""`sandbox.notification` makes what WeChat Pay would post, for test clients that have no URL."""

from __future__ import annotations

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

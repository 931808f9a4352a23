"""The sandbox answers every documented operation of APIv3, and checks its request against the schema."""

from __future__ import annotations

import asyncio
import re
from copy import deepcopy

import pytest
from jsonschema import Draft202012Validator

from wechatpay_chain import APIError, Sensitive
from wechatpay_chain._catalogue.file_operations import Signed, what_is_signed
from wechatpay_chain._catalogue.operations import find_operation, list_operations
from wechatpay_chain.errors import BadRequestError
from wechatpay_chain.sandbox import Refusal, Sandbox
from wechatpay_chain.sandbox._operations.limits import limit
from wechatpay_chain.sandbox._operations.registry import _HANDLERS, UNDOCUMENTED

OPERATIONS = [operation for key in list_operations() if (operation := find_operation(*key)) and operation.api == "v3"]
NUMBERS = {"mchid", "sp_mchid", "combine_mchid"}


def sample(schema, mchid, name="", *, everything):
    """Returns a value that a caller would send: the examples, with all members or with the required ones."""
    match schema["type"]:
        case "object":
            members = schema["properties"] if everything else schema["required"]
            return {
                member: sample(schema["properties"][member], mchid, member, everything=everything) for member in members
            }
        case "array":
            return [sample(schema["items"], mchid, everything=everything)] * max(schema.get("minItems", 1), 1)
    if schema.get("encrypted"):
        return Sensitive("张三")
    if name in NUMBERS:
        return mchid
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] in ("integer", "number"):
        return min(max(schema.get("minimum", 1), 1), schema.get("maximum", 1 << 30))
    if schema["type"] == "boolean":
        return True
    if schema["type"] == "any":
        return "x"
    return text(schema, name)


def text(schema, name):
    if schema.get("format") == "rfc3339":
        return "2026-06-08T10:34:56+08:00"
    if schema.get("format") == "date" or name.endswith("bill_date"):
        return "2026-06-08"
    if "pattern" in schema:
        candidates = ("1900000109", "20260608101010", "101010", "abcdef", "https://a.example/x", "2026-06-08")
        return next(candidate for candidate in candidates if re.search(schema["pattern"], candidate))
    example = schema.get(
        "example", "https://a.example/x" if name.endswith("url") else "x" * max(schema.get("minLength", 1), 6)
    )
    return example[: schema.get("maxLength", len(example))]


def arguments(operation, mchid, *, everything):
    """Returns the arguments of a call."""
    found = {}
    for name, schema in (operation.variables or {"properties": {}})["properties"].items():
        found[name] = sample(schema, mchid, name, everything=everything)
    if operation.form:
        (part,) = (name for name, schema in operation.form["properties"].items() if schema["type"] == "file")
        suffix = {"/v3/merchant/media/video_upload": "mp4"}.get(
            operation.path, "pdf" if "fapiao" in operation.path else "png"
        )
        found["files"] = {part: (f"a.{suffix}", b"content")}
    elif operation.body:
        found["json"] = sample(limit(operation.path, operation.body), mchid, everything=everything)
        if "post_payments" in found["json"]:  # a payscore order: its total is the sum of its parts
            found["json"]["total_amount"] = add_up(found["json"])
    if operation.query:
        found["params"] = sample(limit(operation.path, operation.query), mchid, everything=everything)
    return found


def add_up(order):
    payments, discounts = (order.get(name, []) for name in ("post_payments", "post_discounts"))
    return sum(each.get("amount", 0) for each in payments) - sum(each.get("amount", 0) for each in discounts)


def to_json_schema(schema):
    """Translates a schema of the catalogue, independently of the sandbox."""
    match schema["type"]:
        case "object":
            properties = {name: to_json_schema(member) for name, member in schema["properties"].items()}
            return {"type": "object", "properties": properties, "required": list(schema["required"])}
        case "array":
            return {"type": "array", "items": to_json_schema(schema["items"])}
        case "any" | "file":
            return {}
    kept = {name: schema[name] for name in ("enum", "pattern", "minimum", "maximum") if name in schema}
    return {"type": schema["type"], **({} if schema.get("encrypted") else kept)}


FLOWS = {
    (404, "ORDER_NOT_EXIST"),
    (404, "RESOURCE_NOT_EXISTS"),
    (404, "NOT_FOUND"),
    (400, "INVALID_REQUEST"),
    (400, "NO_STATEMENT_EXIST"),
}
"""What an operation with a flow may say of a number that it has never seen, or of a day without a bill."""


@pytest.mark.parametrize("everything", [False, True], ids=["required", "everything"])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_every_operation_is_answered_with_what_fits_its_schema(everything, mode):
    async def call_each():
        refused, called = {}, []
        for operation in OPERATIONS:
            # A sandbox of its own would take its time; numbers of one call must not be those of another.
            sandbox.reset()
            node, verb = client[operation.template], operation.method.lower()
            given = arguments(operation, client.mchid, everything=everything)
            if everything and given == arguments(operation, client.mchid, everything=False):
                continue  # there is nothing optional, so the other test makes the same call
            called.append(operation)
            try:
                if mode == "sync":
                    response = getattr(node, verb)(**given)
                else:
                    response = await getattr(node, f"{verb}_async")(**given)
            except APIError as error:
                refused[operation.method, operation.path] = (error.status_code, error.code)
                continue
            assert response.status_code == operation.status, operation.path
            if operation.response and what_is_signed(operation.method, response.request.target) is Signed.CONTENT:
                fits = Draft202012Validator(to_json_schema(operation.response))
                assert [error.message for error in fits.iter_errors(response.json())] == [], operation.path
        assert {outcome for outcome in refused.values() if outcome not in FLOWS} == set()
        assert refused.keys() <= _HANDLERS.keys() | UNDOCUMENTED.keys()
        return len(called)

    with Sandbox(seed=1) as sandbox, sandbox.client(retry=None) as client:
        assert asyncio.run(call_each()) == (585 if everything else 1017)


def required_members(schema, place=()):
    """Yields the place of each required member, at any depth."""
    if schema["type"] == "object":
        for name, member in schema["properties"].items():
            if name in schema["required"]:
                yield (*place, name)
                yield from required_members(member, (*place, name))
    elif schema["type"] == "array":
        yield from required_members(schema["items"], (*place, 0))


def without(body, place):
    copy = container = deepcopy(body)
    for part in place[:-1]:
        container = container[part]
    del container[place[-1]]
    return copy


@pytest.mark.parametrize("part", range(3))  # three tests that can run beside each other
def test_each_required_member_that_is_missing_is_named(part):
    count = 0
    with Sandbox(seed=1) as sandbox, sandbox.client(retry=None) as client:
        for operation in OPERATIONS[part::3]:
            if operation.form or not operation.body:
                continue
            given = arguments(operation, client.mchid, everything=False)
            # Most members have many sisters of the same kind: the first dozen of each operation.
            for place in list(required_members(operation.body))[:12]:
                lacking = {**given, "json": without(given["json"], place)}
                with pytest.raises(BadRequestError) as caught:
                    getattr(client[operation.template], operation.method.lower())(**lacking)
                assert caught.value.code == "PARAM_ERROR"
                assert caught.value.detail["field"] == "".join(f"/{part}" for part in place)
                count += 1
    assert count > 850


def test_what_was_sent_is_found_again(send):
    with Sandbox(seed=1) as sandbox, sandbox.client() as client:
        operation = find_operation("POST", "/v3/payscore/serviceorder")
        body = sample(operation.body, client.mchid, everything=True) | {"out_order_no": "1234323JKHDFE1243252"}
        made = send(client.v3.payscore.serviceorder, "post", json=body).json()
        query = {"service_id": body["service_id"], "out_order_no": body["out_order_no"], "appid": body["appid"]}
        found = send(client.v3.payscore.serviceorder, "get", params=query).json()
        assert found["out_order_no"] == made["out_order_no"] == body["out_order_no"]
        assert found["order_id"] == made["order_id"]
        assert found["service_introduction"] == body["service_introduction"]


def test_the_same_seed_gives_the_same_numbers():
    def number(seed):
        with Sandbox(seed=seed) as sandbox, sandbox.client() as client:
            operation = find_operation("POST", "/v3/payscore/serviceorder")
            body = sample(operation.body, "1900000109", everything=True)
            return client.v3.payscore.serviceorder.post(json=body).json()["order_id"]

    assert number(1) == number(1)
    assert number(1) != number(2)


def test_a_user_adds_and_replaces_operations(send):
    with Sandbox() as sandbox, sandbox.client(retry=None) as client:

        @sandbox.operation("POST", "/v3/new/things/{thing_id}")
        def make(request):
            if request.body.get("full"):
                raise Refusal(403, "NOT_ENOUGH", "余额不足")
            return {"thing_id": request.path["thing_id"], "name": request.body["name"]}

        @sandbox.operation("GET", "/v3/certificates")
        def nothing(request):
            return 200, {"data": []}

        node = client.v3.new.things._thing_id_
        assert send(node, "post", thing_id="t/1", json={"name": "名"}).json() == {"thing_id": "t/1", "name": "名"}
        with pytest.raises(APIError, match="NOT_ENOUGH"):
            send(node, "post", thing_id="1", json={"full": True})
        assert send(client.v3.certificates, "get").json() == {"data": []}
        sandbox.reset()
        assert len(send(client.v3.certificates, "get").json()["data"]) == 1
        with pytest.raises(APIError, match="404"):
            send(node, "post", thing_id="1", json={})

"""The table of operations: it is what the facts say, the generated files are what it says, and nobody pays for it unasked."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.catalogue import facts
from tools.catalogue.__main__ import differing, load_table, small_modules, surplus, types_and_nodes
from tools.catalogue.facts import read_facts
from tools.catalogue.table import write_table
from wechatpay_chain._catalogue.operations import find_event, find_operation, list_events, list_operations

FACTS = Path(__file__).parents[2] / "shared" / "catalogue"


def every_schema(schema):
    yield schema
    for member in schema.get("properties", {}).values():
        yield from every_schema(member)
    if "items" in schema:
        yield from every_schema(schema["items"])


def schemas_of(operation):
    for part in ("variables", "query", "headers", "form", "body", "response"):
        if schema := getattr(operation, part):
            yield from every_schema(schema)


OPERATIONS = [find_operation(method, path) for method, path in list_operations()]


def test_the_table_is_what_the_facts_say():
    if not FACTS.exists():
        pytest.skip("the facts are not beside this clone")
    assert write_table(*read_facts(FACTS)) == load_table()


def test_the_generated_files_are_what_the_table_says():
    files = types_and_nodes()
    assert [*differing(small_modules()), *differing(files), *surplus(files)] == []


def test_a_file_that_has_drifted_is_named():
    assert differing({"_catalogue/v2_segments.py": "", "types/v3/none.py": ""}) == [
        "_catalogue/v2_segments.py",
        "types/v3/none.py",
    ]
    files = types_and_nodes()
    del files["types/v3/pay.py"], files["_nodes/v3.pyi"]
    assert surplus(files) == ["_nodes/v3.pyi", "types/v3/pay.py"]


def test_the_numbers_of_operations_and_events():
    assert len(OPERATIONS) == 1153
    assert sum(operation.api == "v2" for operation in OPERATIONS) == 136
    assert sum(operation.client_certificate for operation in OPERATIONS) == 57
    assert sum(operation.deprecated for operation in OPERATIONS) == 32
    assert sum(bool(operation.host) for operation in OPERATIONS) == 6
    assert len(list_events()) == 105


def test_every_schema_is_of_a_known_form():
    types = {"object", "array", "string", "integer", "number", "boolean", "any", "file"}
    for operation in OPERATIONS:
        for schema in schemas_of(operation):
            assert schema["type"] in types
            if "enum" in schema and "example" in schema:
                assert schema["example"] in schema["enum"], (operation.path, schema)
            if schema["type"] == "object":
                assert set(schema["required"]) <= set(schema["properties"])


def test_the_variables_are_those_of_the_path():
    for operation in OPERATIONS:
        variables = operation.variables["required"] if operation.variables else []
        assert variables == re.findall(r"\{(\w+)\}", operation.path), operation.path


def test_encrypted_fields():
    directions = {"body": 0, "response": 0}
    for operation in OPERATIONS:
        for part in directions:
            if schema := getattr(operation, part):
                directions[part] += sum(bool(each.get("encrypted")) for each in every_schema(schema))
    assert directions == {"body": 279, "response": 79}
    transfer = find_operation("POST", "/v3/fund-app/mch-transfer/transfer-bills")
    assert transfer.body["properties"]["user_name"]["encrypted"] is True


def test_a_corrected_query_has_the_members_of_a_query():
    for number in ("id/{transaction_id}", "out-trade-no/{out_trade_no}"):
        order = find_operation("GET", f"/v3/pay/transactions/{number}").response
        assert {"payer", "promotion_detail", "success_time"} <= order["properties"].keys()
        assert not {"description", "notify_url", "time_expire"} & order["properties"].keys()
        assert "trade_state" in order["required"]


def test_a_payment_and_a_profit_sharing_have_resources_of_their_own():
    event = find_event("TRANSACTION.SUCCESS")
    kinds = {resource.original_type: resource.schema for resource in event.resources}
    assert "order_id" not in kinds["transaction"]["properties"]
    assert "order_id" in kinds["profitsharing"]["required"]


def test_what_is_not_documented_is_not_found():
    assert find_operation("DELETE", "/v3/pay/transactions/native") is None
    assert find_operation("POST", "/v3/unknown") is None
    assert find_event("AN.EVENT.OF.TOMORROW") is None


def test_neither_importing_nor_a_call_reads_the_table(service, wire):
    code = f"""
import sys
from wechatpay_chain import Client
from tests.service import Service
settings = Service().settings({wire.base_url!r})
with Client(**settings) as client:
    try:
        client.v3.pay.transactions.native.post(json={{"a": 1}})
    except Exception as error:
        print(type(error).__name__)
    print([name for name in sys.modules if name.startswith(("wechatpay_chain.types", "wechatpay_chain._catalogue.operations"))])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout == "SignatureError\n[]\n"  # another service's keys: its response is not verified


def members_of(schema, *names):
    for name in names:
        schema = schema["items"] if name == "[]" else schema["properties"][name]
    return schema


def test_a_text_whose_example_is_a_date_or_a_time_takes_one():
    assert members_of(find_operation("GET", "/v3/bill/tradebill").query, "bill_date")["format"] == "date"
    for way in ("app", "h5", "jsapi", "native"):
        order = find_operation("POST", f"/v3/combine-transactions/{way}").body
        assert members_of(order, "time_expire")["format"] == "rfc3339"
    for operation in OPERATIONS:
        for schema in schemas_of(operation):
            text = schema.get("example") if schema["type"] == "string" and "enum" not in schema else None
            if isinstance(text, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", text) and "json" not in schema:
                assert "format" in schema, (operation.path, schema)


def test_a_body_with_required_members_is_required():
    for operation in OPERATIONS:
        if operation.body and operation.body.get("required"):
            assert operation.body_required, operation.path


def test_a_sub_order_of_a_merchant_has_no_sub_mchid():
    for way in ("app", "h5", "jsapi", "native"):
        order = find_operation("POST", f"/v3/combine-transactions/{way}").body
        assert "sub_mchid" not in members_of(order, "sub_orders", "[]")["required"]
        assert "mchid" in members_of(order, "sub_orders", "[]")["required"]


def test_the_number_of_items_of_a_page_is_a_number():
    for operation in OPERATIONS:
        if operation.api == "v3" and operation.query and "limit" in operation.query["properties"]:
            assert operation.query["properties"]["limit"]["type"] == "integer", operation.path


def test_the_resources_of_a_recharge_have_one_form():
    (closed,), (success,) = (find_event(f"RECHARGE.{state}").resources for state in ("CLOSED", "SUCCESS"))
    assert members_of(closed.schema, "qr_recharge_info") == members_of(success.schema, "qr_recharge_info")
    assert "employee_type" not in closed.schema["properties"]


def test_the_resource_of_a_payment_has_what_a_parking_fee_and_a_combined_order_have():
    payment = next(
        resource.schema
        for resource in find_event("TRANSACTION.SUCCESS").resources
        if resource.original_type == "transaction"
    )
    assert {"parking_info", "user_repaid", "create_time", "description", "trade_state_description"} <= payment[
        "properties"
    ].keys()
    assert "combine_transaction_id" in payment["properties"]
    assert not {"user_repaid", "combine_transaction_id"} & set(payment["required"])


def test_one_number_is_enough_to_name_an_order_or_a_refund():
    for path in ("/pay/orderquery", "/secapi/pay/refund", "/pay/refundquery"):
        required = find_operation("POST", path).body["required"]
        assert not {"transaction_id", "out_trade_no", "refund_id"} & set(required), path
    assert "out_refund_no" in find_operation("POST", "/secapi/pay/refund").body["required"]
    assert "transaction_id" not in find_operation("POST", "/v3/ecommerce/refunds/apply").body["required"]
    payer = members_of(find_operation("POST", "/v3/pay/partner/transactions/jsapi").body, "payer")
    assert not {"sp_openid", "sub_openid"} & set(payer["required"])


def test_no_notification_of_a_payment_requires_a_merchant_and_a_partner():
    for event in map(find_event, list_events()):
        if event.event_type.startswith(
            ("TRANSACTION.", "REFUND.", "PAYSCORE.USER_C", "PAYSCORE.USER_O", "PAYSCORE.USER_P")
        ):
            for resource in event.resources:
                required = set(resource.schema["required"]) if resource.schema else set()
                assert not {"mchid", "sp_mchid"} <= required, event.event_type
                assert not {"mchid", "sub_mchid"} <= required or "PLAN" in event.event_type, event.event_type


def test_a_code_payment_may_have_nothing_but_its_state():
    for family in ("", "partner/"):
        response = find_operation("POST", f"/v3/pay/{family}transactions/codepay").response
        assert response["required"] == ["trade_state"]


def test_a_schema_that_replaces_nothing_stops_the_generator(monkeypatch):
    if not FACTS.exists():
        pytest.skip("the facts are not beside this clone")
    monkeypatch.setitem(facts.SCHEMAS, ("GET /v3/misspelt", "response"), ("why", {"type": "object"}))
    with pytest.raises(ValueError, match="GET /v3/misspelt: there is nothing to replace"):
        read_facts(FACTS)

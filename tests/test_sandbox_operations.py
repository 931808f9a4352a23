"""The sandbox answers every documented operation of APIv3, and checks its request against the schema."""

from __future__ import annotations

import pytest

from wechatpay_chain import Sensitive
from wechatpay_chain._catalogue.operations import find_operation, list_operations
from wechatpay_chain.sandbox import Sandbox
from wechatpay_chain.sandbox._operations.limits import limit

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
    if "pattern" in schema and "mchid" in name:
        return "1900000109"
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
    if operation.query:
        found["params"] = sample(limit(operation.path, operation.query), mchid, everything=everything)
    return found


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


@pytest.fixture(scope="module")
def world():
    with Sandbox(seed=1) as sandbox, sandbox.client(retry=None) as client:
        yield sandbox, client

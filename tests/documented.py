"""Checks what the sandbox sends against the schemas of the catalogue: no required member lacks, and none is unknown."""

from __future__ import annotations

from jsonschema import Draft202012Validator

from wechatpay_chain._catalogue.operations import find_operation


def assert_documented(schema, value):
    """Checks a value against a schema of the catalogue."""
    problems = [error.message for error in Draft202012Validator(translate(schema)).iter_errors(value)]
    assert problems == [], problems


def assert_response(method, path, body):
    """Checks the body of a response, and returns it."""
    assert_documented(find_operation(method, path).response, body)
    return body


def translate(schema):
    """Translates a schema of the catalogue to JSON Schema, independently of the sandbox."""
    match schema["type"]:
        case "object":
            properties = {name: translate(member) for name, member in schema["properties"].items()}
            required = list(schema["required"])
            return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
        case "array":
            return {"type": "array", "items": translate(schema["items"])}
        case "any" | "file":
            return {}
    kept = {name: schema[name] for name in ("enum", "pattern", "minimum", "maximum") if name in schema}
    return {"type": schema["type"], **({} if schema.get("encrypted") else kept)}

"""Writes an example of a call of an operation, in Python: what it requires, with the documentation's own values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from wechatpay_chain._catalogue.operations import Operation, Schema
from wechatpay_chain._chain.spelling import spell

__all__ = ["write_chain", "write_example"]

_OWN_NUMBERS = ("mchid", "sp_mchid", "combine_mchid")


class _Code(str):
    """An expression of Python, as opposed to a text."""

    __slots__ = ()


def write_chain(operation: Operation) -> str:
    """Returns the chain of an operation with its verb, such as client.v3.certificates.get."""
    return f"client{spell(operation.template)}.{operation.method.lower()}"


def write_example(operation: Operation, *, is_async: bool) -> str:
    """Returns a call of an operation.

    Args:
        operation: the operation.
        is_async: True to await it.
    """
    keywords: dict[str, Any] = {name: _value(schema, name) for name, schema in _members(operation.variables)}
    if operation.query and (params := _members_of(operation.query, operation)):
        keywords["params"] = params
    if operation.form:
        part = next((name for name, schema in _members(operation.form) if schema["type"] == "file"), "file")
        keywords["files"] = {part: "shop.jpg"}
    elif operation.body and ((members := _members_of(operation.body, operation)) or operation.body_required):
        keywords[operation.format.body] = members
    head = f"response = {'await ' if is_async else ''}{write_chain(operation)}{'_async' if is_async else ''}"
    if not keywords:
        return f"{head}()"
    return "\n".join([f"{head}(", *(f"    {name}={_write(value, 4)}," for name, value in keywords.items()), ")"])


def _members_of(schema: Schema, operation: Operation) -> Any:
    """Returns what a query or a body requires of the caller."""
    value = _value(schema, "")
    return {name: each for name, each in value.items() if name not in operation.added} if operation.added else value


def _members(schema: Schema | None) -> Iterator[tuple[str, Schema]]:
    """Yields the members that an object requires, or all of the variables of a path."""
    properties: Mapping[str, Schema] = schema["properties"] if schema else {}
    yield from properties.items()


def _value(schema: Schema, name: str) -> Any:
    if name in _OWN_NUMBERS:
        return _Code("client.mchid")
    match schema["type"]:
        case "object":
            required = schema["required"]
            return {member: _value(each, member) for member, each in _members(schema) if member in required}
        case "array":
            return [_value(schema["items"], name)]
    if schema.get("encrypted"):
        return _Code('Sensitive("张三")')
    if enum := schema.get("enum"):
        return schema["example"] if schema.get("example") in enum else enum[0]
    defaults = {"integer": 1, "number": 1, "boolean": True}
    return schema.get("example", schema.get("default", defaults.get(schema["type"], f"example_{name}")))


def _write(value: Any, indent: int) -> str:
    inner = " " * (indent + 4)
    match value:
        case dict() if value:
            lines = (f"{inner}{json.dumps(name)}: {_write(member, indent + 4)},\n" for name, member in value.items())
            return f"{{\n{''.join(lines)}{' ' * indent}}}"
        case list() if value:
            return f"[{', '.join(_write(item, indent) for item in value)}]"
        case _Code():
            return str(value)
        case str():
            return json.dumps(value, ensure_ascii=False)
    return repr(value)

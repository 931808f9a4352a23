"""The response of an operation whose flow knows more than the operation says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wechatpay_chain._catalogue.operations import Schema, find_operation
from wechatpay_chain.sandbox._operations.operation import Result

__all__ = ["respond", "select"]


def respond(method: str, path: str, known: Mapping[str, Any]) -> Result:
    """Returns the response of a documented operation.

    Args:
        method: the HTTP method.
        path: the path template.
        known: all that is known; the response has the members of it that its schema has, at any depth.
    """
    operation = find_operation(method, path)
    assert operation is not None
    return operation.status, select(operation.response, known) if operation.response else None


def select(schema: Schema, known: Any) -> Any:
    """Returns the members of a value that a schema has, at any depth.

    Args:
        schema: the schema.
        known: the value.
    """
    match schema["type"], known:
        case "object", Mapping():
            return {name: select(member, known[name]) for name, member in schema["properties"].items() if name in known}
        case "array", list():
            return [select(schema["items"], item) for item in known]
    return known

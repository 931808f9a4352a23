"""The response of an operation whose flow knows more than the operation says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wechatpay_chain._catalogue.operations import Schema, find_event, find_operation
from wechatpay_chain.sandbox._operations.operation import Result

__all__ = ["respond", "select_resource"]


def respond(method: str, path: str, known: Mapping[str, Any]) -> Result:
    """Returns the response of a documented operation.

    Args:
        method: the HTTP method.
        path: the path template.
        known: all that is known; the response has the members of it that its schema has, at any depth.
    """
    operation = find_operation(method, path)
    assert operation is not None
    return operation.status, _select(operation.response, known) if operation.response else None


def select_resource(event_type: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the resource of a documented notification, of the first kind that is documented.

    Args:
        event_type: the event type.
        known: all that is known; the resource has the members of it that its schema has.
    """
    event = find_event(event_type)
    assert event is not None
    schema = event.resources[0].schema
    assert schema is not None
    selected: dict[str, Any] = _select(schema, known)
    return selected


def _select(schema: Schema, known: Any) -> Any:
    """Returns the members of a value that a schema has, at any depth.

    Args:
        schema: the schema.
        known: the value.
    """
    match schema["type"], known:
        case "object", Mapping():
            return {
                name: _select(member, known[name]) for name, member in schema["properties"].items() if name in known
            }
        case "array", list():
            return [_select(schema["items"], item) for item in known]
    return known

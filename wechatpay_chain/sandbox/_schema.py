"""Checks what a merchant sends against a description of it, and says what is wrong in the service's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Misfit", "Schema", "array", "check", "choice", "integer", "obj", "secret", "text"]

Schema = Mapping[str, Any]
Decrypt = Callable[[str], str | None]
"""Opens what the merchant encrypted, or returns None."""


class Misfit(Exception):
    """One thing that is wrong with a request.

    Attributes:
        field: a JSON Pointer in the body, or a parameter's name.
        value: what came.
        issue: what is wrong with it.
    """

    def __init__(self, field: str, value: object, issue: str) -> None:
        super().__init__(field, value, issue)
        self.field, self.value, self.issue = field, value, issue


def text(most: int = 1 << 16, least: int = 1, pattern: str = "") -> Schema:
    """A text of a length in characters."""
    return {"type": "string", "maxLength": most, "minLength": least, "pattern": pattern}


def secret() -> Schema:
    """A text that travels encrypted."""
    return {"type": "string", "encrypted": True}


def choice(*values: str) -> Schema:
    """One of some texts."""
    return {"type": "string", "enum": values}


def integer(least: int = 0) -> Schema:
    """A whole number."""
    return {"type": "integer", "minimum": least}


def array(items: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": items}


def obj(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """An object; members that are not described are let through, as the service does."""
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": tuple(required)}


def check(value: Any, schema: Schema, decrypt: Decrypt, field: str = "") -> Any:
    """The value with its secrets opened.

    Raises:
        Misfit: it does not fit the schema.
    """
    kind: str = schema["type"]
    match kind, value:
        case "object", dict():
            for name in schema["required"]:
                if name not in value:
                    raise Misfit(f"{field}/{name}", None, "is required and missing")
            described = schema["properties"]
            return {
                name: check(member, described[name], decrypt, f"{field}/{name}") if name in described else member
                for name, member in value.items()
            }
        case "array", list():
            return [check(item, schema["items"], decrypt, f"{field}/{index}") for index, item in enumerate(value)]
        case "string", str() if schema.get("encrypted"):
            opened = decrypt(value)
            if opened is None:
                raise Misfit(field, value, "cannot be decrypted with the key that Wechatpay-Serial names")
            return opened
        case "string", str():
            _check_text(value, schema, field)
        case "boolean", bool():
            pass
        case "integer", int() if not isinstance(value, bool):
            if value < schema["minimum"]:
                raise Misfit(field, value, f"must be at least {schema['minimum']}")
        case _:
            raise Misfit(field, value, f"must be of type {kind}")
    return value


def _check_text(value: str, schema: Schema, field: str) -> None:
    if "enum" in schema and value not in schema["enum"]:
        raise Misfit(field, value, f"must be one of {', '.join(schema['enum'])}")
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        raise Misfit(field, value, f"must have {schema['minLength']} to {schema['maxLength']} characters")
    if (pattern := schema.get("pattern")) and not re.fullmatch(pattern, value):
        raise Misfit(field, value, f"must match {pattern}")

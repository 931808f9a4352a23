"""Checks the fields of a request against a schema, and reports an invalid field as the service does."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

__all__ = [
    "MCHID",
    "NOTIFY_URL",
    "InvalidField",
    "Schema",
    "array",
    "check",
    "choice",
    "integer",
    "obj",
    "secret",
    "text",
]

Schema = Mapping[str, Any]
"""A schema: a small part of JSON Schema, and `encrypted` for a string that is encrypted."""

Decrypt = Callable[[str], str | None]
"""Decrypts a field of the merchant, or returns None if that fails."""


class InvalidField(Exception):
    """A field of a request that does not conform to its schema.

    Attributes:
        field: a JSON Pointer into the body, or the name of a parameter.
        value: the value that was sent.
        issue: the reason, in words that follow the name of the field.
    """

    def __init__(self, field: str, value: object, issue: str) -> None:
        super().__init__(field, value, issue)
        self.field, self.value, self.issue = field, value, issue


def text(most: int = 1 << 16, least: int = 1, pattern: str = "") -> Schema:
    """Returns the schema of a string.

    Args:
        most: the largest length in characters.
        least: the smallest length in characters.
        pattern: a regular expression that the whole string must match; empty for none.
    """
    return {"type": "string", "maxLength": most, "minLength": least, "pattern": pattern}


def secret() -> Schema:
    """Returns the schema of an encrypted string."""
    return {"type": "string", "encrypted": True}


def choice(*values: str) -> Schema:
    """Returns the schema of a string that is one of some values."""
    return {"type": "string", "enum": values}


def integer(least: int = 0) -> Schema:
    """Returns the schema of an integer that is not below `least`."""
    return {"type": "integer", "minimum": least}


def array(items: Schema) -> Schema:
    """Returns the schema of an array whose items all have one schema."""
    return {"type": "array", "items": items}


def obj(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """Returns the schema of an object. Unknown members are accepted, as the service does.

    Args:
        required: the schemas of the members that must be there.
        optional: the schemas of the members that may be there.
    """
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": tuple(required)}


MCHID = text(32, pattern="[0-9]+")
NOTIFY_URL = text(255, pattern=r"https?://[^?#]+")


def check(value: Any, schema: Schema, decrypt: Decrypt, field: str = "") -> Any:
    """Checks a value and decrypts its encrypted fields.

    Args:
        value: the value, as JSON was parsed.
        schema: the schema of the value.
        decrypt: decrypts one field.
        field: the JSON Pointer of the value.

    Returns:
        The value with its fields decrypted.

    Raises:
        InvalidField: the value does not conform to the schema.
    """
    kind: str = schema["type"]
    match kind, value:
        case "object", dict():
            for name in schema["required"]:
                if name not in value:
                    raise InvalidField(f"{field}/{name}", None, "is required and missing")
            described = schema["properties"]
            return {
                name: check(member, described[name], decrypt, f"{field}/{name}") if name in described else member
                for name, member in value.items()
            }
        case "array", list():
            return [check(item, schema["items"], decrypt, f"{field}/{index}") for index, item in enumerate(value)]
        case "string", str() if schema.get("encrypted"):
            decrypted = decrypt(value)
            if decrypted is None:
                raise InvalidField(field, value, "cannot be decrypted with the key that Wechatpay-Serial names")
            return decrypted
        case "string", str():
            _check_text(value, schema, field)
        case "boolean", bool():
            pass
        case "integer", int() if not isinstance(value, bool):
            if value < schema["minimum"]:
                raise InvalidField(field, value, f"must be at least {schema['minimum']}")
        case _:
            raise InvalidField(field, value, f"must be of type {kind}")
    return value


def _check_text(value: str, schema: Schema, field: str) -> None:
    if "enum" in schema and value not in schema["enum"]:
        raise InvalidField(field, value, f"must be one of {', '.join(schema['enum'])}")
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        raise InvalidField(field, value, f"must have {schema['minLength']} to {schema['maxLength']} characters")
    if (pattern := schema.get("pattern")) and not re.fullmatch(pattern, value):
        raise InvalidField(field, value, f"must match {pattern}")

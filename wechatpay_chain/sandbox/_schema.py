"""Checks the fields of a request against the schema of its operation, and names an invalid field as the service does.

The checks are those of the library jsonschema-rs; this module translates the schemas of the catalogue, and the errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from wechatpay_chain._catalogue.operations import Schema
from wechatpay_chain.errors import ConfigurationError

try:
    from jsonschema_rs import Draft202012Validator, ValidationError
except ImportError:
    raise ConfigurationError("the sandbox needs jsonschema-rs: pip install 'wechatpay-chain[sandbox]'") from None

__all__ = ["Checker", "InvalidField"]

Decrypt = Callable[[str], str | None]
"""Decrypts a field of the merchant, or returns None if that fails."""

_KEPT = ("enum", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "pattern")
_PATTERNS = {
    "rfc3339": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$",
    "date": r"^\d{4}-\d\d-\d\d$",
}


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


class Checker:
    """Checks values against one schema.

    Args:
        schema: a schema of the catalogue.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._validator = Draft202012Validator(_translate(schema))

    def accepts(self, value: Any) -> bool:
        """Tells whether a value, its encrypted fields in any form, conforms to the schema."""
        return bool(self._validator.is_valid(value))

    def type_of(self, name: str) -> str:
        """Returns the type of a member; that of an unknown one is "any"."""
        kind: str = self._schema["properties"].get(name, {"type": "any"})["type"]
        return kind

    def check(self, value: Any, decrypt: Decrypt) -> Any:
        """Returns a value with its encrypted fields decrypted.

        Args:
            value: the value.
            decrypt: decrypts one field.

        Raises:
            InvalidField: the value does not conform to the schema.
        """
        try:
            error = None if self._validator.is_valid(value) else next(self._validator.iter_errors(value))
        except ValueError:  # deeper than the library goes
            raise InvalidField("", None, "is nested too deeply") from None
        if error:
            raise _describe(error)
        return _decrypt(value, self._schema, decrypt, "")


def _translate(schema: Schema) -> dict[str, Any]:
    """Returns a schema of the catalogue in JSON Schema. What is required comes first, so that it is reported first."""
    kind = schema["type"]
    if kind == "object":
        properties = {name: _translate(member) for name, member in schema["properties"].items()}
        return {"type": "object", "required": list(schema["required"]), "properties": properties}
    if kind == "array":
        return {"type": "array", **_limits(schema), "items": _translate(schema["items"])}
    if kind in ("any", "file"):
        return {}
    if schema.get("encrypted"):  # the limits are those of the plain text
        return {"type": "string"}
    return {"type": kind, **_limits(schema)}


def _limits(schema: Schema) -> dict[str, Any]:
    limits = {name: schema[name] for name in _KEPT if name in schema}
    if "pattern" not in limits and (pattern := _PATTERNS.get(schema.get("format", ""))):
        limits["pattern"] = pattern
    return limits


def _describe(error: ValidationError) -> InvalidField:
    field = "".join(f"/{part}" for part in error.instance_path)
    kind: Any = error.kind
    match kind.name:
        case "required":
            return InvalidField(f"{field}/{kind.property}", None, "is required and missing")
        case "type":
            issue = f"must be of type {kind.types[0]}"
        case "enum":
            issue = f"must be one of {', '.join(map(str, kind.options))}"
        case "minLength":
            issue = f"must have at least {kind.limit} characters"
        case "maxLength":
            issue = f"must have at most {kind.limit} characters"
        case "minItems":
            issue = f"must have at least {kind.limit} items"
        case "maxItems":
            issue = f"must have at most {kind.limit} items"
        case "minimum":
            issue = f"must be at least {kind.limit}"
        case "maximum":
            issue = f"must be at most {kind.limit}"
        case _:
            issue = f"must match {kind.pattern}"
    return InvalidField(field, error.instance, issue)


def _decrypt(value: Any, schema: Schema, decrypt: Decrypt, field: str) -> Any:
    match schema["type"], value:
        case "object", dict():
            known: Mapping[str, Schema] = schema["properties"]
            return {
                name: _decrypt(member, known[name], decrypt, f"{field}/{name}") if name in known else member
                for name, member in value.items()
            }
        case "array", list():
            return [_decrypt(item, schema["items"], decrypt, f"{field}/{index}") for index, item in enumerate(value)]
        case "string", str() if schema.get("encrypted"):
            decrypted = decrypt(value)
            if decrypted is None:
                raise InvalidField(field, value, "cannot be decrypted with the key that Wechatpay-Serial names")
            most = schema.get("maxLength", 0)
            if most and len(decrypted) > most:
                raise InvalidField(field, value, f"must have at most {most} characters")
            if (pattern := schema.get("pattern")) and not re.search(pattern, decrypted):
                raise InvalidField(field, value, f"must match {pattern}")
            return decrypted
    return value

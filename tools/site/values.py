"""Example values of requests: the documentation's own examples, made to fit the limits of their members."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from wechatpay_chain._catalogue.operations import Schema

__all__ = ["OWN_NUMBERS", "Encrypted", "Merchant", "list_members", "make_example"]

OWN_NUMBERS = ("mchid", "sp_mchid", "combine_mchid")
"""Members that are the number of the merchant who signs."""

_MOMENT = "2026-06-08T10:34:56+08:00"
_TEXTS = {"rfc3339": _MOMENT, "date": "2026-06-08", "yyyyMMddHHmmss": "20260608103456", "jsonObjectLike": "{}"}
"""By format."""

_FITTING = ("1900000109", "20260608101010", "101010", "abcdef", "https://pay.example.com/x", "2026-06-08", _MOMENT)
"""Texts, of which one fits each pattern that the documentation's example does not fit."""

_PLAIN_TEXTS = {
    "mobile": "13800138000",
    "phone": "13800138000",
    "tel": "13800138000",
    "email": "name@example.com",
    "address": "深圳市南山区深南大道",
    "account": "6222020200012345678",
    "card": "110101199003070134",
    "number": "110101199003070134",
    "_no": "110101199003070134",
}
"""By a part of the name, what is to be encrypted: the documentation's example of it is a ciphertext."""


class Merchant:
    """Stands for the number of the merchant, `client.mchid`."""


class Encrypted(str):
    """A text that is to be encrypted."""

    __slots__ = ()


def list_members(schema: Schema) -> dict[str, Schema]:
    """Returns the members of an object, those that are required first."""
    members: Mapping[str, Schema] = schema["properties"]
    return {name: members[name] for name in sorted(members, key=lambda name: name not in schema["required"])}


def make_example(schema: Schema, name: str = "", given: Mapping[str, Any] | None = None) -> Any:
    """Returns a value that fits a schema.

    Args:
        schema: the schema.
        name: the name of the member.
        given: values of members by name, at any depth, that are used as they are; a member with None is left out.
    """
    given = given or {}
    if name in given:
        return given[name]
    if name in OWN_NUMBERS and schema["type"] == "string":
        return Merchant()
    match schema["type"]:
        case "object":
            members = list_members(schema)
            return {
                member: make_example(each, member, given)
                for member, each in members.items()
                if _is_shown(schema, member, given)
            }
        case "array":
            return [make_example(schema["items"], name, given)] * max(schema.get("minItems", 1), 1)
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return schema.get("example", True) in (True, "true")
        case "any":
            return str(schema.get("example", f"example_{name}"))
    return Encrypted(_plain_text(schema, name)) if schema.get("encrypted") else _text(schema, name)


def _is_shown(schema: Schema, member: str, given: Mapping[str, Any]) -> bool:
    """Tells whether an example has a member: not if it is left out, or is mentioned by its name only."""
    if member in given:
        return given[member] is not None
    return schema["properties"][member]["type"] != "any" or member in schema["required"]


def _number(schema: Schema) -> int | float:
    if enum := schema.get("enum"):
        return int(schema["example"] if schema.get("example") in enum else enum[0])
    value = schema.get("example", schema.get("default", 1))
    number: int | float = value if isinstance(value, (int, float)) else 1
    least, most = schema.get("minimum"), schema.get("maximum")
    number = number if least is None else max(number, int(least))
    return number if most is None else min(number, int(most))


def _text(schema: Schema, name: str) -> str:
    if enum := schema.get("enum"):
        return str(schema["example"] if schema.get("example") in enum else enum[0])
    url = ["https://pay.example.com/notify"] if name.endswith("url") else []
    found = [schema.get("example"), schema.get("default"), _TEXTS.get(schema.get("format", "")), *url]
    texts = [str(text) for text in (*found, f"example_{name}", *_FITTING) if text not in (None, "")]
    most = schema.get("maxLength", 1 << 16)
    text = next((text for text in texts if _fits(schema, text)), texts[0][:most])
    return text.ljust(schema.get("minLength", 0), "0")


def _plain_text(schema: Schema, name: str) -> str:
    texts = [text for part, text in _PLAIN_TEXTS.items() if part in name]
    return next((text for text in (*texts, "张三", *_FITTING) if _fits(schema, text)), "张三")


def _fits(schema: Schema, text: str) -> bool:
    kind = {"rfc3339": r"\d{4}-\d\d-\d\dT.*[Z\d]$", "date": r"\d{4}-\d\d-\d\d$"}.get(schema.get("format", ""), "")
    least, most = schema.get("minLength", 0), schema.get("maxLength", 1 << 16)
    return (
        least <= len(text) <= most
        and re.search(schema.get("pattern", ""), text) is not None
        and re.match(kind, text) is not None
    )

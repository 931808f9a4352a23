"""The example call of an operation: its keywords, with values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tools.site.entries import Entry
from tools.site.values import Merchant, make_example
from wechatpay_chain._catalogue.operations import Operation, Schema
from wechatpay_chain._catalogue.upload_rules import RULES
from wechatpay_chain.sandbox._operations.limits import limit

__all__ = [
    "FILLED_HEADERS",
    "SIGNATURE",
    "find_body",
    "find_file_part",
    "find_form_fields",
    "find_query",
    "make_arguments",
]

FILLED_HEADERS = ("Wechatpay-Serial", "Accept-Encoding")
"""Headers that the client writes itself."""

SIGNATURE = ("sign_type", "nonce_str", "sign")
"""Fields of APIv2 that are of the signature."""


def make_arguments(entry: Entry, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns the keywords of the example call of an operation, in their order.

    Args:
        entry: the operation.
        given: values of members and of path variables by name, that are used as they are; a member with None is left out.
    """
    operation, given = entry.operation, {**_give_v2(entry), **(given or {})}
    found: dict[str, Any] = {}
    for name, schema in _members(operation.variables).items():
        value = make_example(schema, name, given)
        found[name] = value if isinstance(value, (str, int, Merchant)) else str(value)
    if query := find_query(operation):
        found["params"] = make_example(query, "", given)
    if headers := {name: each for name, each in _members(operation.headers).items() if name not in FILLED_HEADERS}:
        found["headers"] = {name: make_example(schema, name, given) for name, schema in headers.items()}
    if operation.form:
        found["files"] = {find_file_part(operation): _file_name(operation)}
    elif body := find_body(operation):
        found[operation.format.body] = make_example(body, "", given)
    return {name: value for name, value in found.items() if value != {} or name == "xml"}  # the client adds to xml


def _give_v2(entry: Entry) -> dict[str, str | None]:
    """Returns what the example of a call of APIv2 has by name.

    It leaves out what the client adds or has a default for, and what only a partner sends. A switch is a text.
    """
    if entry.rule is None:
        return {}
    schema = entry.operation.body or entry.operation.query or {"properties": {}, "required": []}
    members, required = _members(schema), schema["required"]
    partners = {name for name in members if name.startswith("sub_") and name not in required}
    texts = {name: str(each["example"]) for name, each in members.items() if each["type"] == "boolean"}
    return {**texts, **dict.fromkeys((*entry.rule.added, *partners, *SIGNATURE))}


def find_query(operation: Operation) -> Schema | None:
    """Returns the schema of the query with its limits; None if there is none."""
    return limit(operation.path, operation.query) if operation.query else None


def find_body(operation: Operation) -> Schema | None:
    """Returns the schema of the body with its limits; None if there is none, or a file."""
    return limit(operation.path, operation.body) if operation.body and not operation.form else None


def find_file_part(operation: Operation) -> str:
    """Returns the name of the part of an upload that is the file."""
    return next(name for name, schema in _members(operation.form).items() if schema["type"] == "file")


def find_form_fields(entry: Entry) -> Schema | None:
    """Returns the schema of the fields of a form of APIv2, without its file; None if there is none."""
    form = entry.operation.form if entry.is_v2 else None
    if form is None:
        return None
    part = find_file_part(entry.operation)
    return {**form, "properties": {name: each for name, each in form["properties"].items() if name != part}}


def _members(schema: Schema | None) -> Mapping[str, Schema]:
    members: Mapping[str, Schema] = schema["properties"] if schema else {}
    return members


def _file_name(operation: Operation) -> str:
    """Returns the name of a file of a kind that the operation takes."""
    rule = RULES.get(re.sub(r"\{\w+\}", "*", operation.path))  # APIv2 has none
    suffixes = tuple(rule.most) if rule else ()
    if not suffixes or "jpg" in suffixes:
        return "shop.jpg"
    return "video.mp4" if "mp4" in suffixes else f"file.{suffixes[0]}"

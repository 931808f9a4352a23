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

__all__ = ["FILLED_HEADERS", "body_keyword", "find_body", "find_file_part", "find_query", "make_arguments"]

FILLED_HEADERS = ("Wechatpay-Serial", "Accept-Encoding")
"""Headers that the client writes itself."""


def make_arguments(entry: Entry, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns the keywords of the example call of an operation of APIv3, in their order.

    Args:
        entry: the operation.
        given: values of members and of path variables by name, that are used as they are; a member with None is left out.
    """
    operation, given = entry.operation, given or {}
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
        found["json"] = make_example(body, "", given)
    return {name: value for name, value in found.items() if value != {}}


def find_query(operation: Operation) -> Schema | None:
    """Returns the schema of the query with its limits; None if there is none."""
    return limit(operation.path, operation.query) if operation.query else None


def find_body(operation: Operation) -> Schema | None:
    """Returns the schema of the body with its limits; None if there is none, or a file."""
    return limit(operation.path, operation.body) if operation.body and not operation.form else None


def find_file_part(operation: Operation) -> str:
    """Returns the name of the part of an upload that is the file."""
    return next(name for name, schema in _members(operation.form).items() if schema["type"] == "file")


def body_keyword(operation: Operation) -> str:
    """Returns the keyword that takes the body."""
    return "xml" if operation.api == "v2" else "json"


def _members(schema: Schema | None) -> Mapping[str, Schema]:
    members: Mapping[str, Schema] = schema["properties"] if schema else {}
    return members


def _file_name(operation: Operation) -> str:
    """Returns the name of a file of a kind that the operation takes."""
    suffixes = tuple(RULES[re.sub(r"\{\w+\}", "*", operation.path)].most)
    if not suffixes or "jpg" in suffixes:
        return "shop.jpg"
    return "video.mp4" if "mp4" in suffixes else f"file.{suffixes[0]}"

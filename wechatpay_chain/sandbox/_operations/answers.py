"""Makes the response of an operation that has no flow of its own, from its schema.

What was sent comes back, and what is known of a number that was given is found again. Everything else is the documentation's own
example, or a value that fits. Numbers that the service assigns have the form of the example and differ from call to call, but for
the same request they are the same.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from wechatpay_chain import crypto
from wechatpay_chain._catalogue.operations import Operation as Documented
from wechatpay_chain._catalogue.operations import Schema
from wechatpay_chain.sandbox._operations.account import Account, StoredFile
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result
from wechatpay_chain.sandbox._schema import Checker

__all__ = ["answer_by_schema", "make_value"]

_NUMBER = re.compile(r"(_id|_no|_code|_number|_sn|token)$")
"""The names of members that identify something."""

_FILE = b"%PDF-1.4 sandbox\n"


def answer_by_schema(operation: Documented) -> Handler:
    """Returns the handler of an operation: it answers with a body that fits the schema of the response."""

    def handle(account: Account, request: CheckedRequest) -> Result:
        given: dict[str, Any] = {**request.query, **request.body, **request.path}
        for name, value in [*request.path.items(), *request.query.items()]:
            given = {**account.recall(name, value), **given}
        if operation.produces and operation.response is None:
            return operation.status, StoredFile(operation.produces[0], _FILE)
        if operation.response is None:
            account.remember(_numbers(given), given)
            return operation.status, None
        request_digest = _digest(account.seed, operation.method, operation.path, given)
        body = make_value(operation.response, given, request_digest, account)
        known = {**given, **(body if isinstance(body, dict) else {})}
        account.remember(_numbers(known), known)
        return operation.status, body

    return handle


def _numbers(known: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the members by which something is found again."""
    return ((name, value) for name, value in known.items() if isinstance(value, str) and _NUMBER.search(name))


def _digest(*parts: object) -> bytes:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).digest()


def make_value(schema: Schema, given: Any, digest: bytes, account: Account, name: str = "") -> Any:
    """Returns a value that fits a schema.

    Args:
        schema: the schema.
        given: what was sent at this place: a mapping for an object, a list for a list.
        digest: makes the assigned numbers.
        account: encrypts what is encrypted to the merchant, and tells the time.
        name: the name of the member.
    """
    match schema["type"]:
        case "object":
            known = given if isinstance(given, Mapping) else {}
            return {
                member: make_value(each, known.get(member), _digest(digest.hex(), member), account, member)
                for member, each in schema["properties"].items()
            }
        case "array":
            items = given if isinstance(given, list) and given else [None]
            return [
                make_value(schema["items"], item, _digest(digest.hex(), index), account, name)
                for index, item in enumerate(items[: schema.get("maxItems", len(items))])
            ]
        case "any" | "file":
            return given
    if schema.get("encrypted"):
        return crypto.encrypt(given if isinstance(given, str) else "张三", account.keys.merchant.public_key())
    if given is not None and _checker(_key(schema)).accepts(given):
        return given
    return _scalar(schema, digest, account.now(), name)


def _key(schema: Schema) -> str:
    return json.dumps(schema, sort_keys=True)


@lru_cache(maxsize=8192)
def _checker(key: str) -> Checker:
    return Checker(json.loads(key))


def _scalar(schema: Schema, digest: bytes, now: datetime, name: str) -> Any:
    if "example" in schema:
        example = schema["example"]
        if isinstance(example, str) and _NUMBER.search(name) and "enum" not in schema:
            return _reshape(example, digest)
        if _checker(_key(schema)).accepts(example):
            return example
    if "enum" in schema:
        return schema["enum"][0]
    match schema["type"]:
        case "integer" | "number":
            return max(schema.get("minimum", 1), 1)
        case "boolean":
            return False
    if schema.get("format") == "rfc3339":
        return now.isoformat(timespec="seconds")
    if schema.get("format") == "date":
        return now.date().isoformat()
    if schema.get("json"):
        return "{}"
    length = min(schema.get("maxLength", 16), 16)
    return digest.hex()[: max(length, schema.get("minLength", 0))]


def _reshape(example: str, digest: bytes) -> str:
    """Returns the example with other digits, but for those in front, which say what kind of number it is."""
    digits = iter(str(int.from_bytes(digest + digest, "big")).zfill(len(example)))
    return "".join(next(digits, "0") if index > 3 and char.isdecimal() else char for index, char in enumerate(example))

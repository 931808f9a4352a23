"""Makes the response of an operation that has no flow of its own, from its schema.

What was sent comes back, and what is known of a number that was given is found again. Everything else is the documentation's own
example, or a value that fits. Numbers that the service assigns have the form of the example and differ from call to call, but for
the same request they are the same.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from wechatpay_chain._catalogue.operations import Operation as Documented
from wechatpay_chain._catalogue.operations import Schema
from wechatpay_chain._catalogue.page_rules import find_page_rule
from wechatpay_chain.sandbox._operations.account import Account, StoredFile
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result
from wechatpay_chain.sandbox._operations.paging import cut_page
from wechatpay_chain.sandbox._schema import Checker

__all__ = ["answer_by_schema", "encrypted", "fill", "make_value"]

_NUMBER = re.compile(r"(_id|_no|_code|_number|_sn|token|listid)$")
"""The names of members that identify something."""

_MIXTURE = re.compile("(?=.*[0-9])[0-9A-Za-z]{16,}")

_FILE = b"%PDF-1.4 sandbox\n"


def answer_by_schema(operation: Documented) -> Handler:
    """Returns the handler of an operation: it answers with a body that fits the schema of the response."""
    paged = find_page_rule(operation.path)
    rule = paged[1] if paged is not None and paged[0] == operation.method else None

    def handle(account: Account, request: CheckedRequest) -> Result:
        given: dict[str, Any] = {**request.query, **request.body, **request.path}
        for name, value in [*request.path.items(), *request.query.items()]:
            given = {**account.recall(name, value), **given}
        if operation.produces and operation.response is None:
            return operation.status, StoredFile(operation.produces[0], _FILE)
        if operation.response is None:
            account.remember(_numbers(given), given)
            return operation.status, None
        body = make_value(operation.response, given, _digest(account.seed, operation.path, given), account.now())
        if rule is not None:
            row, fixed = (
                operation.response["properties"][rule.items]["items"],
                _digest(account.seed, *request.path.values()),
            )
            cut_page(
                rule, given, body, lambda number: make_value(row, None, _digest(fixed.hex(), number), account.now())
            )
        known = {**given, **(body if isinstance(body, dict) else {})}
        account.remember(_numbers(known), known)
        return operation.status, encrypted(operation.response, body, account.keys.encrypt)

    return handle


def _numbers(known: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the members by which something is found again."""
    return ((name, value) for name, value in known.items() if isinstance(value, str) and _NUMBER.search(name))


def _digest(*parts: object) -> bytes:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).digest()


def make_value(schema: Schema, given: Any, digest: bytes, now: datetime, name: str = "") -> Any:
    """Returns a value that fits a schema, with plain text where it is to be encrypted.

    Args:
        schema: the schema.
        given: what was sent at this place: a mapping for an object, a list for a list.
        digest: makes the assigned numbers.
        now: the time of the service.
        name: the name of the member.
    """
    match schema["type"]:
        case "object":
            known = given if isinstance(given, Mapping) else {}
            return {
                member: make_value(each, known.get(member), _digest(digest.hex(), member), now, member)
                for member, each in schema["properties"].items()
            }
        case "array":
            items = given if isinstance(given, list) and given else [None]
            return [
                make_value(schema["items"], item, _digest(digest.hex(), index), now, name)
                for index, item in enumerate(items[: schema.get("maxItems", len(items))])
            ]
        case "any" | "file":
            return given
    if given is not None and _checker(_key(schema)).accepts(given):
        return given
    return "张三" if schema.get("encrypted") else _scalar(schema, digest, now, name)


def fill(schema: Schema, given: Mapping[str, Any], digest: bytes, now: datetime) -> dict[str, Any]:
    """Returns an object with the required members that it lacks, at any depth.

    Args:
        schema: the schema of the object.
        given: the members that it has; they stay as they are.
        digest: makes the numbers.
        now: the time of the service.
    """
    filled = dict(given)
    for name, member in schema["properties"].items():
        if name in schema["required"] and name not in given:
            value = make_value(member, None, _digest(digest.hex(), name), now, name)
            filled[name] = fill(member, {}, digest, now) if member["type"] == "object" else value
        elif member["type"] == "object" and isinstance(given.get(name), Mapping):
            filled[name] = fill(member, given[name], digest, now)
    return filled


def encrypted(schema: Schema, value: Any, encrypt: Callable[[str], str]) -> Any:
    """Returns a value whose sensitive texts are encrypted to the merchant."""
    match schema["type"], value:
        case "object", dict():
            return {name: encrypted(schema["properties"][name], member, encrypt) for name, member in value.items()}
        case "array", list():
            return [encrypted(schema["items"], item, encrypt) for item in value]
    # SM2 encrypts no empty text.
    return encrypt(value) if schema.get("encrypted") and value else value


def _key(schema: Schema) -> str:
    return json.dumps(schema, sort_keys=True)


@lru_cache(maxsize=8192)
def _checker(key: str) -> Checker:
    return Checker(json.loads(key))


def _scalar(schema: Schema, digest: bytes, now: datetime, name: str) -> Any:
    if "enum" in schema:
        return schema["example"] if "example" in schema else schema["enum"][0]
    match schema["type"]:
        case "integer" | "number":
            return schema.get("example", max(schema.get("minimum", 1), 1))
        case "boolean":
            return schema.get("example", False)
    example = schema.get("example")
    candidates = [
        *([_reshape(example, digest)] if example and _NUMBER.search(name) else []),
        *([example] if example else []),
        now.isoformat(timespec="seconds"),
        now.strftime("%Y%m%d%H%M%S"),
        now.date().isoformat(),
        now.strftime("%H%M%S"),
        "{}",
    ]
    if schema.get("json") and not example:
        return "[]" if schema.get("format") == "jsonArrayLike" else "{}"
    length = min(schema.get("maxLength", 16), 16)
    plain = digest.hex()[: max(length, schema.get("minLength", 0))]
    if not example and not schema.get("pattern") and not schema.get("format") and not schema.get("json"):
        return plain
    accepts = _checker(_key(schema)).accepts
    return next((candidate for candidate in candidates if accepts(candidate)), plain)


def _reshape(example: str, digest: bytes) -> str:
    """Returns the example with other digits, but for those in front, which say what kind of number it is.

    A long mixture of letters and digits gets other letters too, because few of its characters may be digits.
    """
    digits = iter(str(int.from_bytes(digest + digest, "big")).zfill(len(example)))
    letters = iter(hashlib.sha512(digest).hexdigest()) if _MIXTURE.fullmatch(example) else iter("")
    return example[:4] + "".join(
        next(digits, "0") if char.isdecimal() else next(letters, char) if char.isalpha() else char
        for char in example[4:]
    )

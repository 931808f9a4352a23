"""The operations of APIv2: each with its flow if it has one, else answered from the schema of its response."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from wechatpay_chain import crypto
from wechatpay_chain._catalogue.operations import Operation as Documented
from wechatpay_chain._catalogue.operations import Schema
from wechatpay_chain._catalogue.page_rules import RULES, PageRule
from wechatpay_chain.sandbox._operations.account import Account, StoredFile
from wechatpay_chain.sandbox._operations.answers import make_value
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Operation, Result
from wechatpay_chain.sandbox._operations.paging import cut_page
from wechatpay_chain.sandbox._operations.v2_bills import V2_BILL_HANDLERS
from wechatpay_chain.sandbox._operations.v2_deductions import V2_DEDUCTION_HANDLERS
from wechatpay_chain.sandbox._operations.v2_keys import V2_KEY_HANDLERS
from wechatpay_chain.sandbox._operations.v2_orders import V2_ORDER_HANDLERS
from wechatpay_chain.sandbox._operations.v2_refunds import V2_REFUND_HANDLERS
from wechatpay_chain.sandbox._operations.v2_uploads import V2_UPLOAD_HANDLERS
from wechatpay_chain.sandbox._schema import Checker

__all__ = ["V2_HANDLERS", "describe_v2_operation"]

_NUMBER = re.compile(r"(_id|_no|_billno|_code|token)$")
_NOT_FOUND_BY = re.compile(r"mch_id$|^(auth|err|error|result|return)_code$")
"""Fields that have the form of a number, but identify nothing that was made."""

_OUTCOME = (
    "err_code",
    "err_code_des",
    "error_code",
    "error_code_des",
    "nonce_str",
    "result_code",
    "return_code",
    "return_msg",
    "sign",
    "sign_type",
)
"""Fields that the gateway writes, or that only an error has."""

_PAGE = "<!DOCTYPE html><title>微信支付沙箱</title><p>用户在此页面签约。".encode()

V2_HANDLERS: dict[tuple[str, str], Handler] = {
    **V2_ORDER_HANDLERS,
    **V2_REFUND_HANDLERS,
    **V2_DEDUCTION_HANDLERS,
    **V2_BILL_HANDLERS,
    **V2_KEY_HANDLERS,
    **V2_UPLOAD_HANDLERS,
}


def describe_v2_operation(known: Documented, handler: Handler | None) -> Operation:
    """Returns an operation of APIv2 with the checks of the catalogue.

    Args:
        known: what the catalogue has of it.
        handler: carries it out; None answers with what fits the schema of the response.
    """
    body = known.body or known.form
    return Operation(
        known.method,
        known.path,
        handler or _answer_by_schema(known),
        Checker(_select_checked(known.query)) if known.query else None,
        Checker(_select_checked(body)) if body else None,
        known.body_required,
        bool(known.form),
    )


def _select_checked(schema: Schema) -> Schema:
    """Returns a schema without the file of an upload, and without the length of a sign, which is often that of MD5 alone."""
    members = {name: member for name, member in schema["properties"].items() if member["type"] != "file"}
    if "sign" in members:
        members["sign"] = {"type": "string"}
    return {**schema, "properties": members, "required": [name for name in schema["required"] if name in members]}


def _answer_by_schema(operation: Documented) -> Handler:
    """Returns the handler of an operation without a flow. What was sent comes back, and what is known of a number is found."""
    schema = operation.response
    rule = RULES.get(f"{operation.method} /v2{operation.path}")

    def handle(account: Account, request: CheckedRequest) -> Result:
        given: dict[str, Any] = {**request.query, **request.body}
        if schema is None or schema["type"] != "object":
            return 200, StoredFile("text/html; charset=utf-8", _PAGE)
        for number in _numbers(given):
            given = {**account.recall(*number), **given}
        digest = account.number(operation.path, _drop_changing(given), digits=40).encode()
        answer = _make_fields(schema, given, digest, account)
        if rule is not None and rule.style == "page":
            _list_merchants(rule, given, schema, answer, account)
        known = {**given, **answer}
        account.remember(_numbers(known), known)
        return 200, answer

    return handle


def _list_merchants(
    rule: PageRule, given: Mapping[str, Any], schema: Schema, answer: dict[str, Any], account: Account
) -> None:
    """Puts a page of merchants into a response: as elements, or as a text of JSON."""
    holder, is_text, _ = rule.items.partition(".")
    row = schema["properties"][holder].get("items", {"type": "object", "properties": {}})
    answer.pop(holder)

    def make_row(number: int) -> dict[str, Any]:
        return {**make_value(row, None, str(number).encode(), account.now()), "mch_id": str(1900000000 + number)}

    cut_page(rule, given, answer, make_row)
    if is_text:
        answer[holder] = json.dumps(answer[holder])


def _drop_changing(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in ("nonce_str", "sign")}


def _numbers(known: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the fields by which something is found again."""
    return (
        (name, value)
        for name, value in known.items()
        if isinstance(value, str) and _NUMBER.search(name) and not _NOT_FOUND_BY.search(name)
    )


def _make_fields(schema: Schema, given: Mapping[str, Any], digest: bytes, account: Account) -> dict[str, Any]:
    """Returns the fields of a response. Of those that are numbered, there is one each."""
    made = {}
    for name, member in schema["properties"].items():
        if name in _OUTCOME:
            continue
        if member["type"] == "integer" and not isinstance(member.get("example", 0), int):
            member = {"type": "integer"}  # the example is a text, such as 1或者0
        value = make_value(member, given.get(name), digest + name.encode(), account.now(), name)
        made[re.sub(r"_\$[nm]", "_0", name)] = value
    return {name: value for name, value in made.items() if value is not None}


def _redirect(account: Account, request: CheckedRequest) -> Result:  # noqa: ARG001 -- a handler
    """Redirects the user's browser back to the merchant, with a code."""
    query, code = request.query, crypto.nonce()
    joint = "&" if "?" in query["redirect_uri"] else "?"
    return 302, {"location": f"{query['redirect_uri']}{joint}code={code}&state={query['state']}"}


V2_HANDLERS["GET", "/appauth/authindex"] = _redirect

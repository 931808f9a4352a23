"""Makes the response of an operation of APIv2 that has no flow of its own, from its schema.

What was sent comes back, and what was sent before under the merchant's own number of a thing is found again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from wechatpay_chain._catalogue.operations import Operation as Documented
from wechatpay_chain._catalogue.operations import Schema
from wechatpay_chain._catalogue.page_rules import RULES, PageRule
from wechatpay_chain.sandbox._operations.account import Account, StoredFile
from wechatpay_chain.sandbox._operations.answers import make_value
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result
from wechatpay_chain.sandbox._operations.paging import cut_page

__all__ = ["answer_v2_by_schema", "make_fields"]

_NUMBER = re.compile(r"(_id|_no|_billno|_code|token)$")
_NOT_FOUND_BY = re.compile(r"mch_id$|^(auth|err|error|result|return)_code$")
"""Fields that have the form of a number, but identify nothing that was made."""

_OWN = (
    "out_return_no",
    "out_refund_no",
    "sub_order_no",
    "out_order_no",
    "partner_trade_no",
    "mch_billno",
    "contract_code",
    "business_code",
    "combine_out_trade_no",
    "out_trade_no",
)
"""The merchant's own numbers of what a request is about, a part before the whole. Other numbers can be those of several things."""

_OUTCOME = (
    "err_code",
    "err_code_des",
    "err_param",
    "error_code",
    "error_code_des",
    "fail_reason",
    "nonce_str",
    "reason",
    "refund_amount",
    "refund_time",
    "result_code",
    "return_code",
    "return_msg",
    "sign",
    "sign_type",
)
"""Fields that the gateway writes, or that only an error has, or a payment that failed or came back."""

_OF_SUCCESS = {
    "failed_count": 0,
    "result_msg": "OK",
    "ret_code": "SUCCESS",
    "ret_msg": "OK",
    "trade_state_desc": "支付成功",
}
"""The values of fields whose example is that of a failure."""

_PAGE = "<!DOCTYPE html><title>微信支付沙箱</title><p>用户在此页面签约。".encode()


def answer_v2_by_schema(operation: Documented) -> Handler:
    """Returns the handler of an operation without a flow. What was sent comes back, and what was sent before is found."""
    schema = operation.response
    rule = RULES.get(f"{operation.method} /v2{operation.path}")

    def handle(account: Account, request: CheckedRequest) -> Result:
        sent = {**request.query, **request.body}
        if schema is None or schema["type"] != "object":
            return 200, StoredFile("text/html; charset=utf-8", _PAGE)
        given = {**_recall(account, sent), **sent}
        digest = account.number(operation.path, _drop_changing(given), digits=40).encode()
        answer = make_fields(schema, given, digest, account)
        if rule is not None and rule.style == "page":
            _list_merchants(rule, given, schema, answer, account)
        known = {**given, **answer}
        account.remember(_list_keys(sent, answer), known)
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


def _own_numbers(sent: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns the merchant's own numbers in a request, that of the smallest part first."""
    return [(name, sent[name]) for name in _OWN if name in sent]


def _recall(account: Account, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what is known of the thing that a request is about.

    A new thing has the numbers of the wholes that it is named to be a part of, and nothing else of another thing.
    """
    own = _own_numbers(sent)
    found = [account.recall(*number) for number in own[:1] or _numbers(sent)]
    if all(found):
        return {name: value for known in reversed(found) for name, value in known.items()}
    return {name: value for whole in reversed(own[1:]) for name, value in _numbers(account.recall(*whole))}


def _list_keys(sent: Mapping[str, Any], answer: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns the numbers by which a thing is found again: the merchant's own and those that are assigned to it, or else all."""
    own = _own_numbers(sent)
    if not own:
        return list(_numbers({**sent, **answer}))
    return [own[0], *((name, value) for name, value in _numbers(answer) if name not in sent)]


def make_fields(schema: Schema, given: Mapping[str, Any], digest: bytes, account: Account) -> dict[str, Any]:
    """Returns the fields of the response to a request that succeeds. Of those that are numbered, there is one each.

    Args:
        schema: the schema of the response.
        given: what is known; the fields that it lacks are made.
        digest: makes the numbers.
        account: the merchant's account.
    """
    made, known = {}, {**_OF_SUCCESS, **given}
    for name, member in schema["properties"].items():
        if name in _OUTCOME:
            continue
        if member["type"] == "integer" and not isinstance(member.get("example", 0), int):
            member = {"type": "integer"}  # the example is a text, such as 1或者0
        part = hashlib.sha256(digest + name.encode()).digest()  # digits alone would differ in too few of their bits
        value = make_value(member, known.get(name), part, account.now(), name)
        made[re.sub(r"_\$[nm]", "_0", name)] = value
    return {name: value for name, value in made.items() if value is not None}

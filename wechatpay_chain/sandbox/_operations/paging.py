"""Cuts the list of an operation without a flow of its own into pages, so that what walks through lists can be tested.

Every list has 25 rows, unless a request tells which: the total, the tokens and the end are those of the operation's documentation.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from wechatpay_chain._catalogue.page_rules import PageRule
from wechatpay_chain.sandbox._operations.account import Refusal

__all__ = ["ROWS", "cut_page"]

ROWS = 25
"""The number of rows of every list."""

USUAL_SIZE = 20
"""The number of rows of a page of which neither the request nor the operation says it."""


def cut_page(rule: PageRule, query: Mapping[str, Any], body: dict[str, Any], make_row: Callable[[int], Any]) -> None:
    """Puts a page into the body of a response.

    Args:
        rule: how the operation pages.
        query: the parameters of the request.
        body: the response, which has one row; it is changed.
        make_row: makes a row from its number.

    Raises:
        Refusal: the page is past the end, in a list whose offset counts pages.
    """
    size = int(query.get(rule.size) or rule.rows or USUAL_SIZE) if rule.size else ROWS
    begin = _find_begin(rule, query, size)
    if rule.style == "pages" and begin >= ROWS:
        # As people have seen it: https://developers.weixin.qq.com/community/pay
        raise Refusal(404, "RESOURCE_NOT_EXISTS", "查询的资源不存在")
    _put(body, rule.items, [make_row(number) for number in range(begin, min(begin + size, ROWS))])
    if rule.total:
        _put(body, rule.total, ROWS)
    if rule.style == "token":
        end = begin + size
        body.pop(f"next_{rule.position}", None)
        if end < ROWS:
            body[f"next_{rule.position}"] = base64.b64encode(str(end).encode()).decode()
        if begin:
            body.pop(rule.total, None)


def _find_begin(rule: PageRule, query: Mapping[str, Any], size: int) -> int:
    given = query.get(rule.position) if rule.position else None
    match rule.style:
        case "token":
            return int(base64.b64decode(given)) if given else 0
        case "page":
            return (int(given or 1) - 1) * size
        case "pages":
            return int(given or 0) * size
    return int(given or 0)


def _put(body: dict[str, Any], path: str, value: Any) -> None:
    *outer, name = path.split(".")
    for each in outer:
        body = body.setdefault(each, {})
    body[name] = value

"""Walks through a list that comes in pages.

A `Cursor` knows the next query, and reads the rows of its response; it sends nothing. So the blocking and the awaiting iterator are
the same few lines.
"""

from __future__ import annotations

import json as jsons
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from wechatpay_chain._catalogue.formats import format_of
from wechatpay_chain._catalogue.page_rules import PageRule, find_page_rule
from wechatpay_chain._chain.call import Fields, Seconds
from wechatpay_chain._chain.node import Chain
from wechatpay_chain._chain.template import PathValue
from wechatpay_chain._messages.faults import ArgumentError, ContentError
from wechatpay_chain._messages.response import Response
from wechatpay_chain.errors import NotFoundError

__all__ = ["Pages", "pages"]

_NUMBERED = re.compile(r"(?P<stem>\w+?)_(?P<row>[0-9]{1,4})(?P<rest>_[0-9]{1,4})?", re.ASCII)

MOST_PAGES = 10_000
"""The most pages of one list."""


class Cursor:
    """The place in a list.

    Args:
        rule: how the operation pages.
        given: the fields of the caller's query.
        is_xml: True for APIv2.
    """

    def __init__(self, rule: PageRule, given: Mapping[str, Any], *, is_xml: bool) -> None:
        self._rule, self._is_xml = rule, is_xml
        self._given = {name: value for name, value in given.items() if value is not None}
        if rule.size and rule.rows:
            self._given.setdefault(rule.size, rule.rows)
        begin = 1 if rule.style == "page" else 0
        self._position: int | str = self._given.pop(rule.position, "" if rule.style == "token" else begin)
        if rule.style != "token":
            self._position = _to_number(rule.position, self._position)
        self._size = _to_number(rule.size, self._given[rule.size]) if rule.size in self._given else 0
        self._total: int | None = None
        self._pages = 0
        # Those in front of the first page count, too.
        in_front = self._position - begin if rule.style in ("page", "pages") and isinstance(self._position, int) else 0
        self._rows = in_front * self._size
        self._tokens: set[str] = set()

    @property
    def query(self) -> dict[str, Any]:
        """The fields of the next request."""
        if self._rule.style == "whole" or self._position == "":
            return self._given
        return {**self._given, self._rule.position: self._position}

    @property
    def may_be_past_last_page(self) -> bool:
        """True after the first page, if no total says that there are more. Lists whose offset counts pages respond with 404 then."""
        return self._rule.style == "pages" and self._pages > 0 and self._total is None

    def read(self, response: Response) -> tuple[list[Any], bool]:
        """Returns the rows of a response, and True if there are more.

        Raises:
            ContentError: the list does not end, or does not advance.
        """
        rule = self._rule
        self._pages += 1
        if self._pages > MOST_PAGES:
            raise ContentError(f"{response.request.template}: the list has more than {MOST_PAGES} pages")
        if rule.style == "comments":
            return self._read_comments(response)
        body = response.xml() if self._is_xml else response.json()
        rows = _rows_of(body, rule, response)
        # Some lists say the total on the first page only. The others say nothing or 0, and a loop may begin with one of them.
        stated = _read_total(_find(body, rule.total)) if rule.total else None
        if not rule.items and stated == 0:
            rows = []
        self._total = stated or self._total
        return rows, self._advance(body, len(rows), response)

    def _advance(self, body: Any, rows: int, response: Response) -> bool:
        rule, before = self._rule, self._position
        match rule.style:
            case "whole":
                return False
            case "token":
                self._position = str(_find(body, f"next_{rule.position}") or "")
                if self._position in self._tokens:
                    raise ContentError(
                        f"{response.request.template}: the token of the next page is that of an earlier page"
                    )
                self._tokens.add(self._position)
                return self._position != ""
            case "page" | "pages":
                assert isinstance(before, int)
                self._position = before + 1
                # The service may return fewer rows than were asked for.
                self._rows += rows
                done = self._rows
            case _:
                assert isinstance(before, int)
                self._position = done = before + (rows if rule.items else self._size)
        if not rows or self._given.get("available_mchid"):  # with it, favor users' coupons come in one piece
            return False
        if self._total is not None:
            return done < self._total
        return not self._size or rows >= self._size

    def _read_comments(self, response: Response) -> tuple[list[Any], bool]:
        # A response in XML is an error, which the layers have raised.
        if not response.content.strip():
            return [], False
        from wechatpay_chain._bills.reading import Reader

        table = Reader(response)
        rows: list[Any] = list(table.rows)
        before, self._position = self._position, table.offset or 0
        return rows, len(rows) >= self._size and self._position != before


def _to_number(name: str, value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise ArgumentError(f"{name}: came {value!r}; expected a whole number") from None


def _find(body: Any, path: str) -> Any:
    """Returns a member of members; None if it is not there. APIv2 has objects as texts of JSON."""
    for name in path.split("."):
        if isinstance(body, str):
            body = _parse(body)
        body = body.get(name) if isinstance(body, Mapping) else None
    return body


def _parse(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return jsons.loads(text)
    except (ValueError, RecursionError):
        raise ContentError("the list is no JSON; ask for it as JSON") from None


def _read_total(value: Any) -> int | None:
    """Returns a total; None if there is none. Some services write it as a text, or as 95.0."""
    try:
        total = int(float(value)) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else -1
    except (ValueError, OverflowError):
        return None
    return total if total >= 0 else None


def _rows_of(body: Any, rule: PageRule, response: Response) -> list[Any]:
    if not rule.items:
        return [body]
    if rule.items.endswith("_$n"):
        return _split_numbered(body, rule.items.removesuffix("_$n"))
    rows = _find(body, rule.items)
    if isinstance(rows, str):
        rows = _parse(rows)
    if not isinstance(body, Mapping) or not (rows is None or isinstance(rows, list)):
        raise ContentError(f"{response.request.template}: the response has no list in {rule.items!r}")
    return rows or []


def _split_numbered(fields: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Returns the rows in numbered fields: out_refund_no_0 and coupon_refund_id_0_1 are out_refund_no and coupon_refund_id_1 of row 0."""
    rows: dict[int, dict[str, Any]] = {}
    for name, value in fields.items():
        if found := _NUMBERED.fullmatch(name):
            rows.setdefault(int(found["row"]), {})[found["stem"] + (found["rest"] or "")] = value
    return [rows[number] for number in sorted(rows) if key in rows[number]]


class Pages:
    """The rows of a list that comes in pages: `for row in pages`, or `async for row in pages`. Each loop begins at the first page.

    Args:
        node: the operation.
        method: its verb in upper case.
        rule: how it pages.
        fields: the query or the body of its requests.
        how: the other arguments of the verb.
    """

    def __init__(
        self, node: Chain, method: str, rule: PageRule, fields: Mapping[str, Any], how: Mapping[str, Any]
    ) -> None:
        self._node, self._verb, self._rule, self._fields, self._how = node, method.lower(), rule, fields, how
        self._part = find_part(node, method)

    def _begin(self) -> Cursor:
        return Cursor(self._rule, self._fields, is_xml=self._part == "xml")

    def __iter__(self) -> Iterator[Any]:
        send, cursor, has_more = getattr(self._node, self._verb), self._begin(), True
        while has_more:
            try:
                response: Response = send(**{self._part: cursor.query}, **self._how)
            except NotFoundError:
                if cursor.may_be_past_last_page:
                    return
                raise
            rows, has_more = cursor.read(response)
            yield from rows

    async def __aiter__(self) -> AsyncIterator[Any]:
        send, cursor, has_more = getattr(self._node, f"{self._verb}_async"), self._begin(), True
        while has_more:
            try:
                response: Response = await send(**{self._part: cursor.query}, **self._how)
            except NotFoundError:
                if cursor.may_be_past_last_page:
                    return
                raise
            rows, has_more = cursor.read(response)
            for row in rows:
                yield row

    def __repr__(self) -> str:
        return f"<Pages of {self._verb.upper()} {self._node}>"


def find_part(node: Chain, method: str) -> str:
    """Returns the name of the argument that has the fields of a query."""
    return "params" if method == "GET" else format_of(str(node)).body


def pages(
    operation: Chain,
    *,
    params: Mapping[str, Any] | None = None,
    json: Mapping[str, Any] | None = None,
    xml: Mapping[str, Any] | None = None,
    headers: Fields = None,
    timeout: Seconds = None,
    certificate: bool | None = None,
    **variables: PathValue,
) -> Pages:
    """Returns the rows of a list that comes in pages, one after the other: for a `for` loop, or an `async for`.

        from wechatpay_chain import pages

        for stock in pages(client.v3.marketing.favor.stocks, params={"stock_creator_mchid": "1900007291"}):
            ...

    A page is requested when its first row is needed. A row that is added or removed meanwhile can move others, so that they are seen
    twice or never: look at their ids.

    Args:
        operation: a chain whose operation returns a list in pages; 86 are known.
        params: the query of a GET. The number of rows of a page need not be in it; with the place where a page begins, such as offset,
            the loop begins there.
        json: the same for a POST.
        xml: the same in APIv2.
        headers: headers to add or replace.
        timeout: seconds, for each request.
        certificate: whether to present the merchant's TLS certificate, in APIv2; None does where the operation needs it.
        **variables: the path variables.

    Raises:
        ArgumentError: the operation is not known to page, or takes its query in another argument.
        ContentError: while it is iterated: the list has more than 10,000 pages, or does not advance. What the verb raises is raised
            while it is iterated, too.
    """
    found = find_page_rule(str(operation).partition("?")[0]) if isinstance(operation, Chain) else None
    if found is None:
        raise ArgumentError(
            f"operation: came {operation!r}; expected a path of an operation that returns a list in pages, such as "
            "client.v3.marketing.favor.stocks"
        )
    method, rule = found
    parts = {"params": params, "json": json, "xml": xml}
    part = find_part(operation, method)
    for name, fields in parts.items():
        if fields is not None and name != part:
            raise ArgumentError(f"{name}: this operation is called with {method}; pass its query as {part}=")
    # A query changes nothing, whatever its verb is.
    posted = {} if method == "GET" else {"idempotent": True, "certificate": certificate}
    how = {"headers": headers, "timeout": timeout, **posted, **variables}
    return Pages(operation, method, rule, parts[part] or {}, how)

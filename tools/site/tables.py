"""The tables of a page as HTML, which Markdown's tables cannot replace: each row says how deep it is."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any, NamedTuple

from tools.site.calls import FILLED_HEADERS, find_body, find_file_part, find_form_fields, find_query
from tools.site.entries import Entry
from tools.site.values import list_members
from wechatpay_chain._catalogue.operations import Schema

__all__ = ["write_request_table", "write_response_table"]

_FORMATS = {
    "rfc3339": "RFC 3339 时间",
    "date": "日期",
    "mm/yy": "月/年",
    "yyyyMMddHHmmss": "时间，格式为 yyyyMMddHHmmss",
    "MediaId": "上传接口返回的 media_id",
    "MediaUrl": "上传接口返回的 URL",
    "url": "URL",
    "jsonObjectLike": "JSON 字符串（对象）",
    "jsonArrayLike": "JSON 字符串（数组）",
}
_TYPES = {"any": "任意", "file": "文件"}


class Row(NamedTuple):
    """A row of a table.

    Attributes:
        name: the name of the member.
        depth: how many objects it is in.
        required: whether it is required.
        kind: its type.
        notes: what else is known of it, as HTML.
    """

    name: str
    depth: int
    required: bool
    kind: str
    notes: list[str]


def write_request_table(entry: Entry) -> str:
    """Returns the table of the keywords of a call and their members; an empty text if there are none."""
    return _write_table("请求参数", list(_list_request(entry)))


def write_response_table(entry: Entry) -> str:
    """Returns the table of the members of a response; an empty text if it has none."""
    response = entry.operation.response
    while response and response["type"] == "array":
        response = response["items"]
    rows = list(_list_rows(response, 0)) if response and response["type"] == "object" else []
    if entry.is_v2:  # whose fields all come as texts
        rows = [row._replace(kind="string") if row.kind in ("integer", "number", "boolean") else row for row in rows]
    return _write_table("返回字典", rows)


def _list_request(entry: Entry) -> Iterator[Row]:
    operation = entry.operation
    if operation.variables:
        yield from _list_rows(operation.variables, 0)
    if query := find_query(operation):
        yield Row("params", 0, bool(query["required"]), "object", ["查询参数"])
        yield from _mark_added(entry, _list_rows(query, 1))
    if operation.headers:
        headers = {name: each for name, each in list_members(operation.headers).items() if name not in FILLED_HEADERS}
        if headers:
            yield Row("headers", 0, bool(set(headers) & set(operation.headers["required"])), "object", ["请求头"])
            yield from _list_rows({**operation.headers, "properties": headers}, 1)
    if operation.form:
        part = find_file_part(operation)
        note = "上传的文件" if entry.is_v2 else "上传的文件；<code>meta</code> 由客户端填写"
        yield Row("files", 0, True, "object", [note])
        yield Row(part, 1, True, "文件", ["文件路径、字节串，或（文件名, 字节串）"])
    if body := find_form_fields(entry) or find_body(operation):
        note = "请求的 XML 数据" if entry.is_v2 else "请求的 JSON 数据"
        yield Row(operation.format.body, 0, operation.body_required, "object", [note])
        yield from _mark_added(entry, _list_rows(body, 1))


def _mark_added(entry: Entry, rows: Iterator[Row]) -> Iterator[Row]:
    """Yields the rows of the fields of a message, and says of a call of APIv2 which ones the client adds."""
    added = entry.rule.added | {"media_hash"} if entry.rule else frozenset[str]()
    for row in rows:
        if row.depth == 1 and row.name in added:
            yield row._replace(required=False, notes=['<b class="api-mark">自动填写</b>', *row.notes])
        else:
            yield row


def _list_rows(schema: Schema, depth: int) -> Iterator[Row]:
    """Yields the members of an object, and theirs."""
    for name, member in list_members(schema).items():
        yield Row(name, depth, name in schema["required"], _describe_type(member), _describe(member))
        inner = member
        while inner["type"] == "array":
            inner = inner["items"]
        if inner["type"] == "object":
            yield from _list_rows(inner, depth + 1)


def _describe_type(schema: Schema) -> str:
    kind: str = schema["type"]
    return f"array[{_describe_type(schema['items'])}]" if kind == "array" else _TYPES.get(kind, kind)


def _describe(schema: Schema) -> list[str]:
    """Returns what is known of a member: its limits, its values, its example."""
    scalar = schema
    while scalar["type"] == "array":
        scalar = scalar["items"]
    notes = ['<b class="api-mark">加密</b>'] if scalar.get("encrypted") else []
    if enum := scalar.get("enum"):
        notes.append("可选值 " + " ".join(map(_code, enum)))
    if text := _FORMATS.get(scalar.get("format", "")):
        notes.append(text)
    notes += _describe_limits(schema, scalar)
    if "default" in scalar:
        notes.append(f"默认 {_code(scalar['default'])}")
    example = scalar.get("example")
    if example not in (None, "") and not enum:
        notes.append(f"例 {_code(example)}")
    return notes


def _describe_limits(schema: Schema, scalar: Schema) -> Iterator[str]:
    yield from _describe_range(scalar.get("minLength"), scalar.get("maxLength"), "个字符")
    yield from _describe_range(schema.get("minItems"), schema.get("maxItems"), "项")
    low, high = scalar.get("minimum"), scalar.get("maximum")
    if low is not None and high is not None:
        yield f"{low}–{high}"
    elif low is not None:
        yield f"不小于 {low}"
    elif high is not None:
        yield f"不大于 {high}"
    if pattern := scalar.get("pattern"):
        yield f"匹配 {_code(pattern)}"


def _describe_range(least: int | None, most: int | None, unit: str) -> Iterator[str]:
    if least and most is not None:
        yield f"{least} {unit}" if least == most else f"{least}–{most} {unit}"
    elif most is not None:
        yield f"最多 {most} {unit}"
    elif least:
        yield f"至少 {least} {unit}"


def _code(value: Any) -> str:
    return f"<code>{html.escape(str(value))}</code>"


def _write_table(heading: str, rows: list[Row]) -> str:
    if not rows:
        return ""
    lines = [f'<table class="api"><thead><tr><th>{heading}</th><th>类型</th><th>说明</th></tr></thead><tbody>']
    for row in rows:
        depth = f' style="--depth:{row.depth}"' if row.depth else ""
        required = ' <b class="api-mark api-required">必填</b>' if row.required else ""
        cells = (
            f"<td><code>{html.escape(row.name)}</code>{required}</td><td>{row.kind}</td><td>{'；'.join(row.notes)}</td>"
        )
        lines.append(f"<tr{depth}>{cells}</tr>")
    return "\n".join((*lines, "</tbody></table>"))

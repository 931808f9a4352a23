"""The page of an operation, as Markdown."""

from __future__ import annotations

import html
import json
import textwrap
from collections.abc import Iterator

from tools.site.entries import Entry
from tools.site.events import find_events
from tools.site.examples import Example
from tools.site.tables import write_request_table, write_response_table
from tools.site.typed import list_type_names, write_typed

__all__ = ["write_page"]


def write_page(entry: Entry, example: Example | None) -> str:
    """Returns the page of an operation.

    Args:
        entry: the operation.
        example: its example; None for one of APIv2, which the client does not send.
    """
    sections = [*_write_head(entry), *_write_request(entry)]
    if example:
        sections += [*_write_call(example), *_write_types(entry)]
    sections += _write_response(entry)
    if example:
        sections += [*_write_answer(example), *_write_events(entry)]
    return "\n\n".join(sections) + "\n"


def _write_head(entry: Entry) -> Iterator[str]:
    operation = entry.operation
    description = f"{entry.title}：{operation.method} {operation.path}"
    front = [f"title: {_quote(entry.title)}", f"description: {_quote(description)}"]
    front += ["search:", "  exclude: true"] if operation.deprecated else []  # or it would stand before what replaces it
    yield "\n".join(("---", *front, "---"))
    yield f"# {entry.title}"
    method = f'<b class="api-method api-{entry.verb}">{operation.method}</b>'
    yield f'<p class="api-operation">{method} <code>{html.escape(operation.path)}</code></p>'
    # The product's name stands on the page, or a search for 商家券 would not find 查询券详情.
    roles = f"，适用于{'、'.join(operation.roles)}" if operation.roles else ""
    yield f"[{entry.section.name} · {entry.product}]({entry.section.slug}.md){roles}。"
    if operation.deprecated:
        yield '!!! warning "微信支付已下线这个接口。"'
    if operation.host:
        yield f"这个接口在另一个域名：`{operation.host}`。"
    if entry.is_v2:
        yield from _write_v2(entry)


def _write_v2(entry: Entry) -> Iterator[str]:
    operation = entry.operation
    yield '!!! warning "当前版本不发送 APIv2 请求：调用会抛出 `UnsupportedError`。"'
    facts = ["需要商户 API 证书"] if operation.client_certificate else ["不需要商户 API 证书"]
    facts += [f"签名类型 {'、'.join(f'`{name}`' for name in operation.sign_types)}"] if operation.sign_types else []
    yield f"{'；'.join(facts)}。属性链：`{entry.chain}`，请求体用 `xml=` 传递。"


def _write_request(entry: Entry) -> Iterator[str]:
    yield "## 请求 {#request}"
    yield write_request_table(entry) or "没有参数。"


def _write_call(example: Example) -> Iterator[str]:
    # Six copies of a call would be most of the search index, and would be found before the tables are.
    yield "## 调用 {#call data-search-exclude}"
    yield "\n\n".join(f'=== "{style}"\n\n{_indent(_fence("python", code))}' for style, code in example.styles.items())


def _write_types(entry: Entry) -> Iterator[str]:
    yield "## 类型 {#types data-search-exclude}"
    names = "、".join(f"`{name}`" for name in list_type_names(entry))
    yield (
        f"{names or '没有专用的类型'}（[命名规则](../types.md#类型的名称)）。" if names else "这个接口没有专用的类型。"
    )
    yield _fence("python", write_typed(entry))


def _write_response(entry: Entry) -> Iterator[str]:
    operation = entry.operation
    yield "## 返回 {#response}"
    if table := write_response_table(entry):
        yield table
    elif operation.produces and not entry.is_v2:
        yield f"文件：{'、'.join(f'`{kind}`' for kind in operation.produces)}。见[文件](../files.md)。"
    elif operation.response:
        yield "文档没有列出返回的成员。"
    else:
        yield f"状态码 {operation.status}，没有应答体。"


def _write_answer(example: Example) -> Iterator[str]:
    yield "## 沙箱的应答 {#answer data-search-exclude}"
    before = f"（调用前，沙箱中已有：{example.prepared}）" if example.prepared else ""
    yield f"[本地沙箱](../sandbox.md)对上述调用的应答{before}，状态码 {example.status}："
    if example.body:
        yield _fence("json", example.body + "\n")
    elif example.content_type:
        yield f"一个文件，`{example.content_type}`。"
    else:
        yield "没有应答体。"


def _write_events(entry: Entry) -> Iterator[str]:
    if events := find_events(entry):
        yield "## 回调通知 {#events}"
        rows = [f"| [`{event.event_type}`](notifications.md#{event.event_type}) | {event.title} |" for event in events]
        yield "\n".join(("| 事件 | 名称 |", "| --- | --- |", *rows))
        yield "接收方法见[回调通知](../notifications.md)。"


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _fence(language: str, code: str) -> str:
    return f"```{language}\n{code}```"


def _indent(text: str) -> str:
    return textwrap.indent(text, "    ", lambda line: line.strip() != "")

"""The page of an operation, as Markdown."""

from __future__ import annotations

import html
import json
import textwrap
from collections.abc import Iterator, Mapping

from tools.site.calls import make_arguments
from tools.site.entries import Entry
from tools.site.events import find_events, find_v2_notice
from tools.site.examples import Example
from tools.site.official import list_official_pages
from tools.site.styles import BROWSED, STYLES, find_reader, write_style
from tools.site.tables import write_request_table, write_response_table
from tools.site.typed import list_all_type_names, list_type_names, write_typed
from wechatpay_chain._catalogue.v2_rule import V2Rule

__all__ = ["write_page"]


def write_page(entry: Entry, example: Example | None) -> str:
    """Returns the page of an operation.

    Args:
        entry: the operation.
        example: its example; None for a page that a browser opens.
    """
    styles = (
        example.styles if example else {style: write_style(entry, style, make_arguments(entry)) for style in STYLES}
    )
    sections = [*_write_head(entry), *_write_request(entry), *_write_call(styles), *_write_types(entry)]
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
    if pages := list_official_pages(entry):
        yield f"官方文档：{'、'.join(f'[{name}]({address})' for name, address in pages)}。"
    if operation.deprecated:
        yield '!!! warning "这个接口已废弃，请勿用于新的接入。"'
    if operation.host:
        yield f"这个接口使用另一个域名：`{operation.host}`。"
    if entry.rule:
        yield from _write_rule(entry, entry.rule)


def _write_rule(entry: Entry, rule: V2Rule) -> Iterator[str]:
    """Yields what is special about a call of APIv2."""
    if entry.operation.path in BROWSED:
        yield "这是由用户的浏览器打开的页面，不由服务端调用，见[GET 请求与浏览器页面](../apiv2.md#get-请求与浏览器页面)。"
    certificate = "需要" if rule.certificate else "不需要"
    names = "、".join(
        f"`{name}`" for name in (rule.merchant, "sign_type", "nonce_str", "workwx_sign", "sign") if name in rule.added
    )
    facts = [
        ("商户证书（TLS）", f"{certificate}，见[配置](../apiv2.md#配置)"),
        ("自动填写的字段", names or "无"),
        ("签名类型", _describe_sign_type(rule)),
        ("应答", "有签名，自动验签" if rule.signed else "没有签名"),
    ]
    rows = (f"| {name} | {fact} |" for name, fact in facts)
    yield "\n".join(("| [APIv2](../apiv2.md) | |", "| --- | --- |", *rows))


def _describe_sign_type(rule: V2Rule) -> str:
    if not rule.signs:
        return "不签名"
    if not rule.sign_types:
        return "`MD5`，没有 `sign_type` 字段"
    default, *others = (f"`{name}`" for name in rule.sign_types)
    return f"默认 {default}，也可以在 `sign_type` 中填写 {'、'.join(others)}" if others else default


def _write_request(entry: Entry) -> Iterator[str]:
    yield "## 请求 {#request}"
    yield write_request_table(entry) or "没有参数。"


def _write_call(styles: Mapping[str, str]) -> Iterator[str]:
    # Six copies of a call would be most of the search index, and would be found before the tables are.
    yield "## 调用 {#call data-search-exclude}"
    yield "\n\n".join(f'=== "{style}"\n\n{_indent(_fence("python", code))}' for style, code in styles.items())


def _write_types(entry: Entry) -> Iterator[str]:
    yield "## 类型 {#types data-search-exclude}"
    if names := list_type_names(entry):
        inner = len(list_all_type_names(entry)) - len(names)
        index = f"{entry.section.types_slug}.md#{entry.slug}"
        listed = "、".join(f"[`{name}`]({index})" for name in names)
        yield f"{listed}{f'，内层对象另有 {inner} 个' if inner else ''}（[命名规则](../types.md#类型的名称)）。"
    else:
        yield "这个接口没有专用的类型。"
    yield _fence("python", write_typed(entry))


def _write_response(entry: Entry) -> Iterator[str]:
    operation = entry.operation
    yield "## 返回 {#response}"
    if entry.is_v2 and find_reader(operation) == ".content" and operation.response:
        yield "成功时返回文本或文件，用 `response.content` 读取；失败时返回 XML，客户端抛出 `APIError`。失败时的字段："
    if table := write_response_table(entry):
        yield table
    elif operation.path in BROWSED:
        yield "一个网页。"
    elif operation.produces and not entry.is_v2:
        yield f"文件：{'、'.join(f'`{kind}`' for kind in operation.produces)}。见[文件](../files.md)。"
    elif operation.response:
        yield "文档没有列出返回的参数。"
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
    if notice := find_v2_notice(entry):
        yield "## 回调通知 {#events}"
        yield f"[{notice}](../apiv2.md#回调通知)。"
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

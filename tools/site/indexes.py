"""The pages that lead to the operations: all sections, one section, its types, the notifications."""

from __future__ import annotations

from collections.abc import Iterable

from tools.catalogue.writing import pascal
from tools.site.entries import Entry
from tools.site.events import find_events
from tools.site.links import SITE
from tools.site.sections import Section
from tools.site.typed import list_all_type_names, list_type_names, name_prefix
from wechatpay_chain._catalogue.operations import Event, find_event, list_events

__all__ = ["write_english_index", "write_index", "write_notifications", "write_section", "write_types"]

UNSEARCHED = "---\nsearch:\n  exclude: true\n---\n"
"""Keeps a page out of the search, where it would stand before the pages that it lists."""

Groups = dict[Section, dict[str, list[Entry]]]


def write_index(groups: Groups) -> str:
    """Returns the page of all sections."""
    rows = [
        f"| [{section.name}]({section.slug}.md) | {'、'.join(products)} | {sum(map(len, products.values()))} |"
        for section, products in groups.items()
    ]
    count = sum(len(entries) for products in groups.values() for entries in products.values())
    return "\n".join(
        (
            UNSEARCHED,
            "# 接口",
            "",
            f"共 {count:,} 个接口。每个接口一页：请求参数、六种写法、类型、返回；APIv3 接口还有沙箱的应答和回调通知。",
            "",
            "| 分类 | 产品 | 接口数 |",
            "| --- | --- | --- |",
            *rows,
            "",
            "回调通知见[通知一览](notifications.md)。",
            "",
        )
    )


def write_english_index(groups: Groups) -> str:
    """Returns the page of all sections in English. The pages of operations are in Chinese, as their documentation is."""
    rows = [
        f"| [{section.english}]({SITE}api/{section.slug}/) | {section.name} | {sum(map(len, products.values()))} |"
        for section, products in groups.items()
    ]
    return "\n".join(
        (
            "# Operations",
            "",
            "A page for each operation: its request, six styles of the call, its types, its response; for APIv3 also the response of",
            "the sandbox, and the notifications that follow. These pages are in Chinese, as WeChat Pay's documentation is.",
            "",
            "| Section | In Chinese | Operations |",
            "| --- | --- | --- |",
            *rows,
            "",
        )
    )


def write_section(section: Section, products: dict[str, list[Entry]]) -> str:
    """Returns the page of a section."""
    types = f"全部类型（含内层对象）见[{section.name}的类型]({section.types_slug}.md)。"
    lines = [UNSEARCHED, f"# {section.name}", "", types, ""]
    for product, entries in products.items():
        lines += [f"## {product}", "", "| 接口 | 路径 | 类型 |", "| --- | --- | --- |"]
        lines += [_write_row(entry) for entry in entries]
        lines.append("")
    return "\n".join(lines)


def _write_row(entry: Entry) -> str:
    operation = entry.operation
    types = " ".join(f"`{name.rpartition('.')[2]}`" for name in list_type_names(entry))
    return f"| [{entry.title}]({entry.slug}.md) | `{operation.method} {operation.path}` | {types} |"


def write_types(section: Section, products: dict[str, list[Entry]]) -> str:
    """Returns the page of the types of a section, in the order of their names, each with the operation that it is of."""
    places: dict[str, list[Entry]] = {}
    for entry in (entry for entries in products.values() for entry in entries):
        if list_all_type_names(entry):
            places.setdefault(name_prefix(entry), []).append(entry)
    lines = [
        UNSEARCHED,
        f"# {section.name}的类型",
        "",
        "类型的导入方法和命名规则见[类型](../types.md)。点击接口查看各字段的说明。",
        "",
        "| 名称前缀 | 类型 | 接口 |",
        "| --- | --- | --- |",
    ]
    for prefix, entries in sorted(places.items()):
        for entry in entries:
            names = " ".join(f"`{name.rpartition('.')[2]}`" for name in list_all_type_names(entry))
            # Two verbs of one path share the beginning; the page of an operation leads to its own row.
            lines.append(f'| <span id="{entry.slug}">`{prefix}`</span> | {names} | [{entry.title}]({entry.slug}.md) |')
    return "\n".join((*lines, ""))


def write_notifications(entries: Iterable[Entry]) -> str:
    """Returns the page of all notifications, each with the operations that it follows."""
    causes: dict[str, list[Entry]] = {}
    for entry in entries:
        for found in find_events(entry):
            causes.setdefault(found.event_type, []).append(entry)
    lines = ["# 通知一览", "", "接收和验签的方法见[回调通知](../notifications.md)。", ""]
    for name in list_events():
        if event := find_event(name):
            lines += [*_write_event(event, causes.get(name, [])), ""]
    return "\n".join(lines)


def _write_event(event: Event, causes: list[Entry]) -> list[str]:
    lines = [f"## {event.event_type} {{#{event.event_type}}}", ""]
    lines += [event.title if not event.title.startswith("Moved to") else "该事件已改名。", ""]
    name = pascal(event.event_type.lower())
    for resource in event.resources:
        typed = name if len(event.resources) == 1 else f"{name}{pascal(resource.original_type)}"
        original = f"，`original_type` 为 `{resource.original_type}`" if resource.original_type else ""
        lines.append(
            f"- 类型 `notifications.{typed}`{original}" if resource.schema else f"- 通知内容没有文档说明{original}"
        )
    lines += [
        f"- [{cause.title}]({cause.slug}.md)：`{cause.operation.method} {cause.operation.path}`" for cause in causes
    ]
    return lines

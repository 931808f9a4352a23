"""The six styles of a call: three ways to write a path, each async and sync."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from tools.site.entries import Entry
from tools.site.source import needs_sensitive, write_call
from wechatpay_chain._catalogue.operations import Operation

__all__ = ["BROWSED", "STYLES", "find_reader", "write_style"]

STYLES = ("异步纯链式", "异步声明式", "异步属性式", "同步纯链式", "同步声明式", "同步属性式")

BROWSED = frozenset({"/appauth/authindex", "/papay/entrustweb", "/papay/partner/entrustweb"})
"""Pages of APIv2 that a browser opens."""

_TABLES = frozenset(
    {
        "/billcommentsp/batchquerycomment",
        "/pay/downloadbill",
        "/pay/downloadfundflow",
        "/sandboxnew/pay/downloadbill",
    }
)
"""Operations of APIv2 that return a table; the documentation lists the fields of a failure only."""


def write_style(entry: Entry, style: str, arguments: Mapping[str, Any]) -> str:
    """Returns the block of code of a style, a program but for the `client`.

    Args:
        entry: the operation.
        style: one of STYLES.
        arguments: the keywords of the call.
    """
    template = entry.operation.template
    chains = {"纯链式": entry.chain, "声明式": f'client.chain("{template}")', "属性式": f'client["{template}"]'}
    write = _write_async if style.startswith("异步") else _write_sync
    return write(f"{chains[style[2:]]}.{entry.verb}", arguments, entry.operation)


def _write_sync(target: str, arguments: Mapping[str, Any], operation: Operation) -> str:
    imports = "from wechatpay_chain import Sensitive\n\n" if needs_sensitive(arguments) else ""
    return f"{imports}{write_call(f'response = {target}', arguments)}\n{_show(operation)}\n"


def _write_async(target: str, arguments: Mapping[str, Any], operation: Operation) -> str:
    imports = "\nfrom wechatpay_chain import Sensitive\n" if needs_sensitive(arguments) else ""
    call = write_call(f"response = await {target}_async", arguments, 4)
    shown = textwrap.indent(_show(operation), "    ")
    return f"import asyncio\n{imports}\n\nasync def main():\n{call}\n{shown}\n\n\nasyncio.run(main())\n"


def find_reader(operation: Operation) -> str:
    """Returns what reads a response: .json(), .xml() or .content for a file; an empty text if there is nothing to read."""
    if operation.api == "v2" and "application/xml" in operation.produces:
        return ".content" if operation.path in BROWSED | _TABLES else ".xml()"
    if operation.response and operation.response["type"] != "any":
        return ".json()"
    return ".content" if operation.produces or operation.response else ""


def _show(operation: Operation) -> str:
    """Returns the statement that prints what came back."""
    reader = find_reader(operation)
    if reader == ".content":
        return "print(len(response.content))"
    return f"print(response{reader or '.status_code'})"

"""Writes values and calls as Python, in the form that the formatter gives them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tools.site.values import Encrypted, Merchant

__all__ = ["needs_sensitive", "write_call"]

WIDTH = 88
"""The characters of a line that fit into the column of the site without scrolling."""


_ENCODE = json.JSONEncoder(ensure_ascii=False).encode


def write_call(target: str, arguments: Mapping[str, Any], indent: int = 0) -> str:
    """Returns a call, in one line if it fits.

    Args:
        target: what is called, and what stands before it in its line.
        arguments: the keywords.
        indent: how many spaces stand before each line.
    """
    pad = " " * indent
    flat = f"{pad}{target}({', '.join(f'{name}={_flat(value)}' for name, value in arguments.items())})"
    if len(flat) <= WIDTH and not any(isinstance(value, Mapping) and len(value) > 1 for value in arguments.values()):
        return flat
    rows = "".join(f"{pad}    {_row(f'{name}=', value, indent + 4)},\n" for name, value in arguments.items())
    return f"{pad}{target}(\n{rows}{pad})"


def needs_sensitive(value: Any) -> bool:
    """Tells whether a value has a text that is to be encrypted."""
    match value:
        case Mapping():
            return any(map(needs_sensitive, value.values()))
        case list():
            return any(map(needs_sensitive, value))
    return isinstance(value, Encrypted)


def _row(start: str, value: Any, indent: int) -> str:
    """Returns a value behind the start of its line, in several lines if it does not fit or has several members."""
    flat = _flat(value)
    is_short = indent + len(start) + len(flat) < WIDTH
    if not value or not isinstance(value, (Mapping, list)):
        return f"{start}{flat}"
    pad = " " * (indent + 4)
    if isinstance(value, Mapping):
        if is_short and len(value) == 1 and not isinstance(next(iter(value.values())), (Mapping, list)):
            return f"{start}{flat}"
        rows = [_row(f"{_quote(name)}: ", member, indent + 4) for name, member in value.items()]
        opening, closing = "{", "}"
    else:
        if is_short and not any(isinstance(item, (Mapping, list)) for item in value):
            return f"{start}{flat}"
        rows = [_row("", item, indent + 4) for item in value]
        opening, closing = "[", "]"
    return f"{start}{opening}\n" + "".join(f"{pad}{row},\n" for row in rows) + f"{' ' * indent}{closing}"


def _flat(value: Any) -> str:
    match value:
        case Merchant():
            return "client.mchid"
        case Encrypted():
            return f"Sensitive({_quote(value)})"
        case str():
            return _quote(value)
        case Mapping():
            return "{" + ", ".join(f"{_quote(name)}: {_flat(member)}" for name, member in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_flat, value)) + "]"
    return repr(value)


def _quote(text: str) -> str:
    if '"' in text and "'" not in text and "\\" not in text and text.isprintable():
        return f"'{text}'"  # the quotes that need no escapes
    return _ENCODE(text)

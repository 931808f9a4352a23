"""Writes the XML of APIv2 as the service does: texts in CDATA, and in two responses elements within elements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["to_texts", "write_xml"]


def to_texts(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Returns fields as they are written: texts for numbers, and without those that have no value.

    Args:
        fields: texts, numbers, truth values; dicts and lists for elements within elements.
    """
    return {
        name: value if isinstance(value, (Mapping, list)) else _to_text(value)
        for name, value in fields.items()
        if value is not None
    }


def _to_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def write_xml(fields: Mapping[str, Any], root: str = "xml") -> bytes:
    """Returns a message in UTF-8.

    Args:
        fields: the fields.
        root: the name of the element around them.
    """
    return f"<{root}>{_write(fields)}</{root}>".encode(errors="replace")


def _write(fields: Mapping[str, Any]) -> str:
    return "".join(
        f"<{name}>{_write_value(each)}</{name}>"
        for name, value in to_texts(fields).items()
        for each in (value if isinstance(value, list) else [value])
    )


def _write_value(value: Any) -> str:
    if isinstance(value, Mapping):
        return _write(value)
    text = _to_text(value).replace("]]>", "]]]]><![CDATA[>")
    return f"<![CDATA[{text}]]>"

"""Finds in a value what JSON cannot write, and says where it stands and what to write instead. It shows no value."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from uuid import UUID

from wechatpay_chain._messages.redaction import quote
from wechatpay_chain._messages.sensitive import Sensitive

__all__ = ["advise", "describe", "find_fault", "member", "name_kind"]

DEEPEST = 200
"""Levels that are searched. The service's own bodies have six at the most."""

_END = object()


def find_fault(value: object, place: str = "") -> str:
    """Finds the first thing in a value that JSON cannot write.

    Args:
        value: that could not be written.
        place: where it stands itself; empty for a whole body.

    Returns:
        Such as "amount.total is a Decimal; write int(…), for amounts are whole fen"; "" where it finds nothing.
    """
    is_deep = False
    levels: list[Iterator[tuple[str, object]]] = [iter([(place, value)])]
    holders: list[int] = []
    searched = set[int]()
    while levels:
        at, item = next(levels[-1], ("", _END))
        if item is _END:
            levels.pop()
            holders = holders[: len(levels) - 1]
            continue
        name = at or "it"
        if not isinstance(item, (dict, list, tuple)):
            if fault := _fault(item):
                return f"{name} {fault}"
        elif id(item) in holders:
            return f"{name} holds itself; expected what JSON can write"
        elif len(holders) == DEEPEST:
            is_deep = True
        elif id(item) in searched:
            continue
        elif isinstance(item, dict) and (fault := _fault_of_names(item)):
            return f"{name} {fault}"
        else:
            holders.append(id(item))
            searched.add(id(item))
            levels.append(_members(at, item))
    return f"{place or 'it'} is nested deeper than {DEEPEST} levels" if is_deep else ""


def member(place: str, name: object) -> str:
    """Names a member of an object, or an item of a list, by where that stands."""
    if isinstance(name, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", name):
        return f"{place}.{name}" if place else name
    return f"{place}[{quote(name, 64) if isinstance(name, str) else name}]"


def describe(value: object) -> str:
    """Says what a value is, and what to write in its place."""
    advice = advise(value)
    return f"is {name_kind(value)}{advice and f'; {advice}'}"


def name_kind(value: object) -> str:
    """Names the kind of a value, with its article."""
    kind = type(value).__name__
    if kind in _NAMED:
        return _NAMED[kind]
    return f"{'an' if kind[:1] in tuple('AEIOaeio') else 'a'} {kind}"


_NAMED = {"NoneType": "None", "str": "a text", "bytes": "bytes"}


def advise(value: object) -> str:
    """Says what to write in the place of a value; empty where there is nothing to say."""
    match value:
        case None:
            return ""
        case Enum():
            return "write its .value, for it is an Enum"
        case Decimal() | Fraction():
            return "write int(…), for amounts are whole fen"
        case datetime() if value.utcoffset() is None:
            return 'add its time zone, then write .isoformat(timespec="seconds")'
        case datetime() | time():
            return 'write .isoformat(timespec="seconds")'
        case date():
            return "write .isoformat()"
        case timedelta():
            return "write int(….total_seconds())"
        case UUID() | os.PathLike():
            return "write str(…)"
        case bytes() | bytearray() | memoryview():
            return "write its text, such as .decode(), or base64"
        case Sensitive():
            return "it belongs in json= or params=, in an object or a list of these"
        case str() | list() | tuple() | dict():
            return ""
        case Mapping():
            return "write dict(…)"
        case type():
            return "write a value, for it is a class"
    if dataclasses.is_dataclass(value):
        return "write dataclasses.asdict(…)"
    if callable(getattr(type(value), "model_dump", None)):
        return 'write .model_dump(mode="json")'
    if callable(getattr(type(value), "tolist", None)):
        return "write .tolist()" if getattr(value, "ndim", 0) else "write .item()"
    if isinstance(value, (Collection, Iterator)):
        return "write list(…)"
    return ""


_EXPECTED = "expected a text, a number, a bool, None, a dict or a list"


def _fault(item: object) -> str:
    """Says what is wrong with a value that holds no others; empty where nothing is."""
    match item:
        case None | bool() | Sensitive():
            return ""
        case str():
            return "holds half of a surrogate pair, which UTF-8 cannot write" if _is_torn(item) else ""
        case float():
            return "" if math.isfinite(item) else "is NaN or Infinity, which JSON cannot write"
        case int():
            return "is a number of too many digits" if item.bit_length() > LONGEST_NUMBER else ""
    described = describe(item)
    return described if "; " in described else f"{described}; {_EXPECTED}"


LONGEST_NUMBER = 332
"""Bits of a number of 100 digits. Python refuses to write one of some thousand digits, depending on its settings."""


def _fault_of_names(item: dict[object, object]) -> str:
    for name in item:
        if not isinstance(name, str):
            return f"has a name that is {name_kind(name)}; names are texts"
        if _is_torn(name):
            return "has a name that holds half of a surrogate pair, which UTF-8 cannot write"
    return ""


def _members(place: str, item: dict[str, object] | list[object] | tuple[object, ...]) -> Iterator[tuple[str, object]]:
    pairs = item.items() if isinstance(item, dict) else enumerate(item)
    return ((member(place, name), value) for name, value in pairs)


def _is_torn(text: str) -> bool:
    return re.search("[\ud800-\udfff]", text) is not None

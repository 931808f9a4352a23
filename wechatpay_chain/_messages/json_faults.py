"""Finds what JSON cannot represent in a value: where it is and what to write instead, without showing the value."""

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

__all__ = ["advise", "describe", "find_fault", "name_kind", "name_member"]

MAX_DEPTH = 200
"""Levels that are searched. Bodies of the service have at most six."""

_END = object()


def find_fault(value: object, place: str = "") -> str:
    """Finds the first part of a value that JSON cannot represent.

    Args:
        value: the value that could not be encoded.
        place: the path of the value itself; empty for a whole body.

    Returns:
        Such as "amount.total is a Decimal; write int(…), because amounts are whole fen"; "" if there is no fault.
    """
    is_deep = False
    levels: list[Iterator[tuple[str, object]]] = [iter([(place, value)])]
    ancestors: list[int] = []
    searched = set[int]()
    while levels:
        at, item = next(levels[-1], ("", _END))
        if item is _END:
            levels.pop()
            ancestors = ancestors[: len(levels) - 1]
            continue
        name = at or "it"
        if not isinstance(item, (dict, list, tuple)):
            if fault := _find_scalar_fault(item):
                return f"{name} {fault}"
        elif id(item) in ancestors:
            return f"{name} contains itself, which JSON cannot represent"
        elif len(ancestors) == MAX_DEPTH:
            is_deep = True
        elif id(item) in searched:
            continue
        elif isinstance(item, dict) and (fault := _find_key_fault(item)):
            return f"{name} {fault}"
        else:
            ancestors.append(id(item))
            searched.add(id(item))
            levels.append(_iterate_members(at, item))
    return f"{place or 'it'} is nested deeper than {MAX_DEPTH} levels" if is_deep else ""


def name_member(place: str, name: object) -> str:
    """Returns the path of a member of an object or of an item of a list, such as "amount.total" or "goods[0]"."""
    if isinstance(name, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", name):
        return f"{place}.{name}" if place else name
    return f"{place}[{quote(name, 64) if isinstance(name, str) else name}]"


def describe(value: object) -> str:
    """Returns the type of a value and what to write instead, such as "is a UUID; write str(…)"."""
    advice = advise(value)
    return f"is {name_kind(value)}{advice and f'; {advice}'}"


def name_kind(value: object) -> str:
    """Returns the name of a value's type, with its article."""
    kind = type(value).__name__
    if kind in _NAMED:
        return _NAMED[kind]
    return f"{'an' if kind[:1] in tuple('AEIOaeio') else 'a'} {kind}"


_NAMED = {"NoneType": "None", "bytes": "bytes"}


def advise(value: object) -> str:
    """Returns what to write instead of a value; empty if there is no advice."""
    match value:
        case None:
            return ""
        case Enum():
            return "write its .value, because it is an Enum"
        case Decimal() | Fraction():
            return "write int(…), because amounts are whole fen"
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
            return "write a str: .decode() or base64"
        case Sensitive():
            return "put it inside an object or a list of json= or params="
        case str() | list() | tuple() | dict():
            return ""
        case Mapping():
            return "write dict(…)"
        case type():
            return "write an instance, because it is a class"
    if dataclasses.is_dataclass(value):
        return "write dataclasses.asdict(…)"
    if callable(getattr(type(value), "model_dump", None)):
        return 'write .model_dump(mode="json")'
    if callable(getattr(type(value), "tolist", None)):
        return "write .tolist()" if getattr(value, "ndim", 0) else "write .item()"
    if isinstance(value, (Collection, Iterator)):
        return "write list(…)"
    return ""


_EXPECTED = "expected a str, a number, a bool, None, a dict or a list"


def _find_scalar_fault(item: object) -> str:
    """Returns what is wrong with a value that is no container; empty if nothing is."""
    match item:
        case None | bool() | Sensitive():
            return ""
        case str():
            return f"contains {_SURROGATE}" if _has_unpaired_surrogate(item) else ""
        case float():
            return "" if math.isfinite(item) else "is NaN or Infinity, which JSON cannot represent"
        case int():
            return "is a number with too many digits" if item.bit_length() > MAX_NUMBER_BITS else ""
    described = describe(item)
    return described if "; " in described else f"{described}; {_EXPECTED}"


MAX_NUMBER_BITS = 332
"""Bits of a number of 100 digits. Python refuses to write one of thousands (sys.set_int_max_str_digits)."""

_SURROGATE = "an unpaired surrogate, which UTF-8 cannot encode"


def _find_key_fault(item: dict[object, object]) -> str:
    for key in item:
        if not isinstance(key, str):
            return f"has a key that is {name_kind(key)}; keys must be str"
        if _has_unpaired_surrogate(key):
            return f"has a key that contains {_SURROGATE}"
    return ""


def _iterate_members(
    place: str, item: dict[str, object] | list[object] | tuple[object, ...]
) -> Iterator[tuple[str, object]]:
    pairs = item.items() if isinstance(item, dict) else enumerate(item)
    return ((name_member(place, name), value) for name, value in pairs)


def _has_unpaired_surrogate(text: str) -> bool:
    return re.search("[\ud800-\udfff]", text) is not None

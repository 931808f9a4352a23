"""Adds to an error what the catalogue knows: the operation that was probably meant, and what its call lacks.

Nothing is refused for it, and nothing is read before there is an error. A note names paths and members, never a value.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from wechatpay_chain._catalogue.nearest import SIMILAR, find_path, nearest_path
from wechatpay_chain._catalogue.operations import Operation, Schema, find_operation
from wechatpay_chain._chain.call import Call
from wechatpay_chain._chain.spelling import spell
from wechatpay_chain._schemes.by_key import SCHEMES, is_ciphertext
from wechatpay_chain.errors import APIError, WeChatPayError

__all__ = ["advise"]

_MOST = 3
"""How many members one note names."""

_UNLISTED = frozenset(scheme.root for scheme in SCHEMES if scheme.root)
"""The first segments of paths that the service has and the catalogue lacks."""


def advise(error: WeChatPayError, call: Call) -> None:
    """Adds notes to an error of a call: with `add_note`, before Python 3.11 at the end of its text."""
    if isinstance(error, APIError) and error.status_code not in (404, 405) and error.code != "PARAM_ERROR":
        return
    try:
        for note in list(_notes(error, call)):
            _add(error, note)
    except Exception:  # whatever a call or an error is made of, the error that the caller has to handle is this one
        return


def _add(error: WeChatPayError, note: str) -> None:
    """Adds a note, unless the error has it already: a layer may raise one error for many calls."""
    if sys.version_info >= (3, 11):
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
    elif f"\n  {note}" not in str(error.args[0]):
        error.args = (f"{error.args[0]}\n  {note}", *error.args[1:])


def _notes(error: WeChatPayError, call: Call) -> Iterator[str]:
    path = re.split(r"[?#]|\{[?&]", call.template)[0]
    if path.partition("/")[0] in _UNLISTED:
        return
    known = find_path(path, call.method)
    if known is None:
        if meant := nearest_path(path, call.method, SIMILAR):
            method = call.method if call.method in meant.methods else next(iter(meant.methods))
            yield f"the catalogue has no such path; did you mean client{spell(meant.template)}.{method.lower()}(…)?"
    elif call.method not in known.methods:
        verbs = " or ".join(f".{method.lower()}(…)" for method in sorted(known.methods))
        yield f"the catalogue has no {call.method} at this path; did you mean {verbs}?"
    elif isinstance(error, APIError) and error.code == "PARAM_ERROR":
        operation = find_operation(call.method, known.methods[call.method])
        assert operation is not None
        yield from _faults(operation, call)


def _faults(operation: Operation, call: Call) -> Iterator[str]:
    body = operation.format.body
    for argument, schema, value in (
        (body, operation.body, getattr(call, body)),
        ("params", operation.query, call.params),
    ):
        if schema is None or not isinstance(value, (Mapping, type(None))):
            continue
        if value is None and argument == body and not operation.body_required:
            continue
        if argument == "params" and _has_query(call.template):
            continue
        faults = list(_compare(schema, {} if value is None else value, ""))
        if missing := [place for fault, place in faults if fault == "missing" and place not in operation.added]:
            yield f"{argument}: the operation requires {_names(missing)}"
        if plain := [place for fault, place in faults if fault == "plain"]:
            yield f"{argument}: {_names(plain)} must be encrypted, which Sensitive(…) does"


def _has_query(template: str) -> bool:
    """Tells whether a template has a query of its own, whose members `params` need not have."""
    return re.search(r"\?|\{&", template) is not None


def _names(members: list[str]) -> str:
    more = f" and {len(members) - _MOST} more" if len(members) > _MOST else ""
    return ", ".join(members[:_MOST]) + more


def _compare(schema: Schema, value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Yields what is missing, and what is plain text where a ciphertext is expected, with its place."""
    if schema["type"] == "object" and isinstance(value, Mapping):
        for name, member in schema["properties"].items():
            here = f"{place}.{name}" if place else name
            if name in value and value[name] is not None:
                yield from _compare(member, value[name], here)
            elif name in schema["required"]:
                yield "missing", here
    elif schema["type"] == "array" and isinstance(value, (list, tuple)):
        for index, item in enumerate(value[:_MOST]):
            yield from _compare(schema["items"], item, f"{place}[{index}]")
    elif schema.get("encrypted") and isinstance(value, str) and not is_ciphertext(value):
        yield "plain", place

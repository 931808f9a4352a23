"""Adds to an error what the catalogue knows: the operation that was probably meant, and what its call lacks.

Nothing is refused for it, and nothing is read before there is an error. A note names paths and members, never a value.
"""

from __future__ import annotations

import base64
import binascii
import re
import sys
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher, get_close_matches
from functools import cache
from typing import Any, NamedTuple

from wechatpay_chain._catalogue.operations import Operation, Schema, find_operation, list_operations
from wechatpay_chain._catalogue.v2_segments import V2_SEGMENTS
from wechatpay_chain._chain.call import Call
from wechatpay_chain._chain.spelling import spell
from wechatpay_chain.errors import APIError, WeChatPayError

__all__ = ["advise"]

_MOST = 3
"""How many members one note names."""

_COMPARED = 30
"""How many paths are compared letter by letter: those with the most words in common with the call's, and about its length."""

_SIMILAR = 0.8
"""How similar a path must be to be named, from 0 to 1."""

_OTHER_VERB = 0.9
"""By what the similarity of a path is multiplied that lacks the call's method."""

_UNLISTED = frozenset({"brand"})
"""The first segments of paths that the service has and the catalogue lacks."""

_LONGEST = 300
"""How many characters of a path are compared."""


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
    path = re.split(r"[?#]|\{[?&]", call.template)[0][:_LONGEST]
    if path.partition("/")[0] in _UNLISTED:
        return
    known = _find(path, call.method)
    if known is None:
        if meant := _nearest(path, call.method):
            method = call.method if call.method in meant.methods else next(iter(meant.methods))
            yield f"the catalogue has no such path; did you mean client{spell(meant.template)}.{method.lower()}(…)?"
    elif call.method not in known.methods:
        verbs = " or ".join(f".{method.lower()}(…)" for method in sorted(known.methods))
        yield f"the catalogue has no {call.method} at this path; did you mean {verbs}?"
    elif isinstance(error, APIError) and error.code == "PARAM_ERROR":
        operation = find_operation(call.method, known.methods[call.method])
        assert operation is not None
        yield from _faults(operation, call)


class _Path(NamedTuple):
    """A path of the catalogue.

    Attributes:
        template: the template, with the names of its variables.
        segments: its segments; `{}` stands for each variable.
        words: the words in it.
        methods: by method, the path as the catalogue has it.
    """

    template: str
    segments: tuple[str, ...]
    words: frozenset[str]
    methods: dict[str, str]


@cache
def _paths() -> Mapping[str, _Path]:
    """Returns every path by its template with `{}` for each variable."""
    found: dict[str, _Path] = {}
    for method, path in list_operations():
        template = f"v2{path}" if path.split("/")[1] in V2_SEGMENTS else path[1:]
        normal = _normal(template)
        known = found.setdefault(normal, _Path(template, tuple(normal.split("/")), _words(normal), {}))
        known.methods[method] = path
    return found


def _normal(template: str) -> str:
    return re.sub(r"\{[^{}]*\}", "{}", template)


def _words(template: str) -> frozenset[str]:
    return frozenset(re.split("[/_-]", template))


def _find(path: str, method: str) -> _Path | None:
    """Returns what the catalogue has at a path, whose variables may have values already."""
    normal = _normal(path)
    segments = normal.split("/")
    fitting = [known for known in _paths().values() if _fits(segments, known)]

    def likeness(known: _Path) -> tuple[bool, int]:
        return method in known.methods, -known.segments.count("{}")

    return _paths().get(normal) or max(fitting, key=likeness, default=None)


def _fits(segments: list[str], known: _Path) -> bool:
    return len(segments) == len(known.segments) and all(
        here == there or (there == "{}" and _is_value(segments, index))
        for index, (here, there) in enumerate(zip(segments, known.segments, strict=True))
    )


def _is_value(segments: list[str], index: int) -> bool:
    """Tells whether a segment is the value of a variable, and not a misspelt or a forgotten name."""
    if any(map(str.isdigit, segments[index])):
        return True
    before = tuple(segments[:index])
    beside = [known for known in _paths().values() if known.segments[:index] == before and len(known.segments) > index]
    behind = {
        known.segments[index + 1] for known in beside if known.segments[index] == "{}" and known.segments[index + 1 :]
    }
    names = {known.template.split("/")[index].strip("{}") for known in beside}
    return segments[index] not in behind and not get_close_matches(segments[index], names, cutoff=_SIMILAR)


def _nearest(path: str, method: str) -> _Path | None:
    """Returns the most similar path, of those with the method if they are about as similar, or None if none is similar."""
    normal = _normal(path)
    words = _words(normal)

    def likeness(item: tuple[str, _Path]) -> tuple[int, int]:
        template, known = item
        return len(known.words & words), -abs(len(template) - len(normal))

    candidates = sorted(_paths().items(), key=likeness, reverse=True)[:_COMPARED]
    similar = {
        template: score
        for template, known in candidates
        if (score := _similarity(normal, words, template, known)) >= _SIMILAR
    }

    def rank(template: str) -> tuple[float, str]:
        return similar[template] * (1.0 if method in _paths()[template].methods else _OTHER_VERB), template

    return _paths()[max(similar, key=rank)] if similar else None


def _similarity(normal: str, words: frozenset[str], template: str, known: _Path) -> float:
    """Returns how similar two paths are, from 0 to 1: by their letters, and by their words, which may be in another order."""
    letters = SequenceMatcher(None, normal, template, autojunk=False).ratio()
    shared = 2 * len(words & known.words) / (len(words) + len(known.words))
    return 1.0 if _plain(normal) == _plain(template) else max((letters + shared) / 2, 0.85 * letters)


def _plain(template: str) -> str:
    """Returns a path without what separates words and without a slash at its ends."""
    return re.sub("[-_]", "", template).strip("/").lower()


def _faults(operation: Operation, call: Call) -> Iterator[str]:
    for argument, schema, value in (("json", operation.body, call.json), ("params", operation.query, call.params)):
        if schema is None or not isinstance(value, (Mapping, type(None))):
            continue
        if value is None and argument == "json" and not operation.body_required:
            continue
        if argument == "params" and _has_query(call.template):
            continue
        faults = list(_compare(schema, {} if value is None else value, ""))
        if missing := [place for fault, place in faults if fault == "missing"]:
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
    elif schema.get("encrypted") and isinstance(value, str) and not _is_ciphertext(value):
        yield "plain", place


def _is_ciphertext(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) >= 128  # RSA of 1024 bits and more
    except (binascii.Error, ValueError):
        return False

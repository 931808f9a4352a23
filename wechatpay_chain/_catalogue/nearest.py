"""Finds what the catalogue has at a path, or the path that is most like it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import SequenceMatcher, get_close_matches
from functools import cache
from typing import NamedTuple

from wechatpay_chain._catalogue.formats import format_of, format_on_wire
from wechatpay_chain._catalogue.operations import Operation, find_operation, list_operations

__all__ = ["SIMILAR", "KnownPath", "find_operation_at", "find_path", "list_segments", "nearest_path"]

SIMILAR = 0.8
"""How similar a path must be to be taken for a misspelt one, from 0 to 1."""

_COMPARED = 30
"""How many paths are compared letter by letter: those with the most words in common, and about as long."""

_OTHER_VERB = 0.9
"""By what the similarity of a path is multiplied that lacks the call's method."""

_LONGEST = 300
"""How many characters of a path are compared."""


class KnownPath(NamedTuple):
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
def _paths() -> Mapping[str, KnownPath]:
    """Returns every path by its template with `{}` for each variable."""
    found: dict[str, KnownPath] = {}
    for method, path in list_operations():
        template = format_on_wire(path).to_chain(path)
        normal = _normal(template)
        known = found.setdefault(normal, KnownPath(template, tuple(normal.split("/")), _words(normal), {}))
        known.methods[method] = path
    return found


@cache
def list_segments() -> frozenset[str]:
    """Returns every segment that is a name in some path."""
    return frozenset(segment for known in _paths().values() for segment in known.segments if "{" not in segment)


def _normal(template: str) -> str:
    return re.sub(r"\{[^{}]*\}", "{}", template)


def _words(template: str) -> frozenset[str]:
    return frozenset(re.split("[/_-]", template))


def find_path(path: str, method: str) -> KnownPath | None:
    """Returns what the catalogue has at a path, whose variables may have values already."""
    normal = _normal(path[:_LONGEST])
    if exact := _paths().get(normal):  # of most calls, and a thousand times as fast
        return exact
    segments = normal.split("/")
    fitting = [known for known in _paths().values() if _fits(segments, known)]

    def likeness(known: KnownPath) -> tuple[bool, int]:
        return method in known.methods, -known.segments.count("{}")

    return max(fitting, key=likeness, default=None)


def find_operation_at(method: str, path: str) -> Operation | None:
    """Returns the operation at a path, whose variables may have values already; None if the catalogue lacks it."""
    known = find_path(path, method)
    return find_operation(method, known.methods[method]) if known and method in known.methods else None


def _fits(segments: list[str], known: KnownPath) -> bool:
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
    return segments[index] not in behind and not get_close_matches(segments[index], names, cutoff=SIMILAR)


def nearest_path(path: str, method: str, least: float = 0.0) -> KnownPath | None:
    """Returns the path that is most like another, of those with the method if they are about as similar.

    Args:
        path: the path template that the catalogue lacks.
        method: the method of the call.
        least: how similar it must be, from 0 to 1.

    Returns:
        The path; None if none is as similar.
    """
    normal = _normal(path[:_LONGEST])
    words, wanted = _words(normal), format_of(path)

    def likeness(item: tuple[str, KnownPath]) -> tuple[int, int]:
        template, known = item
        return len(known.words & words), -abs(len(template) - len(normal))

    family = (item for item in _paths().items() if format_of(item[0]) is wanted)
    candidates = sorted(family, key=likeness, reverse=True)[:_COMPARED]
    similar = {
        template: score
        for template, known in candidates
        if (score := _similarity(normal, words, template, known)) >= least
    }

    def rank(template: str) -> tuple[float, str]:
        return similar[template] * (1.0 if method in _paths()[template].methods else _OTHER_VERB), template

    return _paths()[max(similar, key=rank)] if similar else None


def _similarity(normal: str, words: frozenset[str], template: str, known: KnownPath) -> float:
    """Returns how similar two paths are, from 0 to 1: by their letters, and by their words, which may be in another order."""
    letters = SequenceMatcher(None, normal, template, autojunk=False).ratio()
    shared = 2 * len(words & known.words) / (len(words) + len(known.words))
    return 1.0 if _plain(normal) == _plain(template) else max((letters + shared) / 2, 0.85 * letters)


def _plain(template: str) -> str:
    """Returns a path without what separates words and without a slash at its ends."""
    return re.sub("[-_]", "", template).strip("/").lower()

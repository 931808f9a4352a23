"""Finds what the catalogue has at a path, or the path that is most like it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import SequenceMatcher, get_close_matches
from functools import cache
from typing import NamedTuple

from wechatpay_chain._catalogue.operations import list_operations
from wechatpay_chain._catalogue.v2_segments import V2_SEGMENTS

__all__ = ["KnownPath", "find_path", "nearest_path"]

_COMPARED = 30
"""How many paths are compared letter by letter: those with the most words in common, and about as long."""

_LONGEST = 300
"""How many characters of a path are compared."""

_SIMILAR = 0.75
"""How similar a name must be to be taken for a misspelt one, from 0 to 1."""


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
        template = f"v2{path}" if path.split("/")[1] in V2_SEGMENTS else path[1:]
        normal = _normal(template)
        known = found.setdefault(normal, KnownPath(template, tuple(normal.split("/")), _words(normal), {}))
        known.methods[method] = path
    return found


def _normal(template: str) -> str:
    return re.sub(r"\{[^{}]*\}", "{}", template)


def _words(template: str) -> frozenset[str]:
    return frozenset(re.split("[/_-]", template))


def find_path(path: str) -> KnownPath | None:
    """Returns what the catalogue has at a path, whose variables may have values already; None if it has nothing."""
    normal = _normal(path[:_LONGEST])
    segments = normal.split("/")
    return _paths().get(normal) or next((known for known in _paths().values() if _fits(segments, known)), None)


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
    names = {
        known.template.split("/")[index].strip("{}")
        for known in _paths().values()
        if known.segments[:index] == before and len(known.segments) > index
    }
    return not get_close_matches(segments[index], names, cutoff=_SIMILAR)


def nearest_path(path: str) -> tuple[float, KnownPath]:
    """Returns how similar the most similar path is, from 0 to 1, and that path."""
    normal = _normal(path[:_LONGEST])
    words = _words(normal)

    def likeness(item: tuple[str, KnownPath]) -> tuple[int, int]:
        template, known = item
        return len(known.words & words), -abs(len(template) - len(normal))

    is_v2 = path.startswith("v2/")
    family = (item for item in _paths().items() if item[0].startswith("v2/") == is_v2)
    candidates = sorted(family, key=likeness, reverse=True)[:_COMPARED]
    score, template = max((_similarity(normal, words, template, known), template) for template, known in candidates)
    return score, _paths()[template]


def _similarity(normal: str, words: frozenset[str], template: str, known: KnownPath) -> float:
    """Returns how similar two paths are, from 0 to 1: by their letters, and by their words, which may be in another order."""
    letters = SequenceMatcher(None, normal, template, autojunk=False).ratio()
    shared = 2 * len(words & known.words) / (len(words) + len(known.words))
    return max((letters + shared) / 2, 0.85 * letters)

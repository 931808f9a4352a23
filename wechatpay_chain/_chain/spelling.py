"""Spells a path template as a chain of attributes."""

from __future__ import annotations

import keyword
import re

from wechatpay_chain._chain.node import VERBS
from wechatpay_chain._chain.template import extend

__all__ = ["spell", "spell_segment"]

_TAKEN = frozenset({"chain", *VERBS})


def spell(template: str) -> str:
    """Returns a template as Python writes it after `client`: by attributes, or in brackets if no attribute can write it."""
    parent, *segments = template.split("/")
    written = f".{parent}_" if keyword.iskeyword(parent) else f".{parent}"
    for segment in segments:
        attribute = spell_segment(parent, segment)
        if not attribute:
            return f'["{template}"]'
        parent, written = f"{parent}/{segment}", f"{written}.{attribute}"
    return written


def spell_segment(parent: str, segment: str) -> str:
    """Returns the attribute that adds a segment to a template, or an empty text if there is none."""
    if variable := re.fullmatch(r"\{(\w+)\}", segment):
        return f"_{variable[1]}_"
    if not segment:
        return "_empty_"
    plain = segment.replace("-", "_")
    spelt = segment.replace("_", "__").replace("-", "_")
    return next((name for name in (plain, f"{plain}_", spelt, f"{spelt}_") if _leads(parent, name, segment)), "")


def _leads(parent: str, name: str, segment: str) -> bool:
    usable = name.isidentifier() and name.isascii() and not keyword.iskeyword(name) and name not in _TAKEN
    return usable and not name.startswith("_") and extend(parent, name) == f"{parent}/{segment}"

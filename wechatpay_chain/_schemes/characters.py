"""Reads texts that people copy: what cannot be seen is left out, and what does not belong is named.

Web pages, chat programs, Windows dialogs and input methods add characters that nobody sees or that look like others:
zero-width spaces, byte order marks, direction marks, no-break spaces, full-width digits, typographic dashes.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["Copied", "fold", "strip"]

_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−─━ー﹣﹘⁃"), "-")
# Line ends of Unicode's own, and letters that are blank by definition.
_BLANKS = {**dict.fromkeys(map(ord, "\u2028\u2029\x85"), "\n"), **dict.fromkeys(map(ord, "\u115f\u1160\u2800\u3164"))}
_FOLDED = {**_DASHES, **_BLANKS}
_INVISIBLE = ("Cc", "Cf", "Mn")
_AROUND = " \t\r\n\"'`“”‘’"

_NAMES = {"\n": "LINE FEED", "\r": "CARRIAGE RETURN", "\t": "TAB", "\0": "NULL"}
_LOOKALIKES = {"O": "a zero", "o": "a zero", "I": "a one", "l": "a one"}


def fold(text: str) -> str:
    """Returns a text in the characters that a keyboard has, without those that cannot be seen. Line ends stay."""
    if text.isascii() and text.isprintable():
        return text
    plain = unicodedata.normalize("NFKC", text.translate(_FOLDED))
    return "".join(char for char in plain if char in "\t\n\r" or unicodedata.category(char) not in _INVISIBLE)


def strip(text: str) -> str:
    """Returns a text without the blanks, the quotes and the invisible characters around it; the inside stays as it is."""
    begin, end = _edges(text)
    return text[begin:end]


def _edges(text: str) -> tuple[int, int]:
    begin, end = 0, len(text)
    while begin < end and not fold(text[begin]).strip(_AROUND):
        begin += 1
    while begin < end and not fold(text[end - 1]).strip(_AROUND):
        end -= 1
    return begin, end


class Copied:
    """A short text that somebody copied, such as a number.

    Args:
        came: the text as it came.

    Attributes:
        text: the same, stripped and folded.
    """

    def __init__(self, came: str) -> None:
        begin, end = _edges(came)
        pairs = [(char, place) for place in range(begin, end) for char in fold(came[place])]
        self._came, self._places = came, [place for _, place in pairs]
        self.text = "".join(char for char, _ in pairs)

    def find_flaw(self, allowed: str, begin: int = 0) -> str:
        """Names the first character that does not belong, and its place in the text as it came; empty without one.

        Args:
            allowed: the inside of a character class, such as "0-9".
            begin: where in `text` to begin.
        """
        found = re.compile(f"[^{allowed}]").search(self.text, begin)
        if found is None:
            return ""
        place = self._places[found.start()]
        char = self._came[place]
        name = _NAMES.get(char) or unicodedata.name(char, "a character without a name")
        meant = f", where {_LOOKALIKES[char]} may be meant" if char in _LOOKALIKES else ""
        return f"U+{ord(char):04X} {name} at character {place + 1}{meant}"

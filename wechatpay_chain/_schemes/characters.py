"""Cleans up copied text: removes invisible characters, and names the characters that do not belong.

Web pages, chat programs, Windows dialogs and input methods add characters that are invisible or look like others:
zero-width spaces, byte order marks, direction marks, no-break spaces, full-width digits, typographic dashes.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["Copied", "fold", "strip"]

_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−─━ー﹣﹘⁃"), "-")
# Line separators that only Unicode has, and letters that are displayed as spaces.
_BLANKS = {**dict.fromkeys(map(ord, "\u2028\u2029\x85"), "\n"), **dict.fromkeys(map(ord, "\u115f\u1160\u2800\u3164"))}
_FOLDED = {**_DASHES, **_BLANKS}
_INVISIBLE = ("Cc", "Cf", "Mn")
_SURROUNDING = " \t\r\n\"'`“”‘’"

_NAMES = {"\n": "LINE FEED", "\r": "CARRIAGE RETURN", "\t": "TAB", "\0": "NULL"}
_LOOKALIKES = {"O": "a zero", "o": "a zero", "I": "a one", "l": "a one"}


def fold(text: str) -> str:
    """Replaces typographic characters by those of a keyboard and removes invisible ones; keeps line ends."""
    if text.isascii() and text.isprintable():
        return text
    plain = unicodedata.normalize("NFKC", text.translate(_FOLDED))
    return "".join(char for char in plain if char in "\t\n\r" or unicodedata.category(char) not in _INVISIBLE)


def strip(text: str) -> str:
    """Removes spaces, quotes and invisible characters from both ends of a text; the inside is not changed."""
    begin, end = _find_edges(text)
    return text[begin:end]


def _find_edges(text: str) -> tuple[int, int]:
    begin, end = 0, len(text)
    while begin < end and not fold(text[begin]).strip(_SURROUNDING):
        begin += 1
    while begin < end and not fold(text[end - 1]).strip(_SURROUNDING):
        end -= 1
    return begin, end


class Copied:
    """A short text that a user copied, such as a number.

    Args:
        original: the text as it was passed.

    Attributes:
        text: the text after `strip` and `fold`.
    """

    def __init__(self, original: str) -> None:
        begin, end = _find_edges(original)
        pairs = [(char, position) for position in range(begin, end) for char in fold(original[position])]
        self._original, self._positions = original, [position for _, position in pairs]
        self.text = "".join(char for char, _ in pairs)

    def find_flaw(self, allowed: str, begin: int = 0) -> str:
        """Names the first character that is not allowed, and its position in the original; returns "" if there is none.

        Args:
            allowed: the allowed characters, as the inside of a regular expression's [], such as "0-9".
            begin: the index in `text` at which the search begins.
        """
        found = re.compile(f"[^{allowed}]").search(self.text, begin)
        if found is None:
            return ""
        position = self._positions[found.start()]
        char = self._original[position]
        name = _NAMES.get(char) or unicodedata.name(char, "a character without a name")
        meant = f", where {_LOOKALIKES[char]} may be meant" if char in _LOOKALIKES else ""
        return f"U+{ord(char):04X} {name} at character {position + 1}{meant}"

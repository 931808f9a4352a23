"""Makes text fit for logs and error messages: bounded, escaped, and without values that are nobody else's business.

Whoever writes the other side of a connection must be able neither to forge a line of a log nor to fill it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

__all__ = ["HIDDEN", "LONGEST", "LONGEST_TEXT", "escape", "hide_values", "printable", "quote"]

HIDDEN = "…"
"""Stands for a value that is not shown."""

LONGEST = 128
"""Characters of an identifier that are shown: a request id, an error code, a media type."""

LONGEST_TEXT = 512
"""Characters of a sentence of the service's that are shown; its own have some dozen."""

_WORD = re.compile(r"[!-&(-\[\]-~]*")


def escape(word: str, longest: int = LONGEST) -> str:
    """Writes an identifier that came from outside as one word of printable ASCII.

    Args:
        word: as it came.
        longest: characters of the result at the most; what is cut ends in "...".
    """
    if len(word) <= longest and _WORD.fullmatch(word):
        return word
    return _bounded(word, longest, lambda character: character if _WORD.fullmatch(character) else _escape(character))


def quote(text: str, longest: int = LONGEST_TEXT) -> str:
    """Writes a text that came from outside between quotation marks. Every script stays readable, on one line.

    Args:
        text: as it came.
        longest: characters between the marks at the most; what is cut ends in "...".
    """
    return f"'{_bounded(text, longest, lambda character: _MARKS.get(character) or printable(character))}'"


_MARKS = {"'": r"\'", "\\": r"\\"}


def printable(text: str) -> str:
    """Escapes what is not printable in a text, and nothing else."""
    return text if text.isprintable() else "".join(mark if mark.isprintable() else _escape(mark) for mark in text)


def _escape(character: str) -> str:
    written = ascii(character)[1:-1]
    return written if written != character else f"\\x{ord(character):02x}"


def _bounded(text: str, longest: int, written: Callable[[str], str]) -> str:
    pieces = [written(character) for character in text[: longest + 1]]
    length = sum(map(len, pieces))
    if length <= longest:
        return "".join(pieces)
    while length > longest - len("..."):
        length -= len(pieces.pop())
    return "".join(pieces) + "..."


def hide_values(text: str, values: Iterable[str], shortest: int) -> str:
    """Hides values of a call that a text of the service's repeats.

    Args:
        text: as it came. What is longer than a message may be is cut off first.
        values: that are not to be shown.
        shortest: characters of the shortest value that is looked for; shorter ones stand in a text by chance.
    """
    found = sorted((value for value in values if len(value) >= shortest), key=len, reverse=True)
    text = text[: 4 * LONGEST_TEXT]
    return re.sub("|".join(map(re.escape, found)), HIDDEN, text) if found else text

"""Makes text safe for logs and error messages: limited in length, escaped, and without private values.

The peer of a connection must be able neither to forge a line of a log (log injection) nor to flood the log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

__all__ = ["HIDDEN", "LONGEST", "LONGEST_TEXT", "escape", "escape_unprintable", "hide_values", "quote"]

HIDDEN = "…"
"""The placeholder of a hidden value."""

LONGEST = 128
"""Most characters shown of an identifier: a request id, an error code, a media type."""

LONGEST_TEXT = 512
"""Most characters shown of a message of the service; its real messages have a few dozen."""

_WORD = re.compile(r"[!-&(-\[\]-~]*")


def escape(word: str, longest: int = LONGEST) -> str:
    """Returns a received identifier as one word of printable ASCII.

    Args:
        word: the identifier as it was received.
        longest: most characters of the result; a longer one is truncated and ends in "...".
    """
    if len(word) <= longest and _WORD.fullmatch(word):
        return word
    return _bounded(word, longest, lambda character: character if _WORD.fullmatch(character) else _escape(character))


def quote(text: str, longest: int = LONGEST_TEXT) -> str:
    """Returns a received text in quotation marks, on one line. Chinese and every other script stay readable.

    Args:
        text: the text as it was received.
        longest: most characters between the marks; a longer text is truncated and ends in "...".
    """
    return f"'{_bounded(text, longest, lambda character: _MARKS.get(character) or escape_unprintable(character))}'"


_MARKS = {"'": r"\'", "\\": r"\\"}


def escape_unprintable(text: str) -> str:
    """Escapes the characters of a text that are not printable, and no others."""
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
    """Replaces the values of a call that a message of the service repeats.

    Args:
        text: the message as it was received. It is truncated first.
        values: the values to hide.
        shortest: fewest characters of a value to hide; shorter values match by chance.
    """
    found = sorted((value for value in values if len(value) >= shortest), key=len, reverse=True)
    text = text[: 4 * LONGEST_TEXT]
    return re.sub("|".join(map(re.escape, found)), HIDDEN, text) if found else text

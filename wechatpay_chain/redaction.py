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


_PARAMETER = re.compile(r"([?&][\w.\[\]-]{1,64}=)[^&\s\\'\"]+")

FEWEST = 4
"""Characters of the shortest value that is looked for; shorter ones are in every text by chance."""


def hide_values(text: str, values: Iterable[str], run: int) -> str:
    """Hides what a text of the service's repeats of a call: the values of a query, and parts of values.

    Args:
        text: as it came, whole or cut anywhere.
        values: that are not to be shown.
        run: so many characters in a row are a part of a value.
    """
    text = _PARAMETER.sub(rf"\1{HIDDEN}", text)
    hidden = bytearray(len(text))
    for value in set(values):
        width = min(run, len(value))
        if width < FEWEST:
            continue
        for part in {value[at : at + width] for at in range(len(value) - width + 1)}:
            at = text.find(part)
            while at >= 0:
                hidden[at : at + width] = b"\1" * width
                at = text.find(part, at + 1)
    return re.sub("\0+", HIDDEN, "".join("\0" if hide else mark for mark, hide in zip(text, hidden, strict=True)))

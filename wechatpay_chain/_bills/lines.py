"""Splits the lines of a bill into cells.

A bill is not the CSV of RFC 4180: each cell begins with a back-tick, nothing is quoted, and a text may contain commas. Some files
differ: profit-sharing bills before 2025-01-15 have no back-ticks, and the last columns of the records of coupons are in double
quotes. Source: https://pay.weixin.qq.com/doc/v3/merchant/4012529628
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = [
    "begins_row",
    "clean",
    "count_cells",
    "is_names",
    "is_summary_header",
    "split_header",
    "split_odd_line",
    "split_quoted",
]

_DATED = re.compile(r"[`\"]?`?\d{4}-\d\d-\d\d[ T]\d\d:")
_CELL = re.compile(r'"(?P<quoted>(?:[^"]|"")*)"(?=,|$)|(?P<bare>[^,"]*)(?=,|$)')


def clean(line: str) -> str:
    """Returns a line without its end, and without what tools leave around it: a byte order mark, blanks, and the end of a DOS file."""
    return line.rstrip("\r\n\0\x1a").removeprefix("\ufeff")


def split_header(line: str) -> list[str]:
    """Returns the names in a header, which has no back-ticks as a rule. A program that saves tables may have added commas."""
    return [name.strip().removeprefix("`").strip('"') for name in line.rstrip(",").split(",")]


def begins_row(line: str, *, is_dated: bool) -> bool:
    """Tells whether a line is the beginning of a row, and not what is left of a text with a line end in it.

    Args:
        line: the line.
        is_dated: whether the first cell of each row is a time.
    """
    return _DATED.match(line) is not None if is_dated else line.startswith(("`", '"'))


def count_cells(line: str) -> int:
    """Returns how many cells a line has, if there is a back-tick in front of each; 0 if it does not begin with one."""
    return line.count(",`") + 1 if line.startswith("`") else 0


def is_names(line: str) -> bool:
    """Tells whether a line has names and no values: it has no back-tick at its beginning, and no digits."""
    return line.strip(" ,") != "" and line[:1] not in ("`", '"') and not any(map(str.isdigit, line))


def is_summary_header(line: str) -> bool:
    """Tells whether a line has the names of totals, of which the first one is a number of rows."""
    first = line.partition(",")[0]
    return is_names(line) and ("总" in first or "total" in first.lower())


def split_odd_line(line: str, width: int, free: Sequence[int]) -> list[str] | None:
    """Returns the cells of a line that does not have exactly one back-tick in front of each; None if it cannot be split.

    Args:
        line: without its line end.
        width: how many cells there should be.
        free: the positions of the columns with texts of users, which may contain what separates cells.
    """
    pieces = line[1:].split(",`") if line.startswith("`") else [line]
    if len(pieces) == width:
        return pieces
    if len(pieces) > width:
        return _join_text(pieces, ",`", width, free)
    return (
        split_quoted(line, width)
        or _split_tail(pieces, width)
        or _align(pieces, width, free)
        or (_join_text(line.split(","), ",", width, free) if len(pieces) == 1 else None)
    )


def _join_text(cells: list[str], separator: str, width: int, free: Sequence[int]) -> list[str] | None:
    """Joins what is too much into the first free text: the cells on the left and on the right of it are in their places."""
    extra = len(cells) - width
    if extra < 0 or (extra and not free):
        return None
    first = free[0] if free else 0
    return [*cells[:first], separator.join(cells[first : first + extra + 1]), *cells[first + extra + 1 :]]


def split_quoted(line: str, width: int) -> list[str] | None:
    """Splits a line as RFC 4180 says: a program that saves tables has written the bill anew."""
    cells, position = [], 0
    while found := _CELL.match(line, position):
        quoted = found["quoted"]
        cells.append((quoted.replace('""', '"') if quoted is not None else found["bare"]).removeprefix("`"))
        position = found.end() + 1
        if found.end() == len(line):
            return cells if len(cells) == width else None
    return None


def _split_tail(pieces: list[str], width: int) -> list[str] | None:
    """Splits the last piece, if the last columns have no back-ticks: each is in double quotes, perhaps with quotes in it, or bare."""
    left = width - len(pieces)
    cell, found, rest = pieces[-1].partition(',"')
    if not found:
        return None
    cells, rest = [*pieces[:-1], cell], f'"{rest}'
    while left > 1:
        end = '",' if rest.startswith('"') else ","
        cell, found, rest = rest.removeprefix('"').partition(end)
        if not found:
            return None
        cells.append(cell)
        left -= 1
    return [*cells, rest.removeprefix('"').removesuffix('"')]


def _align(pieces: list[str], width: int, free: Sequence[int]) -> list[str] | None:
    """Splits pieces at commas on the left and on the right of the free texts: some cells there have no back-ticks."""
    first, last = (free[0], free[-1]) if free else (width, width - 1)
    begin, end = 0, len(pieces)
    left: list[str] = []
    right: list[str] = []
    while len(left) < first and begin < end:
        left += pieces[begin].split(",")
        begin += 1
    while len(right) < width - last - 1 and begin < end:
        right = [*pieces[end - 1].split(","), *right]
        end -= 1
    cells = [*left, *pieces[begin:end], *right]
    return cells if len(cells) == width and len(left) == first else None

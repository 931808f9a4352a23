"""Splits the lines of a bill into cells.

A bill is not the CSV of RFC 4180: each cell begins with a back-tick, nothing is quoted, and a text may contain commas. Some files
differ: profit-sharing bills before 2025-01-15 have no back-ticks, and the last columns of the records of coupons are in double
quotes. Source: https://pay.weixin.qq.com/doc/v3/merchant/4012529628
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["begins_row", "split_header", "split_odd_line"]

_CELL = re.compile(r'`(?P<ticked>.*?)(?=,[`"]|$)|"(?P<quoted>(?:[^"]|"")*)"(?=,|$)|(?P<bare>[^,`"]*)(?=,|$)', re.DOTALL)
_ROW = re.compile(r"[`\"]?\d{4}-\d\d-\d\d[ T]\d\d:")


def split_header(line: str) -> list[str]:
    """Returns the names in a header, which has no back-ticks as a rule."""
    return [name.strip().removeprefix("`").strip('"') for name in line.split(",")]


def begins_row(line: str) -> bool:
    """Tells whether a line is the beginning of a row, and not what is left of a text with a line end in it."""
    return _ROW.match(line) is not None


def split_odd_line(line: str, width: int, free: Sequence[int]) -> list[str] | None:
    """Returns the cells of a line that does not have exactly one back-tick in front of each; None if it has too few cells.

    Args:
        line: without its line end.
        width: how many cells there should be.
        free: the positions of the columns with texts of users, which may contain what separates cells.
    """
    mixed = _split_mixed(line)
    if mixed is not None and len(mixed) == width:
        return mixed
    is_ticked = line.startswith("`")
    cells = line[1:].split(",`") if is_ticked else line.split(",")
    extra = len(cells) - width
    if extra == 0:
        return cells
    if extra < 0 or not free:
        return None
    # The cells on the left and on the right of the free text are in their places; what is too much belongs to the text.
    first, separator = free[0], ",`" if is_ticked else ","
    return [*cells[:first], separator.join(cells[first : first + extra + 1]), *cells[first + extra + 1 :]]


def _split_mixed(line: str) -> list[str] | None:
    """Splits a line of which some cells begin with a back-tick, some are in quotes, and some are bare."""
    cells, position = [], 0
    while True:
        found = _CELL.match(line, position)
        if found is None:
            return None
        quoted = found["quoted"]
        cells.append(quoted.replace('""', '"') if quoted is not None else found["ticked"] or found["bare"] or "")
        if found.end() == len(line):
            return cells
        position = found.end() + 1

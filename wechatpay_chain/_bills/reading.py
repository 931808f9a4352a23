"""Reads the rows of a bill one by one, in constant memory."""

from __future__ import annotations

import re
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from wechatpay_chain._bills.columns import FREE_TEXT, Row, find_conversion, find_kind
from wechatpay_chain._bills.lines import (
    begins_row,
    clean,
    count_cells,
    is_names,
    is_summary_header,
    split_header,
    split_odd_line,
    split_quoted,
)
from wechatpay_chain._bills.source import BillSource, open_lines, refuse_error
from wechatpay_chain.errors import BillError

__all__ = ["Reader"]

COMMENTS = ("评论时间", "微信支付订单号", "星级", "评论内容")
"""The columns of the comments of APIv2, which have no header: https://pay.weixin.qq.com/doc/v2/merchant/4014326528"""

LONGEST_LINE = 1 << 20
"""The most characters of a line."""

MOST_LINES = 100
"""The most lines of one row, of which a text has line ends."""


class Reader:
    """Reads a bill: its header at once, and its rows when they are asked for.

    Attributes:
        columns: the names in the header.
        rows: the rows that are left. The file is closed after the last one.
        summaries: the rows with totals that have been read.
        offset: of comments (APIv2), the number in the first line; None in other files.
        line: the number of the line that was read last, from 1.
    """

    def __init__(self, source: BillSource) -> None:
        self._lines, self._file = open_lines(source)
        self.line = 0
        self._ahead: deque[str] = deque()
        self.summaries: list[Row] = []
        self.offset: int | None = None
        try:
            self.columns: tuple[str, ...] = self._read_header()
            self._conversions = _find_conversions(self.columns)
        except BaseException:
            self.close()
            raise
        self._is_dated = find_kind(self.columns[0]) == "time"
        self._free = [index for index, name in enumerate(self.columns) if name in FREE_TEXT]
        self.rows = self._read_rows()

    def close(self) -> None:
        """Closes the file, unless it was opened elsewhere."""
        self._lines.close()
        self._file.close()

    def _read(self, most: int, *, whole: bool = False) -> str:
        """Returns the next line, or as many characters as there are up to a number.

        Raises:
            BillError: it cannot be read.
        """
        try:
            return self._lines.read(most) if whole else self._lines.readline(most)
        except UnicodeDecodeError:
            raise self._make_error("or one soon after is not UTF-8") from None
        except (EOFError, OSError, zlib.error) as error:
            raise self._make_error(f"cannot be read: {error}") from error

    def _read_line(self) -> str:
        """Returns the next line with its end; an empty text at the end of the file.

        Raises:
            BillError: it cannot be read, or is too long.
        """
        self.line += 1
        if self._ahead:
            return self._ahead.popleft()
        line = self._read(LONGEST_LINE)
        if len(line) == LONGEST_LINE:
            raise self._make_error("is too long")
        return line

    def _peek(self, ahead: int = 0) -> str:
        """Returns the next line, or one that comes later; they stay the next ones."""
        while len(self._ahead) <= ahead:
            self._ahead.append(self._read(LONGEST_LINE))
        return self._ahead[ahead]

    def _read_header(self) -> tuple[str, ...]:
        head = clean(self._read_line()).strip()
        while not head and self._peek():
            head = clean(self._read_line()).strip()
        if not head:
            raise BillError("this is no bill: it is empty")
        refuse_error(head + self._read(LONGEST_LINE, whole=True) if head.startswith("<") else head)
        if re.fullmatch("[0-9]{1,15}", head):
            self.offset = int(head)
            return COMMENTS
        names = tuple(split_header(head))
        is_header = len(names) > 1 and all(names) and len(set(names)) == len(names)
        if not is_header or any(sign in head for sign in "`\r"):
            raise BillError("this is no bill: its first line does not have the names of columns")
        return names

    def _read_rows(self) -> Iterator[Row]:
        names, width, conversions = self.columns, len(self.columns), self._conversions
        readline, is_comment = self._read_line, self.offset is not None
        ends_free = bool(self._free) and self._free[-1] == width - 1
        try:
            while line := readline():
                text = line.rstrip("\r\n")
                cells: list[Any] = text[1:].split(",`")
                if len(cells) != width or text[0] != "`":
                    cells = self._split(clean(text))
                    if not cells:
                        continue
                if is_comment:
                    cells = [cell.strip() for cell in cells]
                self._convert(cells, conversions, names)
                if ends_free:
                    self._continue_text(cells, is_ticked=text[:1] == "`")
                yield Row(zip(names, cells))  # noqa: B905 -- the lengths are equal, and the check takes time
        finally:
            self.close()

    def _is_text(self, ahead: int, *, is_ticked: bool, is_last: bool) -> bool:
        """Tells whether a line that comes goes on with the text of the row before it.

        Args:
            ahead: how many lines come before it.
            is_ticked: whether that row begins with a back-tick.
            is_last: whether the text is in the last column, so that the row can end there.
        """
        line, width = self._peek(ahead), len(self.columns)
        content = clean(line)
        if not line:
            return False
        # Asked first, because it is cheap, and true of nearly every line.
        if begins_row(content, is_dated=self._is_dated):
            # One that does not begin as the row before it is a row if it has all cells.
            is_other = is_ticked and not content.startswith("`")
            return is_other and split_odd_line(content, width, self._free) is None
        if not content.strip(" ,"):
            return not is_last
        if self.offset is not None:
            return True
        if is_summary_header(content) or self._is_header(content):
            return False
        cells = count_cells(content)
        if cells == width or (not is_ticked and content.count(",") + 1 >= width):
            return False  # a row, whose first cell is not what it is in others
        if cells or not is_last or "," not in content or not is_names(content):
            return True
        # Totals, whatever their names are: a row with as many values comes next.
        below = count_cells(clean(self._peek(ahead + 1)))
        return below == width or below != content.count(",") + 1

    def _continue_text(self, cells: list[Any], *, is_ticked: bool) -> None:
        """Adds the lines that belong to a text in the last column."""
        began = self.line
        while self._is_text(0, is_ticked=is_ticked, is_last=True):
            cells[-1] += "\n" + self._read_line().rstrip("\r\n")
            if self.line - began > MOST_LINES:
                self.line = began
                raise self._make_error(f"begins a text of more than {MOST_LINES} lines")

    def _split(self, text: str) -> list[Any]:
        """Returns the cells of a line that is not split at its back-ticks; none for a line that is no row: a summary is read here."""
        width = len(self.columns)
        if not text.strip(" ,\0\x1a") or self._is_header(text):
            return []  # a header again: the parts of a large bill were put together
        if self.offset is None and is_names(text):
            self._read_summary(text)
            return []
        # Quotes say where cells end. Commas do not, as long as the next lines may have the other cells.
        cells: list[Any] | None = (
            (split_quoted(text, width) if '"' in text else None)
            or self._join_lines(text)
            or split_odd_line(text, width, self._free)
        )
        if cells is None:
            raise self._make_error(f"does not have {width} cells")
        return cells

    def _join_lines(self, text: str) -> list[Any] | None:
        """Returns the cells of a row with line ends in a text, if the next lines have the others; None if they do not."""
        width = len(self.columns)
        if not self._free or not 0 < count_cells(text) < width:
            return None
        for ahead in range(MOST_LINES):
            if not self._is_text(ahead, is_ticked=True, is_last=False):
                break
            text = f"{text}\n{self._peek(ahead).rstrip()}"
            if count_cells(text) == width:
                for _ in range(ahead + 1):
                    self._read_line()
                return text[1:].split(",`")
        return None

    def _is_header(self, text: str) -> bool:
        """Tells whether a line has the names of the columns again."""
        return split_header(text) == list(self.columns)

    def _read_summary(self, header: str) -> None:
        """Reads rows with totals, up to the next line of names: other totals, or the next of several bills."""
        names = split_header(header)
        if find_kind(names[0]) == "time":
            raise self._make_error("has the names of other columns, so another kind of bill begins there")
        conversions = _find_conversions(names)
        while (line := self._peek()) and not is_names(clean(line)):
            text = clean(self._read_line()).rstrip(" ,")
            if not text:
                continue
            cells: list[Any] | None = split_odd_line(text, len(names), ())
            if cells is None:
                raise self._make_error(f"does not have {len(names)} cells")
            self._convert(cells, conversions, names)
            self.summaries.append(Row(zip(names, cells, strict=True)))

    def _convert(self, cells: list[Any], conversions: Sequence[tuple[int, Any]], names: Sequence[str]) -> None:
        index = 0
        try:
            for index, convert in conversions:
                cells[index] = convert(cells[index])
        except (ValueError, ArithmeticError):
            raise self._make_error(f"has in {names[index]!r} what is no value of this column") from None

    def _make_error(self, what: str) -> BillError:
        return BillError(f"line {self.line} of the bill {what}")


def _find_conversions(names: Sequence[str]) -> list[tuple[int, Any]]:
    found = ((index, find_conversion(name)) for index, name in enumerate(names))
    return [(index, convert) for index, convert in found if convert is not None]

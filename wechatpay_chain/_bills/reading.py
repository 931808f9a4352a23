"""Reads a bill row by row, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import InvalidOperation
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from wechatpay_chain._bills.columns import FREE_TEXT, Row, find_conversion
from wechatpay_chain._bills.frames import to_arrow, to_pandas, to_polars
from wechatpay_chain._bills.lines import begins_row, split_header, split_odd_line
from wechatpay_chain._bills.source import BillSource, open_lines, refuse_error
from wechatpay_chain.errors import BillError

if TYPE_CHECKING:
    from types import TracebackType

    import pandas
    import polars
    import pyarrow
    from typing_extensions import Self

__all__ = ["Bill", "check_columns"]

R = TypeVar("R", bound=Mapping[str, Any])

COMMENTS = ("评论时间", "微信支付订单号", "星级", "评论内容")
"""The columns of the comments of APIv2, which have no header: https://pay.weixin.qq.com/doc/v2/merchant/4014326528"""

LONGEST_LINE = 1 << 20
"""The most characters of a line."""


class Bill(Generic[R]):
    """A bill that is being read: an iterator of its rows, and a context manager that closes its file.

    Attributes:
        columns: the names in the header.
        summary: the totals at the end, by their names; None before the last row has been read, and in a bill without any.
        summaries: all rows with totals; more than one only in some profit-sharing bills.
        offset: of comments (APIv2), the number in the first line, which the next request needs; None in other files.
    """

    def __init__(self, source: BillSource) -> None:
        self._lines, self._file = open_lines(source)
        self._line = 0
        self.summaries: list[Row] = []
        self.offset: int | None = None
        try:
            self.columns: tuple[str, ...] = self._read_header()
            self._conversions = _find_conversions(self.columns)
        except BaseException:
            self.close()
            raise
        self._free = [index for index, name in enumerate(self.columns) if name in FREE_TEXT]
        self._rows = self._read_rows()

    @property
    def summary(self) -> Row | None:
        """The totals at the end, by their names; None before the last row has been read, and in a bill without any."""
        return self.summaries[0] if self.summaries else None

    def __iter__(self) -> Iterator[R]:
        return self._rows

    def __next__(self) -> R:
        return next(self._rows)

    def to_pandas(self) -> pandas.DataFrame:
        """Returns the rest of the bill as a `pandas.DataFrame`: amounts are Decimal objects, times have their time zone.

        Raises:
            ConfigurationError: pandas is not installed.
            BillError: a line cannot be read.
        """
        return to_pandas(self._rows, self.columns)

    def to_polars(self) -> polars.DataFrame:
        """Returns the rest of the bill as a `polars.DataFrame`: amounts are decimals of 5 places, times have their time zone.

        Raises:
            ConfigurationError: polars is not installed.
            BillError: a line cannot be read.
        """
        return to_polars(self._rows, self.columns)

    def to_arrow(self) -> pyarrow.Table:
        """Returns the rest of the bill as a `pyarrow.Table`: amounts are decimals of 5 places, times have their time zone.

        Raises:
            ConfigurationError: pyarrow is not installed.
            BillError: a line cannot be read.
        """
        return to_arrow(self._rows, self.columns)

    def close(self) -> None:
        """Closes the file, unless it was opened elsewhere. It is closed after the last row, too."""
        self._lines.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Bill of {len(self.columns)} columns, line {self._line}>"

    def _read_line(self) -> str:
        """Returns the next line without its end; an empty text at the end of the file.

        Raises:
            BillError: it cannot be read.
        """
        try:
            self._line += 1
            line = self._lines.readline(LONGEST_LINE)
        except UnicodeDecodeError:
            raise self._make_error("or one soon after is not UTF-8") from None
        except (EOFError, OSError) as error:
            raise self._make_error(f"cannot be read: {error}") from error
        if len(line) == LONGEST_LINE:
            raise self._make_error("is too long")
        return line

    def _read_header(self) -> tuple[str, ...]:
        line = self._read_line()
        while line and not line.strip():
            line = self._read_line()
        if not line:
            raise BillError("this is no bill: it is empty")
        head = line.strip()
        refuse_error(head if not head.startswith("<") else head + self._lines.read(LONGEST_LINE))
        if head.isdigit():
            self.offset = int(head)
            return COMMENTS
        names = tuple(split_header(head))
        if len(names) < 2 or not all(names) or len(set(names)) < len(names):
            raise BillError("this is no bill: its first line does not have the names of columns")
        return names

    def _read_rows(self) -> Iterator[R]:
        names, width, conversions = self.columns, len(self.columns), self._conversions
        readline, is_comment = self._read_line, self.offset is not None
        try:
            while line := readline():
                text = line.rstrip("\r\n")
                cells: list[Any] = text[1:].split(",`")
                if len(cells) != width or text[0] != "`" or text[-1] == '"':
                    found = self._split(text)
                    if found is None:
                        return
                    if not found:
                        continue
                    cells = found
                if is_comment:
                    cells = [cell.strip() for cell in cells]
                self._convert(cells, conversions, names)
                yield cast("R", Row(zip(names, cells)))  # noqa: B905 -- the lengths are equal, and the check takes time
        finally:
            self.close()

    def _split(self, text: str) -> list[Any] | None:
        """Returns the cells of a line that is not split at its back-ticks; none for a line that is to be left out.

        Returns:
            None if this was the beginning of the summary, which has been read then.
        """
        width, first, began = len(self.columns), text[:1], self._line
        while True:
            if not text.strip() or text.removeprefix("\ufeff").split(",") == list(self.columns):
                return []  # a header again: the parts of a large bill were put together
            if first not in ("`", '"') and not any(character.isdigit() for character in text):
                self._read_summary(text)
                return None
            cells = split_odd_line(text, width, self._free)
            if cells is not None:
                return cells
            line = self._read_line() if self._free else ""
            if not line or begins_row(line) or len(text) > LONGEST_LINE:
                self._line = began
                raise self._make_error(f"does not have {width} cells")
            text = f"{text}\n{line.rstrip()}"

    def _read_summary(self, header: str) -> None:
        names = split_header(header)
        conversions = _find_conversions(names)
        while line := self._read_line():
            text = line.rstrip("\r\n")
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
        except (ValueError, InvalidOperation):
            raise self._make_error(f"has in {names[index]!r} what is no value of this column") from None

    def _make_error(self, what: str) -> BillError:
        return BillError(f"line {self._line} of the bill {what}")


def _find_conversions(names: Sequence[str]) -> list[tuple[int, Any]]:
    found = ((index, find_conversion(name)) for index, name in enumerate(names))
    return [(index, convert) for index, convert in found if convert is not None]


def check_columns(bill: Bill[Any], kind: type) -> None:
    """Raises a BillError if a bill lacks a column of a kind of rows."""
    row = Row(dict.fromkeys(bill.columns, ""))
    missing = [name for name in kind.__annotations__ if not row.has(name)]
    if missing:
        raise BillError(f"this bill has no column {missing[0]!r}, so its rows are no {kind.__name__}")

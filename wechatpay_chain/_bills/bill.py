"""A bill as a user sees it: an iterator of typed rows, and tables of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from wechatpay_chain._bills.columns import Row
from wechatpay_chain._bills.frames import to_arrow, to_pandas, to_polars
from wechatpay_chain._bills.reading import Reader
from wechatpay_chain._bills.source import BillSource
from wechatpay_chain.errors import BillError

if TYPE_CHECKING:
    from types import TracebackType

    import pandas
    import polars
    import pyarrow
    from typing_extensions import Self

__all__ = ["Bill", "check_columns"]

R = TypeVar("R", bound=Mapping[str, Any])


class Bill(Generic[R]):
    """A bill that is being read: an iterator of its rows, and a context manager that closes its file.

    Attributes:
        columns: the names in the header.
        summary: the first row of `summaries`: the totals at the end, by their names; None before they have been read, and in a bill
            without any.
        summaries: all rows with totals; more than one in some profit-sharing bills, and where several bills were put together.
        offset: of comments (APIv2), the number in the first line, which the next request needs; None in other files.
    """

    def __init__(self, source: BillSource) -> None:
        self._reader = Reader(source)
        self._rows = cast("Iterator[R]", self._reader.rows)
        self.columns, self.offset = self._reader.columns, self._reader.offset
        self.summaries = self._reader.summaries

    @property
    def summary(self) -> Row | None:
        """The first row of `summaries`; None before it has been read, and in a bill without totals."""
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
        """Returns the rest of the bill as a `polars.DataFrame`: amounts are decimals of 8 places, times have their time zone.

        Raises:
            ConfigurationError: polars is not installed.
            BillError: a line cannot be read.
        """
        return to_polars(self._rows, self.columns)

    def to_arrow(self) -> pyarrow.Table:
        """Returns the rest of the bill as a `pyarrow.Table`: amounts are decimals of 8 places, times have their time zone.

        Raises:
            ConfigurationError: pyarrow is not installed.
            BillError: a line cannot be read.
        """
        return to_arrow(self._rows, self.columns)

    def close(self) -> None:
        """Closes the file, unless it was opened elsewhere. It is closed after the last row, too."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Bill of {len(self.columns)} columns, line {self._reader.line}>"


def check_columns(bill: Bill[Any], kind: type) -> None:
    """Raises a BillError if a bill lacks a column of a kind of rows."""
    row = Row(dict.fromkeys(bill.columns, ""))
    missing = [name for name in kind.__annotations__ if not row.has(name)]
    if missing:
        raise BillError(f"this bill has no column {missing[0]!r}, so its rows are no {kind.__name__}")

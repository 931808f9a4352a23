"""Makes a table of pandas, Polars or Arrow of a bill, with exact amounts. Each library is imported only if it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from wechatpay_chain._bills.columns import find_kind
from wechatpay_chain._extras import importing
from wechatpay_chain.errors import BillError

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

__all__ = ["to_arrow", "to_pandas", "to_polars"]

ROWS = 50_000
"""How many rows are converted at a time."""

PLACES = 8
"""The decimal places of a column of amounts. Fees have five, amounts two."""

DIGITS = 38
"""The digits of such a column."""


def to_arrow(rows: Iterator[Any], names: Sequence[str]) -> pyarrow.Table:
    """Returns the rest of a bill as a table of Arrow; `Bill.to_arrow` says more."""
    arrow = _import("pyarrow")
    types = {
        **dict.fromkeys(("amount", "percent"), arrow.decimal128(DIGITS, PLACES)),
        "time": arrow.timestamp("s", tz="Asia/Shanghai"),
        "count": arrow.int64(),
        "text": arrow.string(),
    }
    schema = arrow.schema([(name, types[find_kind(name)]) for name in names])
    batches = [arrow.record_batch(columns, schema=schema) for columns in _columns_of(rows, names)]
    return arrow.Table.from_batches(batches, schema=schema)


def to_polars(rows: Iterator[Any], names: Sequence[str]) -> polars.DataFrame:
    """Returns the rest of a bill as a frame of Polars; `Bill.to_polars` says more."""
    library = _import("polars")
    types = {
        **dict.fromkeys(("amount", "percent"), library.Decimal(DIGITS, PLACES)),
        "time": library.Datetime("us", "Asia/Shanghai"),
        "count": library.Int64,
        "text": library.String,
    }
    schema = {name: types[find_kind(name)] for name in names}
    frames = [library.DataFrame(columns, schema=schema) for columns in _columns_of(rows, names)]
    frame = library.concat(frames) if frames else library.DataFrame(schema=schema)
    return cast("polars.DataFrame", frame)


def to_pandas(rows: Iterator[Any], names: Sequence[str]) -> pandas.DataFrame:
    """Returns the rest of a bill as a frame of pandas; `Bill.to_pandas` says more."""
    library = _import("pandas")
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for piece in _columns_of(rows, names, scale=False):
        for name, cells in piece.items():
            columns[name] += cells
    frame: Any = library.DataFrame(columns)
    for name in names:
        if find_kind(name) == "time":
            times = library.to_datetime(frame[name], utc=True)
            frame[name] = times.dt.tz_convert("Asia/Shanghai")
    return cast("pandas.DataFrame", frame)


def _import(name: str) -> Any:
    with importing(f"{name} is not installed; pip install {name}"):
        return import_module(name)


def _columns_of(rows: Iterator[Any], names: Sequence[str], scale: bool = True) -> Iterator[Mapping[str, list[Any]]]:
    """Yields the rest of a bill in pieces, each as one list of cells for each column."""
    while piece := list(islice(rows, ROWS)):
        yield {name: [_scaled(row[name]) if scale else row[name] for row in piece] for name in names}


def _scaled(value: Any) -> Any:
    """Returns an amount with the places that a column of decimals needs; anything else as it is."""
    if type(value) is not Decimal:
        return value
    try:
        return value.quantize(_PLACE, context=_EXACT)
    except (Inexact, InvalidOperation):
        raise BillError(f"an amount has more than {PLACES} decimal places, or is too large for a table") from None


_PLACE = Decimal(1).scaleb(-PLACES)
_EXACT = Context(prec=DIGITS, traps=[Inexact, InvalidOperation])

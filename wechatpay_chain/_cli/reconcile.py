"""The command `reconcile`: a trade bill against a shop's own orders, with a table of the differences."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from decimal import Decimal, InvalidOperation
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from wechatpay_chain import bills
from wechatpay_chain._cli.console import AsJson, print_json, print_line, print_table
from wechatpay_chain._cli.outcome import Failure, Status

__all__ = ["reconcile"]

SHOWN = 200
"""The most differences that the table has."""


class Unit(str, Enum):
    """The unit of the amounts in the orders."""

    YUAN = "yuan"
    FEN = "fen"


def reconcile(
    bill: Annotated[Path, typer.Argument(metavar="BILL", help="A trade bill, compressed or not.")],
    orders: Annotated[
        Path, typer.Argument(metavar="ORDERS", help="Your payments and refunds of that day: a CSV or SQLite file.")
    ],
    query: Annotated[str, typer.Option(help="For a SQLite file, the SELECT that has the columns below.")] = "",
    number: Annotated[str, typer.Option(help="The column with the out_trade_no.")] = "out_trade_no",
    refund: Annotated[
        str | None, typer.Option(help="The column with the out_refund_no, empty in payments; by default out_refund_no.")
    ] = None,
    amount: Annotated[str, typer.Option(help="The column with the amount.")] = "amount",
    unit: Annotated[Unit, typer.Option(help="The unit of the amounts.")] = Unit.YUAN,
    as_json: AsJson = False,
) -> None:
    """Compares a trade bill with your own orders. The exit status is 1 if they differ."""
    rows = _read_query(orders, query) if query else _read_csv(orders)
    with bills.read(bill) as opened:
        found = bills.reconcile(opened, _to_entries(rows, number, refund, amount, unit))
    if as_json:
        print_json(
            {
                "payments": found.payments,
                "refunds": found.refunds,
                **{name: str(getattr(found, name)) for name in ("paid", "refunded", "fees")},
                "differences": [_to_json(difference) for difference in found.differences],
            }
        )
    else:
        _show(found)
    if found.differences:
        raise typer.Exit(int(Status.REFUSED))


def _read_csv(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open("rb") as file:
        if file.read(16) == b"SQLite format 3\0":  # https://sqlite.org/fileformat.html
            raise Failure(f'{str(path)!r} is a SQLite file; add --query "SELECT …"')
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            yield from csv.DictReader(file)
        except UnicodeDecodeError:
            raise Failure(f"{str(path)!r} is not UTF-8; save it as CSV UTF-8") from None
        except csv.Error as error:
            raise Failure(f"{str(path)!r} is no CSV file: {error}") from None


def _read_query(path: Path, query: str) -> Iterator[Mapping[str, Any]]:
    if query.upper().split(None, 1)[:1] not in (["SELECT"], ["WITH"]):
        raise Failure("--query: expected a SELECT")
    # Read-only: no file is made where none is.
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description or ()]
            yield from (dict(zip(names, row, strict=True)) for row in cursor)
    except sqlite3.Error as error:
        raise Failure(f"{str(path)!r}: {error}") from None


def _to_entries(
    rows: Iterator[Mapping[str, Any]], number: str, refund: str | None, amount: str, unit: Unit
) -> Iterator[bills.Entry]:
    for line, row in enumerate(rows, 1):
        for name in (number, amount, refund):
            if name is not None and name not in row:
                raise Failure(f"ORDERS has no column {name!r}; its columns are {', '.join(map(str, row))}")
        value = _parse_amount(row[amount])
        if value is None:
            raise Failure(f"row {line} of ORDERS has in {amount!r} what is no amount")
        refunded = str(row.get(refund or "out_refund_no") or "").strip()
        refunded = "" if refunded == "0" else refunded  # as bills write it
        own = refunded or str(row[number] or "").strip()
        if not own:
            raise Failure(f"row {line} of ORDERS has no number in {number!r}")
        yield bills.Entry(own, value / 100 if unit is Unit.FEN else value, bool(refunded))


def _parse_amount(cell: object) -> Decimal | None:
    try:
        value = Decimal(str(cell).strip())
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _to_json(difference: bills.Difference) -> dict[str, object]:
    amounts = {"billed": difference.billed, "recorded": difference.recorded}
    return {**difference._asdict(), **{name: None if value is None else str(value) for name, value in amounts.items()}}


def _show(found: bills.Reconciliation) -> None:
    print_line(
        f"{found.payments:,} payments, {found.paid:,} yuan; {found.refunds:,} refunds, {found.refunded:,} yuan; "
        f"fees {found.fees:,} yuan"
    )
    if not found.differences:
        print_line(("no differences", "green"))
        return
    print_table(
        ("difference", "number", "in the bill", "in the orders"),
        (
            (
                f"{difference.kind} (refund)" if difference.is_refund else difference.kind,
                difference.number,
                *("" if value is None else f"{value:,}" for value in (difference.billed, difference.recorded)),
            )
            for difference in found.differences[:SHOWN]
        ),
    )
    print_line((f"{len(found.differences):,} differences", "red"), *(_more(len(found.differences))))


def _more(count: int) -> tuple[str, ...]:
    return (f", the first {SHOWN} of them above; --json has all",) if count > SHOWN else ()

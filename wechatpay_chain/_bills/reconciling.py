"""Compares a trade bill with a shop's own orders and refunds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from typing import Any, Literal, NamedTuple

from wechatpay_chain._bills.bill import Bill
from wechatpay_chain._bills.columns import TOTALS, Row
from wechatpay_chain.errors import ArgumentError, BillError

__all__ = ["Difference", "Entry", "Reconciliation", "reconcile"]

Kind = Literal[
    "only in the bill", "only in the orders", "amount", "twice in the bill", "twice in the orders", "summary"
]


class Entry(NamedTuple):
    """A payment or a refund in a shop's own records.

    Attributes:
        number: out_trade_no of a payment, or out_refund_no of a refund.
        amount: in yuan.
        is_refund: True for a refund.
    """

    number: str
    amount: Decimal
    is_refund: bool = False


class Difference(NamedTuple):
    """A difference between a bill and the orders.

    Attributes:
        kind: what it is; `summary` if the rows of the bill do not add up to its own totals.
        number: out_trade_no, or out_refund_no of a refund; the name of a total.
        is_refund: True for a refund.
        billed: the amount in the bill, in yuan; None if it is not there.
        recorded: the amount in the orders, in yuan, or what the rows of the bill add up to; None if it is not there.
    """

    kind: Kind
    number: str
    is_refund: bool
    billed: Decimal | None
    recorded: Decimal | None


@dataclass(frozen=True)
class Reconciliation:
    """What came of comparing a bill with orders.

    Attributes:
        payments: how many payments the bill has.
        refunds: how many refunds it has.
        paid: the sum of its payments, in yuan.
        refunded: the sum of its refunds, in yuan.
        fees: the sum of its fees, less those that were given back, in yuan.
        differences: all differences; those that are only in the orders come last.
    """

    payments: int
    refunds: int
    paid: Decimal
    refunded: Decimal
    fees: Decimal
    differences: list[Difference]


def reconcile(bill: Bill[Any], entries: Iterable[Entry]) -> Reconciliation:
    """Compares the rows of a trade bill with a shop's own payments and refunds of the same day.

    Payments are matched by 商户订单号, refunds by 商户退款单号, and amounts are compared exactly. A payment belongs to the day of
    its success in China, a refund to the day on which it was accepted, so choose the entries by these times. A refund in a bill was
    accepted; whether it has arrived is known only by a query.

    Args:
        bill: a trade bill of which no row has been read: ALL, SUCCESS or REFUND.
        entries: the payments and refunds, in any order, such as the rows of a cursor. Their numbers and amounts are kept in memory.

    Raises:
        BillError: it is not a trade bill, or a line cannot be read.
        ArgumentError: an amount is not a Decimal.
    """
    recorded: dict[tuple[str, bool], Decimal] = {}
    differences: list[Difference] = []
    for entry in entries:
        number, amount, is_refund = entry
        if not isinstance(number, str):
            raise ArgumentError(f"entries: came a number of type {type(number).__name__}; expected a text")
        if not isinstance(amount, Decimal) or not amount.is_finite():
            raise ArgumentError(f"entries: came an amount of type {type(amount).__name__}; expected a Decimal, in yuan")
        if (number, is_refund) in recorded:
            differences.append(Difference("twice in the orders", number, is_refund, None, amount))
        recorded[number, is_refund] = amount
    columns = Row(dict.fromkeys(bill.columns, ""))
    missing = [name for name in ("商户订单号", "交易状态", "订单金额") if not columns.has(name)]
    if missing:
        raise BillError(f"this bill has no column {missing[0]!r}; expected a trade bill")
    with localcontext(Context(prec=50)):  # the caller's may have fewer digits
        return _compare(bill, recorded, differences)


def _compare(
    bill: Bill[Any], recorded: Mapping[tuple[str, bool], Decimal], differences: list[Difference]
) -> Reconciliation:
    seen: set[tuple[str, bool]] = set()
    rows = 0
    sums = {name: Decimal(0) for name in TOTALS}
    counts, amounts = {False: 0, True: 0}, {False: Decimal(0), True: Decimal(0)}
    for row in bill:
        is_refund = row["交易状态"] in ("REFUND", "REVOKED")
        number = _number_of(row, is_refund)
        amount = _amount_of(row, is_refund)
        for total, name in TOTALS.items():
            if row.has(name):
                sums[total] += row[name] or 0
        rows += 1
        if row["交易状态"] == "REVOKED" and not amount:
            continue  # reversed before any money moved
        counts[is_refund] += 1
        amounts[is_refund] += amount
        key = number, is_refund
        ours = recorded.get(key)
        if key in seen:
            differences.append(Difference("twice in the bill", number, is_refund, amount, ours))
        elif ours is None:
            differences.append(Difference("only in the bill", number, is_refund, amount, None))
        elif ours != amount:
            differences.append(Difference("amount", number, is_refund, amount, ours))
        seen.add(key)
    differences += _check_summary(bill, rows, sums)
    differences += (
        Difference("only in the orders", number, is_refund, None, amount)
        for (number, is_refund), amount in recorded.items()
        if (number, is_refund) not in seen
    )
    return Reconciliation(counts[False], counts[True], amounts[False], amounts[True], sums["手续费总金额"], differences)


def _number_of(row: Row, is_refund: bool) -> str:
    """Returns the number that a shop knows. A payment that was reversed has no number of a refund."""
    refund = str(row.get("商户退款单号", "")) if is_refund else ""
    return refund if refund not in ("", "0") else str(row["商户订单号"])


def _amount_of(row: Row, is_refund: bool) -> Decimal:
    value = row.get("申请退款金额" if is_refund else "订单金额")
    return value if isinstance(value, Decimal) else Decimal(0)


def _check_summary(bill: Bill[Any], rows: int, sums: Mapping[str, Decimal]) -> Iterator[Difference]:
    """Compares the totals of a bill with its rows: a second guard beside its digest."""
    if bill.summary is None:
        yield Difference("summary", "总交易单数", False, None, Decimal(rows))
    found = {"总交易单数": Decimal(rows), **sums}
    for name, counted in found.items():
        stated = [Decimal(str(summary[name])) for summary in bill.summaries if summary.has(name)]
        most = len(stated) * _ROUNDING if name == "手续费总金额" else 0
        if stated and abs(sum(stated) - counted) > most:
            yield Difference("summary", name, False, sum(stated, Decimal(0)), counted)


_ROUNDING = Decimal("0.005")
"""By how much the total of the fees may be off: each fee has five decimal places, and some bills round the total to 0.01 yuan."""

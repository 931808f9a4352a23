"""Rows of a downloaded bill, with exact amounts and times, by the names in its header.

    from wechatpay_chain import bills

    with bills.read("trade-2026-01-31.csv") as bill:
        for row in bill:
            print(row["商户订单号"], row["订单金额"], row["交易时间"])
    print(bill.summary)

All files are read that WeChat Pay calls bills: trade bills of APIv3 and APIv2 with their old and new layouts, fund bills, those of
sub-merchants, profit sharing, overseas statements, the records of coupons, and comments; compressed or not. They are streamed: a bill
of a million rows takes no more memory than one of ten. Bills of one kind that were put together, such as those of a month, are read as one.

Amounts are `Decimal` in yuan (in overseas bills, in the currency that the row names), with the sign that the bill has: a fee that is
given back is negative. A rate is a fraction: 0.60% is `Decimal("0.006")`. Times are in the time zone Asia/Shanghai. A count is an int. Everything else is a text, also the
number of an order. An empty amount is 0, an empty time or rate is None, and an empty text is an empty text.
"""

from __future__ import annotations

from typing import Any, TypeVar, overload

from wechatpay_chain._bills.bill import Bill, check_columns
from wechatpay_chain._bills.columns import CHINA, Row, Value
from wechatpay_chain._bills.reconciling import Difference, Entry, Reconciliation, reconcile
from wechatpay_chain._bills.rows import FundRow, PaymentRow, RefundRow, SharingRow, TradeRow
from wechatpay_chain._bills.source import BillSource
from wechatpay_chain.errors import BillError

__all__ = [
    "CHINA",
    "Bill",
    "BillSource",
    "Difference",
    "Entry",
    "FundRow",
    "PaymentRow",
    "Reconciliation",
    "RefundRow",
    "Row",
    "SharingRow",
    "TradeRow",
    "Value",
    "read",
    "reconcile",
]

R = TypeVar("R", TradeRow, PaymentRow, RefundRow, FundRow, SharingRow)


@overload
def read(source: BillSource) -> Bill[Row]: ...
@overload
def read(source: BillSource, kind: type[R]) -> Bill[R]: ...
def read(source: BillSource, kind: Any = None) -> Bill[Any]:
    """Begins to read a bill: its header is read now, its rows when they are asked for.

    Args:
        source: a path, bytes, an open binary file, or the response that has the bill. Whether it is compressed is seen by its content.
        kind: the type of its rows for a type checker, such as `TradeRow`. The bill must have all its columns, or what older layouts
            call them.

    Returns:
        An iterator of rows, to be used in a `with` statement.

    Raises:
        BillError: it is not a bill, is an error of WeChat Pay in place of one, or lacks a column of `kind`. While it is iterated: a
            line cannot be read.
        ArgumentError: the source is none of these things.
        OSError: the file cannot be read.
    """
    bill: Bill[Any] = Bill(source)
    if kind is not None:
        try:
            check_columns(bill, kind)
        except BillError:
            bill.close()
            raise
    return bill

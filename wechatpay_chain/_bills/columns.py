"""The columns of bills, by their names in the header: what is in them, and what older bills call them.

Sources: https://pay.weixin.qq.com/docs/merchant/products/bill-download/format-trade.html and .../format-fundflow.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from decimal import Context, Decimal, InvalidOperation
from typing import Any, Literal

__all__ = ["CHINA", "FREE_TEXT", "TOTALS", "Row", "Value", "find_conversion", "find_kind"]

CHINA = timezone(timedelta(hours=8), "Asia/Shanghai")
"""The time zone of every bill. China has had no daylight saving time since 1991."""

Value = str | Decimal | datetime | int | None
"""A cell: a text; an amount or a rate; a time; a number of rows; None for an empty time or rate."""

FREE_TEXT = ("商品名称", "商户数据包", "备注", "业务凭证号", "分账描述", "description", "单品信息", "评论内容")
"""The columns whose texts are written by merchants and users, so that they may contain commas and line ends."""

_LAYOUTS = (
    ("特约商户号", "子商户号"),
    ("应结订单金额", "总金额"),
    ("代金券金额", "代金券或立减优惠金额", "企业红包金额"),
    ("充值券退款金额", "代金券或立减优惠退款金额", "企业红包退款金额"),
    ("应结订单总金额", "总交易额"),
    ("退款总金额", "总退款金额"),
    ("充值券退款总金额", "总代金券或立减优惠退款金额", "总企业红包退款金额"),
)
"""The names of each column in the layout of today and in those of 2018 and 2016, which merchants without 免充值 coupons have still."""

_ADDED = {
    "订单金额": "总金额",
    "申请退款金额": "退款金额",
    "订单总金额": "总交易额",
    "申请退款总金额": "总退款金额",
}
"""The columns that only the layout of today has, each with what is the same amount where there are no 免充值 coupons."""

_OTHERS: Mapping[str, tuple[str, ...]] = {
    **{name: names for names in _LAYOUTS for name in names},
    **{name: (other,) for name, other in _ADDED.items()},
}

TOTALS: Mapping[str, str] = {
    "应结订单总金额": "应结订单金额",
    "退款总金额": "退款金额",
    "充值券退款总金额": "充值券退款金额",
    "手续费总金额": "手续费",
    "订单总金额": "订单金额",
    "申请退款总金额": "申请退款金额",
}
"""The columns of the summary of a trade bill, each with the column that it adds up."""

_ABSENT: Mapping[str, Value] = {"费率备注": ""}
"""Columns that the older layouts do not have, and what they would have in them."""

_WIDE = str.maketrans("（）", "()")
_NARROW = str.maketrans("()", "（）")


_EXACT = Context(prec=50)
"""The caller's own context of decimals may have fewer digits."""


class Row(dict[str, Value]):
    """A row of a bill: its cells by the names in the header.

    `row["订单金额"]` also finds a column that this bill calls otherwise: 总金额 in an older layout, or a name with full-width
    parentheses. Iterating shows the names of this bill.
    """

    __slots__ = ()

    def __missing__(self, name: str) -> Value:
        for other in (name.translate(_WIDE), name.translate(_NARROW), *_OTHERS.get(name, ())):
            if other in self:
                return self[other]
        if name in _ABSENT:
            return _ABSENT[name]
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Returns a cell, by this name of its column or another one; the default if there is no such column."""
        try:
            return self[name]
        except KeyError:
            return default

    def has(self, name: str) -> bool:
        """Tells whether a column is there, by this name or another of its names."""
        try:
            self[name]
        except KeyError:
            return False
        return True


class _Amounts(dict[str, Decimal]):
    """Parses amounts, and keeps the most common ones: most cells of a bill are 0.00."""

    def __missing__(self, text: str) -> Decimal:
        value = _parse_finite(text)
        if len(self) < 10_000:
            self[text] = value
        return value


def _parse_time(text: str) -> datetime | None:
    if not text:
        return None
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=CHINA) if time.tzinfo is None else time.astimezone(CHINA)


def _parse_percent(text: str) -> Decimal | None:
    return _EXACT.divide(_parse_finite(text.removesuffix("%")), Decimal(100)) if text else None


def _parse_finite(text: str) -> Decimal:
    value = Decimal(text)
    if not value.is_finite() or "_" in text:  # Decimal takes 1_0 for 10
        raise InvalidOperation
    return value


def _parse_count(text: str) -> int:
    """Parses a number of rows. Some bills write 45.0."""
    number = _parse_finite(text)
    if number != int(number):
        raise InvalidOperation
    return int(number)


Kind = Literal["text", "time", "amount", "percent", "count"]
"""What is in a column."""


def find_kind(name: str) -> Kind:
    """Returns what is in the cells of a column, by the end of its name: 金额类型 is a text. What is in parentheses is left out."""
    base = name.translate(_WIDE).partition("(")[0].strip()
    lowered = base.lower()
    if base.endswith("时间") or lowered.endswith(("_time", " time")):
        return "time"
    if base.endswith(("金额", "交易额")) or base in ("手续费", "账户结余") or lowered.endswith("amount"):
        return "amount"
    if base.endswith(("笔数", "单数", "条数", "星级")):
        return "count"
    return "percent" if base == "费率" else "text"


def find_conversion(name: str) -> Callable[[str], Value] | None:
    """Returns the function that converts the cells of a column; None for texts."""
    kind = find_kind(name)
    if kind == "amount":
        return _Amounts({"": Decimal(0)}).__getitem__
    return {"text": None, "time": _parse_time, "percent": _parse_percent, "count": _parse_count}[kind]

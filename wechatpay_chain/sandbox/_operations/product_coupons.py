"""The product coupons of brands and their stocks: the states and the limits that decide whether a user may take a coupon.

Source: https://pay.weixin.qq.com/doc/v3/partner/4016434365. How long an audit takes is not published.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.acts import require_act
from wechatpay_chain.sandbox._operations.book import Book
from wechatpay_chain.sandbox._parsing import make_param_error
from wechatpay_chain.sandbox._schema import InvalidField

__all__ = ["CouponStock", "ProductCoupon", "parse_period"]

AUDIT = timedelta(minutes=1)
"""How long a new product coupon or stock is audited."""

NO_PERIOD = timedelta(days=30)
"""How long a coupon is valid if its stock says nothing of it."""


@dataclass
class ProductCoupon:
    """A product coupon of a brand.

    Attributes:
        product_coupon_id: its number.
        members: what it was made with.
        time: when it was made.
        stocks: its stocks by stock_id.
        bundles: its bundles of stocks by stock_bundle_id; `stocks` has those of bundles too.
        deactivation: deactivate_request_no, deactivate_time and deactivate_reason; empty if it is not deactivated.
    """

    product_coupon_id: str
    members: dict[str, Any]
    time: datetime
    _account: Account = field(repr=False, compare=False)
    stocks: dict[str, CouponStock] = field(default_factory=dict, repr=False)
    bundles: dict[str, list[CouponStock]] = field(default_factory=dict, repr=False)
    deactivation: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """AUDITING for a minute of the sandbox's clock, then EFFECTIVE, or DEACTIVATED."""
        if self.deactivation:
            return "DEACTIVATED"
        return "AUDITING" if self._account.now() < self.time + AUDIT else "EFFECTIVE"

    @property
    def usage_count(self) -> int:
        """How many times a coupon can be used: several times if its usage_mode is SEQUENTIAL, otherwise once."""
        is_sequential = self.members["usage_mode"] == "SEQUENTIAL"
        return int(self.members.get("sequential_usage_info", {}).get("count", 1)) if is_sequential else 1

    def describe(self) -> dict[str, Any]:
        """Returns it as a query has it."""
        return {
            "product_coupon_id": self.product_coupon_id,
            **self.members,
            "state": self.state,
            **self.deactivation,
        }


@dataclass(frozen=True)
class Period:
    """When the coupons of a stock are valid.

    Attributes:
        begin: from when; None for no such limit.
        end: until when; None for no such limit.
        wait: how long after its receipt a coupon becomes valid.
        length: how long it is valid from then.
    """

    begin: datetime | None
    end: datetime | None
    wait: timedelta
    length: timedelta | None

    def apply(self, received: datetime) -> tuple[datetime, datetime]:
        """Returns from when until when a coupon is valid.

        Args:
            received: when the user received it.
        """
        begin = received + self.wait
        if self.begin is not None:
            begin = max(begin, self.begin)
        ends = [self.end] if self.end is not None else []
        if self.length is not None:
            ends.append(begin + self.length)
        return begin, min(ends)


def parse_period(product: ProductCoupon, stock: Mapping[str, Any], field_name: str) -> Period:
    """Returns when the coupons of a stock are valid.

    Args:
        product: its product coupon.
        stock: what the stock is made with.
        field_name: the JSON Pointer of the stock in the request.

    Raises:
        Refusal: a time does not exist.
    """
    is_sequential = product.members["usage_mode"] == "SEQUENTIAL"
    rule = f"{'sequential' if is_sequential else 'single'}_usage_rule"
    if "progressive_bundle_usage_rule" in stock:
        rule = "progressive_bundle_usage_rule"
    period = stock.get(rule, {}).get("coupon_available_period")
    if period is None:
        return Period(None, None, timedelta(0), NO_PERIOD)

    def parse(name: str) -> datetime:
        try:
            return datetime.fromisoformat(re.sub(r"\.\d+", "", period[name]).replace("Z", "+00:00"))
        except ValueError:
            field = f"{field_name}/{rule}/coupon_available_period/{name}"
            raise make_param_error(InvalidField(field, period[name], "is not a time"), "body") from None

    days = (product.members.get("sequential_usage_info", {}) if is_sequential else period).get("available_days")
    seconds = period.get("available_seconds", 0)
    return Period(
        parse("available_begin_time"),
        parse("available_end_time"),
        timedelta(days=period.get("wait_days_after_receive", 0)),
        timedelta(days=days or 0, seconds=seconds) if days or seconds else None,
    )


@dataclass
class CouponStock:
    """A stock of a product coupon, from which users get coupons.

    Attributes:
        stock_id: its number.
        product: its product coupon.
        members: what it was made with.
        period: when its coupons are valid.
        time: when it was made.
        coupons: the coupons that users have received, each a `Coupon`, by coupon_code.
        codes: the uploaded codes that no coupon has yet.
        stores: the stores that it is associated with, by store_id.
        is_paused: True while it is paused.
        deactivation: deactivate_request_no, deactivate_time and deactivate_reason; empty if it is not deactivated.
    """

    stock_id: str
    product: ProductCoupon = field(repr=False)
    members: dict[str, Any]
    period: Period
    time: datetime
    _account: Account = field(repr=False, compare=False)
    coupons: Book[str, Any] = field(init=False, repr=False)
    codes: list[str] = field(default_factory=list)
    stores: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    is_paused: bool = False
    deactivation: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.coupons = Book(self._account.keep)

    @property
    def state(self) -> str:
        """AUDITING for a minute of the sandbox's clock, then SENDING; PAUSED, STOPPED (its period is over) or DEACTIVATED."""
        now = self._account.now()
        if self.deactivation:
            return "DEACTIVATED"
        if now < self.time + AUDIT:
            return "AUDITING"
        if self.period.end is not None and now >= self.period.end:
            return "STOPPED"
        return "PAUSED" if self.is_paused else "SENDING"

    def pause(self) -> None:
        """Pauses it, as the brand does on the platform: it gives no coupons.

        Raises:
            ConfigurationError: it is not SENDING.
        """
        with self._account.lock:
            require_act(self.state == "SENDING", f"stock {self.stock_id}", self.state, "SENDING")
            self.is_paused = True

    def resume(self) -> None:
        """Ends a pause.

        Raises:
            ConfigurationError: it is not PAUSED.
        """
        with self._account.lock:
            require_act(self.state == "PAUSED", f"stock {self.stock_id}", self.state, "PAUSED")
            self.is_paused = False

    def count_sent(self) -> dict[str, int]:
        """Returns how many coupons users have received: total_count, and today_count of the day in China."""
        today = self._account.now().date()
        times = [coupon.receive_time for coupon in list(self.coupons.values())]
        return {
            "total_count": len(times),
            "today_count": sum(time is not None and time.date() == today for time in times),
        }

    def require_sendable(self, openid: str, code: str | None) -> None:
        """Checks that a user may receive a coupon.

        Args:
            openid: the user.
            code: the merchant's code for the coupon; None for a code of the service or of those uploaded.

        Raises:
            Refusal: the stock is not SENDING; a coupon more is over its budget, the budget of the day or the limit of the user,
                for which deleted coupons also count; or the code is that of another coupon, or no uploaded one is left.
        """
        rule, sent = self.members["stock_send_rule"], self.count_sent()
        of_user = sum(coupon.openid == openid for coupon in list(self.coupons.values()))
        if self.state != "SENDING":
            raise Refusal(400, "INVALID_REQUEST", "批次状态不是发放中")
        if sent["total_count"] >= rule["max_count"]:
            raise Refusal(400, "INVALID_REQUEST", "批次预算不足")
        if sent["today_count"] >= rule.get("max_count_per_day", rule["max_count"]):
            raise Refusal(400, "INVALID_REQUEST", "批次当日预算不足")
        if of_user >= rule.get("max_count_per_user", rule["max_count"]):
            raise Refusal(400, "INVALID_REQUEST", "用户领取数量已达上限")
        if code in self.coupons:
            raise Refusal(400, "INVALID_REQUEST", "券code已使用其他单号发放")
        if self.members["coupon_code_mode"] == "UPLOAD" and not self.codes:
            raise Refusal(400, "INVALID_REQUEST", "批次已上传的券code不足")

    def describe(self) -> dict[str, Any]:
        """Returns it as a query has it."""
        described = {
            "product_coupon_id": self.product.product_coupon_id,
            "stock_id": self.stock_id,
            "brand_id": self.product.members["brand_id"],
            **self.members,
            "sent_count_info": self.count_sent(),
            "state": self.state,
            **self.deactivation,
        }
        if self.members["coupon_code_mode"] == "UPLOAD" and (self.codes or self.coupons):
            counts = {"total_count": len(self.coupons) + len(self.codes), "available_count": len(self.codes)}
            described["coupon_code_count_info"] = counts
        return described

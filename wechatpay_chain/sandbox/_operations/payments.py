"""The payment of an order, and the coupon that paid a part of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

__all__ = ["Payment"]


class Payment(NamedTuple):
    """The payment of an order.

    Attributes:
        transaction_id: the number that the service assigned to it.
        success_time: when it was made.
        openid: the user who paid.
        bank_type: the bank, such as CMB_DEBIT, or OTHERS.
        discount: the fen that a coupon of the merchant paid.
        coupon_id: the number of this coupon, if there was one.
        stock_id: the number of its stock.
    """

    transaction_id: str
    success_time: datetime
    openid: str
    bank_type: str
    discount: int
    coupon_id: str
    stock_id: str

    def describe_coupons(self) -> list[dict[str, Any]]:
        """Returns the coupons that paid a part of the order, as a query has them."""
        if not self.discount:
            return []
        coupon = {
            "coupon_id": self.coupon_id,
            "name": "沙箱代金券",
            "scope": "GLOBAL",
            "type": "NOCASH",
            "amount": self.discount,
            "stock_id": self.stock_id,
            "wechatpay_contribute": 0,
            "merchant_contribute": self.discount,
            "other_contribute": 0,
            "currency": "CNY",
        }
        return [coupon]

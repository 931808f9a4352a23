"""What the service knows of the merchant, and what the merchant's customers do: the objects of a sandbox that live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wechatpay_chain.sandbox._notifier import Notice
from wechatpay_chain.sandbox._operations.account import Account
from wechatpay_chain.sandbox._operations.applyments import Applyment
from wechatpay_chain.sandbox._operations.balances import Balances
from wechatpay_chain.sandbox._operations.combined import CombinedOrder
from wechatpay_chain.sandbox._operations.complaints import Complaint, open_complaint
from wechatpay_chain.sandbox._operations.coupons import Coupon, CouponBundle
from wechatpay_chain.sandbox._operations.orders import Order
from wechatpay_chain.sandbox._operations.product_coupons import ProductCoupon
from wechatpay_chain.sandbox._operations.refunds import Refund
from wechatpay_chain.sandbox._operations.service_orders import ServiceOrder
from wechatpay_chain.sandbox._operations.sharing import Sharing
from wechatpay_chain.sandbox._operations.transfers import Transfer

__all__ = ["World"]


class World:
    """The part of a sandbox that is its service's memory, and its customers.

    Args:
        account: the merchant's account.
    """

    def __init__(self, account: Account) -> None:
        self._account = account

    def pay(self, out_trade_no: str, **details: Any) -> Notice | None:
        """Pays an order as its user does, and posts TRANSACTION.SUCCESS to its notify_url.

        Args:
            out_trade_no: the number of an order, of a combined order, or of a payscore order that has been completed.
            **details: the arguments of `pay` of an `Order`, a `CombinedOrder` or a `ServiceOrder`, such as notify=False.

        Returns:
            The notification, which is posted in another thread; None if none is.

        Raises:
            KeyError: there is no such order.
            ConfigurationError: it is paid, closed, or past its deadline.
        """
        found = self.combined_orders.get(out_trade_no) or self.service_orders.get(out_trade_no)
        return (found or self.orders[out_trade_no]).pay(**details)

    @property
    def orders(self) -> dict[str, Order]:
        """The orders by out_trade_no, also code payments and the sub-orders of combined orders."""
        return self._account.book(Order)

    @property
    def combined_orders(self) -> dict[str, CombinedOrder]:
        """The combined orders by combine_out_trade_no."""
        return self._account.book(CombinedOrder)

    @property
    def service_orders(self) -> dict[str, ServiceOrder]:
        """The payscore orders by out_order_no. Their users confirm and pay them."""
        return self._account.book(ServiceOrder)

    @property
    def refunds(self) -> dict[str, Refund]:
        """The refunds by out_refund_no."""
        return self._account.book(Refund)

    @property
    def balances(self) -> Balances:
        """The balances of merchants in fen, by merchant number; one that is not set has no limit."""
        return self._account.part(Balances)

    @property
    def transfers(self) -> dict[str, Transfer]:
        """The transfers to users by out_bill_no. They can be confirmed and finished."""
        return self._account.book(Transfer)

    @property
    def sharing(self) -> Sharing:
        """The profit sharing: its receivers, orders and returns, which can be finished, and its settings."""
        return self._account.part(Sharing)

    @property
    def complaints(self) -> dict[str, Complaint]:
        """The complaints by complaint_id."""
        return self._account.book(Complaint)

    @property
    def product_coupons(self) -> dict[str, ProductCoupon]:
        """The product coupons by product_coupon_id, each with its stocks."""
        return self._account.book(ProductCoupon)

    @property
    def coupons(self) -> dict[str, Coupon]:
        """The product coupons that were pre-sent or sent to users, by send_request_no."""
        return self._account.book(Coupon)

    @property
    def coupon_bundles(self) -> dict[str, CouponBundle]:
        """The bundles of product coupons that were pre-sent or sent to users, by send_request_no."""
        return self._account.book(CouponBundle)

    @property
    def applyments(self) -> dict[str, Applyment]:
        """The applyments by business_code or out_request_no."""
        return self._account.book(Applyment)

    def complain(
        self,
        out_trade_no: str,
        detail: str = "商品与描述不符",
        *,
        problem_type: str = "OTHERS",
        refund: int | None = None,
        images: Sequence[bytes] = (),
    ) -> Complaint:
        """Makes a payer's complaint about an order, and posts COMPLAINT.CREATE.

        Args:
            out_trade_no: the merchant's number of the order.
            detail: what the payer writes.
            problem_type: REFUND, SERVICE_NOT_WORK or OTHERS.
            refund: the refund that the payer asks for, in fen; None for none.
            images: the pictures that they add.

        Raises:
            ConfigurationError: the order is not paid or has a complaint, or the problem_type or refund is not possible.
        """
        return open_complaint(self._account, out_trade_no, detail, problem_type, refund, images)

"""The registry of all operations that the sandbox supports."""

from __future__ import annotations

from wechatpay_chain.sandbox._operations.bills import BILL_OPERATIONS
from wechatpay_chain.sandbox._operations.coupons import COUPON_OPERATIONS
from wechatpay_chain.sandbox._operations.orders import ORDER_OPERATIONS
from wechatpay_chain.sandbox._operations.security import SECURITY_OPERATIONS
from wechatpay_chain.sandbox._operations.uploads import UPLOAD_OPERATIONS

__all__ = ["OPERATIONS"]

OPERATIONS = (*UPLOAD_OPERATIONS, *BILL_OPERATIONS, *SECURITY_OPERATIONS, *ORDER_OPERATIONS, *COUPON_OPERATIONS)

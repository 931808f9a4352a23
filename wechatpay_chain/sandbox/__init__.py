"""A WeChat Pay sandbox on your own machine: real keys, real signatures and real HTTP, but no money.

    with Sandbox() as sandbox:
        client = sandbox.client()

For programs in any language: `python -m wechatpay_chain sandbox --credentials FILE`.
"""

from wechatpay_chain.sandbox._faults import Fault
from wechatpay_chain.sandbox._keys import Signer
from wechatpay_chain.sandbox._notifier import Notice, Posted
from wechatpay_chain.sandbox._operations.account import Refusal
from wechatpay_chain.sandbox._operations.applyments import Applyment
from wechatpay_chain.sandbox._operations.balances import Balances
from wechatpay_chain.sandbox._operations.combined import CombinedOrder
from wechatpay_chain.sandbox._operations.complaints import Complaint
from wechatpay_chain.sandbox._operations.coupons import Coupon, CouponBundle
from wechatpay_chain.sandbox._operations.operation import CheckedRequest
from wechatpay_chain.sandbox._operations.orders import Order
from wechatpay_chain.sandbox._operations.payments import Payment
from wechatpay_chain.sandbox._operations.product_coupons import CouponStock, ProductCoupon
from wechatpay_chain.sandbox._operations.refunds import Refund
from wechatpay_chain.sandbox._operations.service_orders import ServiceOrder
from wechatpay_chain.sandbox._server import Sandbox, Seen

__all__ = [
    "Applyment",
    "Balances",
    "CheckedRequest",
    "CombinedOrder",
    "Complaint",
    "Coupon",
    "CouponBundle",
    "CouponStock",
    "Fault",
    "Notice",
    "Order",
    "Payment",
    "Posted",
    "ProductCoupon",
    "Refund",
    "Refusal",
    "Sandbox",
    "Seen",
    "ServiceOrder",
    "Signer",
]

"""The rate limits that WeChat Pay has documented, or told in its community.

Each is per merchant number, that of the caller. A limit that is counted for another merchant, such as the receiver of a profit sharing, is not
here. Most operations have a limit that is not documented. Sources: the page of each operation, and the comments of https://github.com/wechatpay-apiv3/wechatpay-go;
where they differ, the lower number.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["DOCUMENTED"]

DOCUMENTED: Mapping[str, str] = MappingProxyType(
    {
        "POST /v3/pay/transactions/jsapi": "500/second",
        "POST /v3/pay/partner/transactions/jsapi": "500/second",
        "POST /v2/pay/unifiedorder": "60/second",
        "POST /v3/pay/transactions/codepay": "33/second",
        "POST /v3/pay/partner/transactions/codepay": "33/second",
        "POST /v2/pay/micropay": "33/second",
        "POST /v3/refund/domestic/refunds": "150/second",
        "GET /v3/refund/domestic/refunds/*": "300/second",
        "POST /v3/profitsharing/orders": "300/second",
        "GET /v3/profitsharing/orders/*": "500/second",
        "POST /v3/profitsharing/return-orders": "100/second",
        "POST /v3/fund-app/mch-transfer/transfer-bills": "100/second",
        "GET /v3/fund-app/mch-transfer/transfer-bills/**": "100/second",
        "POST /v3/fund-app/mch-transfer/user-confirm-authorization": "50/second",
        "POST /v3/fund-app/mch-transfer/user-confirm-authorization/**": "50/second",
        "POST /v3/fund-app/mch-transfer/partner/sub-mch-authorizations": "100/second",
        "GET /v3/fund-app/mch-transfer/partner/sub-mch-authorizations/*": "100/second",
        "POST /v3/fund-app/mch-transfer/partner/budget/*/electronic-receipts": "20/second",
        "GET /v3/fund-app/mch-transfer/partner/budget/*/electronic-receipts": "50/second",
        "POST /v3/fund-app/mch-transfer/partner/charity-budget": "50/second",
        "POST /v3/fund-app/mch-transfer/partner/charity-budget/*/unlock": "100/second",
        "GET /v3/fund-app/mch-transfer/partner/charity-budget/*": "100/second",
        "POST /v3/fund-app/mch-transfer/partner/charity-transfer-bills": "100/second",
        "GET /v3/fund-app/mch-transfer/partner/charity-transfer-bills/**": "100/second",
        "POST /v3/platsolution/ecommerce/mch-transfer/compensate-bills": "100/second",
        "GET /v3/platsolution/ecommerce/mch-transfer/compensate-bills/**": "100/second",
        "POST /v3/transfer/batches": "50/second",
        "GET /v3/transfer/batches/**": "50/second",
        "POST /v3/partner-transfer/batches": "50/second",
        "GET /v3/partner-transfer/batches/**": "50/second",
        "POST /v3/payroll-card/transfer-batches": "50/second",
        "POST /v3/transfer/bill-receipt": "20/second",
        "POST /v3/transfer-detail/electronic-receipts": "20/second",
        "POST /v3/fund-app/mch-transfer/elecsign/**": "20/second",
        "GET /v3/merchantfund/partner/income-records": "50/second",
        "GET /v3/merchantfund/merchant/income-records": "50/second",
        "GET /v3/capital/capitallhh/**": "300/second",
        "GET /v3/abnormal-fund-processing/receipts/**": "100/second",
        "POST /v3/funds-to-oversea/return/return-orders": "150/second",
        "GET /v3/funds-to-oversea/return/return-orders/**": "300/second",
        "POST /v3/applyment4sub/applyment/": "15/second",
        "GET /v3/applyment4sub/applyment/**": "100/second",
        "GET /v3/apply4sub/sub_merchants/*/settlement": "100/second",
        "POST /v3/apply4sub/sub_merchants/*/modify-settlement": "20/minute",
        "POST /v3/apply4subject/applyment": "5/second",
        "GET /v3/apply4subject/applyment": "20/second",
        "GET /v3/apply4subject/applyment/merchants/*/state": "10/second",
        "POST /v3/marketing/favor/users/*/coupons": "500/second",
        "GET /v3/marketing/favor/users/*/coupons": "500/second",
        "GET /v3/marketing/favor/users/*/coupons/*": "500/second",
        "GET /v3/marketing/favor/stocks": "500/second",
        "GET /v3/marketing/favor/stocks/*": "500/second",
        "GET /v3/marketing/favor/stocks/*/merchants": "1000/minute",
        "GET /v3/marketing/favor/stocks/*/items": "600/minute",
        "POST /v3/marketing/favor/stocks/*/pause": "1000/minute",
        "POST /v3/marketing/favor/stocks/*/restart": "1000/minute",
        "POST /v3/marketing/favor/callbacks": "1000/minute",
        "GET /v3/marketing/favor/callbacks": "2000/second",
        "GET /v3/marketing/favor/stocks/*/use-flow": "5/minute",
        "GET /v3/marketing/favor/stocks/*/refund-flow": "5/minute",
        "GET /v3/multiuse/stocks/*/send-flow": "1000/minute",
        "POST /v3/marketing/busifavor/coupons/use": "500/second",
        "POST /v3/marketing/busifavor/coupons/associate": "500/second",
        "POST /v3/marketing/busifavor/coupons/disassociate": "500/second",
        "POST /v3/marketing/busifavor/stocks": "1000/minute",
        "POST /v3/marketing/partner/product-coupon/users/*/pre-send-coupon": "500/second",
        "POST /v3/marketing/partner/product-coupon/image-generation-tasks": "500/second",
        "* /v3/marketing/partner/product-coupon/**": "20/second",
        "* /brand/marketing/product-coupon/**": "20/second",
        "* /v3/brand/partner/card-member/**": "5/second",
        "POST /v2/mmpaymkttransfers/sendredpack": "1800/minute",
        "POST /v2/mmpaymkttransfers/sendgroupredpack": "1800/minute",
    }
)
"""The limits by operation: a verb, or `*` for any, and a path, in which `*` is one segment, and `**` at its end one or more. All
operations that match one entry share its limit. An entry can be changed: `{**DOCUMENTED, "POST /v3/refund/domestic/refunds": "50/second"}`.
"""

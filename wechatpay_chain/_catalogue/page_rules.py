"""How the operations page that return a list in pieces.

Source: the documentation of each operation. That `offset` counts pages in the lists of 代金券 is said on the page of 条件查询批次列表,
and in the comments of the official SDKs.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, NamedTuple

__all__ = ["RULES", "PageRule", "find_page_rule"]


class PageRule(NamedTuple):
    """How one operation pages.

    Attributes:
        style: `offset` counts rows from 0, `pages` is an offset that counts pages from 0, `page` counts pages from 1, `token` comes from
            the page before, `numbered` is an offset for the numbered fields of APIv2, `comments` is the row at which the page before
            ended, `whole` is a list that comes in one piece.
        position: the name of the parameter that says where a page begins.
        size: the name of the parameter with the number of rows of a page; empty if there is none.
        rows: the number of rows that is asked for unless the caller says another: the documented maximum or default; 0 to ask for none.
        items: where the rows are, with a dot before a member of a member; for numbered fields, the one that each row has, with `$n`; empty if the response is one row.
        total: where the number of all rows is. Empty if there is none, or if it counts more than the rows that are listed.
    """

    style: Literal["offset", "pages", "page", "token", "numbered", "comments", "whole"]
    position: str = ""
    size: str = ""
    rows: int = 0
    items: str = ""
    total: str = ""


RULES: dict[str, PageRule] = {
    "POST /v2/billcommentsp/batchquerycomment": PageRule(
        "comments", position="offset", size="limit", rows=200, items=""
    ),
    "POST /v2/deposit/refundquery": PageRule(
        "numbered", position="offset", items="out_refund_no_$n", total="total_refund_count"
    ),
    "POST /v2/pay/refundquery": PageRule(
        "numbered", position="offset", items="out_refund_no_$n", total="total_refund_count"
    ),
    "POST /v2/pay/refundqueryv2": PageRule(
        "numbered", position="offset", items="out_refund_no_$n", total="total_refund_count"
    ),
    "POST /v2/pay/settlementquery": PageRule(
        "numbered", position="offset", size="limit", rows=20, items="", total="record_num"
    ),
    "POST /v2/risk/getviolation": PageRule(
        "page",
        position="page_index",
        size="page_size",
        rows=0,
        items="violation_records.violation_records",
        total="violation_records.total_size",
    ),
    "POST /v2/sandboxnew/pay/refundquery": PageRule(
        "numbered", position="offset", items="out_refund_no_$n", total="total_refund_count"
    ),
    "POST /v2/secapi/mch/submchmanage": PageRule(
        "page", position="page_index", size="page_size", rows=0, items="mchinfo", total="total"
    ),
    "GET /global/v3/customs/orders": PageRule(
        "offset", position="offset", size="limit", rows=0, items="data", total="total_count"
    ),
    "GET /hk/v3/refunds": PageRule("offset", position="offset", size="count", rows=0, items="data", total="total_num"),
    "GET /hk/v3/settle/settlements": PageRule(
        "offset", position="offset", size="limit", rows=20, items="data", total="total_count"
    ),
    "GET /v3/bank-transfer/batches/batch-id/{}": PageRule(
        "offset", position="offset", size="limit", rows=0, items="transfer_detail_list"
    ),
    "GET /v3/bank-transfer/batches/out-batch-no/{}": PageRule(
        "offset", position="offset", size="limit", rows=0, items="transfer_detail_list"
    ),
    "GET /v3/brand/card/card-links": PageRule(
        "page", position="page_index", size="page_size", rows=0, items="active_link_list", total="total_num"
    ),
    "GET /v3/brand/marketing/shake-activities/activities": PageRule(
        "offset", position="offset", size="limit", rows=100, items="data", total="total_count"
    ),
    "GET /v3/brand/partner/card-member/cards": PageRule(
        "offset", position="offset", size="limit", rows=0, items="data", total="total_count"
    ),
    "GET /v3/brand/partner/card-member/membership-activities": PageRule(
        "offset", position="offset", size="limit", rows=20, items="data", total="total_count"
    ),
    "GET /v3/brand/partner/card-member/user-cards": PageRule(
        "offset", position="offset", size="limit", rows=20, items="data", total="total_count"
    ),
    "GET /v3/brand/partner/store/brandstores": PageRule(
        "offset", position="offset", size="limit", rows=0, items="data", total="total_count"
    ),
    "GET /v3/capital/capitallhh/areas/provinces": PageRule("whole", items="data", total="total_count"),
    "GET /v3/capital/capitallhh/areas/provinces/{}/cities": PageRule("whole", items="data", total="total_count"),
    "GET /v3/capital/capitallhh/banks/corporate-banking": PageRule(
        "offset", position="offset", size="limit", rows=20, items="data", total="total_count"
    ),
    "GET /v3/capital/capitallhh/banks/personal-banking": PageRule(
        "offset", position="offset", size="limit", rows=20, items="data", total="total_count"
    ),
    "GET /v3/capital/capitallhh/banks/search-banks-by-bank-account": PageRule(
        "whole", items="data", total="total_count"
    ),
    "GET /v3/capital/capitallhh/banks/{}/branches": PageRule(
        "offset", position="offset", size="limit", rows=20, items="data", total="total_count"
    ),
    "GET /v3/edu-papay/user/{}/contracts": PageRule(
        "offset", position="offset", size="limit", rows=0, items="data", total="total_count"
    ),
    "GET /v3/edu-star/orders": PageRule(
        "offset", position="offset", size="limit", rows=0, items="data", total="total_count"
    ),
    "GET /v3/eduschoolpay/users/{}/contracts": PageRule(
        "offset", position="offset", size="limit", rows=0, items="data", total="total_count"
    ),
    "GET /v3/global/customs/orders": PageRule(
        "offset", position="offset", size="limit", rows=0, items="data", total="total_count"
    ),
    "GET /v3/global/merchant-service/complaints": PageRule(
        "offset", position="offset", size="limit", rows=0, items="data", total="total_count"
    ),
    "GET /v3/global/merchant-service/complaints/{}/negotiation-historys": PageRule(
        "offset", position="offset", size="limit", rows=0, items="data", total="total_count"
    ),
    "GET /v3/global/refunds": PageRule(
        "offset", position="offset", size="count", rows=20, items="data", total="total_num"
    ),
    "GET /v3/global/settle/settlements": PageRule(
        "offset", position="offset", size="limit", rows=20, items="data", total="total_count"
    ),
    "GET /v3/iotmanage/devices": PageRule(
        "offset", position="offset", size="limit", rows=20, items="data", total="total_count"
    ),
    "GET /v3/lovefeast/users/{}/orders/brand-id/{}": PageRule(
        "offset", position="offset", size="limit", rows=10, items="data", total="total_count"
    ),
    "GET /v3/marketing/bank/packages/{}/tasks": PageRule(
        "pages", position="offset", size="limit", rows=20, items="data", total="total_count"
    ),
    "GET /v3/marketing/busifavor/stocks/{}/couponcodes": PageRule(
        "offset", position="offset", size="limit", rows=0, items="data", total="total_count"
    ),
    "GET /v3/marketing/busifavor/users/{}/coupons": PageRule(
        "offset", position="offset", size="limit", rows=0, items="data", total="total_count"
    ),
    "GET /v3/marketing/favor/stocks": PageRule(
        "pages", position="offset", size="limit", rows=10, items="data", total="total_count"
    ),
    "GET /v3/marketing/favor/stocks/{}/items": PageRule(
        "pages", position="offset", size="limit", rows=100, items="data", total="total_count"
    ),
    "GET /v3/marketing/favor/stocks/{}/merchants": PageRule(
        "pages", position="offset", size="limit", rows=50, items="data", total="total_count"
    ),
    "GET /v3/marketing/favor/users/{}/coupons": PageRule(
        "pages", position="offset", size="limit", rows=20, items="data", total="total_count"
    ),
    "GET /v3/marketing/goods-subsidy-activity/activities": PageRule(
        "offset", position="offset", size="limit", rows=20, items="data", total="total_count"
    ),
    "GET /v3/marketing/goods-subsidy-activity/retail-store-act/{}/representatives": PageRule(
        "offset", position="offset", size="limit", rows=10, items="data", total="total_count"
    ),
    "GET /v3/marketing/goods-subsidy-activity/retail-store-act/{}/stores": PageRule(
        "offset", position="offset", size="limit", rows=10, items="data", total="total_count"
    ),
    "GET /v3/marketing/membercard-activity/activities": PageRule(
        "offset", position="offset", size="limit", rows=0, items="data", total="total_count"
    ),
    "GET /v3/marketing/membercard-open/cards": PageRule(
        "offset", position="offset", size="limit", rows=20, items="data", total="total_count"
    ),
    "GET /v3/marketing/membercard-open/user/cards": PageRule(
        "offset", position="offset", size="limit", rows=20, items="data", total="total_count"
    ),
    "GET /v3/marketing/partner/delivery-plan/delivery-plans/{}/delivery-plans": PageRule(
        "offset", position="offset", size="page_size", rows=0, items="plan_list", total="total_count"
    ),
    "GET /v3/marketing/partner/product-coupon/product-coupons/{}/stocks": PageRule(
        "token", position="page_token", size="page_size", rows=50, items="stock_list", total="total_count"
    ),
    "GET /v3/marketing/partner/product-coupon/product-coupons/{}/stocks/{}/associated-stores": PageRule(
        "token", position="page_token", size="page_size", rows=200, items="store_list", total="total_count"
    ),
    "GET /v3/marketing/partner/product-coupon/users/{}/coupons": PageRule(
        "token", position="page_token", size="page_size", rows=20, items="user_coupon_list", total="total_count"
    ),
    "GET /v3/marketing/partnerships": PageRule(
        "offset", position="offset", size="limit", rows=50, items="data", total="total_count"
    ),
    "GET /v3/marketing/paygiftactivity/activities": PageRule(
        "offset", position="offset", size="limit", rows=100, items="data", total="total_count"
    ),
    "GET /v3/marketing/paygiftactivity/activities/{}/goods": PageRule(
        "offset", position="offset", size="limit", rows=0, items="data", total="total_count"
    ),
    "GET /v3/marketing/paygiftactivity/activities/{}/merchants": PageRule(
        "offset", position="offset", size="limit", rows=0, items="data", total="total_count"
    ),
    "GET /v3/marketing/weekly-discount/activities": PageRule(
        "offset", position="offset", size="limit", rows=20, items="data", total="total_count"
    ),
    "GET /v3/marketing/withdraw-favor/users/{}/coupons": PageRule(
        "offset", position="offset", size="limit", rows=0, items="data", total="total_count"
    ),
    "GET /v3/mch-manage/mch-manage-records/sub-mchid/{}": PageRule(
        "offset", position="offset", size="limit", rows=20, items="data", total="total_count"
    ),
    "POST /v3/merchant-risk-manage/ec-trade-risk/query-risk-trades": PageRule(
        "page", position="page_index", size="page_size", rows=10, items="risk_trade_list", total="total_num"
    ),
    "GET /v3/merchant-service/complaints": PageRule(
        "offset", position="offset", size="limit", rows=50, items="data", total="total_count"
    ),
    "GET /v3/merchant-service/complaints-v2": PageRule(
        "offset", position="offset", size="limit", rows=50, items="data", total="total_count"
    ),
    "GET /v3/merchant-service/complaints-v2/{}/negotiation-historys": PageRule(
        "offset", position="offset", size="limit", rows=100, items="data", total="total_count"
    ),
    "GET /v3/merchantfund/merchant/income-records": PageRule(
        "offset", position="offset", size="limit", rows=100, items="data", total="total_count"
    ),
    "GET /v3/merchantfund/partner/income-records": PageRule(
        "offset", position="offset", size="limit", rows=100, items="data", total="total_count"
    ),
    "GET /v3/new-tax-control-fapiao/fapiaomerchant/listspinvitemchinfo": PageRule(
        "offset", position="offset", size="limit", rows=20, items="mch_invite_result_list", total="total_count"
    ),
    "GET /v3/new-tax-control-fapiao/merchant/tax-codes": PageRule(
        "offset", position="offset", size="limit", rows=20, items="data", total="total_count"
    ),
    "GET /v3/offlineface/face-collections": PageRule(
        "offset", position="offset", size="limit", rows=0, items="face_collections"
    ),
    "GET /v3/papay/insurance-sign/policy_periods/plan-id/{}/out-contract-code/{}": PageRule(
        "offset", position="offset", size="limit", rows=0, items="data", total="total_count"
    ),
    "GET /v3/parking/reminders/applications": PageRule(
        "offset", position="offset", size="limit", rows=0, items="application_list"
    ),
    "GET /v3/partner-transfer/batches/batch-id/{}": PageRule(
        "offset", position="offset", size="limit", rows=100, items="transfer_detail_list"
    ),
    "GET /v3/partner-transfer/batches/out-batch-no/{}": PageRule(
        "offset", position="offset", size="limit", rows=100, items="transfer_detail_list"
    ),
    "GET /v3/payroll-card/authentications": PageRule(
        "offset", position="offset", size="limit", rows=10, items="data", total="total_count"
    ),
    "GET /v3/platsolution/insurance/mch-transfer/batches/batch-id/{}": PageRule(
        "offset", position="offset", size="limit", rows=20, items="data"
    ),
    "GET /v3/platsolution/insurance/mch-transfer/batches/out-batch-no/{}": PageRule(
        "offset", position="offset", size="limit", rows=20, items="data"
    ),
    "GET /v3/platsolution/mch-transfer/batches/batch-id/{}": PageRule(
        "offset", position="offset", size="limit", rows=20, items="data"
    ),
    "GET /v3/platsolution/mch-transfer/batches/out-batch-no/{}": PageRule(
        "offset", position="offset", size="limit", rows=20, items="data"
    ),
    "GET /v3/smartguide/guides": PageRule(
        "offset", position="offset", size="limit", rows=10, items="data", total="total_count"
    ),
    "GET /v3/taxi-invoice/user-taxi-orders": PageRule(
        "offset", position="offset", size="limit", rows=0, items="data", total="total_count"
    ),
    "GET /v3/transaction-block/transaction-block-records/sub-mchid/{}": PageRule(
        "offset", position="offset", size="limit", rows=20, items="data", total="total_count"
    ),
    "GET /v3/transfer/batches/batch-id/{}": PageRule(
        "offset", position="offset", size="limit", rows=100, items="transfer_detail_list"
    ),
    "GET /v3/transfer/batches/out-batch-no/{}": PageRule(
        "offset", position="offset", size="limit", rows=100, items="transfer_detail_list"
    ),
    "GET /v3/webizpay/avail-mch-ranges/{}/merchant-identifiers": PageRule(
        "offset", position="offset", size="limit", rows=20, items="data", total="total_count"
    ),
    "GET /brand/marketing/product-coupon/product-coupons/{}/stocks": PageRule(
        "token", position="page_token", size="page_size", rows=50, items="stock_list", total="total_count"
    ),
    "GET /brand/marketing/product-coupon/product-coupons/{}/stocks/{}/associated-stores": PageRule(
        "token", position="page_token", size="page_size", rows=200, items="store_list", total="total_count"
    ),
    "GET /brand/marketing/product-coupon/users/{}/coupons": PageRule(
        "token", position="page_token", size="page_size", rows=20, items="user_coupon_list", total="total_count"
    ),
}
"""The rules by method and path, `{}` for each path variable. Paths of APIv2 begin with /v2."""


def find_page_rule(template: str) -> tuple[str, PageRule] | None:
    """Returns the method and the rule of an operation that pages, or None.

    Args:
        template: the path template of a node, in which variables may be filled in.
    """
    segments = template.strip("/").split("/")
    for method, path, rule in _split_rules():
        if len(path) == len(segments) and all(
            known == given or (known == "{}" and given) for known, given in zip(path, segments, strict=True)
        ):
            return method, rule
    return None


@cache
def _split_rules() -> list[tuple[str, list[str], PageRule]]:
    return [(key.split(" ")[0], key.split(" ")[1].strip("/").split("/"), rule) for key, rule in RULES.items()]

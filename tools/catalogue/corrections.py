"""Known mistakes of the facts, each with its reason.

`CORRECTIONS` change one place each; those of APIv2 are in `corrections_v2.py`. `translations.py` says what some words of the facts
mean; `corrected_schemas.py` replaces whole schemas. A correction that corrects nothing stops the generator, so that this file never
outlives a mistake.

Sources: [SK] the sample code and the pages of pay.weixin.qq.com; [CAP] bodies that users have published; [TWIN] the same member of a
sister operation; [OWN] the member's own example; [SDK] the models of the official SDK for Java.
"""

from __future__ import annotations

from tools.catalogue.correction import Correction
from tools.catalogue.corrections_v2 import V2_CORRECTIONS

__all__ = ["CORRECTIONS"]

_SHARING_RESULTS = ["PENDING", "SUCCESS", "CLOSED"]
_SHARING_FAILURES = [
    "ACCOUNT_ABNORMAL",
    "NO_RELATION",
    "RECEIVER_HIGH_RISK",
    "RECEIVER_REAL_NAME_NOT_VERIFIED",
    "NO_AUTH",
    "RECEIVER_RECEIPT_LIMIT",
    "PAYER_ACCOUNT_ABNORMAL",
    "INVALID_REQUEST",
]
_OF_SOME_PAYMENTS = (
    "bank_type",
    "create_time",
    "description",
    "mchid",
    "parking_info",
    "payer",
    "sp_mchid",
    "sub_appid",
    "sub_mchid",
    "success_time",
    "trade_state_desc",
    "trade_type",
    "transaction_id",
    "user_repaid",
)
_LANGUAGE = "the enum has it in upper case, the example as zh_CN; either may be right [OWN]"
_EDITING = "the first state of an application is missing [OWN]"
_SCENES = "an open list: 1001 and 1006 are in use too [SK]"

CORRECTIONS = (
    # Orders.
    Correction(
        "GET /v3/combine-transactions/out-trade-no/{combine_out_trade_no}",
        "response",
        "the class of the sample code has no such member [SK]",
        optional=("combine_transaction_id",),
    ),
    *(
        Correction(
            f"POST /v3/combine-transactions/{way}",
            "body.sub_orders[]",
            "a merchant's sub order has none [SK, TWIN: POST /v3/combine-transactions/app]",
            optional=("sub_mchid",),
        )
        for way in ("h5", "jsapi", "native")
    ),
    Correction(
        "GET /v3/combine-transactions/out-trade-no/{combine_out_trade_no}",
        "response.sub_orders[].amount",
        "an order that is not paid has none [CAP]",
        optional=("payer_amount",),
    ),
    Correction(
        "POST /v3/pay/transactions/codepay",
        "response",
        "while the user enters the password, the state is all that comes [CAP]",
        optional=("mchid", "out_trade_no"),
    ),
    Correction(
        "POST /v3/pay/partner/transactions/codepay",
        "response",
        "while the user enters the password, the state is all that comes [CAP]",
        optional=("sp_mchid", "sub_mchid", "out_trade_no"),
    ),
    Correction(
        "POST /v3/pay/partner/transactions/jsapi",
        "body.payer",
        "one of two ways to name the payer: the other is sub_openid [SK]",
        optional=("sp_openid",),
    ),
    *(
        Correction(
            f"TRANSACTION.{event}",
            "resource",
            "one schema for a parking fee, a contract and a partner's payment, of which none has all of this",
            optional=tuple(names),
        )
        for event, names in (
            ("FAIL", [*_OF_SOME_PAYMENTS, "device_information"]),
            ("PAY_BACK", [*_OF_SOME_PAYMENTS, "device_info"]),
        )
    ),
    Correction(
        "POST /hk/v3/transactions/micropay", "response.amount.payer _currency", "a slip", rename="payer_currency"
    ),
    Correction(
        "POST /v3/global/micropay/transactions/pay",
        "response.amount.payer _currency",
        "a slip",
        rename="payer_currency",
    ),
    *(
        Correction(
            f"POST /v3/pay/{payee}transactions/{kind}",
            "body.scene_info.store_info",
            "a store has an id, and the rest is optional [SK, the class StoreInfo]",
            optional=("name", "area_code", "address"),
            required=("id",),
        )
        for payee in ("", "partner/")
        for kind in ("app", "h5", "jsapi", "native")
    ),
    # Refunds. A refund of a merchant has `mchid`, that of a partner `sp_mchid` and `sub_mchid`.
    *(
        Correction(
            f"REFUND.{state}",
            "resource",
            "a merchant's has mchid, a partner's has sp_mchid and sub_mchid in its place [SK, CAP]",
            optional=tuple(names),
        )
        for state, names in (
            ("SUCCESS", ["mchid"]),
            ("ABNORMAL", ["mchid", "sp_mchid", "sub_mchid"]),
            ("CLOSED", ["mchid", "sp_mchid", "sub_mchid"]),
        )
    ),
    Correction(
        "REFUND.SUCCESS",
        "resource.amount",
        "of global refunds; a domestic one has four numbers only [CAP]",
        optional=("currency", "payer_currency"),
    ),
    Correction(
        "POST /v3/ecommerce/refunds/apply",
        "body",
        "one of two ways to name the order: the other is out_trade_no [TWIN: POST /v3/refund/domestic/refunds]",
        optional=("transaction_id",),
    ),
    Correction(
        "POST /v3/ecommerce/refunds/apply",
        "body",
        "of personal collection, and of merchants whose funds flow in the old way [TWIN: POST /v3/refund/domestic/refunds]",
        optional=("combine_transaction_id", "funds_account"),
    ),
    # Payscore.
    *(
        Correction(
            f"PAYSCORE.USER_{event}",
            "resource",
            "one schema for a merchant, a partner and a contract [TWIN: GET /v3/payscore/serviceorder]",
            optional=("sub_mchid", *names),
        )
        for event, names in (
            ("CONFIRM", ["out_trade_no", "post_payments"]),
            ("PAID", ["out_trade_no"]),
            ("OPEN_SERVICE", ["contract_id", "contract_status", "create_time", "out_contract_code", "plan_id"]),
            ("CLOSE_SERVICE", []),
        )
    ),
    # Profit sharing.
    Correction(
        "POST /v3/profitsharing/orders/unfreeze",
        "response.receivers[]",
        "a receiver that has its money has none [TWIN: POST /v3/profitsharing/orders]",
        optional=("fail_reason",),
    ),
    Correction(
        "GET /v3/profitsharing/orders/{out_order_no}",
        "response.receivers[].result",
        "the enum has the reasons of failure [TWIN: POST /v3/profitsharing/orders]",
        {"enum": _SHARING_RESULTS},
    ),
    Correction(
        "GET /v3/profitsharing/orders/{out_order_no}",
        "response.receivers[].fail_reason",
        "its enum is at `result` [TWIN: POST /v3/profitsharing/orders]",
        {"enum": _SHARING_FAILURES},
    ),
    Correction(
        "GET /v3/profitsharing/orders/{out_order_no}",
        "response.state",
        "the enum has the results of a receiver [TWIN: POST /v3/profitsharing/orders]",
        {"enum": ["PROCESSING", "FINISHED"]},
    ),
    Correction(
        "GET /v3/brand/profitsharing/orders",
        "response.receivers[].result",
        "it spells SUCEESS [TWIN: POST /v3/brand/profitsharing/orders]",
        {"enum": _SHARING_RESULTS},
    ),
    *(
        Correction(
            f"{method} /v3/global/profit-sharing/receivers{rest}",
            f"{part}.relation_type",
            "SERVICE_PROVIDER is missing [OWN]",
            {
                "enum": [
                    "SERVICE_PROVIDER",
                    "SUPPLIER",
                    "DISTRIBUTOR",
                    "TAX_SERVICE_PROVIDER",
                    "IT_SERVICE_PROVIDER",
                    "CUSTOM",
                ]
            },
        )
        for method, rest, part in (("POST", "", "body"), ("POST", "", "response"), ("GET", "/{account}", "response"))
    ),
    # Transfers.
    Correction(
        "POST /v3/transfer/batches",
        "body",
        "without it, the merchant's default scene is used, if there is one [SDK]",
        optional=("transfer_scene_id",),
    ),
    Correction(
        "POST /v3/transfer/batches",
        "body.transfer_detail_list[]",
        "required from 2,000 yuan on, and not allowed below 0.3 yuan [SDK]",
        optional=("user_name",),
    ),
    Correction("POST /v3/fund-app/mch-transfer/partner/*", "body.transfer_scene_id", _SCENES, {"enum": None}),
    Correction("POST /v3/fund-app/mch-transfer/transfer-bills*", "body.transfer_scene_id", _SCENES, {"enum": None}),
    Correction(
        "POST /v3/fund-app/mch-transfer/user-confirm-authorization", "body.transfer_scene_id", _SCENES, {"enum": None}
    ),
    *(
        Correction(
            f"GET /v3/{product}/bank-transfer-recharges/out-recharge-no/{{out_recharge_no}}",
            "response.account_type",
            "DEPOSIT is missing [OWN]",
            {"enum": ["BASIC", "OPERATION", "FEES", "DEPOSIT"]},
        )
        for product in ("platsolution/ecommerce", "recharge")
    ),
    # Certificates.
    Correction(
        "GET /v3/certificates",
        "response",
        "a list of certificates always comes, each with all of its members [SK, CAP]",
        required=("data",),
    ),
    Correction(
        "GET /v3/certificates",
        "response.data[]",
        "a list of certificates always comes, each with all of its members [SK, CAP]",
        required=("serial_no", "effective_time", "expire_time", "encrypt_certificate"),
    ),
    Correction(
        "GET /v3/certificates",
        "response.data[].encrypt_certificate",
        "each certificate is encrypted, in the same way [SK, CAP]",
        required=("algorithm", "nonce", "associated_data", "ciphertext"),
    ),
    # Coupons.
    *(
        Correction(
            f"GET /v3/marketing/favor/stocks/{{stock_id}}/{scope}",
            "query.limit",
            "it is a number in the response and in every other query [TWIN: GET /v3/marketing/favor/stocks]",
            {"type": "integer"},
        )
        for scope in ("items", "merchants")
    ),
    Correction(
        "POST /v3/marketing/partner/product-coupon/users/{openid}/coupons/{coupon_code}/use",
        "body",
        "one of two ways to name the order [SK]",
        optional=("associated_order_info",),
    ),
    Correction(
        "GET /v3/marketing/partner/delivery-plan/delivery-plans/{brand_id}/delivery-plans",
        "query.audit_state",
        "the example is a number of another member",
        {"example": "AUDIT_PASSED"},
    ),
    # Applications of merchants.
    Correction(
        "GET /v3/ecommerce/applyments/*",
        "response.applyment_state",
        "CANCELED is missing [the page of the operation]",
        {
            "enum": [
                "CHECKING",
                "ACCOUNT_NEED_VERIFY",
                "AUDITING",
                "REJECTED",
                "NEED_SIGN",
                "FINISH",
                "FROZEN",
                "CANCELED",
            ]
        },
    ),
    *(
        Correction(
            f"GET /v3/mchalterapply/{product}/{rest}",
            "response.state",
            _EDITING,
            {
                "enum": [
                    "APPLYMENT_STATE_EDITTING",
                    "APPLYMENT_STATE_AUDITING",
                    "APPLYMENT_STATE_REJECTED",
                    "APPLYMENT_STATE_MODIFING",
                    "APPLYMENT_STATE_FINISHED",
                    "APPLYMENT_STATE_CANCELED",
                ]
            },
        )
        for product, rest in (
            ("mchcontactalterapplyment", "{apply_id}"),
            ("mchcontactalterapplyment", "merchant/{merchant_code}/out-request-no/{out_request_no}"),
            ("merchantnamealterapplyment", "{apply_id}"),
            ("merchantnamealterapplyment", "merchant/{sub_mchid}/out-request-no/{out_request_no}"),
        )
    ),
    # Complaints.
    *(
        Correction(
            f"GET /v3/global/merchant-service/complaints{rest}",
            "query.mch_language",
            _LANGUAGE,
            {"enum": None},
        )
        for rest in ("", "/{complaint_id}", "/{complaint_id}/negotiation-historys")
    ),
    Correction(
        "GET /v3/merchant-service/complaints-v2/{complaint_id}/negotiation-historys",
        "response.data[].click_message.message_content",
        "the example is a text",
        {"type": "string"},
    ),
    # Subsidies and invoices.
    *(
        Correction(
            f"POST /v3/gov/subsidy/qualifications/{query}",
            "response.qualification_list[].unclaimed_reason",
            "the example is a reason of another member",
            {"example": "REASON_UNCLAIMED"},
        )
        for query in ("passthrough/query", "query")
    ),
    Correction(
        "POST /v3/gov/subsidy/zhejiang/authcode/try",
        "response.discount_mode",
        "its values are texts",
        {"type": "string"},
    ),
    Correction(
        "POST /v3/new-tax-control-fapiao/fapiao-applications/{fapiao_apply_id}/reverse",
        "body.reverse_reason",
        "the example is free text; the field takes one of the four codes",
        {"example": "SALES_RETURN"},
    ),
    # Recharges.
    Correction(
        "RECHARGE.CLOSED",
        "resource.qr_recharge_info",
        "its members are outside it [TWIN: RECHARGE.SUCCESS]",
        {
            "properties": {
                "employee_type": {"type": "string", "enum": ["ADMIN", "STAFF", "LEGAL_PERSON"]},
                "openid": {"type": "string"},
            },
            "required": ["employee_type", "openid"],
        },
    ),
    Correction(
        "RECHARGE.CLOSED",
        "resource",
        "it is a member of qr_recharge_info [TWIN: RECHARGE.SUCCESS]",
        removed=("employee_type",),
    ),
    Correction(
        "WEBIZPAY.PAYMENTSUCCESS",
        "resource.goods_name",
        "a name is a text [TWIN: every other goods_name]",
        {"type": "string"},
    ),
    *V2_CORRECTIONS,
)

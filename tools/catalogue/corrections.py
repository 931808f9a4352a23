"""Known mistakes of the facts, each with its reason.

`CORRECTIONS` change one place each; `PATTERNS` and `TYPES` translate what each of them says; `corrected_schemas.py` replaces whole
schemas. A correction that corrects nothing stops the generator, so that this file never outlives a mistake.

Sources: [SK] the sample code and the pages of pay.weixin.qq.com; [CAP] bodies that users have published; [TWIN] the same member of a
sister operation; [OWN] the member's own example.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

__all__ = ["CORRECTIONS", "PATTERNS", "TYPES", "Correction"]


class Correction(NamedTuple):
    """Changes one place.

    Attributes:
        where: the method and the path of an operation, or the event type of a notification; `*` at its end stands for any rest.
        place: where in it: `body`, `query`, `response` or `resource`, then members, and `[]` for the items of a list.
        reason: why it is wrong, and the source that is right.
        update: members of the schema to set; None removes one.
        rename: the right name of the member.
        optional: names that `required` lists and that can be absent.
        required: names that are always there.
    """

    where: str
    place: str
    reason: str
    update: Mapping[str, Any] = MappingProxyType({})
    rename: str = ""
    optional: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


_CUSTOMS = ("POST /cgi-bin/mch/customs/customdeclareorder", "POST /cgi-bin/mch/customs/customdeclarequery")
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
    # Profit sharing.
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
    # APIv2.
    *(
        Correction(
            where,
            f"{part}.{member}",
            "SHANGHAI is missing [OWN]",
            {
                "enum": [
                    "SHANGHAI",
                    "GUANGZHOU_ZS",
                    "HANGZHOU_ZS",
                    "NINGBO",
                    "ZHENGZHOU_BS",
                    "CHONGQING",
                    "SHANGHAI_ZS",
                    "SHENZHEN",
                    "ZHENGZHOU_ZH_ZS",
                    "TIANJIN",
                ]
            },
        )
        for where, part, member in (
            (_CUSTOMS[0], "body", "customs"),
            (_CUSTOMS[1], "body", "customs"),
            (_CUSTOMS[1], "response", "customs_$n"),
            ("POST /cgi-bin/mch/newcustoms/customdeclareredeclare", "body", "customs"),
        )
    ),
    *(
        Correction(
            where,
            f"response.{member}",
            "NDECLARED is UNDECLARED [OWN]",
            {"enum": ["UNDECLARED", "SUBMITTED", "PROCESSING", "SUCCESS", "FAIL", "EXCEPT"]},
        )
        for where, member in ((_CUSTOMS[0], "state"), (_CUSTOMS[1], "state_$n"))
    ),
    *(
        Correction(where, place, "the values are texts that nobody documents", {"enum": None})
        for where, place in (
            ("POST /secapi/mch/addInstitutionsub", "body.apply_h5_payment"),
            ("POST /secapi/mch/modifyInstitutionsub", "body.apply_h5_payment"),
            ("POST /secsvc/realnameauth", "response.bind_bankcard"),
        )
    ),
    Correction(
        "POST /wxv/queryrentbill",
        "response.rent_unit",
        "the example has the parts in the other order [TWIN: POST /wxv/createrentbill]",
        {"example": "FEN_DAY"},
    ),
)

PATTERNS = {
    "/[0-9]{6}/": "^[0-9]{6}$",
    r"/[a-zA-Z0-9\|\*_-]{1,128}/": "^[a-zA-Z0-9|*_-]{1,128}$",
    r"/[a-zA-Z0-9\|-_\*]{1,128}/": "^[a-zA-Z0-9|*_-]{1,128}$",  # a hyphen within a class is a range
    r"/\d{8}|\d{14}/": "^(?:[0-9]{8}|[0-9]{14})$",
    r"/\d{8}|\d{14}|OnAccept/": "^(?:[0-9]{8}|[0-9]{14}|OnAccept)$",
}
"""Regular expressions between slashes, and what they say of the whole text."""

TYPES = {
    "int": "integer",
    "uint64": "integer",
    "string ": "string",
    "stringde": "string",
    # Where the type should be, these have an example or a description.
    "20150806125346": "string",
    "oyobu0dmn6tdodznfwkoekqorbi8": "string",
    "ee088059bbc9141264f8d14293ad6c4bb94cea8c08aa98fbf93e262d445f8ff5": "string",
    "粤b888888": "string",
    "oupf8umuajo_m2pxb1q9znjwes6o": "string",
    "早餐2份，每份50元": "string",
}
"""Names of types that are none, and what is meant."""

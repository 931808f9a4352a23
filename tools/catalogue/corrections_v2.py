"""Known mistakes of the facts of APIv2, each with its reason; `corrections.py` names the sources."""

from __future__ import annotations

from tools.catalogue.correction import Correction

__all__ = ["V2_CORRECTIONS"]

_CUSTOMS = ("POST /cgi-bin/mch/customs/customdeclareorder", "POST /cgi-bin/mch/customs/customdeclarequery")
_NUMBERS = ("transaction_id", "out_trade_no", "refund_id", "out_refund_no")

V2_CORRECTIONS = (
    *(
        Correction(
            f"POST {path}",
            "body",
            "one number of the order is enough, and the first is used [SK]",
            optional=_NUMBERS[:2],
        )
        for path in (
            "/deposit/orderquery",
            "/deposit/refund",
            "/pay/facepayquery",
            "/pay/orderquery",
            "/pay/paporderquery",
            "/pay/partner/paporderquery",
            "/sandboxnew/pay/orderquery",
            "/sandboxnew/pay/refund",
            "/secapi/pay/refund",
            "/secapi/pay/refundv2",
            "/transit/partnerpay/queryorder",
            "/transit/queryorder",
            "/xdc/apiv2sandbox/pay/orderquery",
        )
    ),
    *(
        Correction(f"POST {path}", "body", "one number of the refund or its order is enough [SK]", optional=_NUMBERS)
        for path in ("/deposit/refundquery", "/pay/refundquery", "/pay/refundqueryv2", "/sandboxnew/pay/refundquery")
    ),
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
        "POST /pay/downloadfundflow",
        "body.sign_type",
        "only HMAC-SHA256 is accepted [https://pay.weixin.qq.com/doc/v2/merchant/4011985042]",
        {"enum": ["HMAC-SHA256"]},
    ),
    *(
        Correction(
            f"POST {path}", "body.deposit", "Y freezes a deposit, which is another product [OWN]", {"example": "N"}
        )
        for path in ("/pay/facepay", "/pay/micropay", "/sandboxnew/pay/micropay", "/xdc/apiv2sandbox/pay/micropay")
    ),
    Correction(
        "POST /deposit/micropay",
        "body.sign_type",
        "the field is required, and cannot be null [TWIN: POST /deposit/unifiedorder]",
        {"nullable": None},
    ),
    Correction(
        "POST /mmpaysptrans/pay_bank",
        "response",
        "sources differ on whether the response is signed [OWN]; it is verified if a signature comes",
        removed=("sign",),
    ),
    Correction(
        "POST /wxv/queryrentbill",
        "response.rent_unit",
        "the example has the parts in the other order [TWIN: POST /wxv/createrentbill]",
        {"example": "FEN_DAY"},
    ),
)

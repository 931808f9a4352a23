"""Schemas that replace those of the facts, each with its reason.

Sources: [SK] the sample code and the pages of pay.weixin.qq.com; [CAP] bodies that users have published.
"""

from __future__ import annotations

from typing import Any

__all__ = ["SCHEMAS"]

Schema = dict[str, Any]


def _text(example: str, *enum: str) -> Schema:
    return {"type": "string", **({"enum": list(enum)} if enum else {}), "example": example}


def _number(example: int) -> Schema:
    return {"type": "integer", "example": example}


def _object(required: str, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": required.split()}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_TIME = {"type": "string", "format": "rfc3339", "example": "2018-06-08T10:34:56+08:00"}
_OPENID = _text("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o")
_APPID = _text("wxd678efh567hg6787")
_MCHID = _text("1230000109")
_SUB_APPID = _text("wxd678efh567hg6999")
_SUB_MCHID = _text("1900000109")
_CURRENCY = _text("CNY")
_STATE = _text("SUCCESS", "SUCCESS", "REFUND", "NOTPAY", "CLOSED", "REVOKED", "USERPAYING", "PAYERROR", "ACCEPT")
# PAP is a deduction, as in TRANSACTION.FAIL, and AUTH one of payscore, as in bills.
_TRADE_TYPE = _text("JSAPI", "JSAPI", "NATIVE", "APP", "MICROPAY", "MWEB", "FACEPAY", "PAP", "AUTH")

_GOODS = _object(
    "goods_id quantity unit_price discount_amount",
    goods_id=_text("M1006"),
    quantity=_number(1),
    unit_price=_number(100),
    discount_amount=_number(1),
    goods_remark=_text("商品备注信息"),
)
_PROMOTION = _object(
    "coupon_id amount",
    coupon_id=_text("109519"),
    name=_text("单品惠-6"),
    scope=_text("GLOBAL", "GLOBAL", "SINGLE"),
    type=_text("CASH", "CASH", "NOCASH"),
    amount=_number(100),
    stock_id=_text("931386"),
    activity_id=_text("931386"),
    wechatpay_contribute=_number(0),
    merchant_contribute=_number(0),
    other_contribute=_number(0),
    currency=_CURRENCY,
    goods_detail=_list(_GOODS),
)

# What a query and a notification tell of an order, but for who took it and who paid it.
_ORDER = {
    "out_trade_no": _text("1217752501201407033233368018"),
    "transaction_id": _text("4200001100202401010000000001"),
    "trade_type": _TRADE_TYPE,
    "trade_state": _STATE,
    "trade_state_desc": _text("支付成功"),
    "bank_type": _text("OTHERS"),
    "attach": _text("自定义数据"),
    "success_time": _TIME,
    "amount": _object(
        "total", total=_number(100), payer_total=_number(100), currency=_CURRENCY, payer_currency=_CURRENCY
    ),
    "scene_info": _object("", device_id=_text("013467007045764")),
    "promotion_detail": _list(_PROMOTION),
}
_MERCHANT = {"appid": _APPID, "mchid": _MCHID}
_PARTNER = {"sp_appid": _APPID, "sp_mchid": _MCHID, "sub_appid": _SUB_APPID, "sub_mchid": _SUB_MCHID}

_COMBINED = {
    "combine_appid": _APPID,
    "combine_mchid": _MCHID,
    "combine_out_trade_no": _text("P20150806125346"),
    "combine_transaction_id": _text("1009660380201506130728806387"),
    "combine_payer_info": _object("openid", openid=_OPENID),
    "sub_orders": _list(
        _object(
            "mchid out_trade_no trade_state amount",
            mchid=_SUB_MCHID,
            sub_mchid=_SUB_MCHID,
            sub_appid=_SUB_APPID,
            sub_openid=_OPENID,
            individual_auth_id=_text("1000000001"),
            individual_name=_text("张三"),
            out_trade_no=_text("20150806125346"),
            transaction_id=_text("4200001100202401010000000001"),
            trade_type=_TRADE_TYPE,
            trade_state=_STATE,
            bank_type=_text("OTHERS"),
            attach=_text("深圳分店"),
            success_time=_TIME,
            amount=_object(
                "total_amount currency",
                total_amount=_number(10),
                payer_amount=_number(10),
                currency=_CURRENCY,
                payer_currency=_CURRENCY,
            ),
            promotion_detail=_list(_PROMOTION),
        )
    ),
}
_PARKING = _object(
    "parking_id plate_number plate_color start_time end_time parking_name charging_duration device_id",
    parking_id=_text("5K8264ILTKCH16CQ250"),
    plate_number=_text("粤B888888"),
    plate_color=_text("BLUE", "BLUE", "GREEN", "YELLOW", "BLACK", "WHITE", "LIMEGREEN"),
    start_time=_TIME,
    end_time=_TIME,
    parking_name=_text("欢乐海岸停车场"),
    charging_duration=_number(3600),
    device_id=_text("12313"),
)

# What only the notification of a parking fee has.
_FEE = {
    "trade_scene": _text("PARKING"),
    "parking_info": _PARKING,
    "description": _text("停车场扣费"),
    "create_time": _TIME,
    "trade_state_description": _text("支付失败，请重新下单支付"),
    "user_repaid": _text("Y", "Y", "N"),
}

_QUERY = "it has the members of the request that made the order, and not those of a query [SK QueryByOutTradeNo, CAP]"
_MIXED = "one schema for a payment, a parking fee, a combined order and a profit sharing [SK, CAP]"

# A code payment whose user is entering the password has nothing but `trade_state`; every other order has what is required here.
SCHEMAS: dict[tuple[str, str], tuple[str, Schema]] = {
    **{
        (f"GET /v3/pay/transactions/{number}", "response"): (
            _QUERY,
            _object(
                "appid mchid out_trade_no trade_state trade_state_desc amount",
                **_MERCHANT,
                **_ORDER,
                payer=_object("openid", openid=_OPENID),
            ),
        )
        for number in ("id/{transaction_id}", "out-trade-no/{out_trade_no}")
    },
    **{
        (f"GET /v3/pay/partner/transactions/{number}", "response"): (
            _QUERY,
            _object(
                "sp_appid sp_mchid sub_mchid out_trade_no trade_state trade_state_desc amount",
                **_PARTNER,
                **_ORDER,
                payer=_object("sp_openid", sp_openid=_OPENID, sub_openid=_OPENID),
            ),
        )
        for number in ("id/{transaction_id}", "out-trade-no/{out_trade_no}")
    },
    # A combined order has the members of _COMBINED in place of most of an order's. What an order always has is required
    # here all the same: nearly every reader has orders, and a combined one is known by `combine_out_trade_no`.
    ("TRANSACTION.SUCCESS", "transaction"): (
        _MIXED,
        _object(
            "out_trade_no transaction_id trade_type trade_state bank_type success_time amount payer",
            **_MERCHANT,
            **_PARTNER,
            **_ORDER,
            payer=_object("", openid=_OPENID, sp_openid=_OPENID, sub_openid=_OPENID),
            **_COMBINED,
            **_FEE,
        ),
    ),
    ("TRANSACTION.SUCCESS", "profitsharing"): (
        _MIXED,
        _object(
            "transaction_id order_id out_order_no receiver success_time",
            mchid=_MCHID,
            sp_mchid=_MCHID,
            sub_mchid=_SUB_MCHID,
            transaction_id=_text("4200001100202401010000000001"),
            order_id=_text("3008450740201411110007820472"),
            out_order_no=_text("P20150806125346"),
            receiver=_object(
                "type account amount description",
                type=_text("MERCHANT_ID", "MERCHANT_ID", "PERSONAL_OPENID"),
                account=_SUB_MCHID,
                amount=_number(100),
                description=_text("分账"),
            ),
            success_time=_TIME,
        ),
    ),
}
"""By operation or event, and by `response` or the original type of a notification: the reason, and the schema."""

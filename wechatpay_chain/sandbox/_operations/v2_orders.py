"""Orders by APIv2: they are placed, queried, closed, paid by code and reversed. They are the same orders as those of APIv3.

Sources: https://pay.weixin.qq.com/doc/v2/merchant/4011937125 for code payments, and the pages of the operations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from wechatpay_chain.sandbox._clock import CHINA
from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.codepay import pay_by_code
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result
from wechatpay_chain.sandbox._operations.orders import Order, close_order, reverse_order
from wechatpay_chain.sandbox._operations.transactions import (
    PREPAY,
    Announce,
    find_order,
    find_order_by_transaction,
    place_order,
)
from wechatpay_chain.sandbox._operations.v2_notices import describe_order, make_payment_announcer

__all__ = ["V2_ORDER_HANDLERS", "find_named_order", "place_by_type", "query_order", "read_order"]

_PREPAY = {"JSAPI": "jsapi", "NATIVE": "native", "APP": "app", "MWEB": "h5"}
_NAMES = {"h5_url": "mweb_url"}


def read_order(account: Account, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters of an order in the form in which APIv3 has them.

    Raises:
        Refusal: a time has another form.
    """
    kept = ("out_trade_no", "notify_url", "attach", "contract_id", "contract_code", "plan_id")
    placed = {"description": fields["body"], **{name: fields[name] for name in kept if name in fields}}
    placed["amount"] = {"total": fields["total_fee"], "currency": fields.get("fee_type", "CNY")}
    if "device_info" in fields:
        placed["scene_info"] = {"device_id": fields["device_info"]}
    if "time_expire" in fields:
        placed["time_expire"] = _read_time(fields["time_expire"])
    if sub_mchid := fields.get("sub_mch_id"):
        users = {"openid": "sp_openid", "sub_openid": "sub_openid"}
        numbers = {"sp_appid": fields["appid"], "sp_mchid": account.keys.number, "sub_mchid": sub_mchid}
        numbers.update({"sub_appid": fields["sub_appid"]} if "sub_appid" in fields else {})
    else:
        users = {"openid": "openid"}
        numbers = {"appid": fields["appid"], "mchid": account.keys.number}
    payer = {name: fields[field] for field, name in users.items() if field in fields}
    return {**numbers, **placed, **({"payer": payer} if payer else {})}


def _read_time(text: str) -> str:
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=CHINA).isoformat()
    except ValueError:
        raise Refusal(400, "PARAM_ERROR", "time_expire参数格式错误：格式为yyyyMMddHHmmss") from None


def _place(account: Account, request: CheckedRequest) -> Result:
    return 200, place_by_type(account, request.body, make_payment_announcer(request.body.get("sign_type")))


def place_by_type(account: Account, fields: Mapping[str, Any], announce: Announce) -> dict[str, Any]:
    """Places an order, and returns what its front end needs.

    Args:
        account: the merchant's account.
        fields: the fields of the request.
        announce: posts the notification of its payment.

    Raises:
        Refusal: the order cannot be placed.
    """
    trade_type = fields["trade_type"]
    if trade_type not in _PREPAY:
        raise Refusal(400, "PARAM_ERROR", f"trade_type参数格式错误：须为{'、'.join(_PREPAY)}之一")
    if trade_type == "JSAPI" and not fields.keys() & {"openid", "sub_openid"}:
        raise Refusal(400, "PARAM_ERROR", "JSAPI支付必须传openid")
    order = place_order(account, read_order(account, fields), trade_type, announce)
    _, respond = PREPAY[_PREPAY[trade_type]]
    shown = {_NAMES.get(name, name): value for name, value in respond(order.prepay_id).items()}
    return {"trade_type": trade_type, "prepay_id": order.prepay_id, **shown}


def find_named_order(account: Account, fields: Mapping[str, Any]) -> Order:
    """Returns the order that a request names by its transaction_id, or else by its out_trade_no.

    Args:
        account: the merchant's account.
        fields: the fields of the request.

    Raises:
        Refusal: neither is given, or there is no such order of these merchants.
    """
    sub_mchid = fields.get("sub_mch_id")
    mchid = account.keys.number
    caller = {"sp_mchid": mchid, "sub_mchid": sub_mchid} if sub_mchid else {"mchid": mchid}
    if "transaction_id" in fields:
        return find_order_by_transaction(account, fields["transaction_id"], caller)
    if "out_trade_no" in fields:
        return find_order(account, fields["out_trade_no"], caller)
    raise Refusal(400, "PARAM_ERROR", "缺少参数transaction_id或out_trade_no")


def query_order(account: Account, request: CheckedRequest) -> Result:
    """Returns an order, however it was placed."""
    return 200, describe_order(find_named_order(account, request.body))


def _close(account: Account, request: CheckedRequest) -> Result:
    order = find_named_order(account, request.body)
    if order.trade_state == "CLOSED":
        raise Refusal(400, "ORDERCLOSED", "订单已关闭，无法重复关闭")
    close_order(order)
    return 200, {"result_msg": "OK"}


def _pay_by_code(account: Account, request: CheckedRequest) -> Result:
    if not re.fullmatch("1[0-5][0-9]{16}", request.body["auth_code"]):
        raise Refusal(400, "AUTH_CODE_INVALID", "请扫描微信支付被扫条码/二维码")
    order = pay_by_code(account, read_order(account, request.body))
    if order.payment is None:
        raise Refusal(400, "USERPAYING", "需要用户输入支付密码")
    known = describe_order(order)
    return 200, {name: value for name, value in known.items() if not name.startswith("trade_state")}


def _reverse(account: Account, request: CheckedRequest) -> Result:
    reverse_order(find_named_order(account, request.body))
    return 200, {"recall": "N"}


V2_ORDER_HANDLERS: dict[tuple[str, str], Handler] = {
    ("POST", f"{base}{path}"): handler
    for base, paths in {
        "": {
            "/pay/unifiedorder": _place,
            "/pay/orderquery": query_order,
            "/pay/closeorder": _close,
            "/pay/micropay": _pay_by_code,
            "/secapi/pay/reverse": _reverse,
        },
        "/sandboxnew": {
            "/pay/unifiedorder": _place,
            "/pay/orderquery": query_order,
            "/pay/micropay": _pay_by_code,
        },
        "/xdc/apiv2sandbox": {"/pay/orderquery": query_order, "/pay/micropay": _pay_by_code},
    }.items()
    for path, handler in paths.items()
}

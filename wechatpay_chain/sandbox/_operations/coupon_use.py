"""The operations of a service provider about the product coupons of users: pre-send, send, confirm, use, return, deactivate."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.coupon_stocks import (
    BASE,
    act_once,
    describe_deactivation,
    find_stock,
    paginate,
)
from wechatpay_chain.sandbox._operations.coupons import Coupon
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result
from wechatpay_chain.sandbox._operations.product_coupons import ProductCoupon
from wechatpay_chain.sandbox._parsing import make_param_error
from wechatpay_chain.sandbox._schema import InvalidField

__all__ = ["COUPON_HANDLERS", "deactivate_coupon", "make_token"]


def make_token(request: CheckedRequest) -> dict[str, str]:
    """Returns the response to a pre-send.

    The service returns the same token for the same parameters, even after the user has taken the coupon.

    Args:
        request: the request.
    """
    parameters = json.dumps([request.path, request.body], sort_keys=True).encode()
    return {"token": base64.urlsafe_b64encode(hashlib.sha256(parameters).digest()[:24]).decode()}


def _pre_send(account: Account, request: CheckedRequest) -> Result:
    token = make_token(request)
    if request.body["product_coupon_id"] not in account.book(ProductCoupon):
        # The brand may have made it elsewhere. Nothing is known of it, so nobody can take it.
        return 200, token
    coupon = _prepare(account, request)
    if not coupon.state:
        coupon.require_sendable()
        coupon.pre_sent = account.now()
        account.book(Coupon)[coupon.send_request_no] = coupon
    return 200, token


def _send(account: Account, request: CheckedRequest) -> Result:
    coupon = _prepare(account, request)
    if not coupon.state:
        coupon.require_sendable()
        account.book(Coupon)[coupon.send_request_no] = coupon
        coupon.receive("API")
    return 200, coupon.describe()


def _prepare(account: Account, request: CheckedRequest) -> Coupon:
    """Returns the coupon of a send_request_no, which is new if the number is.

    Raises:
        Refusal: the number was used with other parameters, the stock does not exist, or the coupon_code is missing or
            not allowed.
    """
    body, stock = request.body, find_stock(account, request)
    number, code = body["send_request_no"], body.get("coupon_code")
    known = account.book(Coupon).get(number)
    if known is not None:
        if (known.openid, known.parameters) != (request.path["openid"], body):
            raise Refusal(400, "INVALID_REQUEST", "send_request_no重复：同一单号的参数须与首次请求一致")
        return known
    if (stock.members["coupon_code_mode"] == "API_ASSIGN") != (code is not None):
        issue = "is required if the coupon_code_mode is API_ASSIGN, and not allowed otherwise"
        raise make_param_error(InvalidField("/coupon_code", code, issue), "body")
    return Coupon(number, request.path["openid"], stock, dict(body), account)


def _find_coupon(account: Account, request: CheckedRequest) -> Coupon:
    """Returns the coupon of a request.

    Raises:
        Refusal: the user has no such coupon of this stock.
    """
    appid = request.body.get("appid", request.query.get("appid"))
    coupon: Coupon | None = find_stock(account, request).coupons.get(request.path["coupon_code"])
    if coupon is None or (coupon.openid, coupon.parameters["appid"]) != (request.path["openid"], appid):
        raise Refusal(404, "NOT_FOUND", "用户商品券不存在")
    return coupon


def _query_coupon(account: Account, request: CheckedRequest) -> Result:
    return 200, _find_coupon(account, request).describe()


def _list_coupons(account: Account, request: CheckedRequest) -> Result:
    query = request.query
    wanted = {name: query[name] for name in ("appid", "brand_id", "product_coupon_id", "stock_id") if name in query}
    found = [
        coupon.describe()
        for coupon in list(account.book(Coupon).values())
        if coupon.state
        and coupon.openid == request.path["openid"]
        and wanted.items() <= {name: coupon.parameters[name] for name in wanted}.items()
        and query.get("coupon_state") in (None, coupon.state)
    ]
    return 200, paginate(found, query, "user_coupon_list")


def _change(operation: str, change: Callable[[Account, Coupon, CheckedRequest], None]) -> Handler:
    """Returns a handler that changes a coupon once for each out_request_no, and responds with the coupon.

    Args:
        operation: the name of the operation.
        change: changes it, or raises a Refusal.
    """

    def handle(account: Account, request: CheckedRequest) -> Result:
        coupon = _find_coupon(account, request)
        act_once(account, operation, request, lambda: change(account, coupon, request))
        return 200, coupon.describe()

    return handle


def _require_state(coupon: Coupon, *states: str) -> None:
    """Checks that a coupon is in one of some states.

    Raises:
        Refusal: it is in none of them.
    """
    if coupon.state not in states:
        raise Refusal(400, "INVALID_REQUEST", f"券状态不合法：{coupon.state}")


def _confirm(account: Account, coupon: Coupon, request: CheckedRequest) -> None:
    _require_state(coupon, "CONFIRMING")
    coupon.confirmation = {
        "confirm_request_no": request.body["out_request_no"],
        "confirm_time": account.now().isoformat(timespec="seconds"),
    }


def _use(_account: Account, coupon: Coupon, request: CheckedRequest) -> None:
    body, stock = request.body, coupon.stock
    _require_state(coupon, "EFFECTIVE")
    if ("associated_order_info" in body) == ("associated_pay_score_order_info" in body):
        issue = "is required, or associated_pay_score_order_info, but not both"
        raise make_param_error(InvalidField("/associated_order_info", None, issue), "body")
    if stock.members["store_scope"] == "SPECIFIC" and "store_id" in body and body["store_id"] not in stock.stores:
        raise Refusal(400, "INVALID_REQUEST", "门店不在批次的可用门店范围内")
    if body.get("sequential_coupon_index", coupon.used_count) != coupon.used_count:
        raise Refusal(400, "INVALID_REQUEST", "多次优惠须按次序核销")
    use: dict[str, Any] = {"use_request_no": body["out_request_no"], "use_time": body["use_time"]}
    if "associated_order_info" in body:
        use["associated_order_info"] = body["associated_order_info"]
    coupon.uses[coupon.used_count :] = [use]


def _return(account: Account, coupon: Coupon, request: CheckedRequest) -> None:
    last = coupon.used_count - 1
    if last < 0 or coupon.state in ("DELETED", "DEACTIVATED"):
        raise Refusal(400, "INVALID_REQUEST", f"券状态不合法：{coupon.state}")
    if request.body.get("sequential_coupon_index", last) != last:
        raise Refusal(400, "INVALID_REQUEST", "仅可退回最后一次核销")
    later = coupon.bundle.coupons[coupon.bundle.find_index(coupon) + 1 :] if coupon.bundle else []
    if any(each.state == "USED" for each in later):
        raise Refusal(400, "INVALID_REQUEST", "仅可退回券组中最后核销的券")
    coupon.uses[last] |= {
        "return_request_no": request.body["out_request_no"],
        "return_time": account.now().isoformat(timespec="seconds"),
    }


def deactivate_coupon(account: Account, coupon: Coupon, request: CheckedRequest) -> None:
    """Deactivates a coupon that has not been used.

    Args:
        account: the merchant's account.
        coupon: the coupon.
        request: the request.

    Raises:
        Refusal: it has been used, or cannot be used any more.
    """
    _require_state(coupon, "CONFIRMING", "PENDING", "EFFECTIVE")
    coupon.deactivation = describe_deactivation(account, request)


def _set_url(account: Account, request: CheckedRequest) -> Result:
    account.coupon_url, account.coupon_url_time = request.body["notify_url"], account.now()
    return _query_url(account, request)


def _query_url(account: Account, _request: CheckedRequest) -> Result:
    if not account.coupon_url:
        raise Refusal(404, "NOT_FOUND", "未设置商品券通知地址")
    time = account.coupon_url_time.isoformat(timespec="seconds")
    return 200, {"notify_url": account.coupon_url, "update_time": time}


_USER = f"{BASE}/users/{{openid}}"
_COUPON = f"{_USER}/coupons/{{coupon_code}}"

COUPON_HANDLERS: dict[tuple[str, str], Handler] = {
    ("POST", f"{BASE}/notify-configs"): _set_url,
    ("GET", f"{BASE}/notify-configs"): _query_url,
    ("POST", f"{_USER}/pre-send-coupon"): _pre_send,
    ("POST", f"{_USER}/coupons"): _send,
    ("GET", f"{_USER}/coupons"): _list_coupons,
    ("GET", _COUPON): _query_coupon,
    ("POST", f"{_COUPON}/confirm"): _change("confirm", _confirm),
    ("POST", f"{_COUPON}/use"): _change("use", _use),
    ("POST", f"{_COUPON}/return"): _change("return", _return),
    ("POST", f"{_COUPON}/deactivate"): _change("deactivate coupon", deactivate_coupon),
}

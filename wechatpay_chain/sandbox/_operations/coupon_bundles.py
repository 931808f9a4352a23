"""The operations of a service provider about bundles: stocks that are made, changed and sent together.

Source: https://pay.weixin.qq.com/doc/v3/partner/4016435674 and the pages of the operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.coupon_stocks import (
    BASE,
    act_once,
    add_stock,
    associate_stores,
    change_members,
    disassociate_stores,
    find_product,
    plan_budget,
)
from wechatpay_chain.sandbox._operations.coupon_use import deactivate_coupon, make_token
from wechatpay_chain.sandbox._operations.coupons import Coupon, CouponBundle
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result
from wechatpay_chain.sandbox._operations.product_coupons import CouponStock, ProductCoupon

__all__ = ["COUPON_BUNDLE_HANDLERS"]

_COUPONS = ("normal_coupon", "discount_coupon", "exchange_coupon")
"""The kinds of coupons; a request lists the coupons of one kind, one for each stock."""


def _make(account: Account, request: CheckedRequest) -> Result:
    product, body = find_product(account, request), request.body["stock_bundle"]

    def make() -> str:
        if product.state == "DEACTIVATED" or product.members["usage_mode"] == "SEQUENTIAL":
            raise Refusal(400, "INVALID_REQUEST", "商品券已失效，或使用模式不支持批次组")
        number = f"7{account.number('stock bundle', request.body['out_request_no'], digits=17)}"
        places = enumerate(_split(body))
        stocks = [add_stock(account, product, {**each, "stock_bundle_info": _place(number, i)}) for i, each in places]
        product.bundles[number] = stocks
        return number

    number = act_once(account, "make bundle", request, make)
    return _describe(number, product.bundles[number])


def _split(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns what each stock of a bundle is made with.

    Raises:
        Refusal: the bundle has no coupons.
    """
    rule = body.get("progressive_bundle_usage_rule", {})
    coupons = [{kind: coupon} for kind in _COUPONS for coupon in rule.get(f"{kind}_list", ())]
    if not coupons:
        raise Refusal(400, "INVALID_REQUEST", "批次组至少包含一个券")
    period = {"coupon_available_period": rule["coupon_available_period"]}
    return [{**body, "progressive_bundle_usage_rule": {**period, **coupon}} for coupon in coupons]


def _place(number: str, index: int) -> dict[str, Any]:
    return {"stock_bundle_id": number, "stock_bundle_index": index}


def _describe(number: str, stocks: Sequence[CouponStock]) -> Result:
    return 200, {"stock_bundle_id": number, "stock_list": [stock.describe() for stock in stocks]}


def _find_stocks(account: Account, request: CheckedRequest) -> list[CouponStock]:
    """Returns the stocks of the bundle of a request.

    Raises:
        Refusal: the brand has no such bundle.
    """
    given = {**request.body, **request.path}
    stocks = find_product(account, request).bundles.get(given["stock_bundle_id"])
    if stocks is None:
        raise Refusal(404, "NOT_FOUND", "批次组不存在")
    return stocks


def _change(account: Account, request: CheckedRequest) -> Result:
    stocks = _find_stocks(account, request)

    def change() -> None:
        for stock in stocks:
            change_members(stock, request.body)

    act_once(account, "change bundle", request, change)
    return _describe(request.path["stock_bundle_id"], stocks)


def _update_budget(account: Account, request: CheckedRequest) -> Result:
    stocks = _find_stocks(account, request)

    def update() -> None:
        rules = [plan_budget(stock, request.body) for stock in stocks]  # all of them are possible, or none is changed
        for stock, rule in zip(stocks, rules, strict=True):
            stock.members["stock_send_rule"] = rule

    act_once(account, "update bundle budget", request, update)
    return _describe(request.path["stock_bundle_id"], stocks)


def _for_each_stock(act: Callable[[CouponStock, Sequence[Mapping[str, Any]]], Result]) -> Handler:
    """Returns a handler that does the same with every stock of a bundle. They all have the same stores."""

    def handle(account: Account, request: CheckedRequest) -> Result:
        return [act(stock, request.body["store_list"]) for stock in _find_stocks(account, request)][-1]

    return handle


def _pre_send(account: Account, request: CheckedRequest) -> Result:
    if request.body["product_coupon_id"] in account.book(ProductCoupon):
        bundle = _prepare(account, request)
        if not bundle.is_received:
            bundle.require_sendable()
            for coupon in bundle.coupons:
                coupon.pre_sent = account.now()
            _keep(account, bundle)
    return 200, make_token(request)


def _send(account: Account, request: CheckedRequest) -> Result:
    bundle = _prepare(account, request)
    if not bundle.is_received:
        bundle.require_sendable()
        _keep(account, bundle)
        for coupon in bundle.coupons:
            coupon.receive("API")
    return 200, bundle.describe()


def _prepare(account: Account, request: CheckedRequest) -> CouponBundle:
    """Returns the bundle of a send_request_no, which is new if the number is.

    Raises:
        Refusal: the number was used with other parameters, or there is no such bundle.
    """
    body, openid, stocks = request.body, request.path["openid"], _find_stocks(account, request)
    number = body["send_request_no"]
    known = account.book(CouponBundle).get(number)
    if known is not None:
        if (known.openid, known.parameters) != (openid, body):
            raise Refusal(400, "INVALID_REQUEST", "send_request_no重复：同一单号的参数须与首次请求一致")
        return known
    bundle_id = f"7{account.number('coupon bundle', number, digits=21)}"
    bundle = CouponBundle(bundle_id, number, openid, dict(body), _account=account)
    bundle.coupons += [
        Coupon(number, openid, stock, {**body, "stock_id": stock.stock_id}, account, bundle=bundle) for stock in stocks
    ]
    return bundle


def _keep(account: Account, bundle: CouponBundle) -> None:
    account.book(CouponBundle)[bundle.send_request_no] = bundle
    numbered = {f"{bundle.send_request_no}/{index}": coupon for index, coupon in enumerate(bundle.coupons)}
    account.book(Coupon).update(numbered)


def _deactivate(account: Account, request: CheckedRequest) -> Result:
    number, book = request.path["user_coupon_bundle_id"], account.book(CouponBundle)
    bundle = next((each for each in list(book.values()) if each.user_coupon_bundle_id == number), None)
    asked = {name: request.body[name] for name in ("appid", "brand_id", "product_coupon_id", "stock_bundle_id")}
    if bundle is None or not asked.items() <= bundle.parameters.items() or bundle.openid != request.path["openid"]:
        raise Refusal(404, "NOT_FOUND", "用户商品券组不存在")

    def deactivate() -> None:
        usable = [each for each in bundle.coupons if each.state in ("CONFIRMING", "PENDING", "EFFECTIVE")]
        if not usable:
            raise Refusal(400, "INVALID_REQUEST", "券组中没有可以失效的券")
        for coupon in usable:
            deactivate_coupon(account, coupon, request)

    act_once(account, "deactivate coupon bundle", request, deactivate)
    return 200, bundle.describe()


_BUNDLES = f"{BASE}/product-coupons/{{product_coupon_id}}/stock-bundles"
_BUNDLE = f"{_BUNDLES}/{{stock_bundle_id}}"
_USER = f"{BASE}/users/{{openid}}"

COUPON_BUNDLE_HANDLERS: dict[tuple[str, str], Handler] = {
    ("POST", _BUNDLES): _make,
    ("PATCH", _BUNDLE): _change,
    ("POST", f"{_BUNDLE}/update-budget"): _update_budget,
    ("POST", f"{_BUNDLE}/associate-stores"): _for_each_stock(associate_stores),
    ("POST", f"{_BUNDLE}/disassociate-stores"): _for_each_stock(disassociate_stores),
    ("POST", f"{_USER}/pre-send-coupon-bundle"): _pre_send,
    ("POST", f"{_USER}/coupon-bundles"): _send,
    ("POST", f"{_USER}/coupon-bundles/{{user_coupon_bundle_id}}/deactivate"): _deactivate,
}

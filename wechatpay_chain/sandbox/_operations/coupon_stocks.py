"""The operations of a service provider about product coupons and their stocks."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result
from wechatpay_chain.sandbox._operations.product_coupons import CouponStock, ProductCoupon, parse_period
from wechatpay_chain.sandbox._parsing import make_param_error
from wechatpay_chain.sandbox._schema import InvalidField

__all__ = [
    "BASE",
    "COUPON_STOCK_HANDLERS",
    "act_once",
    "add_stock",
    "associate_stores",
    "change_members",
    "describe_deactivation",
    "disassociate_stores",
    "find_product",
    "find_stock",
    "paginate",
    "plan_budget",
]

BASE = "/v3/marketing/partner/product-coupon"

Made = TypeVar("Made")


def act_once(
    account: Account, operation: str, request: CheckedRequest, act: Callable[[], Made], code: str = "INVALID_REQUEST"
) -> Made:
    """Acts for the first request with an out_request_no, and returns the same result for its repetitions.

    Args:
        account: the merchant's account.
        operation: the name of the operation, whose numbers are its own.
        request: the request.
        act: acts, and returns the result.
        code: the code of the error.

    Raises:
        Refusal: a request with this number had other parameters.
    """
    number = f"product-coupon {operation}", request.body["out_request_no"]
    parameters = {**request.path, **request.body}
    known = account.recall(*number)
    if known and known["parameters"] != parameters:
        raise Refusal(400, code, "out_request_no重复：同一单号的参数须与首次请求一致")
    if not known:
        known = {"parameters": parameters, "result": act()}
        account.remember([number], known)
    result: Made = known["result"]
    return result


def describe_deactivation(account: Account, request: CheckedRequest) -> dict[str, str]:
    """Returns the members that say that something was deactivated by a request."""
    return {
        "deactivate_request_no": request.body["out_request_no"],
        "deactivate_time": account.now().isoformat(timespec="seconds"),
        "deactivate_reason": request.body["deactivate_reason"],
    }


def paginate(items: Sequence[Any], query: Mapping[str, Any], member: str) -> dict[str, Any]:
    """Returns a page of a list.

    Args:
        items: the whole list.
        query: page_size and page_token.
        member: the member of the response that contains the page.

    Raises:
        Refusal: the page_token is none of the service's.
    """
    token, size = query.get("page_token", ""), query.get("page_size", 20)
    try:
        begin = int(base64.b64decode(token or "MA==", validate=True))
    except ValueError:
        raise make_param_error(InvalidField("page_token", token, "is not a token of a page"), "query") from None
    page: dict[str, Any] = {"total_count": len(items), member: list(items[begin : begin + size])}
    if begin + size < len(items):
        page["next_page_token"] = base64.b64encode(str(begin + size).encode()).decode()
    return page


def find_product(account: Account, request: CheckedRequest) -> ProductCoupon:
    """Returns the product coupon of a request.

    Args:
        account: the merchant's account.
        request: the request, with brand_id and product_coupon_id.

    Raises:
        Refusal: the brand has no such product coupon.
    """
    given = {**request.query, **request.body, **request.path}
    product = account.book(ProductCoupon).get(given["product_coupon_id"])
    if product is None or product.members["brand_id"] != given["brand_id"]:
        raise Refusal(404, "NOT_FOUND", "商品券不存在")
    return product


def find_stock(account: Account, request: CheckedRequest) -> CouponStock:
    """Returns the stock of a request.

    Args:
        account: the merchant's account.
        request: the request, with brand_id, product_coupon_id and stock_id.

    Raises:
        Refusal: the brand has no such stock.
    """
    given = {**request.query, **request.body, **request.path}
    stock = find_product(account, request).stocks.get(given["stock_id"])
    if stock is None:
        raise Refusal(404, "NOT_FOUND", "批次不存在")
    return stock


def _make_product(account: Account, request: CheckedRequest) -> Result:
    members = {name: value for name, value in request.body.items() if name not in ("out_request_no", "stock")}

    def make() -> tuple[ProductCoupon, CouponStock]:
        number = account.number("product coupon", request.body["out_request_no"], digits=10)
        product = ProductCoupon(number, members, account.now(), account)
        stock = add_stock(account, product, request.body["stock"])
        account.book(ProductCoupon)[number] = product
        return product, stock

    product, stock = act_once(account, "make", request, make, "ALREADY_EXISTS")
    return 200, {**product.describe(), "stock": stock.describe()}


def add_stock(account: Account, product: ProductCoupon, members: Mapping[str, Any]) -> CouponStock:
    """Adds a stock to a product coupon and returns it.

    Args:
        account: the merchant's account.
        product: the product coupon.
        members: what the stock is made with.

    Raises:
        Refusal: a time does not exist.
    """
    number = f"{product.product_coupon_id}{len(product.stocks) + 1:03}"
    period = parse_period(product, members, "/stock")
    product.stocks[number] = CouponStock(number, product, dict(members), period, account.now(), account)
    return product.stocks[number]


def _query_product(account: Account, request: CheckedRequest) -> Result:
    return 200, find_product(account, request).describe()


def _change_product(account: Account, request: CheckedRequest) -> Result:
    product = find_product(account, request)

    def change() -> None:
        product.members["display_info"] = request.body["display_info"]

    act_once(account, "change", request, change)
    return 200, product.describe()


def _deactivate_product(account: Account, request: CheckedRequest) -> Result:
    product = find_product(account, request)

    def deactivate() -> None:
        if product.state != "EFFECTIVE":
            raise Refusal(400, "INVALID_REQUEST", "商品券状态不是生效中")
        product.deactivation = describe_deactivation(account, request)
        for stock in product.stocks.values():
            stock.deactivation = stock.deactivation or product.deactivation

    act_once(account, "deactivate", request, deactivate)
    return 200, product.describe()


def _make_stock(account: Account, request: CheckedRequest) -> Result:
    product = find_product(account, request)

    def make() -> CouponStock:
        if product.state == "DEACTIVATED":
            raise Refusal(400, "INVALID_REQUEST", "商品券已失效")
        return add_stock(account, product, request.body["stock"])

    return 200, act_once(account, "make stock", request, make).describe()


def _list_stocks(account: Account, request: CheckedRequest) -> Result:
    state = request.query.get("state")
    stocks = list(find_product(account, request).stocks.values())
    found = [stock.describe() for stock in stocks if state in (None, stock.state)]
    return 200, paginate(found, request.query, "stock_list")


def _query_stock(account: Account, request: CheckedRequest) -> Result:
    return 200, find_stock(account, request).describe()


def _change_stock(account: Account, request: CheckedRequest) -> Result:
    stock = find_stock(account, request)
    act_once(account, "change stock", request, lambda: change_members(stock, request.body))
    return 200, stock.describe()


def change_members(stock: CouponStock, body: Mapping[str, Any]) -> None:
    """Changes the members of a stock that can be changed, and that a request has.

    Args:
        stock: the stock.
        body: the body of the request.
    """
    names = ("remark", "coupon_display_info", "notify_config", "store_scope", "usage_rule_display_info")
    stock.members.update({name: body[name] for name in names if name in body})


def _require_alive(stock: CouponStock) -> None:
    if stock.state in ("STOPPED", "DEACTIVATED"):
        raise Refusal(400, "INVALID_REQUEST", "批次已停止或已失效")


def _deactivate_stock(account: Account, request: CheckedRequest) -> Result:
    stock = find_stock(account, request)

    def deactivate() -> None:
        _require_alive(stock)
        stock.deactivation = describe_deactivation(account, request)

    act_once(account, "deactivate stock", request, deactivate)
    return 200, stock.describe()


def plan_budget(stock: CouponStock, body: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the stock_send_rule of a stock with another limit, if the present one is what the caller believes it to be.

    Args:
        stock: the stock.
        body: the body of the request.

    Raises:
        Refusal: it is not, the limit is not named, more has been sent, or the stock gives no coupons any more.
    """
    name = body["update_mode"].lower()
    for member in (f"current_{name}", f"target_{name}"):
        if member not in body:
            raise make_param_error(InvalidField(f"/{member}", None, "is required with this update_mode"), "body")
    _require_alive(stock)
    rule, sent = stock.members["stock_send_rule"], stock.count_sent()
    if rule.get(name) != body[f"current_{name}"]:
        raise Refusal(400, "INVALID_REQUEST", "当前预算与批次的预算不一致")
    if body[f"target_{name}"] < sent["total_count" if name == "max_count" else "today_count"]:
        raise Refusal(400, "INVALID_REQUEST", "目标预算小于已发放数量")
    return {**rule, name: body[f"target_{name}"]}


def _update_budget(account: Account, request: CheckedRequest) -> Result:
    stock = find_stock(account, request)

    def update() -> None:
        stock.members["stock_send_rule"] = plan_budget(stock, request.body)

    act_once(account, "update budget", request, update)
    return 200, stock.describe()


def _upload_codes(account: Account, request: CheckedRequest) -> Result:
    stock, given = find_stock(account, request), request.body["code_list"]

    def upload() -> dict[str, Any]:
        if stock.members["coupon_code_mode"] != "UPLOAD":
            raise Refusal(400, "INVALID_REQUEST", "批次的券code模式不是UPLOAD")
        _require_alive(stock)
        codes = list(dict.fromkeys(given))
        known = [code for code in codes if code in stock.coupons or code in stock.codes]
        added = [code for code in codes if code not in known]
        stock.codes += added
        return {
            "total_count": len(given),
            "success_code_list": added,
            "failed_code_list": [],
            "already_exist_code_list": known,
            "duplicate_code_list": [code for code in codes if given.count(code) > 1],
        }

    return 200, act_once(account, "upload codes", request, upload)


def associate_stores(stock: CouponStock, stores: Sequence[Mapping[str, Any]]) -> Result:
    """Associates a stock with stores, and returns the response.

    Args:
        stock: the stock.
        stores: the stores, each with a store_id.

    Raises:
        Refusal: the stock is not for stores that are named, or gives no coupons any more.
    """
    if stock.members["store_scope"] != "SPECIFIC":
        raise Refusal(400, "INVALID_REQUEST", "批次的门店范围不是SPECIFIC")
    _require_alive(stock)
    stock.stores.update({store["store_id"]: store for store in stores})
    return 200, {"total_count": len(stores), "success_store_list": stores, "failed_store_list": []}


def disassociate_stores(stock: CouponStock, stores: Sequence[Mapping[str, Any]]) -> Result:
    """Ends the association of a stock with stores, and returns the response.

    Args:
        stock: the stock.
        stores: the stores, each with a store_id.

    Raises:
        Refusal: the stock gives no coupons any more.
    """
    _require_alive(stock)
    removed = [store for store in stores if stock.stores.pop(store["store_id"], None)]
    failed = [
        {"store_id": store["store_id"], "code": "NOT_FOUND", "message": "批次未关联该门店"}
        for store in stores
        if store not in removed
    ]
    return 200, {"total_count": len(stores), "success_store_list": removed, "failed_store_list": failed}


def _associate_stores(account: Account, request: CheckedRequest) -> Result:
    return associate_stores(find_stock(account, request), request.body["store_list"])


def _disassociate_stores(account: Account, request: CheckedRequest) -> Result:
    return disassociate_stores(find_stock(account, request), request.body["store_list"])


def _list_stores(account: Account, request: CheckedRequest) -> Result:
    return 200, paginate(list(find_stock(account, request).stores.values()), request.query, "store_list")


_PRODUCT = f"{BASE}/product-coupons/{{product_coupon_id}}"
_STOCK = f"{_PRODUCT}/stocks/{{stock_id}}"

COUPON_STOCK_HANDLERS: dict[tuple[str, str], Handler] = {
    ("POST", f"{BASE}/product-coupons"): _make_product,
    ("GET", _PRODUCT): _query_product,
    ("PATCH", _PRODUCT): _change_product,
    ("POST", f"{_PRODUCT}/deactivate"): _deactivate_product,
    ("POST", f"{_PRODUCT}/stocks"): _make_stock,
    ("GET", f"{_PRODUCT}/stocks"): _list_stocks,
    ("GET", _STOCK): _query_stock,
    ("PATCH", _STOCK): _change_stock,
    ("POST", f"{_STOCK}/deactivate"): _deactivate_stock,
    ("POST", f"{_STOCK}/update-budget"): _update_budget,
    ("POST", f"{_STOCK}/upload-coupon-codes"): _upload_codes,
    ("POST", f"{_STOCK}/associate-stores"): _associate_stores,
    ("POST", f"{_STOCK}/disassociate-stores"): _disassociate_stores,
    ("GET", f"{_STOCK}/associated-stores"): _list_stores,
}

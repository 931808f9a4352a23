"""The operations of a merchant and of a partner about service orders of WeChat Pay Score.

Source: https://pay.weixin.qq.com/doc/v3/merchant/4013194292 and the pages of the operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result
from wechatpay_chain.sandbox._operations.responses import respond
from wechatpay_chain.sandbox._operations.service_orders import ServiceOrder, parse_time
from wechatpay_chain.sandbox._parsing import make_param_error
from wechatpay_chain.sandbox._schema import InvalidField

__all__ = ["PAYSCORE_HANDLERS"]

Act = Callable[[Account, CheckedRequest], ServiceOrder]
"""Acts on a service order and returns it, or raises a Refusal."""


def _create(account: Account, request: CheckedRequest) -> ServiceOrder:
    order = _make(account, request.body)
    if order.state == "CREATED" and not request.body.get("need_user_confirm", True):
        order.start()
    return order


def _create_completed(account: Account, request: CheckedRequest) -> ServiceOrder:
    body = {"total_amount": _add_up(request.body), **request.body}
    _require_amount(body, {})
    _require_times(account, body, {})
    order = _make(account, body)
    if not order.completed:
        order.start()
        order.complete(body)
    return order


def _make(account: Account, body: Mapping[str, Any]) -> ServiceOrder:
    """Returns the service order of that number, which is new if the number is.

    Raises:
        Refusal: the number was used with other parameters.
    """
    number, book = body["out_order_no"], account.book(ServiceOrder)
    if number not in book:
        order_id = f"1000{account.number('service order', number, digits=26)}"
        query_id = account.number("query_id", number, digits=32)
        book[number] = ServiceOrder(body, order_id, query_id, account.now(), _account=account)
    if book[number].created != body:
        raise Refusal(400, "INVALID_REQUEST", "重入参数与首次请求不一致")
    return book[number]


def _complete(account: Account, request: CheckedRequest) -> ServiceOrder:
    order, body = _find(account, request), request.body

    def complete() -> None:
        _require_state(order, "USER_CONFIRM")
        _require_amount(body, order.created)
        _require_times(account, order.created, body)
        order.complete(body)

    _act_once(account, "complete", order, body, complete)
    return order


def _modify(account: Account, request: CheckedRequest) -> ServiceOrder:
    order, body = _find(account, request), request.body
    _require_state(order, "MCH_COMPLETE")
    if body["total_amount"] > order.total:
        raise Refusal(400, "INVALID_REQUEST", "修改后的总金额不能大于原总金额")
    _require_amount(body, order.created)
    order.complete({**order.completed, **body})
    return order


def _cancel(account: Account, request: CheckedRequest) -> ServiceOrder:
    order = _find(account, request)

    def cancel() -> None:
        _require_state(order, "CREATED", "USER_CONFIRM")
        order.cancel()

    _act_once(account, "cancel", order, request.body, cancel)
    return order


def _synchronize(account: Account, request: CheckedRequest) -> ServiceOrder:
    order, body = _find(account, request), request.body

    def synchronize() -> None:
        _require_state(order, "MCH_COMPLETE")
        if body["type"] != "Order_Paid":
            raise make_param_error(InvalidField("/type", body["type"], "must be Order_Paid"), "body")
        order.synchronize(body.get("detail", {}).get("paid_time", f"{account.now():%Y%m%d%H%M%S}"))

    _act_once(account, "sync", order, body, synchronize)
    return order


def _collect(account: Account, request: CheckedRequest) -> ServiceOrder:
    order = _find(account, request)
    _require_state(order, "MCH_COMPLETE")
    return order


def _act_once(
    account: Account, operation: str, order: ServiceOrder, body: Mapping[str, Any], act: Callable[[], None]
) -> None:
    """Acts for the first request of an operation; its repetitions change nothing.

    Args:
        account: the merchant's account.
        operation: the name of the operation.
        order: the service order.
        body: the parameters of the request.
        act: acts, or raises a Refusal.

    Raises:
        Refusal: it was carried out with other parameters.
    """
    number = f"payscore {operation}", order.out_order_no
    known = account.recall(*number)
    if not known:
        act()
        account.remember([number], body)
    elif known != body:
        raise Refusal(400, "INVALID_REQUEST", "重入参数与首次请求不一致")


def _find(account: Account, request: CheckedRequest) -> ServiceOrder:
    """Returns the service order that a request names.

    Raises:
        Refusal: there is no such order of this appid, service and sub-merchant.
    """
    given: Mapping[str, Any] = {**request.query, **request.body, **request.path}
    book = account.book(ServiceOrder)
    order = book.get(given.get("out_order_no", ""))
    if "query_id" in given:
        order = next((each for each in list(book.values()) if each.query_id == given["query_id"]), order)
    names = [name for name in ("appid", "service_id", "sub_mchid") if name in given]
    if order is None or any(order.created.get(name) != given[name] for name in names):
        raise Refusal(404, "ORDER_NOT_EXIST", "服务订单不存在")
    return order


def _require_state(order: ServiceOrder, *states: str) -> None:
    """Checks that an order is in one of some states, or while it is DOING, has one of some descriptions.

    Raises:
        Refusal: it is not.
    """
    if (order.state_description or order.state) not in states:
        raise Refusal(400, "INVALID_REQUEST", f"服务订单状态为{order.state}，不支持此操作")


def _add_up(body: Mapping[str, Any]) -> int:
    """Returns the payments without the discounts, in fen."""
    payments, discounts = (
        sum(each.get("amount", 0) for each in body.get(name, ())) for name in ("post_payments", "post_discounts")
    )
    return int(payments - discounts)


def _require_amount(body: Mapping[str, Any], created: Mapping[str, Any]) -> None:
    """Checks the amount of a completion or a modification.

    Raises:
        Refusal: it is not the sum of its parts, or is above the deposit.
    """
    total, fund = body["total_amount"], created.get("risk_fund", {})
    if total < 0 or ("post_payments" in body and total != _add_up(body)):
        issue = "must be the sum of post_payments without post_discounts"
        raise make_param_error(InvalidField("/total_amount", total, issue), "body")
    if fund and fund["name"] != "ESTIMATE_ORDER_COST" and total > fund["amount"]:
        raise Refusal(400, "INVALID_REQUEST", "总金额不能大于服务风险金额")


def _require_times(account: Account, created: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    """Checks that a service has ended, and not before its start.

    Raises:
        Refusal: it ends before its start, or in the future.
    """
    times = {**created.get("time_range", {}), **body.get("time_range", {})}
    start, end = (parse_time(times.get(name, "")) for name in ("start_time", "end_time"))
    if end and (end > account.now() or (start and end < start)):
        raise Refusal(400, "INVALID_REQUEST", "服务结束时间不能早于开始时间，也不能晚于当前时间")


def _handle(act: Act, method: str, path: str, **defaults: str) -> Handler:
    """Returns the handler of an operation.

    Args:
        act: acts on the service order.
        method: the HTTP method.
        path: the path template.
        **defaults: members that the response has in any state.
    """

    def handle(account: Account, request: CheckedRequest) -> Result:
        return respond(method, path, {**defaults, **act(account, request).describe()})

    return handle


_ACTS: Mapping[str, Act] = {
    "": _create,
    "/{out_order_no}/complete": _complete,
    "/{out_order_no}/modify": _modify,
    "/{out_order_no}/cancel": _cancel,
    "/{out_order_no}/sync": _synchronize,
    "/{out_order_no}/pay": _collect,
}


def _handlers() -> Iterator[tuple[tuple[str, str], Handler]]:
    for base in ("/v3/payscore/serviceorder", "/v3/payscore/partner/serviceorder"):
        yield ("GET", base), _handle(_find, "GET", base)
        at_once = f"{base}/direct-complete"
        yield ("POST", at_once), _handle(_create_completed, "POST", at_once, state_description="MCH_COMPLETE")
        for rest, act in _ACTS.items():
            yield ("POST", f"{base}{rest}"), _handle(act, "POST", f"{base}{rest}")


PAYSCORE_HANDLERS: dict[tuple[str, str], Handler] = dict(_handlers())

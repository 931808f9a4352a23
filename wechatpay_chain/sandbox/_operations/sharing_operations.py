"""The operations of profit sharing: receivers, shares, the unfreezing of what is left, and returns.

Source: https://pay.weixin.qq.com/doc/v3/merchant/4012067962
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result
from wechatpay_chain.sandbox._operations.sharing import (
    FROZEN_TIME,
    Paid,
    Share,
    ShareDetail,
    ShareReceiver,
    Sharing,
    find_paid,
)
from wechatpay_chain.sandbox._operations.sharing_returns import ShareReturn

__all__ = ["SHARING_HANDLERS"]

EARLIEST = timedelta(minutes=1)
"""How long after the payment an order can be shared."""

RETURN_TIME = timedelta(days=180)
"""How long after a share money can be returned."""

MOST = 50
"""The largest number of receivers of a request, of requests for an order, and of returns from a share."""

_NEEDED_APPID = {"PERSONAL_OPENID": "appid", "PERSONAL_SUB_OPENID": "sub_appid"}
"""The parameter that says of which application the openid of a receiver is."""


def _add_receiver(account: Account, request: CheckedRequest) -> Result:
    body = request.body
    _require_appid(body, body)
    # What was added before is not overwritten.
    added = account.part(Sharing).receivers.setdefault(_receiver_key(body, body), ShareReceiver(body)).added
    names = ("sub_mchid", "type", "account", "relation_type", "custom_relation")
    known = {name: added[name] for name in names if name in added}
    if "name" in added:
        known["name"] = account.keys.encrypt(added["name"])
    return 200, known


def _delete_receiver(account: Account, request: CheckedRequest) -> Result:
    body = request.body
    account.part(Sharing).receivers.pop(_receiver_key(body, body), None)
    return 200, {name: body[name] for name in ("sub_mchid", "type", "account") if name in body}


def _receiver_key(body: Mapping[str, Any], receiver: Mapping[str, Any]) -> tuple[str, str, str]:
    return body.get("sub_mchid", ""), receiver["type"], receiver["account"]


def _require_appid(body: Mapping[str, Any], receiver: Mapping[str, Any]) -> None:
    needed = _NEEDED_APPID.get(receiver["type"])
    if needed and not body.get(needed):
        raise Refusal(400, "PARAM_ERROR", f"分账接收方类型为{receiver['type']}时，{needed}必填")


def _share(account: Account, request: CheckedRequest) -> Result:
    body = request.body
    known = account.part(Sharing).orders.get(body["out_order_no"])
    if known is not None:
        if known.placed != body:
            raise Refusal(400, "INVALID_REQUEST", "分账请求与原请求不一致：同一单号的参数须与首次请求一致")
        return 200, _describe_share(known)
    transaction_id = body["transaction_id"]
    paid = _require_marked(account, transaction_id)
    if account.now() < paid.success_time + EARLIEST:
        raise Refusal(400, "INVALID_REQUEST", "订单处理中，暂时无法分账，请稍后再分账")
    shares = account.part(Sharing).find_shares(transaction_id)
    is_over = account.now() >= paid.success_time + FROZEN_TIME
    if is_over or any(share.unfreezes for share in shares):
        raise Refusal(400, "INVALID_REQUEST", "分账订单已完结，不支持再次分账")
    if len(shares) >= MOST:
        raise Refusal(400, "INVALID_REQUEST", f"单笔订单最多支持{MOST}次分账")
    _require_receivers(account, body)
    amount = sum(receiver["amount"] for receiver in body["receivers"])
    if amount > account.part(Sharing).count_left(transaction_id):
        raise Refusal(403, "NOT_ENOUGH", "分账金额超出订单剩余待分金额")
    if (account.part(Sharing).count_shared(transaction_id) + amount) * 10_000 > paid.total * account.part(
        Sharing
    ).max_ratio:
        raise Refusal(400, "INVALID_REQUEST", "分账金额超出最大分账比例")
    return 200, _describe_share(_add_share(account, body, body["unfreeze_unsplit"]))


def _require_marked(account: Account, transaction_id: str) -> Paid:
    """Returns a paid order whose money is frozen to be shared.

    Raises:
        Refusal: there is none.
    """
    paid = find_paid(account, transaction_id)
    if paid is None or not paid.is_marked:
        raise Refusal(400, "INVALID_REQUEST", "非分账订单不支持分账")
    return paid


def _require_receivers(account: Account, body: Mapping[str, Any]) -> None:
    """Checks the receivers of a share.

    Raises:
        Refusal: there are none or too many, one comes twice, has not been added, or has another name.
    """
    receivers = body.get("receivers", [])
    if not 0 < len(receivers) <= MOST:
        raise Refusal(400, "INVALID_REQUEST", f"分账接收方数量须为1至{MOST}个")
    keys = [_receiver_key(body, receiver) for receiver in receivers]
    if len(set(keys)) < len(keys):
        raise Refusal(400, "INVALID_REQUEST", "分账接收方重复")
    for key, receiver in zip(keys, receivers, strict=True):
        _require_appid(body, receiver)
        known = account.part(Sharing).receivers.get(key)
        if known is None:
            raise Refusal(400, "INVALID_REQUEST", "分账接收方与商户不存在分账关系，请先添加分账接收方")
        if "name" in receiver and receiver["name"] != known.added.get("name", receiver["name"]):
            raise Refusal(400, "INVALID_REQUEST", "分账接收方姓名与真实姓名不一致")


def _add_share(account: Account, body: Mapping[str, Any], unfreezes: bool) -> Share:
    number = body["out_order_no"]
    order_id = f"300{account.number('order_id', number, digits=25)}"
    account.part(Sharing).orders[number] = Share(account, body, order_id, account.now(), unfreezes)
    return account.part(Sharing).orders[number]


def _describe_share(share: Share) -> dict[str, Any]:
    names = ("sub_mchid", "transaction_id", "out_order_no")
    return {
        **{name: share.placed[name] for name in names if name in share.placed},
        "order_id": share.order_id,
        "state": share.state,
        "receivers": [detail.describe() for detail in share.details],
    }


def _unfreeze(account: Account, request: CheckedRequest) -> Result:
    body = request.body
    share = account.part(Sharing).orders.get(body["out_order_no"])
    if share is None:
        transaction_id = body["transaction_id"]
        _require_marked(account, transaction_id)
        is_over = any(share.unfreezes for share in account.part(Sharing).find_shares(transaction_id))
        if is_over or not account.part(Sharing).count_left(transaction_id):
            raise Refusal(403, "NOT_ENOUGH", "分账金额为0，订单已完结")
        share = _add_share(account, body, unfreezes=True)
    elif share.placed["transaction_id"] != body["transaction_id"]:
        raise Refusal(400, "INVALID_REQUEST", "分账请求与原请求不一致：同一单号的参数须与首次请求一致")
    # The number of a share is accepted as well, but unfreezes nothing. The response has no receivers, which are optional:
    # its schema requires each of them to have a fail_reason.
    described = _describe_share(share)
    del described["receivers"]
    return 200, described


def _query_share(account: Account, request: CheckedRequest) -> Result:
    share = account.part(Sharing).orders.get(request.path["out_order_no"])
    if share is None or any(
        share.placed.get(name) != request.query.get(name) for name in ("transaction_id", "sub_mchid")
    ):
        raise Refusal(404, "RESOURCE_NOT_EXISTS", "分账单不存在")
    return 200, _describe_share(share)


def _query_amount(account: Account, request: CheckedRequest) -> Result:
    transaction_id = request.path["transaction_id"]
    _require_marked(account, transaction_id)
    left = account.part(Sharing).count_left(transaction_id)
    return 200, {"transaction_id": transaction_id, "unsplit_amount": left}


def _query_max_ratio(account: Account, request: CheckedRequest) -> Result:
    return 200, {"sub_mchid": request.path["sub_mchid"], "max_ratio": account.part(Sharing).max_ratio}


def _return(account: Account, request: CheckedRequest) -> Result:
    body, sharing = request.body, account.part(Sharing)
    known = sharing.returns.get(body["out_return_no"])
    if known is not None:
        if known.placed != body:
            raise Refusal(400, "INVALID_REQUEST", "回退请求与原请求不一致：同一单号的参数须与首次请求一致")
        return 200, known.describe()
    share = _find_returned(account, body)
    detail = _find_detail(share, body["return_mchid"])
    receiver = sharing.receivers.get((body.get("sub_mchid", ""), "MERCHANT_ID", body["return_mchid"]))
    if receiver is not None and not receiver.allows_returns:
        raise Refusal(403, "NO_AUTH", "分账接收方未开通分账回退功能")
    if account.now() >= share.create_time + RETURN_TIME:
        raise Refusal(400, "INVALID_REQUEST", "分账单已超过回退期限")
    returns = [each for each in list(sharing.returns.values()) if each.share is share]
    if len(returns) >= MOST:
        raise Refusal(400, "INVALID_REQUEST", f"单笔分账单最多支持{MOST}次回退")
    taken = (each.placed for each in returns if each.result != "FAILED")
    returned = sum(each["amount"] for each in taken if each["return_mchid"] == detail.account)
    if returned + body["amount"] > detail.amount:
        raise Refusal(403, "NOT_ENOUGH", "回退金额超出可回退金额")
    number = body["out_return_no"]
    return_id = f"300{account.number('return_id', number, digits=25)}"
    made = sharing.returns[number] = ShareReturn(share, body, return_id, account.now())
    result = receiver.return_result if receiver is not None else "SUCCESS"
    if result != "PROCESSING":
        made.finish("" if result == "SUCCESS" else result)
    return 200, made.describe()


def _find_returned(account: Account, body: Mapping[str, Any]) -> Share:
    """Returns the share that a return names by either number.

    Raises:
        Refusal: there is no such share, it is not finished, or no number is given.
    """
    shares = account.part(Sharing).orders
    if "out_order_no" in body:
        share = shares.get(body["out_order_no"])
    elif "order_id" in body:
        share = next((each for each in list(shares.values()) if each.order_id == body["order_id"]), None)
    else:
        raise Refusal(400, "INVALID_REQUEST", "order_id与out_order_no须填写一个")
    if share is None or body.get("order_id", share.order_id) != share.order_id:
        raise Refusal(404, "RESOURCE_NOT_EXISTS", "分账单不存在")
    if share.placed.get("sub_mchid") != body.get("sub_mchid"):
        raise Refusal(404, "RESOURCE_NOT_EXISTS", "分账单不存在")
    if share.state != "FINISHED":
        raise Refusal(400, "INVALID_REQUEST", "分账单处理中，暂时无法回退")
    return share


def _find_detail(share: Share, mchid: str) -> ShareDetail:
    """Returns what a merchant has got of a share.

    Raises:
        Refusal: it has got nothing.
    """
    for detail in share.details:
        is_theirs = (detail.type, detail.account) == ("MERCHANT_ID", mchid)
        if is_theirs and detail.result == "SUCCESS" and not detail.is_unfrozen:
            return detail
    raise Refusal(400, "INVALID_REQUEST", "回退商户号不是该分账单分账成功的接收方")


def _query_return(account: Account, request: CheckedRequest) -> Result:
    known = account.part(Sharing).returns.get(request.path["out_return_no"])
    if known is not None:
        described = known.describe()
        if all(described.get(name) == request.query.get(name) for name in ("out_order_no", "sub_mchid")):
            return 200, described
    raise Refusal(404, "RESOURCE_NOT_EXISTS", "分账回退单不存在")


_BASE = "/v3/profitsharing"

SHARING_HANDLERS: dict[tuple[str, str], Handler] = {
    ("POST", f"{_BASE}/receivers/add"): _add_receiver,
    ("POST", f"{_BASE}/receivers/delete"): _delete_receiver,
    ("POST", f"{_BASE}/orders"): _share,
    ("POST", f"{_BASE}/orders/unfreeze"): _unfreeze,
    ("GET", f"{_BASE}/orders/{{out_order_no}}"): _query_share,
    ("GET", f"{_BASE}/transactions/{{transaction_id}}/amounts"): _query_amount,
    ("GET", f"{_BASE}/merchant-configs/{{sub_mchid}}"): _query_max_ratio,
    ("POST", f"{_BASE}/return-orders"): _return,
    ("GET", f"{_BASE}/return-orders/{{out_return_no}}"): _query_return,
}

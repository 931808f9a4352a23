"""The operations of a merchant about complaints: the URL of notifications, queries, responses, completion and refunds.

Source: https://pay.weixin.qq.com/docs/merchant/apis/consumer-complaint/complaints/complete-complaint-v2.html and the pages beside it.
They do not say which requests
a state refuses: as assumed here, those that would change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.complaints import PROBLEMS, Complaint
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result
from wechatpay_chain.sandbox._parsing import make_param_error
from wechatpay_chain.sandbox._schema import InvalidField

__all__ = ["COMPLAINT_HANDLERS"]

MOST_DAYS = 30
"""The number of days that a list of complaints may span."""

_MERCHANT = "商家"


def _describe(account: Account, complaint: Complaint, origin: str) -> dict[str, Any]:
    """Returns a complaint as a list has it."""
    media = complaint.history[0].get("images")
    return {
        "complaint_id": complaint.complaint_id,
        "complaint_time": complaint.time.isoformat(timespec="milliseconds"),
        "complaint_detail": complaint.detail,
        "complaint_state": complaint.state,
        "complainted_mchid": complaint.mchid,
        "payer_phone": account.keys.encrypt("13800138000"),
        "complaint_order_info": [complaint.order],
        "complaint_full_refunded": complaint.is_refunded,
        "incoming_user_response": complaint.has_new_reply,
        "problem_description": PROBLEMS[complaint.problem_type],
        "problem_type": complaint.problem_type,
        "user_complaint_times": complaint.times,
        "in_platform_service": complaint.in_platform_service,
        "need_immediate_service": False,
        **({"apply_refund_amount": complaint.refund} if complaint.refund else {}),
        **({"complaint_media_list": [_describe_media(media, "USER_COMPLAINT_IMAGE", origin)]} if media else {}),
    }


def _describe_media(images: Sequence[str], media_type: str, origin: str) -> dict[str, Any]:
    return {
        "media_type": media_type,
        "media_url": [f"{origin}/v3/merchant-service/images/{media_id}" for media_id in images],
    }


def _describe_entry(entry: dict[str, Any], origin: str) -> dict[str, Any]:
    """Returns an entry of the history as a query has it."""
    described = {name: value for name, value in entry.items() if name != "images"}
    if images := entry.get("images"):
        media_type = "OPERATION_IMAGE" if entry["operator"] == _MERCHANT else "USER_COMPLAINT_IMAGE"
        described["complaint_media_list"] = _describe_media(images, media_type, origin)
    return described


def _paginate(items: list[dict[str, Any]], query: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """Returns one page, newest first. The total is only in the first page."""
    offset, limit = query.get("offset", 0), query.get("limit", limit)
    page: dict[str, Any] = {"data": items[::-1][offset : offset + limit], "limit": limit, "offset": offset}
    return page if offset else {**page, "total_count": len(items)}


def _list_complaints(account: Account, request: CheckedRequest) -> Result:
    begin, end = (_parse_day(request, name) for name in ("begin_date", "end_date"))
    if not 0 <= (end - begin).days <= MOST_DAYS:
        raise Refusal(400, "INVALID_REQUEST", f"查询日期跨度不能超过{MOST_DAYS}天")
    mchid = request.query.get("complainted_mchid")
    found = [
        _describe(account, complaint, request.origin)
        for complaint in list(account.book(Complaint).values())
        if begin <= complaint.time.date() <= end and mchid in (None, complaint.mchid)
    ]
    return 200, _paginate(found, request.query, 10)


def _parse_day(request: CheckedRequest, name: str) -> date:
    try:
        return date.fromisoformat(request.query[name])
    except ValueError:
        raise make_param_error(InvalidField(name, request.query[name], "must be a day"), "query") from None


def _find_complaint(account: Account, request: CheckedRequest) -> Complaint:
    """Returns the complaint of a request.

    Raises:
        Refusal: there is no such complaint, or it is about another merchant than the one in the body.
    """
    complaint = account.book(Complaint).get(request.path["complaint_id"])
    if complaint is None:
        raise Refusal(404, "RESOURCE_NOT_EXISTS", "投诉单不存在")
    if request.body.get("complainted_mchid", complaint.mchid) != complaint.mchid:
        raise Refusal(403, "NO_AUTH", "商户号与投诉单的被诉商户号不一致")
    return complaint


def _query_complaint(account: Account, request: CheckedRequest) -> Result:
    complaint = _find_complaint(account, request)
    return 200, {**_describe(account, complaint, request.origin), "payer_openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}


def _query_history(account: Account, request: CheckedRequest) -> Result:
    complaint = _find_complaint(account, request)
    entries = [_describe_entry(entry, request.origin) for entry in list(complaint.history)]
    return 200, _paginate(entries, request.query, 100)


def _require_images(account: Account, images: Sequence[str], member: str) -> Sequence[str]:
    """Returns media IDs, each of an uploaded file.

    Raises:
        Refusal: one is of no uploaded file.
    """
    for index, media_id in enumerate(images):
        if media_id not in account.files:
            issue = "is not the media ID of an uploaded image"
            raise make_param_error(InvalidField(f"/{member}/{index}", media_id, issue), "body")
    return images


def _respond(complaint: Complaint, text: str, images: Sequence[str] = (), **more: Any) -> None:
    if complaint.state == "PENDING":
        complaint.state = "PROCESSING"
    complaint.has_new_reply = False
    complaint._record(_MERCHANT, "MERCHANT_RESPONSE", "MERCHANT_RESPONSE", text, images, **more)


def _respond_to_complaint(account: Account, request: CheckedRequest) -> Result:
    complaint, body = _find_complaint(account, request), request.body
    if "jump_url" in body and "jump_url_text" not in body:
        raise make_param_error(InvalidField("/jump_url_text", None, "is required with jump_url"), "body")
    images = _require_images(account, body.get("response_images", ()), "response_images")
    _respond(complaint, body["response_content"], images)
    return 204, None


def _respond_at_once(account: Account, request: CheckedRequest) -> Result:
    complaint, message = _find_complaint(account, request), dict(request.body["message"])
    number = request.body["idempotent_id"]
    known = account.recall(complaint.complaint_id, number)
    if known and known["message"] != message:
        raise Refusal(400, "INVALID_REQUEST", "idempotent_id重复：同一单号的参数须与首次请求一致")
    if not known:
        _respond(complaint, "", normal_message=message)
        known = {"message": message, "log_id": complaint.history[-1]["log_id"]}
        account.remember([(complaint.complaint_id, number)], known)
    return 200, {"log_id": known["log_id"]}


def _complete(account: Account, request: CheckedRequest) -> Result:
    complaint = _find_complaint(account, request)
    if complaint.state != "PROCESSING":
        raise Refusal(400, "INVALID_REQUEST", "投诉单当前状态不允许反馈处理完成")
    complaint.state = "PROCESSED"
    complaint._record(_MERCHANT, "MERCHANT_CONFIRM_COMPLETE", "MERCHANT_CONFIRM_COMPLETE")
    return 204, None


def _update_refund(account: Account, request: CheckedRequest) -> Result:
    complaint, body = _find_complaint(account, request), request.body
    if complaint.problem_type != "REFUND":
        raise Refusal(400, "INVALID_REQUEST", "投诉单不是申请退款的投诉单")
    if complaint.state == "PROCESSED" or complaint.is_approved:
        raise Refusal(400, "INVALID_REQUEST", "投诉单当前状态不允许更新退款审批结果")
    images = _require_images(account, body.get("reject_media_list", ()), "reject_media_list")
    if body["action"] == "REJECT":
        complaint.state = "PROCESSED"
        text = body.get("reject_reason", body.get("remark", ""))
        # The service spells the type of the entry so.
        complaint._record(_MERCHANT, "MERCHANT_REFUSE_RERUND", "MERCHANT_REJECT_REFUND", text, images)
    else:
        complaint.state, complaint.is_approved = "PROCESSING", True
        complaint._record(_MERCHANT, "MERCHANT_APPROVE_REFUND", "MERCHANT_APPROVE_REFUND", body.get("remark", ""))
        # A refund that was there before the approval needs no other.
        if complaint.is_refunded:
            complaint.state = "PROCESSED"
    return 204, None


def _describe_url(account: Account) -> Result:
    return 200, {"mchid": account.keys.number, "url": account.complaint_url}


def _require_url(account: Account) -> None:
    if not account.complaint_url:
        raise Refusal(404, "RESOURCE_NOT_EXISTS", "投诉通知回调地址不存在")


def _set_url(account: Account, request: CheckedRequest) -> Result:
    if account.complaint_url:
        raise Refusal(400, "INVALID_REQUEST", "投诉通知回调地址已存在，请使用更新接口")
    account.complaint_url = request.body["url"]
    return _describe_url(account)


def _query_url(account: Account, _request: CheckedRequest) -> Result:
    _require_url(account)
    return _describe_url(account)


def _replace_url(account: Account, request: CheckedRequest) -> Result:
    _require_url(account)
    account.complaint_url = request.body["url"]
    return _describe_url(account)


def _delete_url(account: Account, _request: CheckedRequest) -> Result:
    _require_url(account)
    account.complaint_url = ""
    return 204, None


_COMPLAINTS = "/v3/merchant-service/complaints-v2"
_URL = "/v3/merchant-service/complaint-notifications"

COMPLAINT_HANDLERS: dict[tuple[str, str], Handler] = {
    ("POST", _URL): _set_url,
    ("GET", _URL): _query_url,
    ("PUT", _URL): _replace_url,
    ("DELETE", _URL): _delete_url,
    ("GET", _COMPLAINTS): _list_complaints,
    ("GET", f"{_COMPLAINTS}/{{complaint_id}}"): _query_complaint,
    ("GET", f"{_COMPLAINTS}/{{complaint_id}}/negotiation-historys"): _query_history,
    ("POST", f"{_COMPLAINTS}/{{complaint_id}}/response"): _respond_to_complaint,
    ("POST", f"{_COMPLAINTS}/{{complaint_id}}/response-immediate-service"): _respond_at_once,
    ("POST", f"{_COMPLAINTS}/{{complaint_id}}/complete"): _complete,
    ("POST", f"{_COMPLAINTS}/{{complaint_id}}/update-refund-progress"): _update_refund,
}

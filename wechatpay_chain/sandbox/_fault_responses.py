"""What faults do to a response, be it of APIv3 or of APIv2. Faults of the signature are with the two gateways."""

from __future__ import annotations

from collections.abc import Callable

from wechatpay_chain.sandbox._faults import Delivery, Fault
from wechatpay_chain.sandbox._http import SandboxResponse, make_error_response, with_request_id

__all__ = ["respond_with_fault"]

# These responses are unsigned on purpose: they test that a client does not trust them.
_WITHOUT_HANDLING = {
    Fault.UNAUTHORIZED: make_error_response(401, "SIGN_ERROR", "错误的签名，验签失败"),
    Fault.RATE_LIMITED: make_error_response(429, "RATELIMIT_EXCEEDED", "请求过于频繁", **{"Retry-After": "1"}),
    Fault.UNAVAILABLE: make_error_response(503, "SERVICE_UNAVAILABLE", "服务不可用"),
    Fault.HTML: SandboxResponse(502, {"Content-Type": "text/html"}, b"<html><h1>502 Bad Gateway</h1></html>"),
    Fault.DROPPED_BEFORE: SandboxResponse(200, {}, b"", Delivery.NONE),
}
_AFTER_HANDLING = {
    Fault.SYSTEM_ERROR: make_error_response(500, "SYSTEM_ERROR", "系统错误"),
    Fault.BAD_GATEWAY: SandboxResponse(502, {}, b""),
}
_DELIVERIES = {
    Fault.DROPPED_AFTER: Delivery.NONE,
    Fault.SLOW: Delivery.DELAYED,
    Fault.CUT_BODY: Delivery.HALF,
}


def respond_with_fault(fault: Fault | None, respond: Callable[[], SandboxResponse]) -> SandboxResponse:
    """Returns the response to a request with a fault, or the correct response if the fault is none of these.

    Args:
        fault: the fault; None for a correct response.
        respond: carries out the request, and returns the correct response.
    """
    if fault is None:
        return respond()
    if unhandled := _WITHOUT_HANDLING.get(fault):
        return with_request_id(unhandled)
    response = respond()
    if handled := _AFTER_HANDLING.get(fault):
        return with_request_id(handled)._replace(verification=response.verification)
    return response._replace(delivery=_DELIVERIES.get(fault, Delivery.COMPLETE))

"""The operation that pre-issues a product coupon."""

from __future__ import annotations

import base64
import hashlib
import json

from wechatpay_chain.sandbox._operations.account import Account
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result

__all__ = ["COUPON_HANDLERS"]


def _pre_send_coupon(_account: Account, request: CheckedRequest) -> Result:
    # The service returns the same token for the same parameters, even after the user has taken the coupon.
    parameters = json.dumps([request.path, request.body], sort_keys=True).encode()
    token = base64.urlsafe_b64encode(hashlib.sha256(parameters).digest()[:24]).decode()
    return 200, {"token": token}


COUPON_HANDLERS: dict[tuple[str, str], Handler] = {
    ("POST", "/v3/marketing/partner/product-coupon/users/{openid}/pre-send-coupon"): _pre_send_coupon,
}

"""What placing an order needs, be it one order, several at once, or a code payment."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from wechatpay_chain.sandbox._clock import CHINA
from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.orders import UNPAID

__all__ = ["make_prepay_id", "parse_deadline", "require_same"]

SHORTEST = timedelta(minutes=1)
"""The least time that a user has to pay; an earlier time_expire is moved."""


def make_prepay_id(account: Account, number: str) -> str:
    """Returns a new prepay_id.

    Args:
        account: the merchant's account.
        number: the number of the order, or of the combined order.
    """
    now = account.now()
    return f"wx{now:%Y%m%d%H%M%S}{account.number(number, now.isoformat(), 'prepay', digits=20)}"


def parse_deadline(text: str | None, now: datetime) -> datetime:
    """Returns the last moment at which a user can pay.

    Args:
        text: the time_expire of the order, or None.
        now: the time of the service.

    Raises:
        Refusal: it is not a time.
    """
    if text is None:
        return now + UNPAID
    # RFC 3339 has forms that Python 3.10 does not parse: a fraction, a leap second, and Z.
    plain = re.sub(r":60(?=[+-Z])", ":59", re.sub(r"\.\d+", "", text)).replace("Z", "+00:00")
    try:
        deadline = datetime.fromisoformat(plain).astimezone(CHINA)
    except (ValueError, OverflowError):
        detail = {"field": "/time_expire", "value": text, "issue": "must be a time of RFC 3339", "location": "body"}
        raise Refusal(400, "PARAM_ERROR", "参数错误", detail) from None
    return max(deadline, now + SHORTEST)


def require_same(is_same: bool) -> None:
    """Checks that an order is placed again with the same parameters.

    Raises:
        Refusal: the parameters are others.
    """
    if not is_same:
        raise Refusal(403, "OUT_TRADE_NO_USED", "商户订单号重复：同一单号的参数须与首次下单一致")

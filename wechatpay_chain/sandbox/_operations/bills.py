"""The operations that request a bill and download it."""

from __future__ import annotations

import gzip
import hashlib
import secrets
from collections.abc import Collection, Iterable
from datetime import date, datetime, time, timedelta
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wechatpay_chain import crypto
from wechatpay_chain.sandbox._clock import CHINA
from wechatpay_chain.sandbox._operations.account import Account, Refusal, StoredFile
from wechatpay_chain.sandbox._operations.bill_files import (
    Movement,
    list_movements,
    write_fund_bill,
    write_trade_bill,
)
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result
from wechatpay_chain.sandbox._operations.orders import Order

__all__ = ["BILL_HANDLERS", "require_available", "select_movements"]

BILL_READY = time(10)
"""The time of the next day, in China, from which a day's bills are available.

Source: https://pay.weixin.qq.com/doc/v3/merchant/4013071254
"""

BILL_MONTHS = 3
"""The number of months for which bills are available (https://pay.weixin.qq.com/doc/v3/merchant/4012556654)."""


def require_available(account: Account, bill_date: date) -> date:
    """Returns the day of a bill, if there is one.

    Sources: https://pay.weixin.qq.com/doc/v3/merchant/4013071254 for a bill that is not ready;
    the pages of the operations for a day that is too long ago. The error for a future day is not published.

    Args:
        account: the merchant's account.
        bill_date: the day in China.

    Raises:
        Refusal: the bill of that day is not ready, or is no longer available.
    """
    now = account.now()
    months = (now.year - bill_date.year) * 12 + now.month - bill_date.month
    if (months, now.day) > (BILL_MONTHS, bill_date.day):
        raise Refusal(400, "INVALID_REQUEST", "请求的账单日期已过期")
    if bill_date <= now.date() and now < datetime.combine(bill_date, BILL_READY, CHINA) + timedelta(days=1):
        raise Refusal(400, "STATEMENT_CREATING", "请求的账单正在生成中")
    return bill_date


def _parse_day(day: str) -> date:
    """Returns a day such as 2026-01-31.

    Raises:
        Refusal: it is no day.
    """
    try:
        return date.fromisoformat(day)
    except ValueError:
        detail = {"field": "bill_date", "value": day, "issue": "must be a day, as in 2026-01-31", "location": "query"}
        raise Refusal(400, "PARAM_ERROR", "参数错误", detail) from None


def select_movements(day: date, movements: Iterable[Movement]) -> list[Movement]:
    """Returns the movements in the bill of a day.

    A movement is also in the bills of the two days before it, so that a test need not wait until the next day.

    Args:
        day: the day.
        movements: the movements of all days.

    Raises:
        Refusal: there are none.
    """
    selected = [movement for movement in movements if 0 <= (movement.at.date() - day).days < 3]
    if not selected:
        raise Refusal(400, "NO_STATEMENT_EXIST", "请求的账单文件不存在")
    return selected


def _request_trade_bill(account: Account, request: CheckedRequest) -> Result:
    """Stores the payments, reversals and refunds of a day, of all sub-merchants or of one."""
    kind = request.query.get("bill_type", "ALL")
    day, sub_mchid = require_available(account, _parse_day(request.query["bill_date"])), request.query.get("sub_mchid")
    movements = [
        movement
        for movement in list_movements(account)
        if movement.is_in(kind) and sub_mchid in (None, movement.order.sub_mchid)
    ]
    content = write_trade_bill(select_movements(day, movements), kind)
    return 200, _store_bill(account, request, content, _compress(request, content), "/v3/billdownload/file")


def _request_fund_bill(account: Account, request: CheckedRequest) -> Result:
    """Stores the movements of a day on the merchant's own account."""
    content = _write_funds(account, request, {request.query.get("sub_mchid") or account.keys.number})
    return 200, _store_bill(account, request, content, _compress(request, content), "/v3/billdownload/file")


def _request_encrypted_bill(account: Account, request: CheckedRequest) -> Result:
    """Stores the movements of a day of one sub-merchant or of all, encrypted for the merchant."""
    everyone = {order.payee for order in list(account.book(Order).values())} - {account.keys.number}
    sub_mchid = request.query.get("sub_mchid")
    content = _write_funds(account, request, {sub_mchid} if sub_mchid else everyone)
    key, nonce = crypto.nonce(32), crypto.nonce(16)
    ciphertext = AESGCM(key.encode()).encrypt(nonce.encode(), _compress(request, content), None)
    bill = {
        "bill_sequence": 1,
        **_store_bill(account, request, content, ciphertext, "/v3/bill/downloadurl"),
        "encrypt_key": account.keys.encrypt(key),
        "nonce": nonce,
    }
    return 200, {"download_bill_count": 1, "download_bill_list": [bill]}


def _write_funds(account: Account, request: CheckedRequest, owners: Collection[str]) -> bytes:
    """Returns the fund bill of a day.

    Args:
        account: the merchant's account.
        request: the request for the bill.
        owners: the numbers of the merchants whose movements it lists.

    Raises:
        Refusal: the bill is not available, or nothing moved: payments move the basic account only.
    """
    day = require_available(account, _parse_day(request.query["bill_date"]))
    is_basic = request.query.get("account_type", "BASIC") in ("BASIC", "ALL")
    movements = [one for one in list_movements(account) if is_basic and one.order.payee in owners]
    return write_fund_bill(account, movements, set(select_movements(day, movements)))


def _compress(request: CheckedRequest, content: bytes) -> bytes:
    return gzip.compress(content) if _is_gzip(request) else content


def _is_gzip(request: CheckedRequest) -> bool:
    return request.query.get("tar_type") == "GZIP"


def _store_bill(account: Account, request: CheckedRequest, content: bytes, stored: bytes, path: str) -> dict[str, Any]:
    """Stores a bill under a new token.

    Args:
        account: the merchant's account.
        request: the request for the bill.
        content: the plain bill, of which the digest is.
        stored: the bytes of the download: the bill, compressed and encrypted if that was requested.
        path: the path of the download.

    Returns:
        The digest and the download URL, as members of the response.
    """
    token = secrets.token_urlsafe(24)
    is_gzip = _is_gzip(request)
    account.files[token] = StoredFile("application/x-gzip" if is_gzip else "text/plain", stored)
    return {
        "hash_type": "SHA1",
        "hash_value": hashlib.sha1(content, usedforsecurity=False).hexdigest(),
        "download_url": f"{request.origin}{path}?token={token}{'&tartype=gzip' if is_gzip else ''}",
    }


def _download_bill(account: Account, request: CheckedRequest) -> Result:
    return 200, account.find_file(request.query["token"])


BILL_HANDLERS: dict[tuple[str, str], Handler] = {
    ("GET", "/v3/bill/tradebill"): _request_trade_bill,
    ("GET", "/v3/bill/fundflowbill"): _request_fund_bill,
    ("GET", "/v3/bill/sub-merchant-fundflowbill"): _request_encrypted_bill,
    ("GET", "/v3/ecommerce/bill/fundflowbill"): _request_encrypted_bill,
    ("GET", "/v3/billdownload/file"): _download_bill,
    ("GET", "/v3/bill/downloadurl"): _download_bill,
}

"""The operations that request a bill and download it."""

from __future__ import annotations

import gzip
import hashlib
import secrets
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wechatpay_chain import crypto
from wechatpay_chain.sandbox._operations.account import CHINA, Account, Refusal, StoredFile
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result

__all__ = ["BILL_HANDLERS"]

BILL_READY = time(10)
"""The time of the next day, in China, from which a day's bills are available.

Source: https://pay.weixin.qq.com/doc/v3/merchant/4013071254
"""

BILL_MONTHS = 3
"""The number of months for which bills are available (https://pay.weixin.qq.com/doc/v3/merchant/4012556654)."""

_TRADE_COLUMNS = "交易时间,公众账号ID,商户号,微信订单号,商户订单号,交易类型,交易状态,货币种类,订单金额,商品名称"
_TRADE_SUMMARY = "总交易单数,订单总金额"
_FUND_COLUMNS = "记账时间,微信支付业务单号,资金流水单号,业务类型,收支类型,收支金额(元)"
_FUND_SUMMARY = "资金流水总笔数,收入笔数,收入金额"


def _find_orders(account: Account, day: str) -> list[dict[str, Any]]:
    """Returns the orders in the bill of a day.

    Sources: https://pay.weixin.qq.com/doc/v3/merchant/4013071254 for a bill that is not ready and for a day without orders;
    the pages of the operations for a day that is too long ago. The error for a future day is not published.

    Args:
        account: the merchant's account.
        day: the day in China, such as 2026-01-31.

    Raises:
        Refusal: the bill of that day does not exist, is not ready, or is no longer available.
    """
    now = account.now()
    try:
        bill_date = date.fromisoformat(day)
    except ValueError:
        detail = {"field": "bill_date", "value": day, "issue": "must be a day, as in 2026-01-31", "location": "query"}
        raise Refusal(400, "PARAM_ERROR", "参数错误", detail) from None
    months = (now.year - bill_date.year) * 12 + now.month - bill_date.month
    if (months, now.day) > (BILL_MONTHS, bill_date.day):
        raise Refusal(400, "INVALID_REQUEST", "请求的账单日期已过期")
    # An order is also in the bills of the two days before it, so that a test need not wait until the next day.
    orders = [order for order in list(account.orders.values()) if 0 <= (order["time"].date() - bill_date).days < 3]
    if bill_date <= now.date() and now < datetime.combine(bill_date, BILL_READY, CHINA) + timedelta(days=1):
        raise Refusal(400, "STATEMENT_CREATING", "请求的账单正在生成中")
    if bill_date > now.date() or not orders:
        raise Refusal(400, "NO_STATEMENT_EXIST", "请求的账单文件不存在")
    return orders


def _format_yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02}"


def _format_row(*cells: object) -> str:
    # A backtick keeps spreadsheets from converting numbers: https://pay.weixin.qq.com/doc/v3/merchant/4013071228
    return ",".join(f"`{str(cell).replace(',', ' ')}" for cell in cells)


def _encode_rows(rows: list[str]) -> bytes:
    return ("\ufeff" + "".join(f"{row}\r\n" for row in rows)).encode()


def _write_trade_bill(orders: list[dict[str, Any]]) -> bytes:
    rows = []
    for order in orders:
        placed, state = order["placed"], order["state"]
        rows.append(
            _format_row(
                f"{order['time']:%Y-%m-%d %H:%M:%S}",
                *(placed["appid"], placed["mchid"], state["transaction_id"], state["out_trade_no"]),
                *(state["trade_type"], state["trade_state"], state["amount"]["currency"]),
                *(_format_yuan(placed["amount"]["total"]), placed["description"]),
            )
        )
    total = _format_yuan(sum(order["placed"]["amount"]["total"] for order in orders))
    return _encode_rows([_TRADE_COLUMNS, *rows, _TRADE_SUMMARY, _format_row(len(orders), total)])


def _write_fund_bill(orders: list[dict[str, Any]]) -> bytes:
    rows = [
        _format_row(
            f"{order['time']:%Y-%m-%d %H:%M:%S}",
            *(order["state"]["transaction_id"], order["prepay_id"], "交易", "收入"),
            _format_yuan(order["placed"]["amount"]["total"]),
        )
        for order in orders
    ]
    total = _format_yuan(sum(order["placed"]["amount"]["total"] for order in orders))
    return _encode_rows([_FUND_COLUMNS, *rows, _FUND_SUMMARY, _format_row(len(orders), len(orders), total)])


def _make_bill(
    write: Callable[[list[dict[str, Any]]], bytes],
) -> Callable[[Account, CheckedRequest], Result]:
    """Returns a handler that stores the bill of one day for its download and responds with the download URL.

    Args:
        write: writes the orders as a bill.
    """

    def request_bill(account: Account, request: CheckedRequest) -> Result:
        content = write(_find_orders(account, request.query["bill_date"]))
        return 200, _store_bill(account, request, content, _compress(request, content), "/v3/billdownload/file")

    return request_bill


def _request_encrypted_bill(account: Account, request: CheckedRequest) -> Result:
    """Stores a bill that is encrypted for the merchant, as the bills of sub-merchants are."""
    content = _write_fund_bill(_find_orders(account, request.query["bill_date"]))
    key, nonce = crypto.nonce(32), crypto.nonce(16)
    ciphertext = AESGCM(key.encode()).encrypt(nonce.encode(), _compress(request, content), None)
    bill = {
        "bill_sequence": 1,
        **_store_bill(account, request, content, ciphertext, "/v3/bill/downloadurl"),
        "encrypt_key": crypto.encrypt(key, account.keys.merchant.public_key()),
        "nonce": nonce,
    }
    return 200, {"download_bill_count": 1, "download_bill_list": [bill]}


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
    ("GET", "/v3/bill/tradebill"): _make_bill(_write_trade_bill),
    ("GET", "/v3/bill/fundflowbill"): _make_bill(_write_fund_bill),
    ("GET", "/v3/bill/sub-merchant-fundflowbill"): _request_encrypted_bill,
    ("GET", "/v3/ecommerce/bill/fundflowbill"): _request_encrypted_bill,
    ("GET", "/v3/billdownload/file"): _download_bill,
    ("GET", "/v3/bill/downloadurl"): _download_bill,
}

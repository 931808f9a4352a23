"""The bills and the table of comments of APIv2, which are the response itself: text, or a gzip file.

Sources: https://pay.weixin.qq.com/doc/v2/merchant/4011985040 for trade bills, and the page of pay/downloadfundflow.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from wechatpay_chain.sandbox._operations.account import Account, Refusal, StoredFile
from wechatpay_chain.sandbox._operations.bill_files import list_movements, write_fund_bill, write_trade_bill
from wechatpay_chain.sandbox._operations.bills import require_available, select_movements
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result

__all__ = ["V2_BILL_HANDLERS"]

_NO_BILL = {
    "NO_STATEMENT_EXIST": "No Bill Exist",
    "STATEMENT_CREATING": "Bill Creating",
    "INVALID_REQUEST": "No Bill Exist",
}
"""The texts of APIv2 for the errors of APIv3."""


def _download_trade_bill(account: Account, request: CheckedRequest) -> Result:
    fields = request.body
    kind, sub_mchid = fields.get("bill_type", "ALL"), fields.get("sub_mch_id")
    with _refuse_as("20002"):
        day = require_available(account, _read_day(fields["bill_date"]))
        movements = [
            movement
            for movement in list_movements(account)
            if movement.is_in(kind) and sub_mchid in (None, movement.order.sub_mchid)
        ]
        return 200, _respond(fields, write_trade_bill(select_movements(day, movements), kind))


def _download_fund_bill(account: Account, request: CheckedRequest) -> Result:
    fields = request.body
    is_basic = fields["account_type"] == "Basic"  # payments move no other account
    with _refuse_as("NO_BILL_EXIST"):
        day = require_available(account, _read_day(fields["bill_date"]))
        movements = [one for one in list_movements(account) if is_basic and one.order.payee == account.keys.number]
        return 200, _respond(fields, write_fund_bill(account, movements, set(select_movements(day, movements))))


def _download_comments(account: Account, request: CheckedRequest) -> Result:  # noqa: ARG001 -- a handler
    """Returns a table without rows, which begins with the offset of the next one: users comment on nothing here."""
    return 200, StoredFile("text/plain", f"{request.body['offset']}\n".encode())


@contextmanager
def _refuse_as(code: str) -> Iterator[None]:
    """Turns the errors of a bill that does not exist into that of APIv2."""
    try:
        yield
    except Refusal as refusal:
        if text := _NO_BILL.get(refusal.body["code"]):
            raise Refusal(400, code, text) from None
        raise


def _read_day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 -- a day has no time zone
    except ValueError:
        raise Refusal(400, "PARAM_ERROR", "bill_date参数格式错误：格式为yyyyMMdd") from None


def _respond(fields: Mapping[str, Any], content: bytes) -> StoredFile:
    if fields.get("tar_type") == "GZIP":
        return StoredFile("application/x-gzip", gzip.compress(content))
    return StoredFile("text/plain", content)


V2_BILL_HANDLERS: dict[tuple[str, str], Handler] = {
    ("POST", "/pay/downloadbill"): _download_trade_bill,
    ("POST", "/sandboxnew/pay/downloadbill"): _download_trade_bill,
    ("POST", "/pay/downloadfundflow"): _download_fund_bill,
    ("POST", "/billcommentsp/batchquerycomment"): _download_comments,
}

"""All operations: those of the catalogue, each with its flow if it has one, and the few that the catalogue lacks."""

from __future__ import annotations

from functools import cache

from wechatpay_chain._catalogue import operations as catalogue
from wechatpay_chain._catalogue.formats import XML
from wechatpay_chain._catalogue.operations import Schema
from wechatpay_chain.sandbox._operations.account import Account
from wechatpay_chain.sandbox._operations.answers import answer_by_schema
from wechatpay_chain.sandbox._operations.applyments import APPLYMENT_HANDLERS
from wechatpay_chain.sandbox._operations.bills import BILL_HANDLERS
from wechatpay_chain.sandbox._operations.codepay import CODEPAY_HANDLERS
from wechatpay_chain.sandbox._operations.combined import COMBINED_HANDLERS
from wechatpay_chain.sandbox._operations.complaint_handling import COMPLAINT_HANDLERS
from wechatpay_chain.sandbox._operations.coupon_bundles import COUPON_BUNDLE_HANDLERS
from wechatpay_chain.sandbox._operations.coupon_stocks import COUPON_STOCK_HANDLERS
from wechatpay_chain.sandbox._operations.coupon_use import COUPON_HANDLERS
from wechatpay_chain.sandbox._operations.deductions import DEDUCTION_HANDLERS
from wechatpay_chain.sandbox._operations.ecommerce_refunds import ECOMMERCE_REFUND_HANDLERS
from wechatpay_chain.sandbox._operations.limits import limit
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Operation, Result
from wechatpay_chain.sandbox._operations.payscore import PAYSCORE_HANDLERS
from wechatpay_chain.sandbox._operations.refund_operations import REFUND_HANDLERS
from wechatpay_chain.sandbox._operations.security import SECURITY_HANDLERS
from wechatpay_chain.sandbox._operations.sharing_operations import SHARING_HANDLERS
from wechatpay_chain.sandbox._operations.transactions import TRANSACTION_HANDLERS
from wechatpay_chain.sandbox._operations.transfers import TRANSFER_HANDLERS
from wechatpay_chain.sandbox._operations.uploads import UPLOAD_HANDLERS, meta_schema
from wechatpay_chain.sandbox._operations.v2_operations import V2_HANDLERS, describe_v2_operation
from wechatpay_chain.sandbox._schema import Checker

__all__ = ["UNDOCUMENTED", "describe_operation", "find_operation", "list_paths"]

_HANDLERS: dict[tuple[str, str], Handler] = {
    **UPLOAD_HANDLERS,
    **BILL_HANDLERS,
    **SECURITY_HANDLERS,
    **TRANSACTION_HANDLERS,
    **COMBINED_HANDLERS,
    **CODEPAY_HANDLERS,
    **DEDUCTION_HANDLERS,
    **PAYSCORE_HANDLERS,
    **REFUND_HANDLERS,
    **ECOMMERCE_REFUND_HANDLERS,
    **TRANSFER_HANDLERS,
    **SHARING_HANDLERS,
    **COMPLAINT_HANDLERS,
    **COUPON_STOCK_HANDLERS,
    **COUPON_HANDLERS,
    **COUPON_BUNDLE_HANDLERS,
    **APPLYMENT_HANDLERS,
    **V2_HANDLERS,
}

_TOKEN: Schema = {"type": "object", "properties": {"token": {"type": "string"}}, "required": ["token"]}
_ANYTHING: Schema = {"type": "object", "properties": {}, "required": []}
UNDOCUMENTED = {("GET", "/v3/bill/downloadurl"): _TOKEN}
"""Operations that exist and that the catalogue lacks, with the schemas of their queries."""


@cache
def list_paths() -> dict[str, tuple[str, ...]]:
    """Returns the methods of every path template."""
    found: dict[str, tuple[str, ...]] = {}
    for method, path in (*catalogue.list_operations(), *UNDOCUMENTED):
        found[path] = (*found.get(path, ()), method)
    return found


@cache
def find_operation(method: str, path: str) -> Operation:
    """Returns an operation by its method and its path template.

    Raises:
        KeyError: there is no such operation.
    """
    handler = _HANDLERS.get((method, path))
    return describe_operation(method, path, _lock(handler) if handler else None)


def _lock(handle: Handler) -> Handler:
    """Returns a handler that holds the account's lock, because users act in other threads than requests."""

    def handle_locked(account: Account, request: CheckedRequest) -> Result:
        with account.lock:
            return handle(account, request)

    return handle_locked


def describe_operation(method: str, path: str, handler: Handler | None) -> Operation:
    """Returns an operation with the checks of the catalogue; one that the catalogue lacks has none.

    Args:
        method: the HTTP method.
        path: the path template.
        handler: carries it out; None answers with what fits the schema of the response.

    Raises:
        KeyError: it has neither a handler nor an entry in the catalogue.
    """
    known = catalogue.find_operation(method, path)
    if known is None:
        if handler is None:
            raise KeyError(f"{method} {path}")
        query = UNDOCUMENTED.get((method, path))
        return Operation(method, path, handler, Checker(query) if query else None, Checker(_ANYTHING), False)
    if known.format is XML:
        return describe_v2_operation(known, handler)
    body = meta_schema(path) if known.form else known.body
    return Operation(
        method,
        path,
        handler or answer_by_schema(known),
        Checker(limit(path, known.query)) if known.query else None,
        Checker(limit(path, body)) if body else None,
        known.body_required or bool(known.form),
        bool(known.form),
    )

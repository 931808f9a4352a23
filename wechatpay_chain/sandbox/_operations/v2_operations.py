"""The operations of APIv2: each with its flow if it has one, else answered from the schema of its response."""

from __future__ import annotations

from wechatpay_chain import crypto
from wechatpay_chain._catalogue.operations import Operation as Documented
from wechatpay_chain._catalogue.operations import Schema
from wechatpay_chain.sandbox._operations.account import Account
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Operation, Result
from wechatpay_chain.sandbox._operations.v2_answers import answer_v2_by_schema
from wechatpay_chain.sandbox._operations.v2_bills import V2_BILL_HANDLERS
from wechatpay_chain.sandbox._operations.v2_deductions import V2_DEDUCTION_HANDLERS
from wechatpay_chain.sandbox._operations.v2_keys import V2_KEY_HANDLERS
from wechatpay_chain.sandbox._operations.v2_limits import limit_v2
from wechatpay_chain.sandbox._operations.v2_orders import V2_ORDER_HANDLERS
from wechatpay_chain.sandbox._operations.v2_payouts import V2_PAYOUT_HANDLERS
from wechatpay_chain.sandbox._operations.v2_refunds import V2_REFUND_HANDLERS
from wechatpay_chain.sandbox._operations.v2_uploads import V2_UPLOAD_HANDLERS
from wechatpay_chain.sandbox._schema import Checker

__all__ = ["V2_HANDLERS", "describe_v2_operation"]

V2_HANDLERS: dict[tuple[str, str], Handler] = {
    **V2_ORDER_HANDLERS,
    **V2_REFUND_HANDLERS,
    **V2_DEDUCTION_HANDLERS,
    **V2_BILL_HANDLERS,
    **V2_KEY_HANDLERS,
    **V2_PAYOUT_HANDLERS,
    **V2_UPLOAD_HANDLERS,
}


def describe_v2_operation(known: Documented, handler: Handler | None) -> Operation:
    """Returns an operation of APIv2 with the checks of the catalogue.

    Args:
        known: what the catalogue has of it.
        handler: carries it out; None answers with what fits the schema of the response.
    """
    body = known.body or known.form
    return Operation(
        known.method,
        known.path,
        handler or answer_v2_by_schema(known),
        Checker(_select_checked(limit_v2(known.path, known.query))) if known.query else None,
        Checker(_select_checked(limit_v2(known.path, body))) if body else None,
        known.body_required,
        bool(known.form),
    )


def _select_checked(schema: Schema) -> Schema:
    """Returns a schema without the file of an upload, and without the length of a sign, which is often that of MD5 alone."""
    members = {name: member for name, member in schema["properties"].items() if member["type"] != "file"}
    if "sign" in members:
        members["sign"] = {"type": "string"}
    return {**schema, "properties": members, "required": [name for name in schema["required"] if name in members]}


def _redirect(account: Account, request: CheckedRequest) -> Result:  # noqa: ARG001 -- a handler
    """Redirects the user's browser back to the merchant, with a code."""
    query, code = request.query, crypto.nonce()
    joint = "&" if "?" in query["redirect_uri"] else "?"
    return 302, {"location": f"{query['redirect_uri']}{joint}code={code}&state={query['state']}"}


V2_HANDLERS["GET", "/appauth/authindex"] = _redirect

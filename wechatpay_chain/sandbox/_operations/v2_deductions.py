"""Deductions and contracts by APIv2: a deduction is accepted and made later; an order with a contract signs it when it is paid.

Source: https://pay.weixin.qq.com/doc/v2/merchant/4013894074 for the states, and the pages of the operations.
"""

from __future__ import annotations

from typing import Any

from wechatpay_chain.sandbox._notifier import Notice
from wechatpay_chain.sandbox._operations.account import Account
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result
from wechatpay_chain.sandbox._operations.orders import UNPAID, Order
from wechatpay_chain.sandbox._operations.placement import require_same
from wechatpay_chain.sandbox._operations.v2_notices import make_payment_announcer, write_signed
from wechatpay_chain.sandbox._operations.v2_orders import place_by_type, query_order, read_order

__all__ = ["V2_DEDUCTION_HANDLERS"]

_CONTRACT = ("plan_id", "request_serial", "contract_code", "contract_display_account")


def _apply(account: Account, request: CheckedRequest) -> Result:
    """Accepts a deduction. `Order.pay` makes it, and posts its notification."""
    fields, now = request.body, account.now()
    placed, known = read_order(account, fields), account.book(Order).get(fields["out_trade_no"])
    if known is not None:
        require_same((known.placed, known.trade_type) == (placed, "PAP"))
        return 200, {}
    contract = fields.get("contract_id")
    announce = make_payment_announcer(fields.get("sign_type"), {"contract_id": contract} if contract else {})
    account.book(Order)[fields["out_trade_no"]] = Order(
        placed, "PAP", now, now + UNPAID, _state="ACCEPT", _account=account, _announce=announce
    )
    return 200, {}


def _place_with_contract(account: Account, request: CheckedRequest) -> Result:
    """Places an order that signs a contract when it is paid."""
    fields = request.body
    announce_payment = make_payment_announcer(fields.get("sign_type"))

    def announce(order: Order, url: str | None) -> Notice | None:
        notice = announce_payment(order, url)
        if url:
            order._account.announce_xml("contract", _describe_contract(order, fields), fields["contract_notify_url"])
        return notice

    placed = place_by_type(account, fields, announce)
    contract = {name: fields[name] for name in _CONTRACT}
    return 200, {**placed, **contract, "contract_result_code": "SUCCESS", "out_trade_no": fields["out_trade_no"]}


def _describe_contract(order: Order, fields: Any) -> bytes:
    """Returns the notification of a contract that was signed."""
    account = order._account
    now = f"{account.now():%Y-%m-%d %H:%M:%S}"
    contract_id = account.number("contract", fields["contract_code"], digits=28)
    known = {
        "mch_id": fields["contract_mchid"],
        "appid": fields["contract_appid"],
        "change_type": "ADD",
        "operate_time": now,
        "contract_id": contract_id,
        "contract_signed_time": now,
        "openid": order.payment and order.payment.openid,
        **{name: fields[name] for name in _CONTRACT},
    }
    return write_signed(account.keys.apiv2_key, known)


V2_DEDUCTION_HANDLERS: dict[tuple[str, str], Handler] = {
    **{
        ("POST", path): _apply
        for path in (
            "/pay/pappayapply",
            "/pay/partner/pappayapply",
            "/transit/pay/payapply",
            "/transit/partnerpay/payapply",
            "/vehicle/pay/payapply",
            "/vehicle/partnerpay/payapply",
        )
    },
    **{
        ("POST", path): query_order
        for path in (
            "/pay/paporderquery",
            "/pay/partner/paporderquery",
            "/transit/queryorder",
            "/transit/partnerpay/queryorder",
        )
    },
    ("POST", "/pay/contractorder"): _place_with_contract,
}

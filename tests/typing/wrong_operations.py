"""Programs with the types of operations that a type checker must refuse. If it accepts one, it reports the unused comment."""

from __future__ import annotations

from typing import Any

from wechatpay_chain import Chain, Client, Node, Notification, Response, Sensitive
from wechatpay_chain.types import notifications as resources
from wechatpay_chain.types import v3
from wechatpay_chain.types.v3 import pay

client = Client(mchid="1900007291")
native = client.v3.pay.transactions.native
coupons = client.v3.marketing.partner.product_coupon.users._openid_
by_number = client.v3.pay.transactions.out_trade_no._out_trade_no_
refunds = client.v3.refund.domestic.refunds
bills = client.v3.fund_app.mch_transfer.transfer_bills
order: pay.transactions.native.PostBody = {
    "appid": "wx",
    "mchid": "1",
    "description": "d",
    "out_trade_no": "1",
    "notify_url": "u",
    "amount": {"total": 1},
}
coupon: v3.marketing.partner.product_coupon.users.openid.pre_send_coupon.PostBody = {
    "appid": "wx",
    "brand_id": "1",
    "product_coupon_id": "1",
    "send_request_no": "1",
    "stock_id": "1",
}

# Verbs: a node has those of its path, and a path without an operation has none.
native.get()  # type: ignore[operator]
native.put(json=order)  # type: ignore[operator]
native.delete_async()  # type: ignore[operator]
native()  # type: ignore[operator]
client.v3()  # type: ignore[operator]
client.v3.pay.get()  # type: ignore[operator]
client.v3.pay.transactions.post(json=order)  # type: ignore[operator]
client.v3.certificates.post(json={})  # type: ignore[operator]
by_number.post(out_trade_no="1")  # type: ignore[operator]
by_number.close.get(out_trade_no="1")  # type: ignore[operator]
client["v3/pay/transactions/native"].get()  # type: ignore[operator]
client["v3/pay/transactions/out-trade-no/<out_trade_no>"].post(out_trade_no="1")  # type: ignore[operator]

# Arguments: each verb knows its own.
native.post()  # type: ignore[call-arg]
native.post(order)  # type: ignore[call-arg]
native.post(body=order)  # type: ignore[call-arg]
native.post(data=order)  # type: ignore[call-arg]
native.post(jsn=order)  # type: ignore[call-arg]
native.post(json=order, params={"mchid": "1"})  # type: ignore[call-arg]
native.post(json=order, files={"file": b"x"})  # type: ignore[call-arg]
native.post(json=order, openid="o")  # type: ignore[call-arg]
native.post(json=order, timeout="5")  # type: ignore[arg-type]
native.post(json=order, headers={"Accept-Language": 5})  # type: ignore[dict-item]
native.post(json=order, idempotent="yes")  # type: ignore[arg-type]
native.post(json=None)  # type: ignore[arg-type]
native.post(json=[order])  # type: ignore[arg-type]
native.post(json="{}")  # type: ignore[arg-type]
by_number.get(out_trade_no="1", params={"mchid": "1"}, idempotent=True)  # type: ignore[call-arg]
by_number.get(out_trade_no="1", json={})  # type: ignore[call-arg]
client["v3/pay/transactions/native"].post(body=order)  # type: ignore[call-arg]

# Path variables.
coupons.pre_send_coupon.post(json=coupon)  # type: ignore[call-arg]
coupons.pre_send_coupon.post(open_id="o", json=coupon)  # type: ignore[call-arg]
coupons.pre_send_coupon.post(openid=None, json=coupon)  # type: ignore[arg-type]
coupons.pre_send_coupon.post(openid=1.5, json=coupon)  # type: ignore[arg-type]
coupons.pre_send_coupon.post(openid=["o"], json=coupon)  # type: ignore[arg-type]
by_number.get(params={"mchid": "1"})  # type: ignore[call-arg]
by_number.get(transaction_id="1", params={"mchid": "1"})  # type: ignore[call-arg]
client.v3.merchant.fund.balance._account_type_.get(account_type="BASICS")  # type: ignore[arg-type]
client["v3/pay/transactions/id/{transaction_id}"].get(out_trade_no="1", params={"mchid": "1"})  # type: ignore[call-arg]

# Queries.
by_number.get(out_trade_no="1")  # type: ignore[call-arg]
by_number.get(out_trade_no="1", params={})  # type: ignore[typeddict-item]
by_number.get(out_trade_no="1", params={"mchid": 1})  # type: ignore[typeddict-item]
by_number.get(out_trade_no="1", params={"mchid": "1", "appid": "wx"})  # type: ignore[typeddict-unknown-key]
by_number.get(out_trade_no="1", params=[("mchid", "1")])  # type: ignore[arg-type]
client.v3.bill.tradebill.get(params={"bill_date": "2026-01-01", "tar_type": "ZIP"})  # type: ignore[typeddict-item]
client.v3.bill.tradebill.get(params={"tar_type": "GZIP"})  # type: ignore[typeddict-item]

# Bodies: a member that is missing, unknown, misspelt or of another type, at any depth.
coupons.pre_send_coupon.post(openid="o", json={"appid": "wx"})  # type: ignore[typeddict-item]
native.post(json={**order, "amout": {"total": 1}})  # type: ignore[typeddict-unknown-key]
native.post(json={**order, "amount": {}})  # type: ignore[typeddict-item]
native.post(json={**order, "amount": {"total": "1"}})  # type: ignore[typeddict-item]
native.post(json={**order, "amount": {"total": 0.01}})  # type: ignore[typeddict-item]
native.post(json={**order, "amount": {"totl": 1}})  # type: ignore[typeddict-item,typeddict-unknown-key]
native.post(json={**order, "amount": 1})  # type: ignore[typeddict-item]
native.post(json={**order, "mchid": 1900007291})  # type: ignore[typeddict-item]
native.post(json={**order, "support_fapiao": "true"})  # type: ignore[typeddict-item]
native.post(json={**order, "limit_pay": "no_credit"})  # type: ignore[typeddict-item]
native.post(json={**order, "limit_pay": ["no_cash"]})  # type: ignore[list-item]
native.post(json={**order, "detail": {"goods_detail": [{"quantity": 1}]}})  # type: ignore[typeddict-item]
native.post(json={**order, "attach": None})  # type: ignore[typeddict-item]
native.post(json={**order, "attach": Sensitive("x")})  # type: ignore[typeddict-item]
order["amount"]["cents"] = 1  # type: ignore[typeddict-unknown-key]
del order["appid"]  # type: ignore[misc]
refunds.post(json={"out_refund_no": "1", "amount": {"refund": 1, "total": 1}})  # type: ignore[typeddict-item]
bills.post(json={"user_name": b"x"})  # type: ignore[typeddict-item]
short: pay.transactions.native.PostBody = {"appid": "wx"}  # type: ignore[typeddict-item]
plain = {"appid": "wx", "mchid": "1"}
native.post(json=plain)  # type: ignore[arg-type]

# Uploads.
client.v3.merchant.media.upload.post(json={"filename": "a.jpg"})  # type: ignore[call-arg]
client.v3.merchant.media.upload.post(files=b"x")  # type: ignore[arg-type]
client.v3.merchant.media.upload.post(files={"file": 5})  # type: ignore[dict-item]

# Responses.
native.post(json=order).json()["code_ur"]  # type: ignore[typeddict-item]
native.post(json=order).json().code_url  # type: ignore[attr-defined]
native.post(json=order).json()["code_url"] + 1  # type: ignore[operator]
native.post(json=order).body  # type: ignore[attr-defined]
by_number.close.post(out_trade_no="1", json={"mchid": "1"}).json()["x"]  # type: ignore[index]
made: Response[int] = native.post(json=order)  # type: ignore[assignment]
state: int = by_number.get(out_trade_no="1", params={"mchid": "1"}).json()["trade_state"]  # type: ignore[assignment]

# Names of types.
missing: v3.pay.transactions.native.GetBody  # type: ignore[name-defined]
absent: v3.pay.transactions.natve.PostBody  # type: ignore[name-defined]
number: pay.transactions.native.PostBodyAmount = {"total": "1"}  # type: ignore[typeddict-item]

# Generic nodes stay nodes.
node: Node = native  # type: ignore[assignment]


def at(place: Chain) -> None:
    place.post(json={})  # type: ignore[operator]


async def awaited() -> None:
    await native.post_async(json={"appid": "wx"})  # type: ignore[typeddict-item]
    native.post_async(json=order).json()  # type: ignore[attr-defined]
    await native.post(json=order)  # type: ignore[misc]


def handle(notification: Notification) -> Any:
    notification.resource_for("REFUND.SUCCESS")["refund_id"]  # type: ignore[index]
    if refund := notification.resource_for("REFUND.SUCCESS"):
        refund["trade_state"]  # type: ignore[typeddict-item]
        paid: resources.TransactionSuccessTransaction = refund  # type: ignore[assignment]
        return paid
    if either := notification.resource_for("TRANSACTION.SUCCESS"):
        either["order_id"]  # type: ignore[typeddict-item]
    if shared := notification.resource_for("TRANSACTION.SUCCESS", "profitsharing"):
        shared["trade_state"]  # type: ignore[typeddict-item]
    notification.resource_for(5)  # type: ignore[call-overload]
    return notification.resource_of("REFUND.SUCCESS")  # type: ignore[attr-defined]

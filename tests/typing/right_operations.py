# pyright: strict
"""Programs with the types of operations and notifications that both type checkers accept in their strict modes."""

from __future__ import annotations

from datetime import date, datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import NotRequired, assert_type

from wechatpay_chain import Chain, Client, Node, Notification, Response, Sensitive
from wechatpay_chain.types import notifications as resources
from wechatpay_chain.types import v3
from wechatpay_chain.types.v3 import pay

if TYPE_CHECKING:
    from wechatpay_chain.types.v3.marketing import partner

client = Client(mchid="1900007291")
native = client.v3.pay.transactions.native


def order(total: int) -> v3.pay.transactions.native.PostBody:
    amount: pay.transactions.native.PostBodyAmount = {"total": total}
    return {
        "appid": "wxd678efh567hg6787",
        "mchid": client.mchid,
        "description": "Image形象店-深圳腾大-QQ公仔",
        "out_trade_no": "1217752501201407033233368018",
        "notify_url": "https://www.weixin.qq.com/wxpay/pay.php",
        "time_expire": datetime.now(timezone.utc),
        "amount": amount,
    }


class Newer(v3.pay.transactions.native.PostBody):
    """A member that the catalogue does not have yet."""

    brand_new: NotRequired[str]


newer: Newer = {**order(1), "brand_new": "x"}
made = native.post(json=newer, headers={"Accept-Language": "zh-CN"}, timeout=(1, 2, 3), idempotent=True)
assert_type(made, "Response[v3.pay.transactions.native.PostResult]")
assert_type(made.json()["code_url"], str)
assert_type(made.status_code, int)
anything: Response = made
value: Any = anything.json()

coupon: partner.product_coupon.users.openid.pre_send_coupon.PostBody = {
    "appid": "wxd678efh567hg6787",
    "brand_id": "120344",
    "product_coupon_id": "200000001",
    "send_request_no": "MCHSEND202003101234",
    "stock_id": "100232301",
}
users = client.v3.marketing.partner.product_coupon.users
sent = users._openid_.pre_send_coupon.post(openid="oh-394z", json=coupon)
assert_type(sent.json()["token"], str)
path = client["v3/marketing/partner/product-coupon/users/{openid}/pre-send-coupon"]
same = client["v3/marketing/partner/product-coupon/users/<openid>/pre-send-coupon"]
assert_type(path.post(openid=5, json=coupon).json()["token"], str)
same.post(openid="oh-394z", json=coupon)

# The way out, where the catalogue is wrong or behind.
out = client.chain("v3/pay/transactions/native")
assert_type(out, Node)
assert_type(out.post(json={"anything": 1}), Response[Any])
assert_type(client["v3/not/in/the/catalogue"], Node)
assert_type(client.v3.pay.transactions.not_in_the_catalogue, Node)
assert_type(client.v3.pay["transactions/native"], Node)
assert_type(client.brand.anything, Node)


def at(place: Chain) -> str:
    assert_type(place.more, Node)
    return str(place)


at(native)
at(client.v3)
at(out)


async def awaited() -> None:
    response = await native.post_async(json=order(1))
    assert_type(response.json()["code_url"], str)
    closed = await client["v3/pay/transactions/out-trade-no/{out_trade_no}/close"].post_async(
        out_trade_no="1217752501201407033233368018", json={"mchid": client.mchid}
    )
    assert_type(closed.json(), None)


found = client.v3.pay.transactions.id._transaction_id_.get(transaction_id="4200", params={"mchid": client.mchid}).json()
if found["trade_state"] == "SUCCESS":
    print(found.get("success_time"))
elif found["trade_state"] == "A_STATE_OF_TOMORROW":
    print(found["trade_state_desc"])
assert_type(found["amount"]["total"], int)

client.v3.refund.domestic.refunds.post(
    json={
        "out_refund_no": "1",
        "amount": {"refund": 1, "total": 1, "currency": "CNY", "from": [{"account": "AVAILABLE", "amount": 1}]},
    }
)
client.v3.fund_app.mch_transfer.transfer_bills.post(
    json={
        "appid": "wx",
        "out_bill_no": "1",
        "transfer_scene_id": "1006",
        "openid": "o",
        "user_name": Sensitive("张三"),
        "transfer_amount": 1,
        "transfer_remark": "r",
        "transfer_scene_report_infos": [{"info_type": "t", "info_content": "c"}],
    }
)
media = client.v3.merchant.media.upload.post(files={"file": Path("a.jpg")})
assert_type(media.json()["media_id"], str)
client.v3.merchant.media.video_upload.post(files={"file": ("a.mp4", b"-")}, json={"filename": "b.mp4"})
bill = client.v3.bill.tradebill.get(params={"bill_date": "2026-01-01", "tar_type": "GZIP"})
client.download(bill, "2026-01-01.csv", gunzip=True)
client.v3.bill.tradebill.get(params={"bill_date": date(2026, 1, 1)})
applyment: v3.applyment4sub.applyment.empty.PostResult = {"applyment_id": 1}
combined: v3.combine_transactions.native.PostBody = {
    "combine_appid": "wx",
    "combine_mchid": "1",
    "combine_out_trade_no": "1",
    "notify_url": "u",
    "time_expire": datetime.now(timezone.utc),
    "sub_orders": [
        {
            "mchid": "2",
            "attach": "a",
            "amount": {"total_amount": 1, "currency": "CNY"},
            "out_trade_no": "1",
            "description": "d",
        }
    ],
}
client.v3.combine_transactions.native.post(json=combined)
client.v3.marketing.favor.stocks._stock_id_.items.get(
    stock_id="1", params={"offset": 0, "limit": 10, "stock_creator_mchid": "1"}
)
assert_type(client.v3.billdownload.file.get(params={"token": "t"}).json(), None)
assert_type(client.v3.certificates.get().json()["data"][0]["serial_no"], str)
client.v3.merchant.fund.balance._account_type_.get(account_type="BASIC")
at(client.v2.pay.unifiedorder)
at(client.global_.v3.customs.orders)
at(client.hk.v3.transactions)


def handle(notification: Notification) -> None:
    assert_type(notification.event_type, str)
    assert_type(notification.resource, Any)
    if paid := notification.resource_for("TRANSACTION.SUCCESS", "transaction"):
        assert_type(paid, resources.TransactionSuccessTransaction)
        assert_type(paid["out_trade_no"], str)
        assert_type(paid["amount"]["total"], int)
    elif shared := notification.resource_for("TRANSACTION.SUCCESS", "profitsharing"):
        assert_type(shared["order_id"], str)
    elif refund := notification.resource_for("REFUND.SUCCESS"):
        assert_type(refund, resources.RefundSuccess)
        assert_type(refund["amount"]["refund"], int)
        assert_type(refund.get("mchid"), "str | None")
    elif notification.event_type == "AN.EVENT.OF.TOMORROW":
        tomorrow: dict[str, str] = notification.resource_for(notification.event_type)
        print(tomorrow)

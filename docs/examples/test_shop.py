"""A shop places an order, is paid and notified, refunds, and reads its bill. Run it with pytest."""

from pathlib import Path

from wechatpay_chain import Client
from wechatpay_chain.sandbox import Sandbox

NUMBER = "20260101-0001"


def test_a_shop(wechatpay_sandbox: Sandbox, wechatpay_client: Client, tmp_path: Path) -> None:
    sandbox, client, day = wechatpay_sandbox, wechatpay_client, wechatpay_sandbox.now.date().isoformat()
    order = client.v3.pay.transactions.native.post(
        json={
            "appid": "wxd678efh567hg6787",
            "mchid": client.mchid,
            "description": "公仔",
            "out_trade_no": NUMBER,
            "notify_url": "https://shop.example/notify",
            "amount": {"total": 100},
        }
    )
    assert order.json()["code_url"].startswith("weixin://")

    sandbox.pay(NUMBER, notify=False)  # the user scans the code and pays; without notify=False, notify_url gets a post
    headers, body = sandbox.notification("TRANSACTION.SUCCESS", sandbox.orders[NUMBER].describe())
    paid = client.notifications.parse(headers, body).resource_for("TRANSACTION.SUCCESS", "transaction")
    assert paid is not None
    assert (paid["out_trade_no"], paid["amount"]["total"]) == (NUMBER, 100)

    client.v3.refund.domestic.refunds.post(
        json={"out_trade_no": NUMBER, "out_refund_no": "r-1", "amount": {"refund": 30, "total": 100, "currency": "CNY"}}
    )
    sandbox.refunds["r-1"].finish()  # the banks have paid it out
    assert client.v3.refund.domestic.refunds._out_refund_no_.get(out_refund_no="r-1").json()["status"] == "SUCCESS"

    sandbox.advance(2 * 86400)  # the bill of a day is ready at 10:00 of the next day
    bill = client.v3.bill.tradebill.get(params={"bill_date": day, "bill_type": "ALL"})
    client.download(bill, tmp_path / "trade.csv")  # compares the digest
    assert (tmp_path / "trade.csv").read_text("utf-8").count(f"`{NUMBER}") == 2  # the payment and the refund

"""Pre-issues a product coupon in every style of call, then takes an order from payment to bill, with the WeChat Pay sandbox.

All of it is real HTTP. Run it with `make demo`. It exits with 0 only if every call succeeded and every response was verified.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import tempfile
import time
from pathlib import Path

from aiohttp import web

from wechatpay_chain import Client, Response, WeChatPayError
from wechatpay_chain.sandbox import Sandbox

# These strings are evaluated, so that the table shows exactly the code that runs.
CALLS = [
    ("pure chain", "client.v3.marketing.partner.product_coupon.users._openid_.pre_send_coupon.post(openid=openid, json=coupon)"),
    ("chain(…)", 'client.chain("v3/marketing/partner/product-coupon/users/{openid}/pre-send-coupon").post(openid=openid, json=coupon)'),
    ("[…]", 'client["v3/marketing/partner/product-coupon/users/{openid}/pre-send-coupon"].post(openid=openid, json=coupon)'),
    ("async pure chain", "client.v3.marketing.partner.product_coupon.users._openid_.pre_send_coupon.post_async(openid=openid, json=coupon)"),
    ("async chain(…)", 'client.chain("v3/marketing/partner/product-coupon/users/{openid}/pre-send-coupon").post_async(openid=openid, json=coupon)'),
    ("async […]", 'client["v3/marketing/partner/product-coupon/users/{openid}/pre-send-coupon"].post_async(openid=openid, json=coupon)'),
    ("<openid>", 'client["v3/marketing/partner/product-coupon/users/<openid>/pre-send-coupon"].post(openid=openid, json=coupon)'),
    ("camelCase", "client.v3.marketing.partner.productCoupon.users._openid_.preSendCoupon.post(openid=openid, json=coupon)"),
]  # fmt: skip

SCOPE = {
    "openid": "oh-394z-6CGkNoJrsDLTTUKiAnp4",
    "coupon": {
        "brand_id": "120344",
        "product_coupon_id": "1000000013",
        "stock_id": "1000000013001",
        "coupon_code": "123446565767",
        "appid": "wx233544546545989",
        "send_request_no": "34657_20250101_123456",
        "attach": "example_attach",
    },
}

COLUMNS = "{:<18}{:<8}{:<36}{:>6}"
STEP = "{:<18}{}"


async def sell(sandbox: Sandbox, client: Client) -> None:
    """Takes an order from its payment to its bill, with one line for each step."""
    number, day, posted = "20260101-0001", sandbox.now.date().isoformat(), asyncio.Queue[tuple[dict[str, str], bytes]]()

    async def receive(request: web.Request) -> web.Response:
        await posted.put((dict(request.headers), await request.read()))
        return web.Response(status=204)

    server = web.AppRunner(web.Application())
    server.app.router.add_post("/notify", receive)
    await server.setup()
    await web.TCPSite(server, "127.0.0.1", 0).start()
    try:
        ordered = await client.v3.pay.transactions.native.post_async(
            json={
                "appid": "wx233544546545989",
                "mchid": client.mchid,
                "description": "公仔",
                "out_trade_no": number,
                "notify_url": f"http://127.0.0.1:{server.addresses[0][1]}/notify",
                "amount": {"total": 100},
            }
        )
        print(STEP.format("order", f"{number}, 1.00 yuan: {ordered.json()['code_url']}"))

        sandbox.pay(number)
        headers, body = await asyncio.wait_for(posted.get(), 10)
        notification = await client.notifications.parse_async(headers, body)
        payment = notification.resource_for("TRANSACTION.SUCCESS", "transaction")
        if payment is None or (payment["out_trade_no"], payment["amount"]["total"]) != (number, 100):
            raise ValueError("the notification is about another order")
        print(STEP.format("pay", f"by {payment['payer'].get('openid')}"))
        print(STEP.format("notification", f"{notification.event_type}, verified and decrypted"))
    finally:
        await server.cleanup()

    found = await client.v3.pay.transactions.out_trade_no._out_trade_no_.get_async(
        out_trade_no=number, params={"mchid": client.mchid}
    )
    print(STEP.format("query", found.json()["trade_state"]))

    refunds = client.v3.refund.domestic.refunds
    await refunds.post_async(
        json={
            "out_trade_no": number,
            "out_refund_no": f"{number}-1",
            "amount": {"refund": 30, "total": 100, "currency": "CNY"},
        }
    )
    sandbox.refunds[f"{number}-1"].finish()
    refunded = await refunds._out_refund_no_.get_async(out_refund_no=f"{number}-1")
    print(STEP.format("refund", f"0.30 yuan: {refunded.json()['status']}"))

    sandbox.advance(2 * 86400)  # the bill of a day is ready at 10:00 of the next day
    bill = await client.v3.bill.tradebill.get_async(params={"bill_date": day})
    with tempfile.TemporaryDirectory() as folder:
        await client.download_async(bill, Path(folder) / "trade.csv")  # raises an error if the digest differs
        rows = (Path(folder) / "trade.csv").read_text(encoding="utf-8").count(f"`{number},")
    print(
        STEP.format(
            "bill", f"{rows} rows of this order, {bill.json()['hash_type']} {bill.json()['hash_value']} verified"
        )
    )


async def main() -> int:
    failures = 0
    with Sandbox() as sandbox:
        async with sandbox.client() as client:
            print(
                f"WeChat Pay sandbox at {sandbox.base_url}, merchant {client.mchid}; every response below is verified.\n"
            )
            print(COLUMNS.format("style", "status", "token", "ms"), "  Python", "  sent", sep="\n")
            for style, expression in CALLS:
                print("-" * 120)
                began = time.perf_counter()
                try:
                    called = eval(expression, {"client": client, **SCOPE})
                    response: Response = await called if inspect.isawaitable(called) else called
                except WeChatPayError as error:
                    failures += 1
                    print(f"{style}: {type(error).__name__}: {error}")
                    continue
                milliseconds = f"{(time.perf_counter() - began) * 1000:.1f}"
                print(COLUMNS.format(style, response.status_code, response.json()["token"], milliseconds))
                print(f"  {expression}\n  {response.request.method} {response.request.target}")
            print(f"\n{len(CALLS) - failures} of {len(CALLS)} calls succeeded; every response was verified.\n")
            try:
                await sell(sandbox, client)
            except (WeChatPayError, ValueError) as error:
                failures += 1
                print(f"{type(error).__name__}: {error}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

"""Pre-issues a product coupon in every style of call, over real HTTP, with the WeChat Pay sandbox.

Run it with `make demo`. It exits with 0 only if every call succeeded and every response was verified.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import time

from wechatpay_chain import Response, WeChatPayError
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
    print(f"\n{len(CALLS) - failures} of {len(CALLS)} calls succeeded; every response was verified.")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

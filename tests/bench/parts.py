"""The parts of a call that can be measured by themselves; prints them as JSON: what, microseconds, aim."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable

from tests.bench.keys import ORDER
from tests.bench.run import best
from tests.service import Service, private_pem
from wechatpay_chain import Client, Response, crypto
from wechatpay_chain._chain.node import Draft
from wechatpay_chain._chain.template import expand
from wechatpay_chain._messages.effects import Middleware
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._pipeline import async_driver as awaiting
from wechatpay_chain._pipeline import sync_driver as blocking
from wechatpay_chain._pipeline.stack import run

BODY = json.dumps({"code_url": "weixin://wxpay/bizpayurl?pr=p4lpSuKzz", "note": "公仔"}, ensure_ascii=False).encode()
TEMPLATE = "v3/marketing/partner/product-coupon/users/{openid}/pre-send-coupon"


class Still:
    """A transport that answers at once."""

    library = "still"

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def drive(self, flow):
        return blocking.drive(flow, self.send)

    def send(self, request):
        return Response(200, self._headers, BODY, request)


class StillAwaited(Still):
    def drive(self, flow):
        return awaiting.drive(flow, self.send)

    async def send(self, request, loop):
        return Response(200, self._headers, BODY, request)


def layers(client: Client, still: Still) -> list[tuple[str, float, str]]:
    """What each layer takes by itself, from the innermost outwards."""
    request = client._request(
        Draft("POST", "v3/pay/transactions/native", {}, ORDER, None, None, None, False, None), "x"
    )
    names, stack = list(client.middleware), client.middleware.layers
    rows, inner = [], best(lambda: still.drive(run((), request)), 1000)
    for index in reversed(range(len(stack))):
        whole = best(_driven(stack[index:], request, still), 2000)
        rows.append((f"  of it: the layer {names[index]}", whole - inner, ""))
        inner = whole
    return rows[::-1]


def _driven(stack: tuple[Middleware, ...], request, still: Still) -> Callable[[], object]:
    return lambda: still.drive(run(stack, request))


def main() -> None:
    service = Service()
    settings = {**service.settings("https://127.0.0.1:9/"), "private_key": private_pem(service.merchant), "proxies": {}}
    del settings["retry"]
    client = Client(**settings)
    headers = Headers({"Content-Type": "application/json", "Request-ID": "08-0", **service.signature(BODY)})
    still = Still(headers)
    client._transports.update(requests=still, aiohttp=StillAwaited(headers))
    key, public = crypto.load_private_key(private_pem(service.merchant)), service.public_key.public_key()
    message = f"{headers['Wechatpay-Timestamp']}\n{headers['Wechatpay-Nonce']}\n".encode() + BODY + b"\n"
    sign = best(lambda: crypto.sign(message, key), 300)
    verify = best(lambda: crypto.verify(message, headers["Wechatpay-Signature"], public), 2000)
    # Theirs is most of a call, and wavers; without it, ours can be told.
    crypto.sign, crypto.verify = (lambda message, key: "x" * 344), (lambda message, signature, key: True)
    blocking = best(lambda: client.v3.pay.transactions.native.post(json=ORDER), 2000)

    async def calls() -> float:
        began = time.perf_counter()
        for _ in range(2000):
            await client.v3.pay.transactions.native.post_async(json=ORDER)
        return (time.perf_counter() - began) / 2000 * 1e6

    awaited = min(asyncio.run(calls()) for _ in range(7))
    draft = Draft("POST", "v3/pay/transactions/native", {}, ORDER, None, None, None, False, None)
    rows = [
        ("sign", sign, ""),
        ("verify", verify, ""),
        ("our own CPU on a call beyond sign, verify and transport, sync", blocking, "60 µs"),
        ("the same, async", awaited, "80 µs"),
        ("  of it: the chain", best(lambda: client.v3.pay.transactions.native, 9000), ""),
        ("  of it: the request from chain and arguments", best(lambda: client._request(draft, "x"), 3000), ""),
        *layers(client, still),
        (
            "a chain of five attributes and its template",
            best(lambda: str(client.v3.marketing.partner.product_coupon.users), 9000),
            "5 µs",
        ),
        ("expanding a template", best(lambda: expand(TEMPLATE, {"openid": "oh-394z-6CGkNoJrsDLTT"}), 9000), "5 µs"),
    ]
    json.dump(rows, sys.stdout)


if __name__ == "__main__":
    main()

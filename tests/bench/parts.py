"""The parts of a call that can be measured by themselves; prints them as JSON: what, microseconds, bar."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
import tracemalloc

from tests.bench.__main__ import best
from tests.bench.clients import ORDER
from tests.service import Service, private_pem
from wechatpay_chain import Client, Response, crypto
from wechatpay_chain.http import Headers
from wechatpay_chain.template import expand

BODY = json.dumps({"code_url": "weixin://wxpay/bizpayurl?pr=p4lpSuKzz", "note": "公仔"}, ensure_ascii=False).encode()
TEMPLATE = "v3/marketing/partner/product-coupon/users/{openid}/pre-send-coupon"


class Still:
    """A transport that answers at once."""

    library = "still"

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def send(self, request):
        return Response(200, self._headers, BODY, request)


class StillAwaited(Still):
    async def send(self, request):
        return Response(200, self._headers, BODY, request)


def main() -> None:
    service = Service()
    settings = {**service.settings("https://127.0.0.1:9/"), "private_key": private_pem(service.merchant), "proxies": {}}
    del settings["retry"]
    client = Client(**settings)
    headers = Headers({"Content-Type": "application/json", "Request-ID": "08-0", **service.signature(BODY)})
    client._transports.update(requests=Still(headers), aiohttp=StillAwaited(headers))
    key, public = crypto.load_private_key(private_pem(service.merchant)), service.public_key.public_key()
    message = f"{headers['Wechatpay-Timestamp']}\n{headers['Wechatpay-Nonce']}\n".encode() + BODY + b"\n"
    sign = best(lambda: crypto.sign(message, key), 300)
    verify = best(lambda: crypto.verify(message, headers["Wechatpay-Signature"], public), 2000)
    blocking = best(lambda: client.v3.pay.transactions.native.post(json=ORDER), 300)

    async def calls() -> float:
        began = time.perf_counter()
        for _ in range(300):
            await client.v3.pay.transactions.native.post_async(json=ORDER)
        return (time.perf_counter() - began) / 300 * 1e6

    awaited = min(asyncio.run(calls()) for _ in range(7))
    node = client.v3.marketing.partner.product_coupon
    rows = [
        ("sign, µs", sign, ""),
        ("verify, µs", verify, ""),
        ("our own CPU on a call, sync, µs", blocking - sign - verify, "60"),
        ("our own CPU on a call, async, µs", awaited - sign - verify, "80"),
        ("  of it: the request from the draft", best(lambda: client._request(_draft(), "x"), 3000), ""),
        (
            "a chain of five and its template, µs",
            best(lambda: str(client.v3.marketing.partner.product_coupon.users), 9000),
            "5",
        ),
        ("expanding a template, µs", best(lambda: expand(TEMPLATE, {"openid": "oh-394z-6CGkNoJrsDLTT"}), 9000), "5"),
    ]
    del node
    began = time.perf_counter()
    gc.collect()
    tracemalloc.start()
    many = [Client(**settings) for _ in range(100)]
    kilobytes = tracemalloc.get_traced_memory()[0] / len(many) / 1024
    tracemalloc.stop()
    began = time.perf_counter()
    for _ in range(100):
        Client(**settings)
    rows.append(("another client, ms", (time.perf_counter() - began) * 10, "2"))
    rows.append(("another client, kB", kilobytes, "30"))
    json.dump(rows, sys.stdout)


def _draft():
    from wechatpay_chain.chain import Draft

    return Draft("POST", "v3/pay/transactions/native", {}, ORDER, None, None, None, False, None)


if __name__ == "__main__":
    main()

"""Measures the parts of a call, one at a time, and prints them as JSON: label, microseconds, aim."""

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
from wechatpay_chain._chain.call import Call
from wechatpay_chain._chain.template import expand
from wechatpay_chain._messages.effects import Middleware
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.request import Request
from wechatpay_chain._pipeline.stack import run
from wechatpay_chain._pipeline.sync_driver import drive
from wechatpay_chain._schemes import rsa

BODY = json.dumps({"code_url": "weixin://wxpay/bizpayurl?pr=p4lpSuKzz", "note": "公仔"}, ensure_ascii=False).encode()
TEMPLATE = "v3/marketing/partner/product-coupon/users/{openid}/pre-send-coupon"


class InstantTransport:
    """A transport that responds at once."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def send(self, request: Request) -> Response:
        return Response(200, self._headers, BODY, request)


class InstantAsyncTransport(InstantTransport):
    async def send(self, request: Request) -> Response:
        return Response(200, self._headers, BODY, request)


def measure_layers(client: Client, request: Request, transport: InstantTransport) -> list[tuple[str, float, str]]:
    """Returns the time that each layer takes without the layers inside it, from the outermost inwards."""
    names, stack = list(client.middleware), client.middleware.layers
    rows, inner = [], best(lambda: drive(run((), request), transport.send), 1000)
    for index in reversed(range(len(stack))):
        whole = best(_driver(stack[index:], request, transport), 2000)
        rows.append((f"  of it: the layer {names[index]}", whole - inner, ""))
        inner = whole
    return rows[::-1]


def _driver(stack: tuple[Middleware, ...], request: Request, transport: InstantTransport) -> Callable[[], object]:
    return lambda: drive(run(stack, request), transport.send)


def main() -> None:
    service = Service()
    settings = {**service.settings("https://127.0.0.1:9/"), "private_key": private_pem(service.merchant), "proxies": {}}
    del settings["retry"]
    headers = Headers({"Content-Type": "application/json", "Request-ID": "08-0", **service.signature(BODY)})
    transport = InstantTransport(headers)
    client = Client(**settings, transport=transport, async_transport=InstantAsyncTransport(headers))
    key, public = crypto.load_private_key(private_pem(service.merchant)), service.public_key.public_key()
    message = f"{headers['Wechatpay-Timestamp']}\n{headers['Wechatpay-Nonce']}\n".encode() + BODY + b"\n"
    sign = best(lambda: crypto.sign(message, key), 300)
    verify = best(lambda: crypto.verify(message, headers["Wechatpay-Signature"], public), 2000)
    # RSA takes most of a call, and its time varies; without it, our own time can be measured.
    rsa.sign, rsa.verify = (lambda message, key: "x" * 344), (lambda message, signature, key: True)
    blocking = best(lambda: client.v3.pay.transactions.native.post(json=ORDER), 2000)

    async def time_calls() -> float:
        began = time.perf_counter()
        for _ in range(2000):
            await client.v3.pay.transactions.native.post_async(json=ORDER)
        return (time.perf_counter() - began) / 2000 * 1e6

    awaited = min(asyncio.run(time_calls()) for _ in range(7))
    call, encoder = Call("POST", "v3/pay/transactions/native", json=ORDER), client._dispatch.flows.encoder
    rows = [
        ("sign", sign, ""),
        ("verify", verify, ""),
        ("our own CPU on a call beyond sign, verify and transport, sync", blocking, "60 µs"),
        ("the same, async", awaited, "80 µs"),
        ("  of it: the chain", best(lambda: client.v3.pay.transactions.native, 9000), ""),
        ("  of it: the request from chain and arguments", best(lambda: encoder.encode(call, "x", None), 3000), ""),
        *measure_layers(client, encoder.encode(call, "x", None), transport),
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

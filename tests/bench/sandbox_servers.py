"""Two servers that accept Native orders: our sandbox, and one by hand that does nothing else.

    python -m tests.bench.sandbox_servers NAME

It prints the credentials of the merchant as JSON. For each line of standard input it prints the seconds of CPU that it has used and
its resident memory in MB, and it ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import secrets
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from wechatpay_chain.sandbox import Sandbox

PATH = "/v3/pay/transactions/native"
KEPT = 100_000


class ByHand:
    """Verifies the signature of an order, checks what must be there, stores it, and signs the response."""

    def __init__(self) -> None:
        self.merchant = rsa.generate_private_key(65537, 2048)
        self.public_key, self.platform = self.merchant.public_key(), rsa.generate_private_key(65537, 2048)
        self.orders: dict[str, Any] = {}

    async def respond(self, request: web.Request) -> web.Response:
        body = await request.read()
        items = dict(re.findall(r'(\w+)="([^"]*)"', request.headers["Authorization"]))
        message = f"POST\n{request.raw_path}\n{items['timestamp']}\n{items['nonce_str']}\n".encode() + body + b"\n"
        try:
            signature = base64.b64decode(items["signature"])
            self.public_key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return web.Response(status=401)
        order = json.loads(body)
        if not all(
            order.get(name) for name in ("appid", "mchid", "description", "out_trade_no", "notify_url", "amount")
        ):
            return web.Response(status=400)
        if len(self.orders) < KEPT:
            self.orders[order["out_trade_no"]] = order
        return self.signed(json.dumps({"code_url": f"weixin://wxpay/bizpayurl?pr={secrets.token_hex(5)}"}).encode())

    def signed(self, body: bytes) -> web.Response:
        timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
        message = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
        signature = self.platform.sign(message, padding.PKCS1v15(), hashes.SHA256())
        headers = {
            "Request-ID": secrets.token_hex(16),
            "Content-Type": "application/json; charset=utf-8",
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": "7A",
            "Wechatpay-Signature": base64.b64encode(signature).decode(),
        }
        return web.Response(headers=headers, body=body)


def serve_by_hand(listening: Callable[[dict[str, Any]], None]) -> None:
    by_hand = ByHand()

    async def serve() -> None:
        app = web.Application()
        app.router.add_post(PATH, by_hand.respond)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        key = by_hand.merchant.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        listening({"base_url": base_url, "mchid": "1900000001", "serial": "7B", "private_key": key.decode()})
        await asyncio.Event().wait()

    asyncio.run(serve())


def report() -> None:
    for _ in sys.stdin:
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
        print(json.dumps([time.process_time(), resident]), flush=True)


def main(name: str) -> None:
    def listening(credentials: dict[str, Any]) -> None:
        print(json.dumps(credentials), flush=True)

    if name == "by-hand":
        threading.Thread(target=serve_by_hand, args=(listening,), daemon=True).start()
        report()
    else:
        with Sandbox() as sandbox:
            listening(sandbox.credentials)
            report()


if __name__ == "__main__":
    main(sys.argv[1])

"""Places Native orders as fast as it can.

    python -m tests.bench.sandbox_load CONNECTIONS < credentials

The first line of standard input has the merchant's credentials as JSON. Each further line is a number of calls: it signs so many
orders, sends them, and prints the seconds that they took from the first request to the last response, signing apart.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import secrets
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from tests.bench.sandbox_servers import PATH

NUMBERS = itertools.count()


def sign_orders(credentials: dict[str, Any], count: int) -> Iterator[bytes]:
    key = serialization.load_pem_private_key(credentials["private_key"].encode(), None)
    host = urlsplit(credentials["base_url"]).netloc
    for _ in range(count):
        order = {
            "appid": "wxd678efh567hg6787",
            "mchid": credentials["mchid"],
            "description": "Image形象店-深圳腾大-QQ公仔",
            "out_trade_no": f"load-{next(NUMBERS)}",
            "notify_url": "https://www.weixin.qq.com/wxpay/pay.php",
            "amount": {"total": 100, "currency": "CNY"},
            "scene_info": {"payer_client_ip": "14.23.150.211", "device_id": "013467007045764"},
        }
        body = json.dumps(order, ensure_ascii=False).encode()
        timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
        message = f"POST\n{PATH}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"
        signature = base64.b64encode(key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()
        yield (
            f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\nUser-Agent: load\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f'Authorization: WECHATPAY2-SHA256-RSA2048 mchid="{credentials["mchid"]}",nonce_str="{nonce}",'
            f'signature="{signature}",timestamp="{timestamp}",serial_no="{credentials["serial"]}"\r\n\r\n'
        ).encode() + body


async def send(credentials: dict[str, Any], orders: Iterator[bytes], connections: int) -> None:
    address = urlsplit(credentials["base_url"])

    async def work() -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        for order in orders:
            writer.write(order)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(head.decode())
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        writer.close()

    await asyncio.gather(*(work() for _ in range(connections)))


def main(connections: int) -> None:
    credentials = json.loads(sys.stdin.readline())
    for line in sys.stdin:
        orders = list(sign_orders(credentials, int(line)))
        began = time.perf_counter()
        asyncio.run(send(credentials, iter(orders), connections))
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))

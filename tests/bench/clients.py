"""The contenders: each places the same order, signs it and verifies the response as the protocol requires.

    python -m tests.bench.clients NAME URL FOLDER

For each line that it reads, `calls concurrency`, it runs a round and prints the seconds, the CPU seconds, and how long
another task waited.
"""

from __future__ import annotations

import base64
import json
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

TARGET = "/v3/pay/transactions/native"


class Setup:
    """The server, the keys and the order of a run, as a contender gets them."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder, self.bundle = url, folder, folder / "bundle.pem"
        self.merchant = json.loads((folder / "merchant.json").read_text())
        self.order = json.loads((folder / "order.json").read_text())
        self.key_options: dict[str, bool] = {}
        self.closers: list[Callable[[], Awaitable[object]]] = []


def by_hand(setup: Setup) -> tuple[Callable[[], tuple[bytes, dict[str, str]]], Callable[[object, bytes], None]]:
    """Returns functions that sign and verify with preloaded keys, as users write them by hand."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding

    merchant, order = setup.merchant, setup.order
    key = serialization.load_pem_private_key(merchant["private_key"].encode(), None, **setup.key_options)
    certs = {
        serial: x509.load_pem_x509_certificate(pem.encode()).public_key() for serial, pem in merchant["certs"].items()
    }

    def sign_order() -> tuple[bytes, dict[str, str]]:
        body = json.dumps(order, ensure_ascii=False, separators=(",", ":")).encode()
        timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
        message = f"POST\n{TARGET}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"
        signature = base64.b64encode(key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()
        return body, {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": "by-hand",
            "Authorization": f'WECHATPAY2-SHA256-RSA2048 mchid="{merchant["mchid"]}",nonce_str="{nonce}",'
            f'signature="{signature}",timestamp="{timestamp}",serial_no="{merchant["serial"]}"',
        }

    def verify(headers, content: bytes) -> None:
        timestamp, nonce = headers["Wechatpay-Timestamp"], headers["Wechatpay-Nonce"]
        if abs(int(timestamp) - time.time()) > 300:
            raise ValueError("clock")
        message = f"{timestamp}\n{nonce}\n".encode() + content + b"\n"
        signature = base64.b64decode(headers["Wechatpay-Signature"])
        certs[headers["Wechatpay-Serial"]].verify(signature, message, padding.PKCS1v15(), hashes.SHA256())

    return sign_order, verify


def requests_by_hand(setup: Setup) -> Callable[[], object]:
    import requests

    sign_order, verify = by_hand(setup)
    session = requests.Session()
    session.verify = str(setup.bundle)

    def call() -> object:
        body, headers = sign_order()
        response = session.post(setup.url + TARGET, data=body, headers=headers, timeout=(5, 30))
        response.raise_for_status()
        verify(response.headers, response.content)
        return response.json()["code_url"]

    return call


def ours(setup: Setup) -> Callable[[], object]:
    ours = client(setup)

    def call() -> object:
        return ours.v3.pay.transactions.native.post(json=setup.order).json()["code_url"]

    return call


def client(setup: Setup):
    """Returns a client of this package."""
    from wechatpay_chain import Client

    merchant = setup.merchant
    return Client(
        mchid=merchant["mchid"],
        serial=merchant["serial"],
        private_key=merchant["private_key"],
        certs=merchant["certs"],
        base_url=setup.url,
        ca_bundle=setup.bundle,
        proxies={},
    )


def _wechatpayv3_settings(setup: Setup) -> dict[str, str]:
    merchant = setup.merchant
    return {
        "mchid": merchant["mchid"],
        "private_key": merchant["private_key"],
        "cert_serial_no": merchant["serial"],
        "appid": setup.order["appid"],
        "apiv3_key": merchant["apiv3_key"],
        "notify_url": setup.order["notify_url"],
        "cert_dir": str(setup.folder / "certs"),
    }


def wechatpayv3(setup: Setup) -> Callable[[], object]:
    from wechatpayv3 import WeChatPay, WeChatPayType

    client = WeChatPay(wechatpay_type=WeChatPayType.NATIVE, timeout=(5, 30), **_wechatpayv3_settings(setup))
    client._core._gate_way = setup.url

    def call() -> object:
        status, text = client.pay(**{name: setup.order[name] for name in ("description", "out_trade_no", "amount")})
        assert status == 200, text
        return json.loads(text)["code_url"]

    return call


def aiohttp_by_hand(setup: Setup) -> Callable[[], Awaitable[object]]:
    import ssl

    import aiohttp

    sign_order, verify = by_hand(setup)
    sessions: list[aiohttp.ClientSession] = []

    async def call() -> object:
        if not sessions:
            context = ssl.create_default_context(cafile=setup.bundle)
            sessions.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)))
            setup.closers.append(sessions[0].close)
        body, headers = sign_order()
        async with sessions[0].post(setup.url + TARGET, data=body, headers=headers) as response:
            response.raise_for_status()
            content = await response.read()
            verify(response.headers, content)
            return json.loads(content)["code_url"]

    return call


def ours_async(setup: Setup) -> Callable[[], Awaitable[object]]:
    ours = client(setup)

    async def call() -> object:
        return (await ours.v3.pay.transactions.native.post_async(json=setup.order)).json()["code_url"]

    return call


def without_scheduler(setup: Setup) -> Callable[[], Awaitable[object]]:
    """Returns our async call without the scheduler: signatures never yield to the event loop."""
    from wechatpay_chain._pipeline import cpu_scheduler

    cpu_scheduler.SLICE = 1.0
    return ours_async(setup)


def wechatpayv3_async(setup: Setup) -> Callable[[], Awaitable[object]]:
    from wechatpayv3.async_ import AsyncWeChatPay, WeChatPayType

    client = AsyncWeChatPay(wechatpay_type=WeChatPayType.NATIVE, timeout=30, **_wechatpayv3_settings(setup))
    client._core._gate_way = setup.url
    entered: list[object] = []

    async def call() -> object:
        if not entered:
            entered.append(await client.__aenter__())
            setup.closers.append(lambda: client.__aexit__(None, None, None))
        status, text = await client.pay(
            **{name: setup.order[name] for name in ("description", "out_trade_no", "amount")}
        )
        assert status == 200, text
        return json.loads(text)["code_url"]

    return call


SYNC = {"requests by hand": requests_by_hand, "ours": ours, "wechatpayv3": wechatpayv3}
ASYNC = {
    "aiohttp by hand": aiohttp_by_hand,
    "ours async": ours_async,
    "ours async, without the scheduler": without_scheduler,
    "wechatpayv3 async": wechatpayv3_async,
}


def run_blocking_rounds(call: Callable[[], object]) -> None:
    """Runs a round for each line of the standard input."""
    from concurrent.futures import ThreadPoolExecutor

    for line in sys.stdin:
        calls, concurrency = map(int, line.split())
        with ThreadPoolExecutor(concurrency) as threads:
            began, cpu = time.perf_counter(), time.process_time()
            if concurrency == 1:
                for _ in range(calls):
                    call()
            else:
                for future in [threads.submit(call) for _ in range(calls)]:
                    future.result()
            print(json.dumps([time.perf_counter() - began, time.process_time() - cpu, []]), flush=True)


async def run_async_rounds(call: Callable[[], Awaitable[object]]) -> None:
    """Runs the rounds on an event loop, on which another task sleeps for a millisecond at a time."""
    import asyncio

    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        calls, concurrency = map(int, line.split())
        left, waits = iter(range(calls)), []

        async def work(left=left) -> None:
            for _ in left:
                await call()

        async def measure_waits(waits=waits) -> None:
            while True:
                began = loop.time()
                await asyncio.sleep(0.001)
                waits.append(loop.time() - began - 0.001)

        measuring = asyncio.create_task(measure_waits()) if concurrency > 1 else None
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(work() for _ in range(concurrency)))
        took = time.perf_counter() - began, time.process_time() - cpu
        if measuring is not None:
            measuring.cancel()
        print(json.dumps([*took, sorted(waits)]), flush=True)


async def run_and_close(setup: Setup, calls: Awaitable[Any]) -> None:
    """Runs calls, and then closes the sessions that they opened."""
    try:
        await calls
    finally:
        for close in setup.closers:
            await close()


def main() -> None:
    name, url, folder = sys.argv[1:]
    setup = Setup(url, Path(folder))
    if name in SYNC:
        run_blocking_rounds(SYNC[name](setup))
    else:
        import asyncio

        asyncio.run(run_and_close(setup, run_async_rounds(ASYNC[name](setup))))


if __name__ == "__main__":
    main()

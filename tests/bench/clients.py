"""The contenders: each makes the same order, signs it and verifies its answer as the protocol demands.

    python -m tests.bench.clients NAME URL FOLDER

It reads a line for each round, `calls concurrency`, and prints seconds, CPU seconds and the longest waits of another task.
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


class Known:
    """What a contender knows of the run."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder, self.bundle = url, folder, folder / "bundle.pem"
        self.merchant = json.loads((folder / "merchant.json").read_text())
        self.order = json.loads((folder / "order.json").read_text())
        self.loading: dict[str, bool] = {}
        self.closing: list[Callable[[], Awaitable[object]]] = []


def by_hand(known: Known) -> tuple[Callable[[], tuple[bytes, dict[str, str]]], Callable[[object, bytes], None]]:
    """Signing and verifying, as somebody writes it who preloads his keys."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding

    merchant, order = known.merchant, known.order
    key = serialization.load_pem_private_key(merchant["private_key"].encode(), None, **known.loading)
    certs = {
        serial: x509.load_pem_x509_certificate(pem.encode()).public_key() for serial, pem in merchant["certs"].items()
    }

    def signed() -> tuple[bytes, dict[str, str]]:
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

    return signed, verify


def requests_by_hand(known: Known) -> Callable[[], object]:
    import requests

    signed, verify = by_hand(known)
    session = requests.Session()
    session.verify = str(known.bundle)

    def call() -> object:
        body, headers = signed()
        answer = session.post(known.url + TARGET, data=body, headers=headers, timeout=(5, 30))
        answer.raise_for_status()
        verify(answer.headers, answer.content)
        return answer.json()["code_url"]

    return call


def ours(known: Known) -> Callable[[], object]:
    ours = client(known)

    def call() -> object:
        return ours.v3.pay.transactions.native.post(json=known.order).json()["code_url"]

    return call


def client(known: Known):
    """One of ours."""
    from wechatpay_chain import Client

    merchant = known.merchant
    return Client(
        mchid=merchant["mchid"],
        serial=merchant["serial"],
        private_key=merchant["private_key"],
        certs=merchant["certs"],
        base_url=known.url,
        ca_bundle=known.bundle,
        proxies={},
    )


def _wechatpayv3_settings(known: Known) -> dict[str, str]:
    merchant = known.merchant
    return {
        "mchid": merchant["mchid"],
        "private_key": merchant["private_key"],
        "cert_serial_no": merchant["serial"],
        "appid": known.order["appid"],
        "apiv3_key": merchant["apiv3_key"],
        "notify_url": known.order["notify_url"],
        "cert_dir": str(known.folder / "certs"),
    }


def wechatpayv3(known: Known) -> Callable[[], object]:
    from wechatpayv3 import WeChatPay, WeChatPayType

    client = WeChatPay(wechatpay_type=WeChatPayType.NATIVE, timeout=(5, 30), **_wechatpayv3_settings(known))
    client._core._gate_way = known.url

    def call() -> object:
        status, text = client.pay(**{name: known.order[name] for name in ("description", "out_trade_no", "amount")})
        assert status == 200, text
        return json.loads(text)["code_url"]

    return call


def aiohttp_by_hand(known: Known) -> Callable[[], Awaitable[object]]:
    import ssl

    import aiohttp

    signed, verify = by_hand(known)
    opened: list[aiohttp.ClientSession] = []

    async def call() -> object:
        if not opened:
            context = ssl.create_default_context(cafile=known.bundle)
            opened.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)))
            known.closing.append(opened[0].close)
        body, headers = signed()
        async with opened[0].post(known.url + TARGET, data=body, headers=headers) as answer:
            answer.raise_for_status()
            content = await answer.read()
            verify(answer.headers, content)
            return json.loads(content)["code_url"]

    return call


def ours_async(known: Known) -> Callable[[], Awaitable[object]]:
    ours = client(known)

    async def call() -> object:
        return (await ours.v3.pay.transactions.native.post_async(json=known.order)).json()["code_url"]

    return call


def without_scheduler(known: Known) -> Callable[[], Awaitable[object]]:
    """Ours, with all signatures that wait made at a stretch."""
    from wechatpay_chain._pipeline import cpu_scheduler

    cpu_scheduler.SLICE = 1.0
    return ours_async(known)


def wechatpayv3_async(known: Known) -> Callable[[], Awaitable[object]]:
    from wechatpayv3.async_ import AsyncWeChatPay, WeChatPayType

    client = AsyncWeChatPay(wechatpay_type=WeChatPayType.NATIVE, timeout=30, **_wechatpayv3_settings(known))
    client._core._gate_way = known.url
    entered: list[object] = []

    async def call() -> object:
        if not entered:
            entered.append(await client.__aenter__())
            known.closing.append(lambda: client.__aexit__(None, None, None))
        status, text = await client.pay(
            **{name: known.order[name] for name in ("description", "out_trade_no", "amount")}
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


def blocking_rounds(call: Callable[[], object]) -> None:
    """Answers each line with a round."""
    from concurrent.futures import ThreadPoolExecutor

    for line in sys.stdin:
        calls, concurrency = map(int, line.split())
        with ThreadPoolExecutor(concurrency) as threads:
            began, cpu = time.perf_counter(), time.process_time()
            if concurrency == 1:
                for _ in range(calls):
                    call()
            else:
                for done in [threads.submit(call) for _ in range(calls)]:
                    done.result()
            print(json.dumps([time.perf_counter() - began, time.process_time() - cpu, []]), flush=True)


async def awaited_rounds(call: Callable[[], Awaitable[object]]) -> None:
    """The same on an event loop, on which another task asks for a turn each millisecond."""
    import asyncio

    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        calls, concurrency = map(int, line.split())
        left, waits = iter(range(calls)), []

        async def work(left=left) -> None:
            for _ in left:
                await call()

        async def beat(waits=waits) -> None:
            while True:
                began = loop.time()
                await asyncio.sleep(0.001)
                waits.append(loop.time() - began - 0.001)

        beating = asyncio.create_task(beat()) if concurrency > 1 else None
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(work() for _ in range(concurrency)))
        took = time.perf_counter() - began, time.process_time() - cpu
        if beating is not None:
            beating.cancel()
        print(json.dumps([*took, sorted(waits)]), flush=True)


async def closed(known: Known, doing: Awaitable[Any]) -> None:
    """Closes what was opened meanwhile."""
    try:
        await doing
    finally:
        for close in known.closing:
            await close()


def main() -> None:
    name, url, folder = sys.argv[1:]
    known = Known(url, Path(folder))
    if name in SYNC:
        blocking_rounds(SYNC[name](known))
    else:
        import asyncio

        asyncio.run(closed(known, awaited_rounds(ASYNC[name](known))))


if __name__ == "__main__":
    main()

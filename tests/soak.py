"""Mixed calls in both modes against a service that has a bad day: `python -m tests.soak CALLS [SEED]`.

Three in ten answers go wrong. What is looked for afterwards: an answer that was accepted and is not WeChat Pay's, an order
that reached the service twice, an error that is not the package's own, a task or a socket that is left over.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import random
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.service import rsa_verifies
from wechatpay_chain import Response, Retry, Sensitive, WeChatPayError
from wechatpay_chain.sandbox import Fault, Sandbox

SHARE = 0.3
"""Of the answers that go wrong."""

RARE = {Fault.ROTATION: 0.0005}
INNOCENT = (Fault.ROTATION, Fault.PUBLIC_KEY)
ROUND = 2000
THREADS, TASKS = 4, 16
QUICK = Retry(attempts=3, backoff=0.01, deadline=5)
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8


@dataclass
class Report:
    calls: int = 0
    accepted: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    orders: int = 0
    wrong: list[str] = field(default_factory=list)
    """What must not have happened."""
    seconds: float = 0.0


class Soak:
    """One sandbox, three clients of one merchant, and what they were told."""

    def __init__(self, sandbox: Sandbox, seed: int, folder: Path) -> None:
        self.sandbox, self.folder = sandbox, folder
        self.report = Report()
        self.draw = random.Random(seed)
        self.numbers: dict[str, bool] = {}  # whether each order may be sent again
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            nowhere = f"http://127.0.0.1:{free.getsockname()[1]}/"
        certificates = {k: v for k, v in sandbox.credentials["certs"].items() if not k.startswith("PUB")}
        self.clients = [
            sandbox.client(retry=QUICK),
            sandbox.client(retry=QUICK, certs=certificates),
            # Its first domain is down, so that every call goes to the second.
            sandbox.client(base_url=nowhere, retry=replace(QUICK, attempts=4, second_url=sandbox.base_url)),
        ]
        for number, client in enumerate(self.clients):
            client.middleware.insert_after("sign", "alter", self.altering(random.Random(seed + number)))

    def altering(self, draw: random.Random):
        """Somebody on the way changes a byte of some answers."""

        def alter(request):
            response = yield request
            if response.content and draw.random() < 0.02:
                at = draw.randrange(len(response.content))
                changed = bytes([response.content[at] ^ 1])
                response = replace(response, content=response.content[:at] + changed + response.content[at + 1 :])
            return response

        return alter

    def plan(self, index: int):
        """One call: a client, a node, a verb, its arguments, and what the answer has to say."""
        draw, client = self.draw, self.draw.choice(self.clients)
        kind = draw.choice(["order", "order", "query", "query", "close", "echo", "sealed", "coupon", "upload", "bill"])
        pay = client.v3.pay.transactions
        options = {"timeout": (5, 0.15)} if draw.random() < 0.3 else {}
        known = draw.choice(list(self.numbers)) if self.numbers else "none-yet"
        match kind:
            case "order":
                number, idempotent = f"soak-{index}", draw.random() < 0.5
                self.numbers[number] = idempotent
                order = {
                    "appid": "wxd678efh567hg6787",
                    "mchid": client.mchid,
                    "description": "公仔",
                    "out_trade_no": number,
                    "notify_url": "https://www.weixin.qq.com/wxpay/pay.php",
                    "amount": {"total": index + 1},
                }
                return client, pay.native, "post", {"json": order, "idempotent": idempotent, **options}, "code_url"
            case "query":
                arguments = {"out_trade_no": known, "params": {"mchid": client.mchid}}
                return client, pay.out_trade_no._out_trade_no_, "get", {**arguments, **options}, known
            case "close":
                arguments = {"out_trade_no": known, "json": {"mchid": client.mchid}}
                return client, pay.out_trade_no._out_trade_no_.close, "post", arguments, ""
            case "echo":
                said = f"hello-{index}"
                return client, client.v3.security.echo, "post", {"json": {"echo_message": said}, **options}, said
            case "sealed":
                sealed = {"echo_message": "x", "encrypted_echo_message": Sensitive(f"张三-{index}")}
                return client, client.v3.security.echo, "post", {"json": sealed}, f"张三-{index}"
            case "coupon":
                names = ("brand_id", "product_coupon_id", "stock_id", "appid", "send_request_no")
                node = client.v3.marketing.partner.product_coupon.users._openid_.pre_send_coupon
                coupon = {name: f"{name}-{index}" for name in names}
                return client, node, "post", {"openid": f"o/{index} 中", "json": coupon, "idempotent": True}, "token"
            case "upload":
                return (
                    client,
                    client.v3.merchant.media.upload,
                    "post",
                    {"files": {"file": ("图.png", PICTURE)}},
                    "media_id",
                )
        # The bills of that day are there at any hour, and list what is ordered today.
        day = (datetime.now(timezone(timedelta(hours=8))) - timedelta(days=2)).date().isoformat()
        arguments = {"params": {"bill_date": day, "tar_type": "GZIP"}}
        return client, client.v3.bill.tradebill, "get", arguments, "download_url"

    def judge(self, response: Response, expected: str) -> None:
        """Holds an accepted answer against the service's keys, with code that is not the package's."""
        self.report.accepted += 1
        headers = response.headers
        pem = self.sandbox.credentials["certs"][headers["Wechatpay-Serial"]].encode()
        key = (
            x509.load_pem_x509_certificate(pem).public_key()
            if b"CERTIFICATE" in pem
            else serialization.load_pem_public_key(pem)
        )
        message = (
            f"{headers['Wechatpay-Timestamp']}\n{headers['Wechatpay-Nonce']}\n".encode() + response.content + b"\n"
        )
        holder = type("Holder", (), {"public_key": staticmethod(lambda: key)})
        if not rsa_verifies(holder, headers["Wechatpay-Signature"], message):
            self.report.wrong.append(f"accepted without proof: {response.request}")
        if abs(int(headers["Wechatpay-Timestamp"]) - time.time()) > 310:
            self.report.wrong.append(f"accepted at another time: {response.request}")
        text = json.dumps(response.json(), ensure_ascii=False) if response.content else ""
        if "encrypted_echo_message" in text:
            text = json.dumps(response.decrypt("encrypted_echo_message"), ensure_ascii=False)
        if expected not in text:
            self.report.wrong.append(f"an answer to something else: {response.request}")

    def failed(self, error: BaseException) -> None:
        self.report.errors[type(error).__name__] += 1
        if not isinstance(error, WeChatPayError):
            self.report.wrong.append(f"not an error of ours: {error!r}")

    def blocking(self, plan) -> None:
        client, node, verb, arguments, expected = plan
        try:
            response = getattr(node, verb)(**arguments)
            self.judge(response, expected)
            if expected == "download_url":
                to = self.folder / f"{threading.get_ident()}.csv"
                client.download(response, to, gunzip=True)
                self.judge_bill(to)
        except Exception as error:
            self.failed(error)

    async def awaiting(self, plan, slot: int) -> None:
        client, node, verb, arguments, expected = plan
        try:
            response = await getattr(node, f"{verb}_async")(**arguments)
            self.judge(response, expected)
            if expected == "download_url":
                to = self.folder / f"task-{slot}.csv"
                await client.download_async(response, to, gunzip=True)
                self.judge_bill(to)
        except Exception as error:
            self.failed(error)

    def judge_bill(self, path: Path) -> None:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        count = int(lines[-1].split(",")[0].strip("`"))
        if len(lines) != count + 3:
            self.report.wrong.append("a bill that is not whole")
        path.unlink()

    def round(self, first: int, count: int) -> None:
        """Half of the calls in threads, then half in tasks; then what the service saw of them."""
        plans = [self.plan(index) for index in range(first, first + count)]
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(self.blocking, plans[: count // 2]))
        asyncio.run(self.tasks(plans[count // 2 :]))
        self.report.calls += count
        self.weigh(self.sandbox.history)

    async def tasks(self, plans) -> None:
        queue = iter(plans)

        async def work(slot: int) -> None:
            for plan in queue:
                await self.awaiting(plan, slot)

        await asyncio.gather(*map(work, range(TASKS)))
        for client in self.clients:
            await client.aclose()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            self.report.wrong.append(f"tasks left over: {left}")

    def weigh(self, history) -> None:
        sent: Counter[str] = Counter()
        bodies: dict[str, set[bytes]] = {}
        for seen in history:
            self.report.faults[str(seen.fault) if seen.fault else "none"] += 1
            if seen.call.target == "/v3/pay/transactions/native":
                number = json.loads(seen.call.body)["out_trade_no"]
                sent[number] += 1
                bodies.setdefault(number, set()).add(seen.call.body)
        self.report.orders += len(sent)
        for number, times in sent.items():
            if times > 1 and not self.numbers[number]:
                self.report.wrong.append(f"{number} was sent {times} times and may have been acted on")
            if len(bodies[number]) > 1:
                self.report.wrong.append(f"{number} was sent with different bytes")


def sockets() -> int | None:
    """Sockets that this process has open, where the system tells."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        return None
    count = 0
    for path in folder.iterdir():
        try:
            count += str(path.readlink()).startswith("socket:")
        except OSError:
            continue
    return count


def soak(calls: int, seed: int) -> Report:
    """Makes so many calls, and says what came of them."""
    began, before = time.monotonic(), sockets()
    with tempfile.TemporaryDirectory() as folder:
        report = Report()
        for first in range(0, calls, ROUND):
            # A sandbox for each round, for it remembers the last calls only.
            with Sandbox(seed=seed + first, slowness=0.3) as sandbox:
                usual = [fault for fault in Fault if fault not in INNOCENT]
                for fault in usual:
                    sandbox.fault(fault, share=SHARE / len(usual))
                for fault, share in RARE.items():
                    sandbox.fault(fault, share=share)
                run = Soak(sandbox, seed + first, Path(folder))
                run.report = report
                run.round(first, min(ROUND, calls - first))
                for client in run.clients:
                    client.close()
        if list(Path(folder).iterdir()):
            report.wrong.append("files left over")
    gc.collect()
    if before is not None and (after := sockets()) is not None and after > before:
        report.wrong.append(f"{after - before} sockets left over")
    report.seconds = time.monotonic() - began
    return report


def main() -> int:
    logging.disable()
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(10**6)
    report = soak(calls, seed)
    answers = sum(report.faults.values())
    spoilt = answers - report.faults["none"] - report.faults["rotation"]
    print(
        f"{report.calls} calls with seed {seed} in {report.seconds:.0f} s; {answers} answers, {spoilt / answers:.1%} spoilt"
    )
    print(f"accepted {report.accepted}; orders that reached the service {report.orders}")
    print("faults:", ", ".join(f"{name} {count}" for name, count in sorted(report.faults.items())))
    print("errors:", ", ".join(f"{name} {count}" for name, count in sorted(report.errors.items())))
    for line in report.wrong[:20]:
        print("WRONG:", line)
    print("nothing that must not happen has happened" if not report.wrong else f"{len(report.wrong)} things went wrong")
    return bool(report.wrong)


if __name__ == "__main__":
    sys.exit(main())

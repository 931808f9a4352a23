"""Sends mixed calls of APIv3 and APIv2, in both modes, to a sandbox that injects faults: `python -m tests.soak CALLS [SEED]`.

Three in ten responses get a fault. Afterwards, the program looks for a response that was accepted and is not WeChat
Pay's, an order, a refund, a transfer or a red packet that was sent twice although it must not be repeated, an error that is not the
package's own, and tasks and sockets that are left over.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import random
import re
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

from tests.apiv2.conftest import signature_of
from tests.service import rsa_verifies
from wechatpay_chain import Response, Retry, Sensitive, WeChatPayError
from wechatpay_chain.sandbox import Fault, Sandbox

FAULT_SHARE = 0.3
"""The share of responses that get a fault."""

RARE_FAULTS = {Fault.ROTATION: 0.0005}
HARMLESS = (Fault.ROTATION, Fault.PUBLIC_KEY)
ROUND_CALLS = 2000
THREADS, TASKS = 4, 16
QUICK_RETRY = Retry(attempts=3, backoff=0.01, deadline=5)
NUMBERED = {
    "/v3/pay/transactions/native": "out_trade_no",
    "/v3/fund-app/mch-transfer/transfer-bills": "out_bill_no",
    "/pay/unifiedorder": "out_trade_no",
    "/secapi/pay/refund": "out_refund_no",
    "/mmpaymkttransfers/sendredpack": "mch_billno",
    "/mmpaysptrans/pay_bank": "partner_trade_no",
}
"""The operations that move money, with the field by which the service knows a repetition."""

UNSIGNED = ("v2/mmpaymkttransfers/sendredpack", "v2/mmpaysptrans/pay_bank")
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8


@dataclass
class Report:
    calls: int = 0
    accepted: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    orders: int = 0
    wrong: list[str] = field(default_factory=list)
    """One line for each thing that happened and must not happen."""
    seconds: float = 0.0


class Soak:
    """A sandbox, three clients of one merchant, and the report of their calls."""

    def __init__(self, sandbox: Sandbox, seed: int, folder: Path) -> None:
        self.sandbox, self.folder = sandbox, folder
        self.report = Report()
        self.rng = random.Random(seed)
        self.may_repeat: dict[str, bool] = {}  # by order number: whether the order may be sent again
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            nowhere = f"http://127.0.0.1:{free.getsockname()[1]}/"
        certificates = {k: v for k, v in sandbox.credentials["certs"].items() if not k.startswith("PUB")}
        self.clients = [
            sandbox.client(retry=QUICK_RETRY),
            sandbox.client(retry=QUICK_RETRY, certs=certificates),
            # The first domain of this client is down, so that every call goes to the second.
            sandbox.client(base_url=nowhere, retry=replace(QUICK_RETRY, attempts=4, second_url=sandbox.base_url)),
        ]
        for number, client in enumerate(self.clients):
            client.middleware.insert_after("sign", "alter", self.build_middleware(random.Random(seed + number)))

    def build_middleware(self, rng: random.Random):
        """Returns a middleware that changes a byte of some responses, as an attacker on the way could."""

        def alter(request):
            response = yield request
            if response.content and rng.random() < 0.02:
                at = rng.randrange(len(response.content))
                changed = bytes([response.content[at] ^ 1])
                response = replace(response, content=response.content[:at] + changed + response.content[at + 1 :])
            return response

        return alter

    def plan(self, index: int):
        """Draws one call: a client, a node, a verb, its arguments, and a text that the response must contain."""
        rng, client = self.rng, self.rng.choice(self.clients)
        kind = rng.choice(
            [
                *(
                    "order",
                    "order",
                    "query",
                    "query",
                    "close",
                    "echo",
                    "encrypted",
                    "coupon",
                    "upload",
                    "bill",
                    "transfer",
                ),
                *("v2 order", "v2 order", "v2 query", "v2 refund", "v2 red packet", "v2 card", "v2 bill"),
            ]
        )
        if kind.startswith("v2"):
            return self.plan_v2(kind, index, client)
        pay = client.v3.pay.transactions
        options = {"timeout": (5, 0.15)} if rng.random() < 0.3 else {}
        known = rng.choice(list(self.may_repeat)) if self.may_repeat else "none-yet"
        match kind:
            case "order":
                number, idempotent = f"soak-{index}", rng.random() < 0.5
                self.may_repeat[number] = idempotent
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
            case "transfer":
                number, idempotent = f"soaktransfer{index}", rng.random() < 0.5
                self.may_repeat[number] = idempotent
                transfer = {
                    "appid": "wxd678efh567hg6787",
                    "out_bill_no": number,
                    "transfer_scene_id": "1000",
                    "openid": "o-MYE42l80oelYMDE34nYD456Xoy",
                    "transfer_amount": 1000 + index,
                    "transfer_remark": "活动奖励",
                    "transfer_scene_report_infos": [{"info_type": "活动名称", "info_content": "新会员有礼"}],
                }
                node = client.v3.fund_app.mch_transfer.transfer_bills
                return client, node, "post", {"json": transfer, "idempotent": idempotent, **options}, number
            case "close":
                arguments = {"out_trade_no": known, "json": {"mchid": client.mchid}}
                return client, pay.out_trade_no._out_trade_no_.close, "post", arguments, ""
            case "echo":
                message = f"hello-{index}"
                return client, client.v3.security.echo, "post", {"json": {"echo_message": message}, **options}, message
            case "encrypted":
                body = {"echo_message": "x", "encrypted_echo_message": Sensitive(f"张三-{index}")}
                return client, client.v3.security.echo, "post", {"json": body}, f"张三-{index}"
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
        # The bills of that day are available at any hour, and list the payments of today.
        unpaid = (order for order in list(self.sandbox.orders.values()) if order.trade_state == "NOTPAY")
        if order := next(unpaid, None):
            order.pay(notify=False)
        day = (datetime.now(timezone(timedelta(hours=8))) - timedelta(days=2)).date().isoformat()
        arguments = {"params": {"bill_date": day, "tar_type": "GZIP"}}
        return client, client.v3.bill.tradebill, "get", arguments, "download_url"

    def plan_v2(self, kind: str, index: int, client):
        """Draws one call of APIv2."""
        rng, appid = self.rng, "wxd678efh567hg6787"
        options = {"timeout": (5, 0.15)} if rng.random() < 0.3 else {}
        orders = [number for number in self.may_repeat if number.startswith("soak-v2-")]
        known, idempotent = rng.choice(orders) if orders else "none-yet", rng.random() < 0.5
        post = {"idempotent": idempotent, **options}
        match kind:
            case "v2 order":
                number = f"soak-v2-{index}"
                self.may_repeat[number] = idempotent
                fields = {
                    "appid": appid,
                    "body": "公仔",
                    "out_trade_no": number,
                    "total_fee": index + 1,
                    "spbill_create_ip": "203.0.113.7",
                    "notify_url": "http://127.0.0.1:9/",
                    "trade_type": "NATIVE",
                    **({"sign_type": "HMAC-SHA256"} if rng.random() < 0.5 else {}),
                }
                return client, client.v2.pay.unifiedorder, "post", {"xml": fields, **post}, "code_url"
            case "v2 query":
                fields = {"appid": appid, "out_trade_no": known}
                return client, client.v2.pay.orderquery, "post", {"xml": fields, **options}, known
            case "v2 refund":
                number = f"soak-refund-{index}"
                self.may_repeat[number] = idempotent
                if (order := self.sandbox.orders.get(known)) and order.trade_state == "NOTPAY":
                    order.pay(notify=False)
                total = order.total if order else 1
                fields = {"appid": appid, "out_trade_no": known, "out_refund_no": number}
                fields |= {"total_fee": total, "refund_fee": 1}
                return client, client.v2.secapi.pay.refund, "post", {"xml": fields, **post}, number
            case "v2 red packet":
                number = f"soak-packet-{index}"
                self.may_repeat[number] = idempotent
                fields = {
                    "mch_billno": number,
                    "wxappid": appid,
                    "send_name": "商店",
                    "re_openid": "oxTWIuGaIt6gTKsQRLau2M0yL16E",
                    "total_amount": 100 + index,
                    "total_num": 1,
                    "wishing": "恭喜",
                    "client_ip": "203.0.113.7",
                    "act_name": "活动",
                    "remark": "备注",
                }
                return client, client.v2.mmpaymkttransfers.sendredpack, "post", {"xml": fields, **post}, ""
            case "v2 card":
                number = f"soakcard{index}"
                self.may_repeat[number] = idempotent
                card = {"enc_bank_no": Sensitive(f"62220202{index:08}"), "enc_true_name": Sensitive("张三")}
                fields = {"partner_trade_no": number, "bank_code": "1001", "amount": 100 + index, **card}
                return client, client.v2.mmpaysptrans.pay_bank, "post", {"xml": fields, **post}, number
        day = (datetime.now(timezone(timedelta(hours=8))) - timedelta(days=2)).date()
        fields = {"appid": appid, "bill_date": f"{day:%Y%m%d}", "bill_type": "ALL", "tar_type": "GZIP"}
        return client, client.v2.pay.downloadbill, "download", {"xml": fields}, ""

    def check_response(self, response: Response, expected: str) -> None:
        """Verifies an accepted response with the service's keys and with code that is not the package's."""
        self.report.accepted += 1
        if response.request.template.startswith("v2/"):
            self.check_response_v2(response, expected)
            return
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
            self.report.wrong.append(f"accepted without a valid signature: {response.request}")
        if abs(int(headers["Wechatpay-Timestamp"]) - time.time()) > 310:
            self.report.wrong.append(f"accepted with an old or future timestamp: {response.request}")
        text = json.dumps(response.json(), ensure_ascii=False) if response.content else ""
        if "encrypted_echo_message" in text:
            text = json.dumps(response.decrypt("encrypted_echo_message"), ensure_ascii=False)
        if expected not in text:
            self.report.wrong.append(f"the response to another call: {response.request}")

    def check_response_v2(self, response: Response, expected: str) -> None:
        if response.request.template in UNSIGNED:
            return
        fields = {name: text for name, text in response.xml().items() if "$" not in name}
        sign_type = "MD5" if len(fields["sign"]) == 32 else "HMAC-SHA256"
        if fields["sign"] != signature_of(fields, sign_type, self.sandbox.credentials["apiv2_key"]):
            self.report.wrong.append(f"accepted without a valid sign: {response.request}")
        if (fields["return_code"], fields["result_code"]) != ("SUCCESS", "SUCCESS"):
            self.report.wrong.append(f"a failure was accepted: {response.request}")
        if expected not in (*fields, *fields.values()):
            self.report.wrong.append(f"the response to another call: {response.request}")

    def record_error(self, error: BaseException) -> None:
        self.report.errors[type(error).__name__] += 1
        if not isinstance(error, WeChatPayError):
            self.report.wrong.append(f"not an error of the package: {error!r}")

    def call(self, plan) -> None:
        client, node, verb, arguments, expected = plan
        to = self.folder / f"{threading.get_ident()}.csv"
        try:
            if verb == "download":
                client.download(node, to, gunzip=True, **arguments)
                self.check_bill(to)
                return
            response = getattr(node, verb)(**arguments)
            self.check_response(response, expected)
            if expected == "download_url":
                client.download(response, to, gunzip=True)
                self.check_bill(to)
        except Exception as error:
            self.record_error(error)

    async def call_async(self, plan, slot: int) -> None:
        client, node, verb, arguments, expected = plan
        to = self.folder / f"task-{slot}.csv"
        try:
            if verb == "download":
                await client.download_async(node, to, gunzip=True, **arguments)
                self.check_bill(to)
                return
            response = await getattr(node, f"{verb}_async")(**arguments)
            self.check_response(response, expected)
            if expected == "download_url":
                await client.download_async(response, to, gunzip=True)
                self.check_bill(to)
        except Exception as error:
            self.record_error(error)

    def check_bill(self, path: Path) -> None:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        count = int(lines[-1].split(",")[0].strip("`"))
        if len(lines) != count + 3:
            self.report.wrong.append("an incomplete bill")
        path.unlink()

    def run_round(self, first: int, count: int) -> None:
        """Makes half of the calls in threads, then half in tasks, and checks the requests that reached the sandbox."""
        plans = [self.plan(index) for index in range(first, first + count)]
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(self.call, plans[: count // 2]))
        asyncio.run(self.run_tasks(plans[count // 2 :]))
        self.report.calls += count
        self.check_history(self.sandbox.history)

    async def run_tasks(self, plans) -> None:
        queue = iter(plans)

        async def work(slot: int) -> None:
            for plan in queue:
                await self.call_async(plan, slot)

        await asyncio.gather(*map(work, range(TASKS)))
        for client in self.clients:
            await client.aclose()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            self.report.wrong.append(f"tasks left over: {left}")

    def check_history(self, history) -> None:
        sent: Counter[str] = Counter()
        bodies: dict[str, set[bytes]] = {}
        for record in history:
            self.report.faults[str(record.fault) if record.fault else "none"] += 1
            if name := NUMBERED.get(record.call.target):
                number, body = read_number(record.call.body, name)
                sent[number] += 1
                bodies.setdefault(number, set()).add(body)
        self.report.orders += len(sent)
        for number, times in sent.items():
            if times > 1 and not self.may_repeat[number]:
                self.report.wrong.append(f"{number} reached the service {times} times")
            if len(bodies[number]) > 1:
                self.report.wrong.append(f"{number} was sent again with different bytes")


def read_number(body: bytes, name: str) -> tuple[str, bytes]:
    """Returns the number in a body, and the body without what is new in every attempt of APIv2."""
    if body.startswith(b"{"):
        return json.loads(body)[name], body
    number = re.search(rf"<{name}>([^<]*)</{name}>", body.decode())[1]
    return number, re.sub(rb"<(nonce_str|sign)>\w+</\1>", b"", body)


def count_sockets() -> int | None:
    """Returns how many sockets this process has, or None where the system does not say."""
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
    """Makes as many calls as `calls` says, and returns the report."""
    began, before = time.monotonic(), count_sockets()
    with tempfile.TemporaryDirectory() as folder:
        report = Report()
        for first in range(0, calls, ROUND_CALLS):
            # Each round has a sandbox of its own, because a sandbox remembers only its last calls.
            with Sandbox(seed=seed + first, slowness=0.3) as sandbox:
                usual = [fault for fault in Fault if fault not in HARMLESS]
                for fault in usual:
                    sandbox.fault(fault, share=FAULT_SHARE / len(usual))
                for fault, share in RARE_FAULTS.items():
                    sandbox.fault(fault, share=share)
                soaked = Soak(sandbox, seed + first, Path(folder))
                soaked.report = report
                soaked.run_round(first, min(ROUND_CALLS, calls - first))
                for client in soaked.clients:
                    client.close()
        if list(Path(folder).iterdir()):
            report.wrong.append("files left over")
    gc.collect()
    if before is not None and (after := count_sockets()) is not None and after > before:
        report.wrong.append(f"{after - before} sockets left over")
    report.seconds = time.monotonic() - began
    return report


def main() -> int:
    logging.disable()
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(10**6)
    report = soak(calls, seed)
    responses = sum(report.faults.values())
    faulty = responses - report.faults["none"] - report.faults["rotation"]
    print(
        f"{report.calls} calls with seed {seed} in {report.seconds:.0f} s; "
        f"{responses} responses, {faulty / responses:.1%} of them faulty"
    )
    print(f"accepted {report.accepted}; orders that reached the service {report.orders}")
    print("faults:", ", ".join(f"{name} {count}" for name, count in sorted(report.faults.items())))
    print("errors:", ", ".join(f"{name} {count}" for name, count in sorted(report.errors.items())))
    for line in report.wrong[:20]:
        print("WRONG:", line)
    print(f"{len(report.wrong)} things went wrong" if report.wrong else "nothing went wrong")
    return bool(report.wrong)


if __name__ == "__main__":
    sys.exit(main())

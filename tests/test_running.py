"""The programs of the recipes about running it: an HSM, gunicorn, Celery, and a gateway with a path prefix, all real."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import re
import select
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import textwrap
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils

from tests.service import rsa_verifies
from tests.test_docs import DOCS, LANGUAGES, pieces
from wechatpay_chain import Client, NotFoundError
from wechatpay_chain.sandbox import Sandbox

EXAMPLES = DOCS / "examples"
ROOT = DOCS.parent
LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
NUMBER = "20260101-0001"
ORDER = {
    "appid": "wxd678efh567hg6787",
    "description": "公仔",
    "out_trade_no": NUMBER,
    "notify_url": "https://shop.example/wechatpay",
    "amount": {"total": 100},
}

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@pytest.fixture
def shop():
    with Sandbox(sign_with="public-key") as sandbox:
        yield sandbox


def write_settings(folder: Path, sandbox: Sandbox) -> dict[str, str]:
    """Writes the settings of the client, and returns the environment of a program that reads them."""
    shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
    (folder / "merchant.json").write_text(json.dumps(sandbox.credentials))
    # Coverage takes locks of its own, which a fork may leave locked.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return {**environment, "PYTHONPATH": str(ROOT), "WECHATPAY_SETTINGS": "merchant.json"}


@contextmanager
def running(command: list[object], folder: Path, environment: dict[str, str]):
    """Runs a server with its workers, and returns the path of its log."""
    log = folder / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            list(map(str, command)), cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            yield log
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()


def wait_until(is_true, log: Path, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


# An HSM


@pytest.fixture
def hsm(tmp_path, shop):
    """Returns the environment of a program, and the PKCS#11 library of a SoftHSM that has the merchant's private key."""
    pytest.importorskip("pkcs11")
    library = next((path for path in LIBRARIES if Path(path).exists()), None)
    if library is None or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM is missing; `apt-get install softhsm2` has it")
    environment = write_settings(tmp_path, shop)
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path / 'tokens'}\n")
    environment["SOFTHSM2_CONF"] = str(tmp_path / "softhsm2.conf")
    (tmp_path / "apiclient_key.pem").write_text(shop.credentials["private_key"])
    for arguments in (
        ["--init-token", "--free", "--label", "wechatpay", "--pin", "1234", "--so-pin", "5678"],
        ["--import", "apiclient_key.pem", "--token", "wechatpay", "--label", "merchant", "--id", "a1", "--pin", "1234"],
    ):
        subprocess.run(["softhsm2-util", *arguments], cwd=tmp_path, env=environment, check=True, capture_output=True)
    (tmp_path / "apiclient_key.pem").unlink()
    return environment, library


HSM_PROGRAM = """
    import asyncio, json, os, sys
    from concurrent.futures import ThreadPoolExecutor
    from hsm import HSM
    from wechatpay_chain import Client

    settings = json.load(open("merchant.json"))
    settings.pop("private_key")
    client = Client(**settings, proxies={}, signer=HSM(sys.argv[1], "wechatpay", "1234", "merchant"))
    echo = client.v3.security.echo

    async def echo_many():
        return await asyncio.gather(*(echo.post_async(json={"echo_message": "hello"}) for _ in range(4)))

    def work():
        with ThreadPoolExecutor(4) as threads:
            responses = list(threads.map(lambda _: echo.post(json={"echo_message": "hello"}), range(8)))
        responses += asyncio.run(echo_many())
        return [response.status_code for response in responses] == [200] * 12

    if sys.argv[2] == "workers":
        for _ in range(2):
            if (pid := os.fork()) == 0:
                os._exit(0 if work() else 1)
            print(os.waitpid(pid, 0)[1])
    print(work())
"""


@pytest.mark.parametrize("processes", ["one", pytest.param("workers", marks=needs_fork)])
def test_a_key_in_an_hsm_signs_in_both_modes_and_in_each_worker(hsm, tmp_path, processes):
    environment, library = hsm
    command = [sys.executable, "-c", textwrap.dedent(HSM_PROGRAM), library, processes]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert result.stdout == ("True\n" if processes == "one" else "0\n0\nTrue\n"), result.stderr[-3000:]


@LANGUAGES
def test_the_signer_of_a_cloud_kms_sends_a_digest_and_returns_base64(language, service):
    (piece,) = (piece for piece in pieces(DOCS / language / "recipes" / "signer.md") if "class CloudKMS" in piece)

    class KMS:
        """Signs as AWS KMS does."""

        def sign(self, *, KeyId, Message, MessageType, SigningAlgorithm):
            assert (KeyId, MessageType, SigningAlgorithm) == ("alias/wechatpay", "DIGEST", "RSASSA_PKCS1_V1_5_SHA_256")
            assert len(Message) == hashlib.sha256().digest_size
            scheme = utils.Prehashed(hashes.SHA256())
            return {"Signature": service.merchant.sign(Message, padding.PKCS1v15(), scheme)}

    scope = {}
    exec(piece, scope)
    message = b"x" * 5000  # longer than a KMS takes
    signature = scope["CloudKMS"](KMS(), "alias/wechatpay").sign(message)
    assert rsa_verifies(service.merchant, signature, message)
    assert base64.b64encode(base64.b64decode(signature)).decode() == signature


# gunicorn and Celery


SERVERS = {
    "gunicorn": ["gunicorn", "-c", "gunicorn_conf.py", "--bind", "ADDRESS", "checkout:app"],
    "gunicorn with gevent": ["gunicorn", "-w", "2", "-k", "gevent", "--bind", "ADDRESS", "checkout:app"],
    "uWSGI": ["pyuwsgi", "uwsgi.ini"],
}


@needs_fork
@pytest.mark.parametrize("server", SERVERS)
def test_two_workers_place_orders(shop, tmp_path, server):
    module, *arguments = SERVERS[server]
    pytest.importorskip(module)
    environment, port = write_settings(tmp_path, shop), free_port()
    (settings,) = pieces(DOCS / "en" / "recipes" / "deployment.md", "ini")
    (tmp_path / "uwsgi.ini").write_text(settings.replace("127.0.0.1:8000", f"127.0.0.1:{port}"))
    run = ["-c", "import pyuwsgi; pyuwsgi.run()"] if module == "pyuwsgi" else ["-m", module]
    command = [sys.executable, *run, *(word.replace("ADDRESS", f"127.0.0.1:{port}") for word in arguments)]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def place(number: int) -> dict:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/orders/2026-{number}", method="POST")
        return json.loads(opener.open(request, timeout=30).read())

    with running(command, tmp_path, environment) as log, ThreadPoolExecutor(8) as threads:
        wait_until(lambda: is_listening(port), log)
        workers, numbers = set(), 0
        deadline = time.monotonic() + 40
        while len(workers) < 2:
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            placed = list(threads.map(place, range(numbers, numbers + 16)))
            assert all(order["code_url"].startswith("weixin://") for order in placed)
            workers |= {order["worker"] for order in placed}
            numbers += 16
    assert len(shop.orders) == numbers


@needs_fork
def test_a_task_of_celery_repeats_a_refund_until_its_outcome_is_known(shop, tmp_path, redis_server):
    pytest.importorskip("celery")
    # Not the folder of the page: kombu can read a message there that is not written yet, and loses it.
    environment = {**write_settings(tmp_path, shop), "CELERY_BROKER_URL": redis_server.url}
    with shop.client() as client:
        client.v3.pay.transactions.native.post(json={**ORDER, "mchid": client.mchid})
    shop.pay(NUMBER, notify=False)
    shop.fault("503", times=8)  # more than the client repeats by itself
    sends = f"""
        from tasks import refund
        for number in range(4):
            refund.delay({NUMBER!r}, f"r-{{number}}", 10, 100)
        refund.delay({NUMBER!r}, "r-0", 10, 100)
    """
    command = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--concurrency", "2", "--loglevel", "INFO"]
    with running(command, tmp_path, environment) as log:
        subprocess.run([sys.executable, "-c", textwrap.dedent(sends)], cwd=tmp_path, env=environment, check=True)
        wait_until(lambda: log.read_text().count(" succeeded in ") == 5, log)
        assert " retry: Retry in " in log.read_text()
    assert sorted(shop.refunds) == ["r-0", "r-1", "r-2", "r-3"]


# A gateway with a path prefix


class Gateway(BaseHTTPRequestHandler):
    """Removes the prefix of a path and passes the request on, as a gateway in front of WeChat Pay does."""

    protocol_version = "HTTP/1.1"
    prefix, upstream = "", ""

    def do_GET(self) -> None:
        assert self.path.startswith(self.prefix)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: value for name, value in self.headers.items() if name not in ("Host", "Connection")}
        url = self.upstream + self.path.removeprefix(self.prefix)
        request = urllib.request.Request(url, body or None, headers, method=self.command)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            response = opener.open(request, timeout=10)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            content = response.read()
            self.send_response(response.status)
            for name, value in response.headers.items():
                if name not in ("Date", "Server", "Connection", "Transfer-Encoding", "Content-Length"):
                    self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, *_) -> None:
        """Writes nothing."""


@LANGUAGES
def test_a_call_through_a_gateway_with_a_prefix_is_signed_as_the_service_sees_it(language, send, tmp_path):
    (piece,) = (piece for piece in pieces(DOCS / language / "recipes" / "proxy.md") if "PREFIX" in piece)
    port, real = free_port(), "https://api.mch.weixin.qq.com"  # where bills are announced
    gateway = type("_", (Gateway,), {"prefix": "/wechat", "upstream": f"http://127.0.0.1:{port}"})
    with Sandbox(port=port, public_url=real) as shop, ThreadingHTTPServer(("127.0.0.1", 0), gateway) as server:
        Thread(target=server.serve_forever).start()
        try:
            origin = f"http://127.0.0.1:{server.server_port}"
            client = Client(**{**shop.credentials, "base_url": origin}, proxies={}, retry=None)
            source = piece.replace("https://gateway.example", origin)
            defined = re.split(r"^behind = ", source, flags=re.MULTILINE)[0]
            scope = {"Client": Client}
            exec(defined, scope)
            client.middleware.insert_after("sign", "prefix", scope["add_prefix"])
            order = {**ORDER, "mchid": client.mchid, "out_trade_no": "A*0001"}
            assert send(client.v3.pay.transactions.native, "post", json=order).status_code == 200
            query, merchant = client.v3.pay.transactions.out_trade_no._number_, {"mchid": client.mchid}
            assert send(query, "get", number="A*0001", params=merchant).json()["trade_state"] == "NOTPAY"
            with pytest.raises(NotFoundError):
                send(query, "get", number="a/b|中", params=merchant)
            day = shop.now.date().isoformat()
            shop.pay("A*0001", notify=False)
            shop.advance(2 * 86400)
            bill = client.v3.bill.tradebill.get(params={"bill_date": day})
            client.download(bill, tmp_path / "trade.csv")
            assert "A*0001" in (tmp_path / "trade.csv").read_text("utf-8")
        finally:
            server.shutdown()
    assert {seen.call.target.split("/")[1] for seen in shop.history} == {"v3"}


class SocksProxy(socketserver.BaseRequestHandler):
    """Connects one client of SOCKS 5 without a password (RFC 1928)."""

    def handle(self) -> None:
        client: socket.socket = self.request
        client.recv(client.recv(2)[1])
        client.sendall(b"\5\0")
        is_name = client.recv(4)[3] == 3
        name = client.recv(client.recv(1)[0]).decode() if is_name else socket.inet_ntoa(client.recv(4))
        port = int.from_bytes(client.recv(2), "big")
        self.server.names.append(name)
        with socket.create_connection((name, port)) as service:
            client.sendall(b"\5\0\0\1" + bytes(6))
            while True:
                for source in select.select([client, service], [], [], 10)[0] or [None]:
                    if source is None or not (octets := source.recv(65536)):
                        return
                    (service if source is client else client).sendall(octets)


class SocksServer(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), SocksProxy)
        self.names: list[str] = []


@LANGUAGES
def test_a_blocking_call_goes_through_a_socks_proxy(language):
    pytest.importorskip("socks")
    (piece,) = (piece for piece in pieces(DOCS / language / "recipes" / "proxy.md", "py") if "socks5h" in piece)
    with Sandbox(tls=True) as sandbox, SocksServer() as proxy:
        Thread(target=proxy.serve_forever).start()
        try:
            scope = {"Client": sandbox.client, "settings": {}}
            exec(piece.replace(":1080", f":{proxy.server_address[1]}"), scope)
            assert scope["client"].v3.security.echo.post(json={"echo_message": "hello"}).status_code == 200
            scope["session"].close()
        finally:
            proxy.shutdown()
    assert proxy.names == ["127.0.0.1"]


# Logs


@LANGUAGES
def test_the_log_of_the_page_has_the_trace_and_no_value(language, shop, send, caplog):
    with shop.client(retry=None) as client:
        scope = {"client": client}
        for piece in pieces(DOCS / language / "recipes" / "logging.md"):
            exec(piece, scope)
        caplog.clear()
        scope["trace_id"].set("trace-1")
        query = client.v3.pay.transactions.out_trade_no._number_
        with pytest.raises(NotFoundError) as caught:
            send(query, "get", number="secret-0001", params={"mchid": client.mchid})
        send(client.v3.security.echo, "post", json={"echo_message": "secret"})
        scope["trace_id"].set("-")
    missing, echo = (json.loads(record.message) for record in caplog.records if record.name == "shop.wechatpay")
    assert isinstance(missing.pop("ms"), int)
    assert missing == {
        "trace_id": "trace-1",
        "method": "GET",
        "template": "v3/pay/transactions/out-trade-no/{number}",
        "error": "NotFoundError",
        "sent": True,
        "attempts": 1,
        "status": 404,
        "request_id": caught.value.request_id,
    }
    assert (echo["trace_id"], echo["status"]) == ("trace-1", 200)
    assert "secret" not in caplog.text
    logging.getLogger("wechatpay_chain").setLevel(logging.NOTSET)
    logging.getLogger("urllib3").setLevel(logging.NOTSET)

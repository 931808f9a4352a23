"""Each example of docs/examples starts with the command that it names, and receives real posts."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from wechatpay_chain.sandbox import Sandbox

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"
SCRIPTS = Path(sys.executable).parent

COMMANDS = {
    "fastapi": [SCRIPTS / "uvicorn", "fastapi_app:app", "--port", "PORT"],
    "flask": [SCRIPTS / "flask", "--app", "flask_app", "run", "--port", "PORT"],
    "django": [sys.executable, "django_app.py", "runserver", "--noreload", "PORT"],
    "aiohttp": [sys.executable, "aiohttp_app.py"],
}
every_framework = pytest.mark.parametrize("framework", COMMANDS)

APPID, NUMBER = "wxd678efh567hg6787", "1217752501201407033233368018"


class Shop(NamedTuple):
    """The running server of an example, with the merchant's sandbox and database."""

    sandbox: Sandbox
    url: str
    folder: Path

    def notify(self, *, event_type="TRANSACTION.SUCCESS", original_type="transaction", fault=None, **changes: Any):
        resource = {**build_payment(self.sandbox), **changes}
        return self.sandbox.notify(event_type, resource, self.url, original_type=original_type, fault=fault)

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text()

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / "shop.db")) as db:
            return db.execute(statement).fetchall()


def build_payment(sandbox: Sandbox) -> dict[str, Any]:
    return {
        "appid": APPID,
        "mchid": sandbox.credentials["mchid"],
        "out_trade_no": NUMBER,
        "transaction_id": "4200000000202601010000000001",
        "trade_state": "SUCCESS",
        "success_time": "2026-01-01T10:34:56+08:00",
        "payer": {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},
        "amount": {"total": 100, "payer_total": 90, "currency": "CNY", "payer_currency": "CNY"},
    }


def write_environment(folder: Path, sandbox: Sandbox) -> dict[str, str]:
    key_id, key = next(iter(sandbox.credentials["certs"].items()))
    (folder / "pub_key.pem").write_text(key)
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "WECHATPAY_PUBLIC_KEY_ID": key_id,
        "WECHATPAY_PUBLIC_KEY": "pub_key.pem",
        "WECHATPAY_APIV3_KEY": sandbox.credentials["apiv3_key"],
    }


@pytest.fixture
def start(tmp_path):
    """Returns a context manager that starts an example in its own folder, with another orders.py if one is given."""

    @contextmanager
    def start_example(framework: str, orders: str = ""):
        shutil.copytree(EXAMPLES, tmp_path, dirs_exist_ok=True)
        if orders:
            (tmp_path / "orders.py").write_text(textwrap.dedent(orders))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        command = [port if word == "PORT" else str(word) for word in COMMANDS[framework]]
        with Sandbox(sign_with="public-key") as sandbox, (tmp_path / "server.log").open("w") as log:
            server = subprocess.Popen(
                command,
                cwd=tmp_path,
                env={**write_environment(tmp_path, sandbox), "PORT": port},
                stdout=log,
                stderr=log,
            )
            try:
                shop = Shop(sandbox, f"http://127.0.0.1:{port}/wechatpay", tmp_path)
                deadline = time.monotonic() + 30
                while not is_listening(int(port)):
                    assert server.poll() is None, shop.log
                    assert time.monotonic() < deadline, shop.log
                    time.sleep(0.05)
                yield shop
            finally:
                server.kill()
                server.wait()

    return start_example


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def place_order(shop: Shop) -> None:
    with closing(sqlite3.connect(shop.folder / "shop.db")) as db, db:
        db.execute(
            "INSERT INTO orders (out_trade_no, appid, mchid, total, currency) VALUES (?, ?, ?, 100, 'CNY')",
            (NUMBER, APPID, shop.sandbox.credentials["mchid"]),
        )


def test_the_commands_are_those_of_the_examples():
    for command in COMMANDS.values():
        words = [Path(word).name if isinstance(word, Path) else word for word in command]
        command_line = " ".join("python" if word == sys.executable else word for word in words)
        name = next(word for word in words if "_app" in word).partition(":")[0].removesuffix(".py")
        # Only the test chooses the port, and keeps Django in one process, which can be ended as one.
        command_line = command_line.replace(" --port PORT", "").replace(" --noreload PORT", "")
        assert f"`{command_line}`" in (EXAMPLES / f"{name}.py").read_text()


@every_framework
def test_four_slow_notifications_take_the_time_of_one(start, framework):
    slow = """
        import time

        def record(notification):
            time.sleep(1)
            return True
    """
    with start(framework, slow) as shop, ThreadPoolExecutor(4) as threads:
        forged = shop.notify(fault="signtest")
        assert [posted.outcome for posted in forged.posts] == [500]
        began = time.monotonic()
        notices = list(threads.map(lambda _: shop.notify(), range(4)))
        took = time.monotonic() - began
        assert all(notice.is_received for notice in notices)
        assert 1 <= took < 2.5
        [line] = [line for line in shop.log.splitlines() if "a notification was refused" in line]
        assert "bad signature" in line


@pytest.mark.parametrize("framework", ["fastapi", "aiohttp"])
def test_a_slow_order_system_gets_a_500_in_time(start, framework):
    slower = """
        import time

        def record(notification):
            time.sleep(8)
            return True
    """
    with start(framework, slower) as shop:
        assert [posted.outcome for posted in shop.notify().posts] == [500]


@every_framework
def test_an_order_is_marked_as_paid_once_after_many_notifications(start, framework):
    with start(framework) as shop, ThreadPoolExecutor(8) as threads:
        place_order(shop)
        notices = list(threads.map(lambda _: shop.notify(), range(16)))
        assert [notice.posts[0].outcome for notice in notices] == [204] * 16
        assert shop.rows("SELECT state, transaction_id FROM orders") == [("PAID", "4200000000202601010000000001")]
        assert shop.rows("SELECT out_trade_no FROM work") == [(NUMBER,)]


MISMATCHES = {
    "amount": {"amount": {"total": 99, "currency": "CNY"}},
    "currency": {"amount": {"total": 100, "currency": "USD"}},
    "no amount": {"amount": {}},
    "amount as text": {"amount": {"total": "100", "currency": "CNY"}},
    "appid": {"appid": "wx0000000000000000"},
    "mchid": {"mchid": "1900000000"},
    "number": {"out_trade_no": "another"},
    "refunded since": {"trade_state": "REFUND"},
    "not paid": {"trade_state": "NOTPAY"},
    "combined": {"out_trade_no": None, "combine_out_trade_no": NUMBER, "sub_orders": []},
}


def test_a_payment_that_fits_no_order_marks_nothing_and_is_logged(start):
    with start("fastapi") as shop:
        place_order(shop)
        for number, (name, changes) in enumerate(MISMATCHES.items(), start=1):
            assert shop.notify(**changes).posts[0].outcome == 500, name
            assert shop.log.count("no order was marked as paid") == number, name
        for changes in (
            {"original_type": "profitsharing"},
            {"event_type": "REFUND.SUCCESS", "original_type": "refund"},
        ):
            assert shop.notify(**changes).is_received
        assert shop.rows("SELECT state FROM orders") == [("NOTPAY",)]
        assert shop.notify().is_received
        assert shop.notify().is_received, "the same notification again"
        assert shop.rows("SELECT state FROM orders") == [("PAID",)]
        assert shop.notify(transaction_id="4200000000202601010000000002").posts[0].outcome == 500, "paid twice"
        assert shop.rows("SELECT state, transaction_id FROM orders") == [("PAID", "4200000000202601010000000001")]
        assert shop.rows("SELECT out_trade_no FROM work") == [(NUMBER,)]
        assert "oUpF8uMuAJO" not in shop.log


def test_a_notification_comes_again_after_the_database_was_locked(start):
    with start("fastapi") as shop:
        place_order(shop)
        with closing(sqlite3.connect(shop.folder / "shop.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert shop.notify().posts[0].outcome == 500
            other.execute("ROLLBACK")
        assert shop.notify().is_received
        assert shop.rows("SELECT state FROM orders") == [("PAID",)]


def test_pay_py_posts_a_payment_without_wechat_pay(tmp_path):
    shutil.copytree(EXAMPLES, tmp_path, dirs_exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "pay.py", port, sys.executable, "aiohttp_app.py"]
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "PORT": port}
    run = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=60, check=False)
    assert "the server replied 204 and has order-" in run.stdout, run.stderr


# The database of the examples, without a server.


@pytest.fixture
def orders(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_DATABASE", str(tmp_path / "shop.db"))
    spec = importlib.util.spec_from_file_location("orders", EXAMPLES / "orders.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_many_processes_of_many_threads_mark_an_order_once(orders):
    numbers = [f"2026-{number}" for number in range(10)]
    for number in numbers:
        orders.place(number, APPID, "1900007291", 100)
    program = """
        import json, sys
        from concurrent.futures import ThreadPoolExecutor
        sys.path.insert(0, sys.argv[1])
        from orders import record
        from wechatpay_chain import Notification

        def deliver(number):
            paid = {"out_trade_no": number, "transaction_id": f"t{number}", "appid": sys.argv[2], "mchid": "1900007291",
                    "trade_state": "SUCCESS", "amount": {"total": 100, "currency": "CNY"}}
            return record(Notification("1", "TRANSACTION.SUCCESS", "", "", "transaction", paid, b""))

        with ThreadPoolExecutor(4) as threads:
            print(list(threads.map(deliver, 4 * json.loads(sys.argv[3]))))
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(EXAMPLES), APPID, json.dumps(numbers)]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        for _ in range(3)
    ]
    for process in processes:
        output, _ = process.communicate(timeout=120)
        assert (process.returncode, output) == (0, f"{[True] * 40}\n")
    with orders.transaction() as db:
        assert db.execute("SELECT DISTINCT state, count(*) FROM orders").fetchall() == [("PAID", 10)]
        assert sorted(db.execute("SELECT out_trade_no FROM work").fetchall()) == [(number,) for number in numbers]


def test_work_of_a_worker_that_dies_is_done_by_another(orders):
    def count_work() -> int:
        with orders.transaction() as db:
            return db.execute("SELECT count(*) FROM work").fetchone()[0]

    with orders.transaction() as db:
        db.execute("INSERT INTO work VALUES ('2026-1', 0)")
    assert orders.take_work(lease=0.3) == "2026-1"
    assert orders.take_work() is None, "another worker has it"
    time.sleep(0.35)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    worker = subprocess.Popen(
        [sys.executable, EXAMPLES / "worker.py"], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert worker.stdout.readline() == "delivered 2026-1\n"
        deadline = time.monotonic() + 10
        while count_work():
            assert time.monotonic() < deadline
    finally:
        worker.kill()
        worker.communicate()

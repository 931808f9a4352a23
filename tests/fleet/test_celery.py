"""A bulk job on Celery and Redis acts on each line once, over several workers, one of which is killed in the midst."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from redis import Redis

from tests.fleet.test_bulk import Coupons
from tests.redis_server import NEEDS_REDIS
from wechatpay_chain.sandbox import Sandbox

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
LINES = 400


@contextlib.contextmanager
def worker(number, environment, folder):
    command = [sys.executable, "-m", "celery", "-A", "coupons", "worker", "--concurrency", "2", "--loglevel", "WARNING"]
    log = (folder / f"worker{number}.log").open("w")
    process = subprocess.Popen(
        [*command, "--hostname", f"w{number}@localhost", "--without-gossip", "--without-mingle"],
        cwd=folder,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
        log.close()


@pytest.mark.slow  # Redis has the tasks of a dead worker for 100 seconds until the other one looks for them
@NEEDS_REDIS
@pytest.mark.skipif(sys.platform == "win32", reason="Celery does not run there")
def test_a_job_of_several_workers_goes_on_after_one_was_killed(redis_server, tmp_path):
    results = Redis.from_url(redis_server.url, socket_timeout=5)
    with Sandbox() as sandbox:
        coupons = Coupons(sandbox)
        for name in ("503", "dropped-after", "dropped-before", "500"):
            sandbox.fault(name, share=0.05)
        (tmp_path / "merchant.json").write_text(json.dumps(sandbox.credentials))
        with (tmp_path / "users.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["openid", "send_request_no"])
            writer.writerows([f"o{number}", f"R{number:06}"] for number in range(1, LINES + 1))
        environment = {
            **os.environ,
            "PYTHONPATH": str(EXAMPLES),
            "WECHATPAY_SETTINGS": str(tmp_path / "merchant.json"),
            "REDIS_URL": redis_server.url,
            "LOST_AFTER": "5",
            "COUPON": json.dumps(
                {"product_coupon_id": "1", "stock_id": "S1", "appid": "wx233544546545989", "brand_id": "120344"}
            ),
        }
        begin = [sys.executable, str(EXAMPLES / "coupons.py"), "users.csv", "night"]
        started = subprocess.run(begin, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        assert started.stdout == f"{LINES} tasks\n"
        # The documented limit of this operation, 20/s, would make the test last for a minute.
        environment["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{EXAMPLES}"
        source = (EXAMPLES / "coupons.py").read_text().replace("RateLimits(DOCUMENTED,", "RateLimits({},")
        (tmp_path / "coupons.py").write_text(source)
        with worker(1, environment, tmp_path) as first, worker(2, environment, tmp_path):
            deadline = time.monotonic() + 240
            while results.hlen("results:night") < LINES // 4:
                assert time.monotonic() < deadline, (tmp_path / "worker1.log").read_text()[-3000:]
                time.sleep(0.1)
            os.killpg(first.pid, signal.SIGKILL)
            while results.hlen("results:night") < LINES:
                assert time.monotonic() < deadline, (tmp_path / "worker2.log").read_text()[-3000:]
                time.sleep(0.1)
        again = subprocess.run(begin, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        assert again.stdout == "0 tasks\n"
        (tmp_path / "users.csv").write_text("openid,send_request_no\no1,R900001\n")
        changed = subprocess.run(begin, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert changed.returncode == 1
        assert re.search(r"users\.csv: line \d+ had the number R\d{6} in this job", changed.stderr)
    assert coupons.wrong == []
    assert coupons.sent == {f"R{number:06}": (f"o{number}", "S1") for number in range(1, LINES + 1)}
    noted = {int(line): json.loads(text) for line, text in results.hgetall("results:night").items()}
    assert {result["outcome"] for result in noted.values()} == {"done"}
    assert sorted(noted) == list(range(1, LINES + 1))

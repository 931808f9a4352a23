"""Four processes behind one notify URL share the nonces in Redis, which is restarted in between."""

from __future__ import annotations

import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.service import PUBLIC_KEY_ID, public_pem
from tests.test_notification import envelope

NOTIFICATIONS, REPLAYED, SENDERS = 20_000, 0.1, 8


@pytest.fixture
def shop(service, redis_server, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "taken").mkdir()
    environment = {
        **os.environ,
        "KEY_ID": PUBLIC_KEY_ID,
        "PUBLIC_KEY": public_pem(service.public_key),
        "REDIS": redis_server.url,
        "TAKEN": str(tmp_path / "taken"),
    }
    command = [sys.executable, "-m", "gunicorn", "--workers=4", f"--bind=127.0.0.1:{port}", "--log-level=warning"]
    process = subprocess.Popen([*command, "tests.fleet.notified:app"], env=environment)
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    yield port, tmp_path / "taken"
    process.send_signal(signal.SIGTERM)
    process.wait(30)


def post(port, headers, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/notify", body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.slow
def test_20000_notifications_are_handled_once_each(service, shop, redis_server):
    port, folder = shop
    statuses, lock, done = Counter(), threading.Lock(), threading.Semaphore(0)

    def count(kind, status):
        with lock:
            statuses[kind, status] += 1

    def notify(number):
        """Sends a notification until it is taken, signed anew each time, as WeChat Pay does."""
        rng, body = random.Random(number), envelope(id=f"EV-{number}")
        for _ in range(100):
            headers = service.signature(body)
            is_replayed = rng.random() < REPLAYED
            if is_replayed and rng.random() < 0.5:  # at the same time
                with ThreadPoolExecutor(2) as both:
                    pair = list(both.map(post, [port] * 2, [headers] * 2, [body] * 2))
                assert pair.count(204) <= 1, "a replay was taken"
                status = min(pair)
                count("replay", max(pair))
            else:
                status = post(port, headers, body)
                if is_replayed:
                    count("replay", post(port, headers, body))
            count("first", status)
            if status == 204:
                done.release()
                return
            time.sleep(0.05)
        raise AssertionError("it was never taken")

    def restart():
        for _ in range(NOTIFICATIONS // 2):
            done.acquire()
        redis_server.stop()
        time.sleep(2)
        redis_server.start()

    restarting = threading.Thread(target=restart)
    restarting.start()
    with ThreadPoolExecutor(SENDERS) as senders:
        list(senders.map(notify, range(NOTIFICATIONS)))
    restarting.join()

    taken = Counter(line for file in folder.iterdir() for line in file.read_text().split())
    assert len(taken) == NOTIFICATIONS, "some were lost"
    assert set(taken.values()) == {1}, "some were handled twice"
    assert len(list(folder.iterdir())) == 4, "one of the processes took none"
    assert statuses["replay", 204] == 0
    assert statuses["replay", 500] >= NOTIFICATIONS * REPLAYED * 0.8
    assert statuses["first", 500] > 0, "none was refused while Redis was away"
    print(dict(statuses))

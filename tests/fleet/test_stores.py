"""Every store keeps the same promises: in memory, in a file, and in a real Redis, sync and async."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.redis_server import NEEDS_REDIS
from tests.service import PUBLIC_KEY_ID
from tests.test_notification import APIV3_KEY, RESOURCE, envelope
from wechatpay_chain import Client, ConfigurationError, Notifications, Reason, SeenNonces, SignatureError
from wechatpay_chain._forks.no_fork import no_fork
from wechatpay_chain.stores import AsyncRedisStore, CertificateFile, CertificateMemory, RedisStore, SQLiteStore

SPAWN = multiprocessing.get_context("spawn")


class Awaited:
    """Calls the methods of an async store on one event loop, so that one test is for both kinds."""

    def __init__(self, store):
        self._store, self._runner = store, asyncio.new_event_loop()

    def __getattr__(self, name):
        method = getattr(self._store, name)
        return lambda *arguments: self._runner.run_until_complete(method(*arguments))

    def close(self):
        self._runner.run_until_complete(self._store._redis.aclose())
        self._runner.close()


def make_store(kind, request, tmp_path, **how):
    if kind in ("SeenNonces", "CertificateMemory"):
        return {"SeenNonces": SeenNonces, "CertificateMemory": CertificateMemory}[kind]()
    if kind == "CertificateFile":
        return CertificateFile(tmp_path / "certificates.json")
    if kind == "SQLiteStore":
        return SQLiteStore(tmp_path / "store.db", **how)
    url = request.getfixturevalue("redis_server").patient_url
    if kind == "RedisStore":
        return RedisStore(url, **how)
    store = Awaited(AsyncRedisStore(url, **how))
    request.addfinalizer(store.close)
    return store


NONCES = pytest.mark.parametrize("kind", ["SeenNonces", "SQLiteStore", "RedisStore", "AsyncRedisStore"])
CACHES = pytest.mark.parametrize(
    "kind", ["CertificateMemory", "CertificateFile", "SQLiteStore", "RedisStore", "AsyncRedisStore"]
)
SHARED = pytest.mark.parametrize("kind", ["CertificateMemory", "SQLiteStore", "RedisStore", "AsyncRedisStore"])


@NONCES
def test_a_nonce_is_new_once(kind, request, tmp_path):
    store = make_store(kind, request, tmp_path)
    nonces = ["a", "b", "a", "c", "b", "中", "中", "x" * 128]
    assert [store.add(nonce, 60) for nonce in nonces] == [True, True, False, True, False, True, False, True]


@NONCES
def test_a_nonce_is_forgotten_after_its_time(kind, request, tmp_path):
    store = make_store(kind, request, tmp_path)
    assert store.add("short", 0.2) is True
    assert store.add("long", 60) is True
    assert store.add("short", 0.2) is False
    time.sleep(0.25)
    assert store.add("short", 60) is True
    assert store.add("long", 60) is False


@pytest.mark.parametrize("size", [0, -1, True, "10", 1.5])
def test_a_store_for_no_nonces_is_refused(size):
    """It would let every replay pass."""
    with pytest.raises(ConfigurationError, match=r"size: came .*; expected a number, 1 or more"):
        SeenNonces(size)


@pytest.mark.parametrize("kind", ["SeenNonces", "SQLiteStore", "RedisStore"])
def test_of_many_threads_one_sees_a_nonce_as_new(kind, request, tmp_path):
    store = make_store(kind, request, tmp_path)
    with ThreadPoolExecutor(16) as threads:
        results = list(threads.map(lambda number: store.add(str(number % 200), 60), range(3200)))
    assert results.count(True) == 200


@NEEDS_REDIS
def test_of_many_tasks_one_sees_a_nonce_as_new(redis_server):
    async def run():
        store = AsyncRedisStore(f"{redis_server.patient_url}&timeout=20")  # for a free connection
        try:
            return await asyncio.gather(*(store.add(str(number % 100), 60) for number in range(400)))
        finally:
            await store._redis.aclose()

    assert asyncio.run(run()).count(True) == 100


def add_all(make, argument, begins, barrier, results):
    store = make(argument)
    numbers = [*range(begins, 500), *range(begins)]
    barrier.wait()
    added = {}
    for number in numbers:
        added[number] = store.add(str(number), 60)
        time.sleep(0.002)  # on a busy machine, one of them would do everything before the others begin
    results.put([added[number] for number in range(500)])


@pytest.mark.parametrize("kind", ["SQLiteStore", "RedisStore"])
def test_of_several_processes_one_sees_a_nonce_as_new(kind, request, tmp_path):
    argument = tmp_path / "store.db" if kind == "SQLiteStore" else request.getfixturevalue("redis_server").patient_url
    barrier, results = SPAWN.Barrier(4), SPAWN.Queue()
    make = SQLiteStore if kind == "SQLiteStore" else RedisStore
    # Each begins elsewhere, so that each has some, however fast one of them is.
    arguments = [(make, argument, begins, barrier, results) for begins in (0, 125, 250, 375)]
    processes = [SPAWN.Process(target=add_all, args=each) for each in arguments]
    for process in processes:
        process.start()
    seen = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(20)
    assert [sum(column) for column in zip(*seen, strict=True)] == [1] * 500
    assert max(map(sum, seen)) < 500, "they ran at the same time"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_has_its_own_connection(tmp_path):
    store = SQLiteStore(tmp_path / "store.db")
    assert store.add("parent", 60) is True
    child = os.fork()
    if child == 0:
        os._exit(0 if [store.add(nonce, 60) for nonce in ("parent", "child")] == [False, True] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [store.add(nonce, 60) for nonce in ("child", "parent", "new")] == [False, False, True]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_keeps_its_nonces_when_its_parent_closes_the_file(tmp_path):
    """With a connection of its parent, SQLite would take no locks in the child, and delete the log below it."""
    store = SQLiteStore(tmp_path / "store.db")
    assert store.add("parent", 60) is True
    (began, begins), (closed, closes) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        is_new = store.add("first", 60)
        os.write(begins, b"x")
        os.read(closed, 1)
        os._exit(0 if is_new and store.add("second", 60) else 1)
    os.read(began, 1)
    assert store.add("again", 60) is True
    del store
    os.write(closes, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [SQLiteStore(tmp_path / "store.db").add(nonce, 60) for nonce in ("first", "second")] == [False, False]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_store_that_was_used_before_a_fork_in_c_takes_no_nonce(tmp_path):
    """Its locks would not be there; a notification that is refused is sent again."""
    store = SQLiteStore(tmp_path / "store.db")
    assert store.add("parent", 60) is True
    child = ctypes.PyDLL(None).fork()
    if child == 0:
        statuses = []
        for one in (store, SQLiteStore(tmp_path / "store.db")):
            try:
                statuses.append(one.add("parent", 60))
            except sqlite3.OperationalError:
                statuses.append("refused")
        os._exit(statuses != ["refused", "refused"])
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.add("parent", 60) is False


def test_a_process_can_end_while_its_threads_use_a_store(tmp_path):
    code = """
import atexit, sys, threading
from wechatpay_chain.stores import SQLiteStore

store = SQLiteStore(sys.argv[1])
atexit.register(lambda: print(store.add("at the end", 60), flush=True))

def work():
    number = 0
    while True:
        store.add(str(number), 60)
        number += 1

for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
while not store.add("main", 60):
    pass
"""
    for number in range(5):
        run = subprocess.run(
            [sys.executable, "-c", code, tmp_path / f"{number}.db"], capture_output=True, text=True, check=False
        )
        assert (run.returncode, run.stdout) == (0, "True\n"), run.stderr


@CACHES
def test_certificates_are_kept_as_they_were_saved(kind, request, tmp_path):
    store = make_store(kind, request, tmp_path)
    assert store.load() is None
    for content in (b'{"data":[]}', bytes(range(256))):
        store.save(content)
        assert store.load() == content


@SHARED
def test_the_age_is_that_of_what_was_saved(kind, request, tmp_path):
    store = make_store(kind, request, tmp_path)
    assert store.age() is None
    store.save(b"1")
    time.sleep(0.3)
    assert 0.29 <= store.age() < 5
    store.save(b"2")
    assert store.age() < 0.29


@SHARED
def test_one_caller_has_the_claim_until_it_ends(kind, request, tmp_path):
    store = make_store(kind, request, tmp_path)
    assert [store.claim(0.3), store.claim(0.3)] == [True, False]
    time.sleep(0.4)
    assert [store.claim(60), store.claim(60)] == [True, False]


@pytest.mark.parametrize("kind", ["SQLiteStore", "RedisStore", "AsyncRedisStore"])
def test_each_merchant_has_its_own_certificates(kind, request, tmp_path):
    first = make_store(kind, request, tmp_path, namespace="1900000001")
    second = make_store(kind, request, tmp_path, namespace="1900000002")
    first.save(b"1")
    assert second.load() is None
    assert second.age() is None
    assert [first.claim(60), second.claim(60)] == [True, True]
    assert [first.add("n", 60), second.add("n", 60)] == [True, False]


@pytest.mark.parametrize("clock", [-3600, 3600], ids=["back", "forward"])
def test_a_clock_that_is_set_does_not_block_downloads(tmp_path, monkeypatch, clock):
    store, now = SQLiteStore(tmp_path / "store.db"), time.time()
    assert store.claim(10) is True
    store.save(b"1")
    monkeypatch.setattr(time, "time", lambda: now + clock)
    assert store.claim(10) is True
    store.save(b"2")
    assert store.load() == b"2"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_that_is_forked_while_another_thread_adds_can_add(tmp_path):
    """It would inherit a lock of SQLite that nobody releases."""
    store, ends = SQLiteStore(tmp_path / "store.db"), threading.Event()

    def work():
        number = 0
        while not ends.is_set():
            store.add(f"parent {number}", 60)
            number += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        statuses = []
        for number in range(100):
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    status = 0 if store.add(f"child {number}", 60) else 2
                finally:
                    os._exit(status)
            statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    finally:
        ends.set()
        thread.join()
    assert set(statuses) == {0}


def test_a_file_that_is_locked_delays_neither_imports_nor_the_other_callers_for_long(tmp_path):
    store = SQLiteStore(tmp_path / "store.db")
    assert store.add("first", 60)
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(8) as threads:
        began = time.monotonic()
        refused = [threads.submit(store.add, str(number), 60) for number in range(8)]
        waits = []
        while time.monotonic() < began + 1:
            asked = time.monotonic()
            with no_fork.current:
                waits.append(time.monotonic() - asked)
            time.sleep(0.01)
        for future in refused:
            with pytest.raises(sqlite3.OperationalError):
                future.result(10)
        assert time.monotonic() - began < 4
    assert sorted(waits)[len(waits) // 2] < 0.5
    other.rollback()
    other.close()
    assert store.add("last", 60)


def list_open():
    return [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="this system does not list open files")
def test_a_store_that_nobody_uses_any_more_leaves_no_file_open(tmp_path):
    """Whichever threads have used it; Python 3.13 warns of a connection that is left open."""
    store = SQLiteStore(tmp_path / "store.db")
    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(store.add, map(str, range(20)), [60] * 20))
    assert str(tmp_path / "store.db") in list_open()
    del store
    assert not any(each.startswith(str(tmp_path)) for each in list_open())


@pytest.mark.skipif(sys.platform == "win32", reason="a file that is open cannot be deleted there")
def test_a_file_that_was_deleted_is_made_anew(tmp_path):
    """Other processes would not see the nonces in one that has no name any more."""
    store = SQLiteStore(tmp_path / "store.db")
    assert store.add("first", 60)
    for path in tmp_path.iterdir():
        path.unlink()
    assert store.add("second", 60)
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as other:
        assert other.execute("SELECT nonce FROM nonces").fetchall() == [("second",)]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="this system does not list open files")
def test_the_stores_of_many_merchants_open_a_file_once(tmp_path):
    """Most systems let a process open 1,024 files; each connection of SQLite has three."""
    (tmp_path / "link.db").symlink_to(tmp_path / "store.db")
    paths = [tmp_path / "store.db", str(tmp_path / "link.db")] * 200
    stores = [SQLiteStore(path, namespace=str(number)) for number, path in enumerate(paths)]
    assert [store.add("n", 60) for store in stores] == [True] + [False] * 399
    for number, store in enumerate(stores):
        store.save(b"%d" % number)
    assert [store.load() for store in stores] == [b"%d" % number for number in range(400)]
    assert list_open().count(str(tmp_path / "store.db")) == 1
    del stores[:399], store
    assert stores[0].load() == b"399"
    del stores
    assert not any(each.startswith(str(tmp_path)) for each in list_open())


def test_of_many_callers_that_had_to_wait_one_has_the_claim(tmp_path):
    stores = [SQLiteStore(tmp_path / "store.db") for _ in range(8)]
    stores[0].add("the tables", 60)
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(8) as threads:
        claims = [threads.submit(store.claim, 10) for store in stores]
        time.sleep(0.3)
        other.rollback()
        assert sum(claim.result(10) for claim in claims) == 1
    other.close()


def test_certificates_of_a_clock_that_was_ahead_have_no_age(tmp_path, monkeypatch):
    """Otherwise they would be new for as long as it was ahead, and a rotation would never be seen."""
    store, now = SQLiteStore(tmp_path / "store.db"), time.time()
    monkeypatch.setattr(time, "time", lambda: now + 30 * 24 * 3600)
    store.save(b"1")
    monkeypatch.setattr(time, "time", lambda: now)
    assert store.age() is None
    store.save(b"2")
    assert store.age() == 0


@pytest.mark.parametrize("kind", [RedisStore, AsyncRedisStore])
def test_a_client_of_the_other_kind_is_refused(kind):
    """A coroutine is true, so that every replay would pass."""
    redis, awaited = pytest.importorskip("redis"), pytest.importorskip("redis.asyncio")
    module = awaited if kind is RedisStore else redis
    with pytest.raises(ConfigurationError, match="redis: came a Redis; expected a client of redis"):
        kind(module.Redis(socket_timeout=1))


@NEEDS_REDIS
def test_a_pipeline_lets_no_notification_pass(redis_server):
    from redis import Redis

    store = RedisStore(Redis.from_url(redis_server.url, socket_timeout=1).pipeline())
    assert store.add("n", 60) is False


@NEEDS_REDIS
def test_each_step_is_one_command_on_one_key(redis_server):
    """So it works on a cluster, where a command must not name keys of several nodes."""
    from redis import Redis

    store = RedisStore(redis_server.patient_url, prefix="shop:")
    store.load()  # the connection is made, which takes commands of its own
    with Redis.from_url(redis_server.url).monitor() as monitor:
        store.add("n", 60)
        store.save(b"1")
        store.load()
        store.age()
        store.claim(1)
        commands = []
        for seen in monitor.listen():
            commands.append(seen["command"].split())
            if len(commands) == 5:
                break
    assert [(command[0], command[1]) for command in commands] == [
        ("SET", "shop:nonce:n"),
        ("SET", "shop:certificates:"),
        ("GET", "shop:certificates:"),
        ("PTTL", "shop:certificates:"),
        ("SET", "shop:claim:"),
    ]
    assert all(set(command) & {"PX", "EX"} for command in commands if command[0] == "SET"), "everything has a TTL"


@NEEDS_REDIS
@pytest.mark.parametrize("kind", [RedisStore, AsyncRedisStore])
def test_a_client_without_a_timeout_is_refused(redis_server, kind):
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

    make = (Redis if kind is RedisStore else AsyncRedis).from_url
    with pytest.raises(ConfigurationError, match="redis: the client has no socket_timeout"):
        kind(make(redis_server.url, socket_timeout=None))
    kind(make(redis_server.url, socket_timeout=1))
    with pytest.raises(ConfigurationError, match="redis: came a dict"):
        kind({})
    with pytest.raises(ConfigurationError, match="redis: the URL is wrong") as caught:
        kind("http://user:hunter2@host")
    assert "hunter2" not in str(caught.value)


@NEEDS_REDIS
def test_a_client_that_decodes_texts_serves(redis_server):
    from redis import Redis

    store = RedisStore(Redis.from_url(redis_server.url, socket_timeout=1, decode_responses=True))
    store.save('{"a":"中"}'.encode())
    assert store.load() == '{"a":"中"}'.encode()


MODES = pytest.mark.parametrize("mode", ["sync", "async"])


def parse(reader, mode, headers, body):
    if mode == "sync":
        return reader.parse(headers, body)
    return asyncio.run(reader.parse_async(headers, body))


@MODES
@pytest.mark.parametrize("trouble", ["stopped", "silent"])
def test_a_notification_is_refused_while_redis_is_away(service, redis_server, mode, trouble):
    """Fail closed: it is sent again, and taken when Redis is back."""
    reader = Notifications(service.certs, APIV3_KEY, seen=RedisStore(redis_server.url))
    body = envelope()
    first = service.signature(body)
    assert parse(reader, mode, first, body).resource == RESOURCE
    redis_server.stop() if trouble == "stopped" else redis_server.pause()
    began = time.monotonic()
    with pytest.raises(SignatureError) as caught:
        parse(reader, mode, service.signature(body), body)
    assert caught.value.reason is Reason.NONCE_STORE_FAILED
    assert time.monotonic() - began < 5, "WeChat Pay waits 5 seconds"
    redis_server.start() if trouble == "stopped" else redis_server.go_on()
    assert parse(reader, mode, service.signature(body), body).resource == RESOURCE
    with pytest.raises(SignatureError) as caught:
        parse(reader, mode, first, body)
    assert caught.value.reason is Reason.REPLAYED


@MODES
def test_a_file_that_cannot_be_written_refuses_a_notification(service, tmp_path, mode):
    with pytest.raises(ConfigurationError, match=r"path: the folder '.*no' does not exist"):
        SQLiteStore(tmp_path / "no" / "folder.db")
    (tmp_path / "no").mkdir()
    reader = Notifications(service.certs, APIV3_KEY, seen=SQLiteStore(tmp_path / "no" / "folder.db"))
    (tmp_path / "no").rmdir()
    body = envelope()
    with pytest.raises(SignatureError) as caught:
        parse(reader, mode, service.signature(body), body)
    assert caught.value.reason is Reason.NONCE_STORE_FAILED


@pytest.mark.parametrize("kind", ["SQLiteStore", "RedisStore", "AsyncRedisStore"])
def test_a_replay_is_refused_by_every_store(service, request, tmp_path, kind):
    body = envelope()
    headers = service.signature(body)
    if kind == "AsyncRedisStore":
        url = request.getfixturevalue("redis_server").patient_url

        async def run():
            store = AsyncRedisStore(url)
            reader = Notifications(service.certs, APIV3_KEY, seen=store)
            outcomes = await asyncio.gather(
                *(reader.parse_async(headers, body) for _ in range(20)), return_exceptions=True
            )
            await store._redis.aclose()
            return outcomes

        outcomes = asyncio.run(run())
        assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 1
        return
    readers = [Notifications(service.certs, APIV3_KEY, seen=make_store(kind, request, tmp_path)) for _ in range(2)]
    assert readers[0].parse(headers, body).resource == RESOURCE
    for reader in readers:
        with pytest.raises(SignatureError) as caught:
            reader.parse(headers, body)
        assert caught.value.reason is Reason.REPLAYED


def test_a_client_takes_a_store_for_both(service, wire, tmp_path):
    store = SQLiteStore(tmp_path / "store.db")
    with Client(**service.settings(wire.base_url), apiv3_key=APIV3_KEY, seen=store, certificate_cache=store) as client:
        body = envelope()
        headers = service.signature(body, serial=PUBLIC_KEY_ID)
        assert client.notifications.parse(headers, body).resource == RESOURCE
        with pytest.raises(SignatureError):
            client.notifications.parse(headers, body)


def test_no_engine_is_imported_before_it_is_used():
    # What was there before does not count: where coverage is measured, it is sqlite3.
    code = (
        "import sys; before = set(sys.modules); import wechatpay_chain.stores;"
        " print({'redis', 'sqlite3'} & (set(sys.modules) - before))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"

"""The clients of many merchants are made when they are needed, once, and a number of them is kept."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.service import PUBLIC_KEY_ID, SERIAL, new_key, private_pem, public_pem
from wechatpay_chain import ArgumentError, Client, ConfigurationError
from wechatpay_chain.merchants import Merchants


@pytest.fixture
def loaded(service, wire):
    """Returns a function that makes a client, and how often it has made one of each merchant."""
    counts = Counter()

    def load(mchid):
        counts[mchid] += 1
        if mchid == "404":
            raise LookupError("no merchant 404")
        return Client(**{**service.settings(wire.base_url), "mchid": mchid})

    return load, counts


def test_a_client_is_made_when_it_is_needed_and_kept(loaded, wire):
    load, counts = loaded
    merchants = Merchants(load)
    assert counts == {}
    client = merchants.get("1900000001")
    assert client.mchid == "1900000001"
    assert merchants.get("1900000001") is client
    assert merchants.get("1900000002") is not client
    assert counts == {"1900000001": 1, "1900000002": 1}
    client.v3.x.get()
    assert wire.received[0].credentials["mchid"] == "1900000001"


def test_those_that_were_used_last_are_kept(loaded):
    load, counts = loaded
    merchants = Merchants(load, size=2)
    for mchid in ("1", "2", "1", "3", "1", "2"):
        merchants.get(mchid)
        assert len(merchants) <= 2
    assert counts == {"1": 1, "2": 2, "3": 1}
    assert repr(merchants) == "<Merchants 2 of 2>"


def test_a_client_that_is_not_kept_serves_whoever_has_it_and_is_freed_then(loaded, wire):
    load, _ = loaded
    merchants = Merchants(load, size=1)
    client = merchants.get("1")
    merchants.get("2")
    assert client.v3.x.get().status_code == 200
    freed = weakref.ref(client)
    del client
    gc.collect()
    assert freed() is None


def test_an_error_is_not_kept(loaded):
    load, counts = loaded
    merchants = Merchants(load)
    for _ in range(2):
        with pytest.raises(LookupError, match="no merchant 404"):
            merchants.get("404")
    assert counts["404"] == 2
    assert len(merchants) == 0
    assert merchants._loading == {}


def test_a_load_that_returns_nothing_says_so():
    with pytest.raises(ConfigurationError, match="load: it returned None; raise a LookupError"):
        Merchants(lambda mchid: None).get("1")


@pytest.mark.parametrize("mchid", ["", "../x", "1900000001 ", "١٩", 1900000001, None, "1" * 33])
def test_what_is_no_number_is_refused_before_it_is_looked_up(loaded, mchid):
    load, counts = loaded
    with pytest.raises(ArgumentError, match=r"mchid: came .* expected a text of 1 to 32 digits"):
        Merchants(load).get(mchid)
    assert counts == {}


def test_a_client_is_made_again_after_a_change_of_keys(loaded):
    load, counts = loaded
    merchants = Merchants(load)
    first = merchants.get("1")
    merchants.forget("1")
    merchants.forget("2")
    assert merchants.get("1") is not first
    assert counts["1"] == 2


def held(load, counts):
    """Returns a `load` whose first call waits, the event that it has begun, and the one that lets it go on."""
    loading, go_on = threading.Event(), threading.Event()

    def slow(mchid):
        client = load(mchid)
        if counts[mchid] == 1:
            loading.set()
            go_on.wait(10)
        return client

    return slow, loading, go_on


def test_a_client_that_was_forgotten_while_it_was_loaded_is_not_kept(loaded):
    """It may have the old keys."""
    slow, loading, go_on = held(*loaded)
    merchants = Merchants(slow)
    with ThreadPoolExecutor(1) as threads:
        old = threads.submit(merchants.get, "1")
        assert loading.wait(10)
        merchants.forget("1")
        new = merchants.get("1")
        go_on.set()
        assert old.result(10) is not new
    assert merchants.get("1") is new


def test_those_who_waited_for_a_client_that_was_forgotten_share_a_new_one(loaded):
    _, counts = loaded
    slow, loading, go_on = held(*loaded)
    merchants = Merchants(slow)
    with ThreadPoolExecutor(9) as threads:
        old = threads.submit(merchants.get, "1")
        assert loading.wait(10)
        waiting = [threads.submit(merchants.get, "1") for _ in range(8)]
        time.sleep(0.2)
        merchants.forget("1")
        go_on.set()
        assert old.result(10) not in {future.result(10) for future in waiting}
    assert len({future.result() for future in waiting}) == 1
    assert counts["1"] == 2
    assert merchants._loading == {}


def test_after_a_load_that_failed_there_is_still_one_client(loaded):
    load, counts = loaded
    barrier = threading.Barrier(8)

    def failing(mchid):
        counts["tries"] += 1
        time.sleep(0.05)
        if counts["tries"] == 1:
            raise LookupError(mchid)
        return load(mchid)

    merchants = Merchants(failing)

    def get(_):
        barrier.wait(10)
        try:
            return merchants.get("1")
        except LookupError:
            return merchants.get("1")

    with ThreadPoolExecutor(8) as threads:
        clients = set(threads.map(get, range(8)))
    assert len(clients) == 1
    assert counts["1"] == 1
    assert merchants._loading == {}


def test_loads_that_wait_for_each_other_end(loaded, monkeypatch):
    load, _ = loaded
    monkeypatch.setattr("wechatpay_chain.merchants.LONGEST_LOAD", 0.5)
    barrier, first = threading.Barrier(2), {"1", "2"}

    def entangled(mchid):
        if mchid in first:
            first.remove(mchid)
            barrier.wait(10)
            merchants.get("2" if mchid == "1" else "1")
        return load(mchid)

    merchants = Merchants(entangled)
    with ThreadPoolExecutor(2) as threads:
        errors = [future.exception(10) for future in [threads.submit(merchants.get, mchid) for mchid in ("1", "2")]]
    # Whoever gives up first lets the other one go on.
    assert any(isinstance(error, ConfigurationError) and "load: it has not returned" in str(error) for error in errors)
    assert merchants.get("1").mchid == "1"


def test_many_threads_make_one_client_and_others_do_not_wait(loaded):
    load, counts = loaded
    slow = threading.Event()

    def slowly(mchid):
        if mchid == "1":
            slow.wait(10)
        return load(mchid)

    merchants = Merchants(slowly)
    with ThreadPoolExecutor(16) as threads:
        waiting = [threads.submit(merchants.get, "1") for _ in range(12)]
        began = time.monotonic()
        assert threads.submit(merchants.get, "2").result(5).mchid == "2"
        assert time.monotonic() - began < 2
        slow.set()
        assert len({id(future.result()) for future in waiting}) == 1
    assert counts == {"1": 1, "2": 1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_that_is_forked_while_a_client_is_loaded_loads_its_own(loaded):
    load, _ = loaded
    inside, leave = threading.Event(), threading.Event()

    def slowly(mchid):
        if not leave.is_set():
            inside.set()
            leave.wait(10)
        return load(mchid)

    merchants = Merchants(slowly)
    thread = threading.Thread(target=merchants.get, args=("1",))
    thread.start()
    assert inside.wait(5)
    child = os.fork()
    if child == 0:
        leave.set()
        os._exit(0 if merchants.get("1").mchid == "1" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    leave.set()
    thread.join()


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "10"])
def test_a_wrong_size_is_refused(loaded, size):
    with pytest.raises(ConfigurationError, match="size: came"):
        Merchants(loaded[0], size=size)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the memory is read in /proc")
def test_10000_clients_take_little(tmp_path):
    """At most 40 kB and 5 ms of CPU each, and 10 µs to find one; with a bound, memory does not grow."""
    (tmp_path / "key.pem").write_text(private_pem(new_key()))
    (tmp_path / "public.pem").write_text(public_pem(new_key()))
    program = f"""
import gc, sys, time
from pathlib import Path
from wechatpay_chain import Client
from wechatpay_chain.merchants import Merchants

key, public = Path("key.pem").read_text(), Path("public.pem").read_text()
def load(mchid):
    return Client(mchid=mchid, serial="{SERIAL}", private_key=key, certs={{"{PUBLIC_KEY_ID}": public}}, apiv3_key="0" * 32)
def rss():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
load("1")
before, merchants = rss(), Merchants(load, size=int(sys.argv[1]))
began = time.process_time()
for number in range(10_000): merchants.get(str(1_900_000_000 + number))
made, found = time.process_time() - began, []
for _ in range(10):
    began = time.process_time()
    for _ in range(1000): merchants.get("1900009999")
    found.append(time.process_time() - began)
print(made / 10_000, min(found) / 1000, rss() - before)
"""
    for size, most in ((10_000, 400e6), (500, 80e6)):
        run = subprocess.run(
            [sys.executable, "-c", program, str(size)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        )
        making, finding, memory = map(float, run.stdout.split())
        print(f"{size}: {making * 1e3:.2f} ms to make, {finding * 1e6:.1f} us to find, {memory / 1e6:.0f} MB")
        assert making < 5e-3
        assert finding < 10e-6
        assert memory < most

"""The nonce store of one process has a bounded size, and has no lock that a fork could leave locked."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time

import pytest

from wechatpay_chain import SeenNonces


def test_a_full_store_forgets_the_oldest_nonce_and_each_nonce_expires(monkeypatch):
    seen = SeenNonces(size=2)
    assert [seen.add(nonce, 60) for nonce in "aabcab"] == [True, False, True, True, True, True]
    assert repr(seen) == "<SeenNonces 2 of 2>"
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)
    assert seen.add("b", 60) is True


def run(program: str) -> None:
    # Coverage has locks, which a fork may leave locked.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@needs_fork
@pytest.mark.parametrize("fork", ["os.fork()", "ctypes.PyDLL(None).fork()"])
def test_a_child_forked_while_a_thread_is_in_the_store_does_not_hang(fork):
    run(f"""
        import ctypes, os, threading, time
        from wechatpay_chain import SeenNonces

        class Slow(str):
            def __hash__(self):
                inside.set()
                leave.wait()
                return super().__hash__()

        seen, inside, leave = SeenNonces(), threading.Event(), threading.Event()
        thread = threading.Thread(target=seen.add, args=(Slow("slow"), 60))
        thread.start()
        inside.wait()
        child = {fork}
        if child == 0:
            os._exit(0 if [seen.add(nonce, 60) for nonce in "aab"] == [True, False, True] else 1)
        assert os.waitpid(child, 0)[1] == 0
        leave.set()
        thread.join()
        assert [seen.add(nonce, 60) for nonce in ("a", "slow")] == [True, False]
        print("done")
    """)


@needs_fork
def test_children_forked_while_threads_add_do_not_hang():
    """Forks in Python only: CPython itself hangs in a child that C code forks beside busy threads."""
    run("""
        import itertools, os, sys, threading
        from wechatpay_chain import SeenNonces

        sys.setswitchinterval(1e-5)
        seen, counter, stopped = SeenNonces(size=50), itertools.count(), threading.Event()

        def add():
            while not stopped.is_set():
                seen.add(str(next(counter)), 60)

        threads = [threading.Thread(target=add, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        while repr(seen) != "<SeenNonces 50 of 50>":
            pass
        for number in range(30):
            child = os.fork()
            if child == 0:
                added = seen.add("child", 60), seen.add("child", 60)
                os._exit(0 if added == (True, False) and repr(seen) == "<SeenNonces 50 of 50>" else 1)
            assert os.waitpid(child, 0)[1] == 0, number
        stopped.set()
        for thread in threads:
            thread.join()
        print("done")
    """)

"""A client keeps working in processes that fork, between signals that interrupt it, and under gevent and trio."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.service import Wire, json_body, private_pem

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

PRELUDE = """
import asyncio, ctypes, json, os, pathlib, sys, threading, time
from wechatpay_chain import Client

settings = json.loads(pathlib.Path(os.environ["SETTINGS"]).read_text())
client = Client(**settings)

def fetch_path(number):
    # Returns the path of the request and the path that the server read.
    path = f"v3/path/{os.getpid()}-{number}"
    return path, client[path].get().json()["path"]

async def fetch_path_async(number):
    path = f"v3/path/{os.getpid()}-{number}"
    return path, (await client[path].get_async()).json()["path"]

def fork_in_c():
    # Forks as a server written in C does, so that none of Python's hooks runs.
    return ctypes.PyDLL(None).fork()

def wait_for_exit(pids, seconds=20):
    until = time.monotonic() + seconds
    codes = []
    for pid in pids:
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                codes.append(os.waitstatus_to_exitcode(status))
                break
            if time.monotonic() > until:
                os.kill(pid, 9)
                os.waitpid(pid, 0)
                codes.append("hangs")
                break
            time.sleep(0.01)
    return codes

def exit_after(function):
    try:
        os._exit(0 if function() else 1)
    except BaseException:
        import traceback
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(2)
"""


def respond_with_path(service):
    """Returns a function that responds with the path of the request, which shows a response to another call."""
    return lambda received: service.signed(json_body({"path": received.target[1:]}))


@pytest.fixture
def echo(service):
    with Wire(respond_with_path(service)) as wire:
        yield wire


def write_settings(service, base_url, folder, **more) -> dict[str, str]:
    """Writes the settings of a program's client, and returns the environment of the program."""
    settings = {
        **service.settings(base_url),
        "private_key": private_pem(service.merchant),
        "certs": {key: value for key, value in service.certs.items() if key.startswith("PUB")},
        **more,
    }
    path = folder / "settings.json"
    path.write_text(json.dumps(settings))
    # Coverage takes locks of its own, which an interrupt or a fork may leave locked.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return {**environment, "SETTINGS": str(path), "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}


def run_program(program: str, environment: dict[str, str], seconds: float = 60) -> str:
    result = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(program)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


WORKERS = """
    sent, received = fetch_path("before")
    assert sent == received
    fork = fork_in_c if {in_c} else os.fork

    def work():
        return all(sent == received for sent, received in map(fetch_path, range(40)))

    pids = []
    for _ in range(3):
        pid = fork()
        if pid == 0:
            exit_after(work)
        pids.append(pid)
    assert work()
    print(wait_for_exit(pids))
"""


@pytest.mark.parametrize("in_c", [True, False])
def test_workers_forked_after_a_call_make_connections_of_their_own(echo, service, tmp_path, in_c):
    assert run_program(WORKERS.format(in_c=in_c), write_settings(service, echo.base_url, tmp_path)) == "[0, 0, 0]\n"


@pytest.mark.parametrize("in_c", [True, False])
def test_workers_forked_after_a_call_make_tls_connections_of_their_own(service, authority, tmp_path, in_c):
    context, ca_bundle = authority
    with Wire(respond_with_path(service), context) as wire:
        environment = write_settings(service, wire.base_url, tmp_path, ca_bundle=str(ca_bundle))
        assert run_program(WORKERS.format(in_c=in_c), environment) == "[0, 0, 0]\n"


@pytest.mark.parametrize("in_c", [True, False])
def test_workers_forked_after_async_calls_make_connections_of_their_own(echo, service, tmp_path, in_c):
    """A worker inherits the loop of its parent, with its connections, and without the thread that signs for it."""
    program = """
    fork = fork_in_c if {in_c} else os.fork

    async def work():
        paths = await asyncio.gather(*(fetch_path_async(number) for number in range(32)))
        return all(sent == received for sent, received in paths)

    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(work())
    pids = []
    for _ in range(2):
        pid = fork()
        if pid == 0:
            exit_after(lambda: asyncio.run(work()))
        pids.append(pid)
    assert loop.run_until_complete(work())
    print(wait_for_exit(pids))
    """
    assert run_program(program.format(in_c=in_c), write_settings(service, echo.base_url, tmp_path)) == "[0, 0]\n"


def test_children_forked_during_the_first_call_can_call(echo, service, tmp_path):
    """A child cannot finish an import of its parent, so no fork may happen while the package imports."""
    program = """
    import random

    # asyncio locks at its first use, and a child could inherit the lock.
    asyncio.run(asyncio.sleep(0))
    codes = []
    for round in range(6):
        # Each round begins as a new program does, in a process that has imported nothing yet.
        pid = os.fork()
        if pid:
            codes += wait_for_exit([pid])
            continue
        first = threading.Thread(target=lambda: (fetch_path("first"), asyncio.run(fetch_path_async("first"))))
        first.start()
        children = []
        for delay in (0.01, 0.03, 0.06, 0.1):
            time.sleep(delay * random.random())
            child = os.fork()
            if child == 0:
                exit_after(lambda: fetch_path(0)[0] == fetch_path(0)[1] and asyncio.run(fetch_path_async(1)))
            children.append(child)
        first.join()
        os._exit(0 if wait_for_exit(children, 15) == [0] * 4 else 3)
    print(codes)
    """
    assert run_program(program, write_settings(service, echo.base_url, tmp_path), 120) == f"{[0] * 6}\n"


def test_children_forked_during_the_first_use_of_a_key_can_sign(echo, service, tmp_path):
    """OpenSSL locks a key while a thread uses it for the first time, and a child would wait for ever."""
    program = """
    codes = []
    for number in range(150):
        fresh = Client(**settings)
        ready = threading.Event()
        thread = threading.Thread(target=lambda: (ready.set(), fresh.payment.jsapi("wx1", "prepay")))
        thread.start()
        ready.wait()
        time.sleep(number % 40 * 1e-5)
        pid = os.fork()
        if pid == 0:
            exit_after(lambda: fresh.payment.jsapi("wx1", "prepay"))
        codes += wait_for_exit([pid], 5)
        thread.join()
    print(codes.count(0))
    """
    assert run_program(program, write_settings(service, echo.base_url, tmp_path), 90) == "150\n"


def test_a_call_imports_nothing_once_its_transport_exists(echo, service, tmp_path):
    program = """
    def find_imports(function):
        before = set(sys.modules)
        function()
        return sorted(set(sys.modules) - before)

    client._dispatch.transports.blocking, client._dispatch.transports.awaiting
    print(find_imports(lambda: fetch_path(1)))
    print(find_imports(lambda: asyncio.run(fetch_path_async(2))))
    """
    environment = write_settings(service, echo.base_url.replace("127.0.0.1", "localhost"), tmp_path)
    assert run_program(program, environment) == "[]\n[]\n"


UWSGI_APP = (
    PRELUDE
    + """
fetch_path("at-import")

def application(environ, start_response):
    results = [sent == received for sent, received in map(fetch_path, range(10))]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([os.getpid(), all(results)]).encode()]
"""
)


@pytest.mark.parametrize("tls", [False, True])
def test_two_workers_of_uwsgi_can_call(service, authority, tmp_path, tls):
    pytest.importorskip("pyuwsgi")
    context, ca_bundle = authority
    (tmp_path / "app.py").write_text(UWSGI_APP)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with Wire(respond_with_path(service), context if tls else None) as wire, (tmp_path / "log").open("w") as log:
        more = {"ca_bundle": str(ca_bundle)} if tls else {}
        server = subprocess.Popen(
            [
                sys.executable, "-c", "import pyuwsgi; pyuwsgi.run()", "--http-socket", f"127.0.0.1:{port}", "--master", "--processes", "2",
                "--wsgi-file", str(tmp_path / "app.py"), "--need-app", "--die-on-term", "--disable-logging",
            ],
            env=write_settings(service, wire.base_url, tmp_path, **more),
            stderr=log,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            cwd=tmp_path,
        )  # fmt: skip
        try:
            replies = _ask(f"http://127.0.0.1:{port}/", 24)
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()
    assert all(is_right for _, is_right in replies), (tmp_path / "log").read_text()[-2000:]
    assert len({pid for pid, _ in replies}) == 2


def _ask(url: str, times: int) -> list[list]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(_number: int) -> list:
        for _ in range(200):
            try:
                return json.loads(opener.open(url, timeout=20).read())
            except (ConnectionError, urllib.error.URLError) as error:
                if isinstance(error, urllib.error.HTTPError):
                    raise
                time.sleep(0.1)  # the server does not listen yet
        raise AssertionError("the server does not listen")

    ask(0)
    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(ask, range(times)))


INTERRUPTS = """
    import faulthandler, signal
    from wechatpay_chain import TransportError

    sys.unraisablehook = lambda unraisable: None  # some interrupts hit a finalizer
    faulthandler.dump_traceback_later({seconds}, exit=True)

    class Interrupt(BaseException):
        pass

    def interrupt(*_):
        raise Interrupt

    signal.signal(signal.SIGALRM, interrupt)
    interrupts = 0
    for number in range({calls}):
        try:
            # Interrupts at some point of the call, which takes about 1 ms.
            signal.setitimer(signal.ITIMER_REAL, 0.0002 + (number * 37 % 1000) / 1e6)
            client.v3.x.get()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except Interrupt:
            interrupts += 1
        except TransportError:
            pass  # a library took the interrupt for an error of the connection
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(interrupts > {calls} / 20)
    print([client.v3.x.get().status_code for _ in range(20)] == [200] * 20)
"""


def test_interrupts_leave_no_lock(echo, service, tmp_path):
    """An interrupt can leave Python's own queue locked, and a pool of it would block every client."""
    program = INTERRUPTS.format(calls=500, seconds=30)
    assert run_program(program, write_settings(service, echo.base_url, tmp_path)) == "True\nTrue\n"


@pytest.mark.slow
def test_many_interrupts_leave_no_lock(echo, service, tmp_path):
    program = INTERRUPTS.format(calls=10_000, seconds=170)
    assert run_program(program, write_settings(service, echo.base_url, tmp_path), 180) == "True\nTrue\n"


GEVENT = """
    import gevent.monkey
    gevent.monkey.patch_all()
"""


def test_an_async_signer_under_gevent_is_refused(echo, service, tmp_path):
    program = """
    import gevent
    from wechatpay_chain import ConfigurationError

    class AsyncSigner:
        async def sign(self, message):
            return "eA=="

    class Signer:
        def sign(self, message):
            import base64
            from cryptography.hazmat.primitives import hashes, serialization
            from cryptography.hazmat.primitives.asymmetric import padding
            gevent.sleep(0.01)
            key = serialization.load_pem_private_key(settings["private_key"].encode(), None)
            return base64.b64encode(key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()

    client_with_async_signer = Client(**settings, signer=AsyncSigner())
    try:
        client_with_async_signer.v3.x.get()
    except ConfigurationError as error:
        assert error.sent is False
        print("gevent" in str(error))
    client = Client(**settings, signer=Signer())
    jobs = [gevent.spawn(lambda n=n: client[f"v3/{n}"].get().json()["path"]) for n in range(8)]
    gevent.joinall(jobs, raise_error=True)
    print([job.value for job in jobs] == [f"v3/{n}" for n in range(8)])
    """
    source = textwrap.dedent(GEVENT) + PRELUDE + textwrap.dedent(program)
    result = subprocess.run(
        [sys.executable, "-c", source],
        env=write_settings(service, echo.base_url, tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )
    assert result.stdout == "True\nTrue\n", result.stderr[-2000:]


def test_async_calls_under_trio_are_refused(client, wire, tmp_path):
    trio = pytest.importorskip("trio")
    from wechatpay_chain import UnsupportedError

    (tmp_path / "a.png").write_bytes(b"x")

    async def main() -> None:
        calls = [
            client.v3.x.get_async,
            lambda: client.v3.merchant.media.upload.post_async(files={"file": tmp_path / "a.png"}),
            lambda: client.download_async(f"{wire.base_url}v3/billdownload/file", tmp_path / "b"),
        ]
        for call in calls:
            with pytest.raises(UnsupportedError, match="trio"):
                await call()

    trio.run(main)
    assert not wire.received


def test_a_fork_and_a_first_call_do_not_deadlock(echo, service, tmp_path):
    """Both take the lock of `logging` and that of imports. If their order differed, each would wait for the other."""
    program = """
    import faulthandler
    faulthandler.dump_traceback_later(20, exit=True)

    class SlowFinder:
        def find_spec(self, name, path=None, target=None):
            if name == "requests":
                time.sleep(0.3)

    sys.meta_path.insert(0, SlowFinder())
    thread = threading.Thread(target=fetch_path, args=(1,))
    thread.start()
    time.sleep(0.1)
    pid = os.fork()
    if pid == 0:
        exit_after(lambda: fetch_path(2)[0] == fetch_path(2)[1])
    print(wait_for_exit([pid]))
    thread.join()
    """
    assert run_program(program, write_settings(service, echo.base_url, tmp_path)) == "[0]\n"


def test_a_child_of_a_fork_that_has_waited_for_too_long_can_call(echo, service, tmp_path):
    """Something in another thread never ends, such as an import that the fork hook of another library blocks."""
    program = """
    import faulthandler
    from wechatpay_chain._forks import no_fork as hooks

    faulthandler.dump_traceback_later(20, exit=True)
    hooks.MAX_WAIT = 0.2
    began, ends = threading.Event(), threading.Event()

    def hold():
        with hooks.no_fork.current:
            began.set()
            ends.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    began.wait()
    pid = os.fork()
    if pid == 0:
        exit_after(lambda: fetch_path(2)[0] == fetch_path(2)[1])
    print(wait_for_exit([pid]))
    ends.set()
    thread.join()
    """
    assert run_program(program, write_settings(service, echo.base_url, tmp_path)) == "[0]\n"


CHILD_OF_A_LOOP = """
    import faulthandler
    faulthandler.dump_traceback_later(30, exit=True)

    class Signer:
        def sign(self, message):
            import base64
            from cryptography.hazmat.primitives import hashes, serialization
            from cryptography.hazmat.primitives.asymmetric import padding
            key = serialization.load_pem_private_key(settings["private_key"].encode(), None)
            return base64.b64encode(key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()

    client = Client(**settings, signer=Signer())

    async def call():
        await fetch_path_async(1)
        await client.v3.merchant.media.upload.post_async(files={"file": ("a.png", b"x" * 1000)})
        return True

    loop = asyncio.SelectorEventLoop(__import__("selectors").PollSelector())
    assert loop.run_until_complete(call())
    pid = os.fork()
    if pid == 0:
        exit_after(lambda: loop.run_until_complete(call()))
    print(wait_for_exit([pid]))
"""


def test_a_child_can_use_the_loop_of_its_parent(echo, service, tmp_path):
    """Slow work runs in worker threads. The loop still counts those of the parent, which the child does not have."""
    assert run_program(CHILD_OF_A_LOOP, write_settings(service, echo.base_url, tmp_path)) == "[0]\n"


def test_an_interrupt_leaves_no_lock_in_a_nonce_store(echo, service, tmp_path):
    program = """
    import faulthandler, itertools, signal
    from wechatpay_chain import SeenNonces
    faulthandler.dump_traceback_later(40, exit=True)

    class Interrupt(BaseException):
        pass

    def interrupt(*_):
        raise Interrupt

    signal.signal(signal.SIGALRM, interrupt)
    sys.unraisablehook = lambda unraisable: None
    seen, numbers, interrupts = SeenNonces(), itertools.count(), 0
    for round in range(300):
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0005 + round * 1e-6)
            while True:
                seen.add(str(next(numbers)), 60)
        except Interrupt:
            interrupts += 1
    other = threading.Thread(target=seen.add, args=("other", 60), daemon=True)
    other.start()
    other.join(10)
    print(interrupts, other.is_alive())
    """
    assert run_program(program, write_settings(service, echo.base_url, tmp_path)) == "300 False\n"

"""A client works in many threads, tasks, event loops and processes, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.service import Received, Reply, json_body
from wechatpay_chain import Client


@pytest.fixture
def echo(wire, service):
    """A service whose responses repeat the target and the body of the request."""

    def respond(received: Received) -> Reply:
        return service.signed(json_body({"target": received.target, "body": received.body.decode()}))

    wire.respond = respond
    return wire


def is_echo_of(response, number: int) -> bool:
    body = json.dumps({"n": number}, separators=(",", ":"))
    return response.json() == {"target": f"/v3/orders/{number}", "body": body}


def test_32_threads_make_100_calls_each(client, echo, service):
    def work(thread: int) -> bool:
        numbers = range(thread * 100, thread * 100 + 100)
        return all(is_echo_of(client.v3.orders._n_.post(n=n, json={"n": n}), n) for n in numbers)

    with ThreadPoolExecutor(32) as threads:
        assert all(threads.map(work, range(32)))
    assert len(echo.received) == 3200
    assert all(received.is_signed_by(service.merchant) for received in echo.received[::50])
    assert len({received.credentials["nonce_str"] for received in echo.received}) == 3200


def test_500_tasks_call_in_one_loop(client, echo):
    async def main() -> list[bool]:
        async def call(n: int) -> bool:
            return is_echo_of(await client.v3.orders._n_.post_async(n=n, json={"n": n}), n)

        return await asyncio.gather(*map(call, range(500)))

    assert all(asyncio.run(main()))
    assert len(echo.received) == 500


def test_loops_run_one_after_another_and_in_parallel(client, echo):
    async def main(n: int) -> bool:
        first = is_echo_of(await client.v3.orders._n_.post_async(n=n, json={"n": n}), n)
        await asyncio.sleep(0.02)
        return first and is_echo_of(await client.v3.orders._n_.post_async(n=n, json={"n": n}), n)

    assert asyncio.run(main(1))
    assert asyncio.run(main(2))
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(lambda n: asyncio.run(main(n)), range(8)))
    peers: dict[str, set[int]] = {}
    for received in echo.received[:4]:
        peers.setdefault(received.target, set()).add(received.peer)
    assert [len(ports) for ports in peers.values()] == [1, 1], "each loop keeps one connection"


def test_a_client_that_is_never_closed_causes_no_warning(service, echo, recwarn):
    def forget() -> None:
        client = Client(**service.settings(echo.base_url))
        client.v3.x.get()
        asyncio.run(client.v3.x.get_async())

    forget()
    gc.collect()
    assert not list(recwarn)


def test_a_client_forgotten_inside_a_loop_causes_no_warning(service, echo, caplog, recwarn):
    async def main() -> None:
        await Client(**service.settings(echo.base_url)).v3.x.get_async()
        gc.collect()
        await asyncio.sleep(0.05)

    asyncio.run(main())
    gc.collect()
    assert not list(recwarn)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_client_works_after_a_loop_was_closed_by_hand(client, echo):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(client.v3.x.get_async())
    loop.close()
    with warnings.catch_warnings():
        # Without shutdown_asyncgens, the garbage collector closes the sockets, with a warning.
        warnings.simplefilter("ignore", ResourceWarning)
        asyncio.run(client.v3.x.get_async())
        gc.collect()
    assert len(echo.received) == 2


def test_a_with_block_closes_the_connections(service, echo):
    with Client(**service.settings(echo.base_url)) as client:
        client.v3.x.get()
    client.v3.x.get()
    client.close()
    client.close()
    assert len({received.peer for received in echo.received}) == 2, "a later call connects again"

    async def main() -> None:
        async with Client(**service.settings(echo.base_url)) as client:
            client.v3.x.get()
            await client.v3.x.get_async()
        await client.v3.x.get_async()
        await client.aclose()
        await client.aclose()

    echo.received.clear()
    asyncio.run(main())
    assert len({received.peer for received in echo.received}) == 3


def test_clients_share_their_connections(service, echo):
    clients = [Client(**{**service.settings(echo.base_url), "mchid": str(1900000000 + n)}) for n in range(50)]
    for client in clients:
        client.v3.x.get()
    assert len({received.peer for received in echo.received}) == 1
    assert len({received.credentials["mchid"] for received in echo.received}) == 50
    for client in clients[1:]:
        client.close()
    clients[0].v3.x.get()
    assert len({received.peer for received in echo.received}) == 1, "close() leaves shared connections open"
    clients[0].close()
    clients[1].v3.x.get()
    clients[1].close()
    assert len({received.peer for received in echo.received}) == 2

    async def main() -> None:
        for client in clients:
            await client.v3.x.get_async()
        assert len({received.peer for received in echo.received}) == 1
        for client in clients[1:]:
            await client.aclose()
        await clients[0].v3.x.get_async()
        assert len({received.peer for received in echo.received}) == 1
        await clients[0].aclose()
        async with clients[1] as client:
            await client.v3.x.get_async()
        assert len({received.peer for received in echo.received}) == 2

    echo.received.clear()
    asyncio.run(main())


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="this system does not list open files")  # noqa: PTH112
def test_the_last_forgotten_client_closes_the_shared_connections(service, echo):
    def sockets() -> int:
        gc.collect()
        return sum(link.startswith("socket:") for link in links())

    def links() -> list[str]:
        found = []
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
            with suppress(OSError):
                found.append(os.readlink(f"/proc/self/fd/{name}"))  # noqa: PTH115
        return found

    async def main() -> None:
        before = sockets()
        first, second = (Client(**service.settings(echo.base_url)) for _ in range(2))
        for client in (first, second):
            client.v3.x.get()
            await client.v3.x.get_async()
        del first, client
        await asyncio.sleep(0.05)
        held_by_second = sockets()
        second.v3.x.get()
        await second.v3.x.get_async()
        assert len({received.peer for received in echo.received}) == 2
        del second
        gc.collect()
        await asyncio.sleep(0.05)
        assert sockets() < held_by_second
        assert sockets() <= before + 2, "the server's ends may still be there"

    asyncio.run(main())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_connects_sockets_of_its_own(client, echo, mode):
    def call(name: str) -> int:
        if mode == "sync":
            return client.v3[name].get().status_code
        return asyncio.run(client.v3[name].get_async()).status_code

    assert call("before") == 200
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if call("child") == call("again") == 200 else 1)
        except BaseException:
            os._exit(2)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert call("after") == 200
    peers = {received.target: received.peer for received in echo.received}
    if mode == "sync":
        assert peers["/v3/before"] == peers["/v3/after"], "the parent's connection outlives the child"
        assert peers["/v3/child"] == peers["/v3/again"]
    assert peers["/v3/child"] not in (peers["/v3/before"], peers["/v3/after"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_forked_inside_a_running_loop_calls_in_another_thread(client, echo):
    async def main() -> None:
        await client.v3.before.get_async()
        pid = os.fork()
        if pid == 0:
            try:
                statuses: list[int] = []
                # The child is still inside the parent's loop, so it needs another thread.
                thread = threading.Thread(
                    target=lambda: statuses.append(asyncio.run(client.v3.child.get_async()).status_code)
                )
                thread.start()
                thread.join()
                os._exit(0 if statuses == [200] else 1)
            except BaseException:
                os._exit(2)
        _, status = await asyncio.to_thread(os.waitpid, pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        await client.v3.after.get_async()

    asyncio.run(main())
    peers = {received.target: received.peer for received in echo.received}
    assert peers["/v3/before"] == peers["/v3/after"] != peers["/v3/child"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_may_continue_its_parents_loop(client, echo):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(client.v3.before.get_async())
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if loop.run_until_complete(client.v3.child.get_async()).status_code == 200 else 1)
        except BaseException:
            os._exit(2)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    loop.run_until_complete(client.aclose())
    loop.close()
    peers = {received.target: received.peer for received in echo.received}
    assert peers["/v3/before"] != peers["/v3/child"]


def test_threads_that_start_together_share_a_pool(client, echo):
    barrier = threading.Barrier(16)

    def call(_: int) -> int:
        barrier.wait()
        return client.v3.x.get().status_code

    with ThreadPoolExecutor(16) as threads:
        assert set(threads.map(call, range(16))) == {200}
    # The second round reuses the connections of the first, because all of them are in one pool.
    with ThreadPoolExecutor(16) as threads:
        assert set(threads.map(call, range(16))) == {200}
    assert len({received.peer for received in echo.received}) <= 20

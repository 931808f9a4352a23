"""Who computes what calls on an event loop wait for."""

from __future__ import annotations

import asyncio
import gc
import threading
import time

import pytest

from wechatpay_chain import turns
from wechatpay_chain.turns import Turns

LOOP, THREAD = "MainThread", "wechatpay-chain-signing_0"


@pytest.fixture(params=[1, 2], ids=["one core", "two cores"])
def cores(request, monkeypatch):
    monkeypatch.setattr(turns, "_cores", lambda: request.param)
    return request.param


def slowly(number: int) -> tuple[int, str]:
    time.sleep(0.003)
    return number, threading.current_thread().name


async def taken(*functions) -> list:
    loop = asyncio.get_running_loop()
    return await asyncio.gather(
        *(Turns.of(loop).take(loop, function) for function in functions), return_exceptions=True
    )


def test_one_alone_is_computed_at_once_on_the_loop(cores):
    async def main():
        for number in range(3):
            await asyncio.sleep(0.005)
            (computed,) = await taken(lambda number=number: slowly(number))
            assert computed == (number, LOOP)

    asyncio.run(main())


def test_many_are_computed_by_whoever_has_time(cores):
    computed = asyncio.run(taken(*(lambda number=number: slowly(number) for number in range(60))))
    assert [number for number, _ in computed] == list(range(60))
    where = {thread for _, thread in computed}
    assert where == ({LOOP} if cores == 1 else {LOOP, THREAD})


def test_others_have_their_turns(cores):
    async def main():
        began, rounds = asyncio.ensure_future(taken(*(lambda: slowly(0) for _ in range(20)))), 0
        while not began.done():
            await asyncio.sleep(0)
            rounds += 1
        return rounds

    assert asyncio.run(main()) > 5


def test_results_are_given_out_together(monkeypatch):
    """So that the calls go on one after another; but for the first, which found the loop idle."""
    monkeypatch.setattr(turns, "_cores", lambda: 1)
    computed, seen = [], []

    async def one():
        loop = asyncio.get_running_loop()
        await Turns.of(loop).take(loop, lambda: (time.sleep(0.001), computed.append(True)))
        seen.append(len(computed))

    async def main():
        await asyncio.gather(*(one() for _ in range(1 + 2 * turns.TOGETHER + 5)))

    asyncio.run(main())
    most = turns.TOGETHER
    assert seen == [1, *[1 + most] * most, *[1 + 2 * most] * most, *[1 + 2 * most + 5] * 5]


def test_an_error_goes_to_whom_it_belongs(cores):
    def fails():
        raise ValueError("no")

    computed = asyncio.run(taken(*[lambda: slowly(0), fails] * 5))
    assert [type(one) for one in computed] == [tuple, ValueError] * 5


@pytest.mark.parametrize("kind", [StopIteration, type("Panic", (BaseException,), {})])
def test_an_error_that_no_future_can_hold(cores, kind):
    def fails():
        raise kind

    async def main():
        first = await asyncio.wait_for(taken(*[lambda: slowly(0), fails] * 5), 5)
        second = await asyncio.wait_for(taken(*[lambda: slowly(0)] * 5), 5)
        return first, second

    first, second = asyncio.run(main())
    assert [type(one) for one in first] == [tuple, RuntimeError] * 5
    assert [type(one) for one in second] == [tuple] * 5


def test_what_nobody_waits_for_is_not_computed(cores):
    computed: list[int] = []

    async def main():
        loop = asyncio.get_running_loop()
        tasks = [
            asyncio.ensure_future(Turns.of(loop).take(loop, lambda number=number: computed.append(slowly(number)[0])))
            for number in range(20)
        ]
        await asyncio.sleep(0)
        for task in tasks[5:]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.02)

    asyncio.run(main())
    assert set(computed) >= set(range(5))
    assert len(computed) < 20


def test_the_thread_ends_with_its_loop(monkeypatch):
    monkeypatch.setattr(turns, "_cores", lambda: 2)
    asyncio.run(taken(*(lambda: slowly(0) for _ in range(20))))
    gc.collect()
    deadline = time.monotonic() + 5
    while any(thread.name == THREAD for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert THREAD not in {thread.name for thread in threading.enumerate()}

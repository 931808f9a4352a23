"""Scheduling of signatures on an event loop and its helper thread."""

from __future__ import annotations

import asyncio
import gc
import threading
import time

import pytest

from wechatpay_chain._pipeline import cpu_scheduler
from wechatpay_chain._pipeline.cpu_scheduler import CpuScheduler

LOOP, THREAD = "MainThread", "wechatpay-chain-cpu_0"


@pytest.fixture(params=[1, 2], ids=["one core", "two cores"])
def cores(request, monkeypatch):
    monkeypatch.setattr(cpu_scheduler, "_cores", lambda: request.param)
    return request.param


def slowly(number: int) -> tuple[int, str]:
    time.sleep(0.003)
    return number, threading.current_thread().name


async def taken(*functions) -> list:
    loop = asyncio.get_running_loop()
    return await asyncio.gather(
        *(CpuScheduler.of(loop).run(loop, function) for function in functions), return_exceptions=True
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


def computed_when_they_went_on(calls: int) -> list[int]:
    """How many functions of so many had been computed when each call went on."""
    computed, seen = [], []

    async def one():
        loop = asyncio.get_running_loop()
        await CpuScheduler.of(loop).run(loop, lambda: (time.sleep(0.001), computed.append(True)))
        seen.append(len(computed))

    async def main():
        await asyncio.gather(*(one() for _ in range(calls)))

    asyncio.run(main())
    return seen


def test_results_are_delivered_in_batches(cores, monkeypatch):
    """All but the first, which found the loop idle."""
    monkeypatch.setattr(cpu_scheduler, "BATCH", 60.0)
    first, *others = computed_when_they_went_on(20)
    assert first == 1
    assert others[-1] >= 20
    assert len(set(others)) <= 2 * cores, "those of the loop, and those of the thread"


def test_a_result_waits_for_others_only_so_long(monkeypatch):
    monkeypatch.setattr(cpu_scheduler, "_cores", lambda: 1)
    monkeypatch.setattr(cpu_scheduler, "BATCH", 0.0)
    seen = computed_when_they_went_on(20)
    assert all(computed <= place + 2 for place, computed in enumerate(seen, 1))


def test_an_interrupt_while_results_are_delivered(cores):
    interrupts = [KeyboardInterrupt]

    class Interrupted(asyncio.Future):
        def set_result(self, result):
            if interrupts:
                raise interrupts.pop()
            super().set_result(result)

    class Loop(asyncio.SelectorEventLoop):
        def create_future(self):
            return Interrupted(loop=self)

    loop = Loop()
    try:
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(taken(*(lambda: slowly(0) for _ in range(20))))
        later = loop.run_until_complete(asyncio.wait_for(taken(*(lambda: slowly(1) for _ in range(20))), 10))
        assert [number for number, _ in later] == [1] * 20
    finally:
        loop.close()


def test_a_loop_that_is_busy_holds_nobody_up(cores):
    """A busy loop starves the helper thread of the GIL; then the loop computes by itself what the thread has taken."""

    async def main():
        async def busy():
            while True:
                until = time.perf_counter() + 0.0045
                while time.perf_counter() < until:
                    pass
                await asyncio.sleep(0)

        busily = asyncio.ensure_future(busy())
        await asyncio.sleep(0)
        began = time.monotonic()
        await taken(*(lambda: slowly(0) for _ in range(20)))
        busily.cancel()
        return time.monotonic() - began

    assert max(asyncio.run(main()) for _ in range(5)) < 4


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
            asyncio.ensure_future(
                CpuScheduler.of(loop).run(loop, lambda number=number: computed.append(slowly(number)[0]))
            )
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


@pytest.mark.parametrize("calls", [3, 4, 8, 20])
def test_the_thread_ends_with_its_loop(monkeypatch, calls):
    """Also where the loop is closed while it computes: a call has failed, say, and nobody waits for the others."""
    monkeypatch.setattr(cpu_scheduler, "_cores", lambda: 2)

    async def main():
        loop = asyncio.get_running_loop()
        waiting = [asyncio.ensure_future(CpuScheduler.of(loop).run(loop, lambda: slowly(0))) for _ in range(calls)]
        await waiting[0]

    for _ in range(20):
        asyncio.run(main())
    deadline = time.monotonic() + 10
    while any(thread.name == THREAD for thread in threading.enumerate()) and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    assert THREAD not in {thread.name for thread in threading.enumerate()}

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


def compute_slowly(number: int) -> tuple[int, str]:
    time.sleep(0.003)
    return number, threading.current_thread().name


async def run_all(*functions) -> list:
    loop = asyncio.get_running_loop()
    return await asyncio.gather(
        *(CpuScheduler.of(loop).run(loop, function) for function in functions), return_exceptions=True
    )


def test_a_single_function_is_computed_at_once_on_the_loop(cores):
    async def main():
        for number in range(3):
            await asyncio.sleep(0.005)
            (computed,) = await run_all(lambda number=number: compute_slowly(number))
            assert computed == (number, LOOP)

    asyncio.run(main())


def test_many_functions_are_computed_on_the_loop_and_on_the_thread(cores):
    computed = asyncio.run(run_all(*(lambda number=number: compute_slowly(number) for number in range(60))))
    assert [number for number, _ in computed] == list(range(60))
    threads = {thread for _, thread in computed}
    assert threads == ({LOOP} if cores == 1 else {LOOP, THREAD})


def test_other_tasks_run_in_between(cores):
    async def main():
        running, rounds = asyncio.ensure_future(run_all(*(lambda: compute_slowly(0) for _ in range(20)))), 0
        while not running.done():
            await asyncio.sleep(0)
            rounds += 1
        return rounds

    assert asyncio.run(main()) > 5


def count_computed_when_calls_resume(calls: int) -> list[int]:
    """Makes calls at once, and returns for each how many functions had been computed when it resumed."""
    computed, counts = [], []

    async def call():
        loop = asyncio.get_running_loop()
        await CpuScheduler.of(loop).run(loop, lambda: (time.sleep(0.001), computed.append(True)))
        counts.append(len(computed))

    async def main():
        await asyncio.gather(*(call() for _ in range(calls)))

    asyncio.run(main())
    return counts


def test_results_are_delivered_in_batches(cores, monkeypatch):
    """The first result is delivered alone, because the loop was idle."""
    monkeypatch.setattr(cpu_scheduler, "BATCH", 60.0)
    first, *others = count_computed_when_calls_resume(20)
    assert first == 1
    assert others[-1] >= 20
    assert len(set(others)) <= 2 * cores, "batches of the loop, and of the thread"


def test_a_result_waits_for_its_batch_only_for_a_limited_time(monkeypatch):
    monkeypatch.setattr(cpu_scheduler, "_cores", lambda: 1)
    monkeypatch.setattr(cpu_scheduler, "BATCH", 0.0)
    counts = count_computed_when_calls_resume(20)
    assert all(computed <= place + 2 for place, computed in enumerate(counts, 1))


def test_calls_work_after_an_interrupt_while_results_are_delivered(cores):
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
            loop.run_until_complete(run_all(*(lambda: compute_slowly(0) for _ in range(20))))
        later = loop.run_until_complete(asyncio.wait_for(run_all(*(lambda: compute_slowly(1) for _ in range(20))), 10))
        assert [number for number, _ in later] == [1] * 20
    finally:
        loop.close()


def test_calls_end_on_a_busy_loop(cores):
    """A busy loop starves the helper thread of the GIL; then the loop itself computes what the thread has taken."""

    async def main():
        async def keep_busy():
            while True:
                until = time.perf_counter() + 0.0045
                while time.perf_counter() < until:
                    pass
                await asyncio.sleep(0)

        busy = asyncio.ensure_future(keep_busy())
        await asyncio.sleep(0)
        began = time.monotonic()
        await run_all(*(lambda: compute_slowly(0) for _ in range(20)))
        busy.cancel()
        return time.monotonic() - began

    assert max(asyncio.run(main()) for _ in range(5)) < 4


def test_an_error_is_raised_by_its_own_call(cores):
    def fail():
        raise ValueError("no")

    computed = asyncio.run(run_all(*[lambda: compute_slowly(0), fail] * 5))
    assert [type(result) for result in computed] == [tuple, ValueError] * 5


@pytest.mark.parametrize("kind", [StopIteration, type("Panic", (BaseException,), {})])
def test_an_error_that_no_future_can_hold_becomes_a_runtime_error(cores, kind):
    def fail():
        raise kind

    async def main():
        first = await asyncio.wait_for(run_all(*[lambda: compute_slowly(0), fail] * 5), 5)
        second = await asyncio.wait_for(run_all(*[lambda: compute_slowly(0)] * 5), 5)
        return first, second

    first, second = asyncio.run(main())
    assert [type(result) for result in first] == [tuple, RuntimeError] * 5
    assert [type(result) for result in second] == [tuple] * 5


@pytest.mark.parametrize("kind", [StopIteration, type("Panic", (BaseException,), {})])
def test_such_an_error_is_the_same_if_the_loop_is_idle(cores, kind):
    def fail():
        raise kind

    async def main():
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0.01)
        with pytest.raises(RuntimeError):
            await CpuScheduler.of(loop).run(loop, fail)

    asyncio.run(main())


def test_a_cancelled_call_is_not_computed(cores):
    computed: list[int] = []

    async def main():
        loop = asyncio.get_running_loop()
        tasks = [
            asyncio.ensure_future(
                CpuScheduler.of(loop).run(loop, lambda number=number: computed.append(compute_slowly(number)[0]))
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
    """The loop may close while the thread computes: when one call has failed and nobody waits for the others."""
    monkeypatch.setattr(cpu_scheduler, "_cores", lambda: 2)

    async def main():
        loop = asyncio.get_running_loop()
        waiting = [
            asyncio.ensure_future(CpuScheduler.of(loop).run(loop, lambda: compute_slowly(0))) for _ in range(calls)
        ]
        await waiting[0]

    for _ in range(20):
        asyncio.run(main())
    deadline = time.monotonic() + 10
    while any(thread.name == THREAD for thread in threading.enumerate()) and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    assert THREAD not in {thread.name for thread in threading.enumerate()}

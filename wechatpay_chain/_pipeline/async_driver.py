"""Performs what a flow yields, for callers that await. `sync_driver` does the same for callers that block."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar, cast

from wechatpay_chain._forks.process import current_process
from wechatpay_chain._messages.effects import Compute, Direct, Effect, Invoke, Sleep, Steps, UseFile, Wait
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain._pipeline.cpu_scheduler import CpuScheduler
from wechatpay_chain._pipeline.stack import unknown_effect
from wechatpay_chain.errors import UnsupportedError

__all__ = ["drive", "in_thread", "running_loop", "use_file"]

T = TypeVar("T")
Loop = asyncio.AbstractEventLoop


async def drive(flow: Steps[T], send: Callable[[Request], Awaitable[Response]]) -> T:
    """Performs what a flow yields until it returns. What `send` raises is raised in the flow, at its `yield`."""
    outcome: Any
    loop = running_loop()
    try:
        step = next(flow)
        while True:
            try:
                outcome = await (send(step) if isinstance(step, Request) else _perform(step, loop, send))
            except BaseException as error:
                step = flow.throw(error)
            else:
                step = flow.send(outcome)
    except StopIteration as stop:
        return cast("T", stop.value)


def running_loop() -> Loop:
    """Returns the running event loop of asyncio.

    Raises:
        UnsupportedError: there is none.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise UnsupportedError(
            "awaited calls need a running event loop of asyncio, and there is none; under trio or another library, call the "
            "blocking verbs in a thread, such as trio.to_thread.run_sync(client.v3.certificates.get)"
        ) from None


def in_thread(loop: Loop, function: Callable[[], T]) -> asyncio.Future[T]:
    """Runs a function that may block in a worker thread. Returns a future of its result.

    The executor of the loop cannot be used: a child that is forked in the middle would have it without its threads.
    """
    process = current_process()
    threads = _threads.get(process)
    if threads is None:
        threads = _threads.setdefault(process, ThreadPoolExecutor(thread_name_prefix="wechatpay-chain"))
    return loop.run_in_executor(threads, partial(contextvars.copy_context().run, function))


_threads: dict[object, ThreadPoolExecutor] = {}


async def use_file(loop: Loop, function: Callable[[], T]) -> T:
    """Runs a function that uses a file in a worker thread. A task that is cancelled waits until it has finished."""
    working = in_thread(loop, function)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise


async def _perform(effect: Effect, loop: Loop, send: Callable[[Request], Awaitable[Response]]) -> Any:
    match effect:
        case Compute(function):
            return await CpuScheduler.of(loop).run(loop, function)
        case UseFile(function):
            return await use_file(loop, partial(_called, function))
        case Direct(request):
            return await send(request)
        case Sleep(seconds):
            return await asyncio.sleep(seconds)
        case Invoke(function):
            if inspect.iscoroutinefunction(function):
                return await function()
            value = await in_thread(loop, partial(_called, function))
            return await value if inspect.isawaitable(value) else value
        case Wait(future, seconds):
            # asyncio.wait does not cancel the future when this task is cancelled or times out: others wait for it too.
            done, _ = await asyncio.wait([asyncio.wrap_future(future)], timeout=seconds)
            return bool(done)
        case _:
            raise unknown_effect(effect)


def _called(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except StopIteration as error:  # a future cannot hold one
        raise RuntimeError("StopIteration") from error

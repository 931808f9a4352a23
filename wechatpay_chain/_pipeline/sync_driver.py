"""Performs what a flow yields, for callers that block. `async_driver` does the same for callers that await."""

from __future__ import annotations

import concurrent.futures
import contextvars
import inspect
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from wechatpay_chain._messages.effects import Compute, Direct, Effect, Invoke, Sleep, Steps, UseFile, Wait
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain._pipeline.stack import unknown_effect
from wechatpay_chain.errors import ConfigurationError

__all__ = ["drive"]

T = TypeVar("T")


def drive(flow: Steps[T], send: Callable[[Request], Response]) -> T:
    """Performs what a flow yields until it returns. What `send` raises is raised in the flow, at its `yield`."""
    outcome: Any
    try:
        step = next(flow)
        while True:
            try:
                outcome = send(step) if isinstance(step, Request) else _perform(step, send)
            except BaseException as error:
                step = flow.throw(error)
            else:
                step = flow.send(outcome)
    except StopIteration as stop:
        return cast("T", stop.value)


def _perform(effect: Effect, send: Callable[[Request], Response]) -> Any:
    match effect:
        case Compute(function) | UseFile(function):
            return function()
        case Direct(request):
            return send(request)
        case Sleep(seconds):
            return time.sleep(seconds)
        case Invoke(function):
            value = function()
            return _run_in_new_loop(value) if inspect.isawaitable(value) else value
        case Wait(future, seconds):
            if _is_in_a_loop():
                return True if future.done() else None
            return bool(concurrent.futures.wait([future], seconds).done)
        case _:
            raise unknown_effect(effect)


def _run_in_new_loop(awaitable: Awaitable[Any]) -> Any:
    """Awaits an awaitable in a new thread, and returns its result."""
    import asyncio

    if _threads_are_green():
        if inspect.iscoroutine(awaitable):
            awaitable.close()
        raise ConfigurationError(
            "signer, verifier, seen or certificate_cache: it is an async def, which a blocking call cannot await where gevent "
            "or eventlet has replaced Python's threads; give a plain function, which they make cooperative"
        )

    async def awaited() -> Any:
        return await awaitable

    # This thread may have an event loop, which does not run until this call returns.
    thread = concurrent.futures.ThreadPoolExecutor(1)
    try:
        return thread.submit(contextvars.copy_context().run, asyncio.run, awaited()).result()
    except asyncio.CancelledError as error:  # the task in the other thread was cancelled; this call was not
        raise RuntimeError("CancelledError") from error
    finally:
        thread.shutdown(wait=False)


def _threads_are_green() -> bool:
    """Tells whether gevent or eventlet has replaced threads, so that two event loops cannot run."""
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    return bool(
        (gevent and gevent.is_module_patched("threading")) or (eventlet and eventlet.is_monkey_patched("thread"))
    )


def _is_in_a_loop() -> bool:
    if "asyncio" not in sys.modules:
        return False
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True

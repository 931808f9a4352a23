"""Where signatures are made that calls on an event loop wait for: on the loop in its turn, and on a thread beside it.

A signature takes 210 µs, in which other threads can run. 32 calls that begin at once would keep others on the loop waiting
for 10 ms. In slices it is 4; and where there is a second core, a thread takes its share of what waits, so that a third more
calls are made.

The signatures are given out together, so that the calls go on one after another, each with the code of the one before it
still in the processor's caches. Given out after each slice, they would cost 8 % of all calls.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

__all__ = ["Turns"]

SLICE = 0.0008
"""Seconds that a loop computes at a stretch, while others on it wait. Beside a thread it is one signature: no fewer calls are
made then, and others mostly wait for 0.7 ms, not for 3."""

TOGETHER = 32
"""Results that are given out at once, at the most. One alone does not wait for others."""

Function = Callable[[], Any]


class Turns:
    """What is to be computed for the calls on one event loop. It never depends on the thread, which may be late or gone."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Function, asyncio.Future[Any]]] = deque()
        self._done: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._ended = float("-inf")
        self._is_scheduled = self._is_helped = False
        # The thread ends when the loop is gone, and this with it.
        self._helper = ThreadPoolExecutor(1, "wechatpay-chain-signing") if _cores() > 1 else None
        self._stretch = SLICE if self._helper is None else 0.0

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> Turns:
        """Those of a loop."""
        return _turns.get(loop) or _turns.setdefault(loop, cls())

    async def take(self, loop: asyncio.AbstractEventLoop, function: Function) -> Any:
        """What a function returns: at once where the loop has time, else when its turn has come."""
        if not self._is_scheduled and loop.time() - self._ended > SLICE:
            try:
                return function()
            finally:
                self._ended = loop.time()
        future = loop.create_future()
        self._waiting.append((function, future))
        if not self._is_scheduled:
            self._is_scheduled = True
            loop.call_soon(self._slice, loop)
        elif self._helper is not None and not self._is_helped:
            self._is_helped = True
            with suppress(RuntimeError):  # Python is about to end
                self._helper.submit(self._help, loop)
        return await future

    def _slice(self, loop: asyncio.AbstractEventLoop) -> None:
        end = loop.time() + self._stretch
        try:
            while self._compute() and loop.time() < end:
                pass
        finally:
            self._ended = loop.time()
            if not self._waiting or len(self._done) >= TOGETHER:
                self._give_out()
            self._is_scheduled = bool(self._waiting)
            if self._is_scheduled:
                loop.call_soon(self._slice, loop)

    def _help(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while self._compute():
                pass
        finally:
            self._is_helped = False
            with suppress(RuntimeError):  # the loop was closed, and nobody waits any more
                loop.call_soon_threadsafe(self._give_out)

    def _give_out(self) -> None:
        while self._done:
            future, result, error = self._done.popleft()
            if future.done():  # whoever waited was cancelled meanwhile
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

    def _compute(self) -> bool:
        """Computes the first function that somebody still waits for, here and now, if there is one."""
        while self._waiting:
            try:
                function, future = self._waiting.popleft()
            except IndexError:  # the other thread was quicker
                return False
            if not future.done():
                try:
                    self._done.append((future, function(), None))
                except (KeyboardInterrupt, SystemExit):  # the main thread's, and so the loop's, if anybody's
                    future.cancel()
                    raise
                except BaseException as error:
                    # What a future cannot hold, or nobody expects, such as a panic of cryptography's.
                    is_usual = isinstance(error, Exception) and not isinstance(error, StopIteration)
                    reported = error if is_usual else RuntimeError(type(error).__name__)
                    self._done.append((future, None, reported))
                return True
        return False


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()

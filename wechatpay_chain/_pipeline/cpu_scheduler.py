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
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from wechatpay_chain._forks.process import current_process

__all__ = ["Turns"]

SLICE = 0.0008
"""Seconds that a loop computes at a stretch, while others on it wait, and after which it has time again."""

TOGETHER = 0.01
"""Seconds that a result waits for others at the most, to be given out with them: those of some 40 signatures."""

HANDOVER = 0.0001
"""Seconds that a loop leaves Python to its thread. To sleep for none would leave nothing on Python 3.10."""

Function = Callable[[], Any]
Result = tuple[asyncio.Future[Any], Any, BaseException | None]
"""Who waits, and what the function returned or raised."""


class Turns:
    """What is to be computed for the calls on one event loop. Nothing waits for the thread but what it is at already."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Function, asyncio.Future[Any]]] = deque()
        self._done: list[Result] = []
        self._since = 0.0
        self._ended = float("-inf")
        self._process = (
            current_process()
        )  # a forked child may go on with its parent's loop, without its parent's thread
        self._is_scheduled = False
        self._helping: Future[None] | None = None
        # The thread ends when the loop is gone, and this with it.
        self._helper = ThreadPoolExecutor(1, "wechatpay-chain-signing") if _cores() > 1 else None

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> Turns:
        """Those of a loop."""
        turns = _turns.get(loop)
        if turns is None or turns._process is not current_process():
            turns = _turns[loop] = cls()
        return turns

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
        elif self._helper is not None and (self._helping is None or self._helping.done()):
            with suppress(RuntimeError):  # Python is about to end
                self._helping = self._helper.submit(self._help, loop)
                loop.call_later(TOGETHER, self._hand_over, loop, self._helping)
        return await future

    def _slice(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            began = loop.time()
            if not self._done:
                self._since = began
            while (result := self._next()) is not None:
                self._done.append(result)
                if loop.time() - began >= SLICE:
                    break
        finally:
            self._ended = loop.time()
            self._is_scheduled = bool(self._waiting)  # asked once, for the thread takes from it too
            if self._is_scheduled:
                loop.call_soon(self._slice, loop)
            if not self._is_scheduled or self._ended - self._since >= TOGETHER:
                done, self._done = self._done, []
                _give_out(done)

    def _help(self, loop: asyncio.AbstractEventLoop) -> None:
        # What it has computed goes with the handle where the loop is closed meanwhile: kept here, it would keep the loop.
        done: list[Result] = []
        since = loop.time()
        try:
            while (result := self._next()) is not None:
                done.append(result)
                if loop.time() - since >= TOGETHER:
                    _tell(loop, done)
                    done, since = [], loop.time()
        finally:
            _tell(loop, done)

    def _hand_over(self, loop: asyncio.AbstractEventLoop, helping: Future[None]) -> None:
        """Leaves Python to a thread that is late: a busy loop takes it back at once, and could keep the thread for minutes."""
        if not helping.done() and self._process is current_process():
            time.sleep(HANDOVER)
            loop.call_soon(self._hand_over, loop, helping)

    def _next(self) -> Result | None:
        """What the first function that somebody still waits for comes to, computed here and now."""
        while self._waiting:
            try:
                function, future = self._waiting.popleft()
            except IndexError:  # the other thread was quicker
                return None
            if not future.done():
                try:
                    return future, function(), None
                except (KeyboardInterrupt, SystemExit):  # the main thread's, and so the loop's, if anybody's
                    future.cancel()
                    raise
                except BaseException as error:
                    # What a future cannot hold, or nobody expects, such as a panic of cryptography's.
                    is_usual = isinstance(error, Exception) and not isinstance(error, StopIteration)
                    return future, None, error if is_usual else RuntimeError(type(error).__name__)
        return None


def _tell(loop: asyncio.AbstractEventLoop, done: list[Result]) -> None:
    with suppress(RuntimeError):  # the loop was closed, and nobody waits any more
        loop.call_soon_threadsafe(_give_out, done)


def _give_out(done: list[Result]) -> None:
    for future, value, error in done:
        if future.done():  # whoever waited was cancelled meanwhile
            continue
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()

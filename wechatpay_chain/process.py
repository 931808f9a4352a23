"""Which process this is, and locks that a fork cannot leave locked: for what a forked child must not take over."""

from __future__ import annotations

import os
from _thread import RLock, allocate_lock  # what `threading` is made of, which takes 1 ms to import
from types import TracebackType

__all__ = ["ForkSafeLock", "current_process", "importing"]


class _Process:
    token = object()
    pid = os.getpid()


def current_process() -> object:
    """Returns one object for each process, which nothing in another process is equal to.

    Process numbers alone would not do: they come again. Python's hook alone would not do either: a server that is written
    in C, such as uWSGI, forks without running it. It takes 0.1 µs.
    """
    if os.getpid() != _Process.pid:
        _renew()
    return _Process.token


def _renew() -> None:
    # The token first: another thread that sees the new number must see the new token too.
    _Process.token = object()
    _Process.pid = os.getpid()


class ForkSafeLock:
    """A lock that a forked child finds free, whoever held it in the parent."""

    def __init__(self) -> None:
        self._locks = {current_process(): allocate_lock()}

    def __enter__(self) -> None:
        process = current_process()
        # setdefault decides between threads that come here at once.
        (self._locks.get(process) or self._locks.setdefault(process, allocate_lock())).acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._locks[current_process()].release()


importing = RLock()
"""Held by a thread while it imports what calls need. A fork waits for it: a child that is forked in the middle of an import
finds the lock of the module held by a thread that it does not have, and waits for it for ever."""

if hasattr(os, "register_at_fork"):

    def _go_on_in_child() -> None:
        _renew()
        importing.release()

    os.register_at_fork(before=importing.acquire, after_in_parent=importing.release, after_in_child=_go_on_in_child)

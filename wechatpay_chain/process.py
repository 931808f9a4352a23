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


class _Importing:
    """Held by a thread while it imports what calls need. A fork waits for it.

    A child that is forked in the middle of an import finds the lock of the module held by a thread that it does not have,
    and waits for it for ever.
    """

    def __init__(self) -> None:
        self._lock = RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.release()

    def renew(self) -> None:
        """Makes the lock anew, in a child whose parent held it over the fork."""
        self._lock = RLock()


importing = _Importing()


def _begin_child() -> None:
    _renew()
    importing.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=importing.__enter__,
        after_in_parent=lambda: importing.__exit__(None, None, None),
        after_in_child=_begin_child,
    )

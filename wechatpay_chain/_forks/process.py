"""Identifies the current process, and provides locks that are never locked in a forked child."""

from __future__ import annotations

import os
from _thread import RLock  # importing `threading`, which uses it, takes 1 ms

__all__ = ["ForkSafeLock", "current_process"]

_tokens: dict[int, object] = {}


def current_process() -> object:
    """Returns a token that identifies this process: an object that is equal to that of no other process.

    PIDs alone are not enough, because the system reuses them. Python's fork hook alone is not enough either, because a
    server that is written in C, such as uWSGI, forks without running it. A call takes 0.2 µs.
    """
    pid = os.getpid()
    # setdefault is atomic, so all threads get the same object.
    return _tokens.get(pid) or _tokens.setdefault(pid, object())


class ForkSafeLock:
    """A lock that is free in a forked child, even if a thread held it in the parent.

    Example:
        with lock.current:
            ...
    """

    def __init__(self) -> None:
        self._locks: dict[object, RLock] = {}

    @property
    def current(self) -> RLock:
        """The lock of this process. It is written in C, so no interrupt can come between `acquire` and the block."""
        process = current_process()
        return self._locks.get(process) or self._locks.setdefault(process, RLock())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_tokens.clear)

"""Delays forks during imports, while OpenSSL creates keys and TLS contexts under its own locks, and while SQLite uses a file.

A child that is forked at such a moment inherits a locked lock without the thread that would release it, and waits
forever.
"""

from __future__ import annotations

# These modules register fork hooks of their own. They are imported first, because for a hook that is registered
# while a fork waits here, the part after the fork would run, and the part before it would not.
import concurrent.futures.thread  # noqa: F401
import logging  # noqa: F401
import os
from _thread import get_ident
from collections.abc import Callable

from wechatpay_chain._forks.process import ForkSafeLock

__all__ = ["call_before_fork", "no_fork"]

MAX_WAIT = 10.0
"""The maximum time that a fork waits for an import, in seconds. Fork hooks of other libraries can block an import."""

no_fork = ForkSafeLock()
"""The lock that a thread holds while it imports modules, lets OpenSSL create objects, or uses a file of SQLite. A fork waits for it. In a
child it is free, also if the fork has waited for too long."""

_forking_threads: set[int] = set()
_functions: list[Callable[[], None]] = []


def call_before_fork(function: Callable[[], None]) -> None:
    """Lets a function be called before each fork, by a thread that has the lock; not if the fork has waited for too long."""
    _functions.append(function)


def _acquire() -> None:
    if no_fork.current.acquire(timeout=MAX_WAIT):
        _forking_threads.add(get_ident())
        for function in _functions:
            function()


def _release() -> None:
    if get_ident() in _forking_threads:
        _forking_threads.discard(get_ident())
        no_fork.current.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_acquire, after_in_parent=_release, after_in_child=_forking_threads.clear)

"""Keeps a fork out of imports, and out of what OpenSSL makes under locks of its own: keys, and contexts of TLS.

A child that is forked there finds a lock held by a thread that it does not have, and waits for it for ever.
"""

from __future__ import annotations

# These have hooks of their own, which must be registered before the one below: they run after it, and none comes to be while a
# fork waits here, whose second half would then run without its first.
import concurrent.futures.thread  # noqa: F401
import logging  # noqa: F401
import os
from _thread import RLock, get_ident

__all__ = ["importing"]

LONGEST_WAIT = 10.0
"""Seconds that a fork waits for an import, which takes a fraction of one; hooks of other libraries could be in its way."""

importing = RLock()
"""Held by a thread while it imports what calls need, or makes what OpenSSL makes under its own locks. A fork waits for it."""

_holding: set[int] = set()


def _before() -> None:
    if importing.acquire(timeout=LONGEST_WAIT):
        _holding.add(get_ident())


def _after() -> None:
    if get_ident() in _holding:
        _holding.discard(get_ident())
        importing.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)

"""Keeps a fork from coming into the middle of an import, or of what else must not be cut in two: see `own_keys` and `crypto`.

A child that is forked there finds a lock held by a thread that it does not have, and waits for it for ever.
"""

from __future__ import annotations

import logging  # noqa: F401 -- it has a hook of its own, which must be registered before the one below, and so run after it
import os
from _thread import RLock, get_ident

__all__ = ["importing"]

LONGEST_WAIT = 10.0
"""Seconds that a fork waits for an import, which takes a fraction of one; hooks of other libraries could be in its way."""

importing = RLock()
"""Held by a thread while it imports what calls need, or uses OpenSSL for the first time. A fork waits for it."""

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

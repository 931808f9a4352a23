"""Which process this is, for what a forked child must not take over from its parent."""

from __future__ import annotations

import os

__all__ = ["Process"]


class Process:
    """`current` is one object for each process. Process numbers would not do: they come again."""

    current = object()


def _begin() -> None:
    Process.current = object()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin)

"""What the sandbox remembers: the latest things of a kind, so that its memory has a bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

__all__ = ["Book"]

K = TypeVar("K")
V = TypeVar("V")

MOST_BYTES = 64 << 20
"""The bytes that one book keeps, if its things are weighed."""


class Book(dict[K, V]):
    """Things of one kind by number, in the order in which they came. The oldest are forgotten.

    Args:
        keep: how many are kept.
        weigh: returns the bytes of one; all together have at most 64 MiB, but the last one is always kept.
    """

    def __init__(self, keep: int, weigh: Callable[[V], int] = lambda _: 0) -> None:
        super().__init__()
        self._keep, self._weigh, self._weight = keep, weigh, 0

    def __setitem__(self, number: K, thing: V) -> None:
        if number in self:
            self._weight -= self._weigh(self[number])
        super().__setitem__(number, thing)
        self._weight += self._weigh(thing)
        while len(self) > self._keep or (self._weight > MOST_BYTES and len(self) > 1):
            del self[next(iter(self))]

    def __delitem__(self, number: K) -> None:
        self._weight -= self._weigh(self[number])
        super().__delitem__(number)

    def clear(self) -> None:
        """Forgets everything."""
        super().clear()
        self._weight = 0

"""A reference-counted registry of connection pools that clients share."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

__all__ = ["Shared"]

T = TypeVar("T")
P = TypeVar("P", bound=Hashable)


class Shared(Generic[T, P]):
    """Shares things by key, so that thousands of merchants in one process need not have a connection each.

    A client joins, and leaves when it is closed or garbage collected. The last one to leave gets the thing back, to close it. There
    is no lock: a fork could copy it locked, and a finalizer may run anywhere. Instead, `join` and `leave` check at their end
    whether another thread has left or joined in between.
    """

    def __init__(self) -> None:
        self._kept: dict[P, tuple[T, dict[int, set[P]]]] = {}

    def join(self, place: P, joined: set[P], make: Callable[[], T]) -> T:
        """Returns the thing at a place; makes it if there is none.

        Args:
            place: the key.
            joined: the caller's set of keys. It identifies the caller and is updated in place.
            make: makes the thing.
        """
        while True:
            # Two threads may come here at once; setdefault gives both the same one.
            kept = self._kept.get(place) or self._kept.setdefault(place, (make(), {}))
            thing, holders = kept
            holders[id(joined)] = joined
            joined.add(place)
            if self._kept.get(place) is kept:  # otherwise the last one has left in between
                return thing

    def leave(self, place: P, joined: set[P]) -> T | None:
        """Leaves a place. Returns the thing if nobody uses it any more, for the caller to close."""
        joined.discard(place)
        kept = self._kept.get(place)
        if kept is None:
            return None
        thing, holders = kept
        if holders.pop(id(joined), None) is None or holders:
            return None
        self._kept.pop(place, None)
        if holders:  # somebody has joined in between
            self._kept.setdefault(place, kept)
            return None
        return thing

    def drop(self, place: P, thing: T) -> None:
        """Removes a thing, even if clients use it."""
        kept = self._kept.get(place)
        if kept is not None and kept[0] is thing:
            del self._kept[place]
            for joined in list(kept[1].values()):
                joined.discard(place)

    def __iter__(self) -> Iterator[tuple[P, T]]:
        return iter([(place, thing) for place, (thing, _) in list(self._kept.items())])

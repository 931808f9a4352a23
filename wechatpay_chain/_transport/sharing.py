"""Connection pools that clients share."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

__all__ = ["Shared"]


T = TypeVar("T")


P = TypeVar("P", bound=Hashable)


class Shared(Generic[T, P]):
    """What clients have in common: thousands of merchants in one process need not have a connection each.

    A client joins, and leaves when it is closed or gone; whoever leaves last gets the thing back, to close it. There is no
    lock, for a fork could copy it locked, and a client may be collected anywhere.
    """

    def __init__(self) -> None:
        self._kept: dict[P, tuple[T, dict[int, set[P]]]] = {}

    def join(self, place: P, joined: set[P], make: Callable[[], T]) -> T:
        """What is at a place; it is made where there is nothing.

        Args:
            place: where.
            joined: the places of whoever joins, and so who he is. What is dropped is taken out.
            make: makes it.
        """
        while True:
            # Two threads may come here at once; setdefault gives both the same one.
            kept = self._kept.get(place) or self._kept.setdefault(place, (make(), {}))
            thing, holders = kept
            holders[id(joined)] = joined
            joined.add(place)
            if self._kept.get(place) is kept:  # else the last has left meanwhile
                return thing

    def leave(self, place: P, joined: set[P]) -> T | None:
        """What nobody holds any more."""
        joined.discard(place)
        kept = self._kept.get(place)
        if kept is None:
            return None
        thing, holders = kept
        if holders.pop(id(joined), None) is None or holders:
            return None
        self._kept.pop(place, None)
        if holders:  # somebody has joined meanwhile
            self._kept.setdefault(place, kept)
            return None
        return thing

    def drop(self, place: P, thing: T) -> None:
        """Forgets a thing, whoever holds it."""
        kept = self._kept.get(place)
        if kept is not None and kept[0] is thing:
            del self._kept[place]
            for joined in list(kept[1].values()):
                joined.discard(place)

    def __iter__(self) -> Iterator[tuple[P, T]]:
        return iter([(place, thing) for place, (thing, _) in list(self._kept.items())])

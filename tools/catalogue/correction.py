"""The form of a correction of the facts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

__all__ = ["Correction"]


class Correction(NamedTuple):
    """Changes one place.

    Attributes:
        where: the method and the path of an operation, or the event type of a notification; `*` at its end stands for any rest.
        place: where in it: `body`, `query`, `response` or `resource`, then members, and `[]` for the items of a list.
        reason: why it is wrong, and the source that is right.
        update: members of the schema to set; None removes one.
        rename: the right name of the member.
        optional: names that `required` lists and that can be absent.
        required: names that are always there.
        removed: names that are not there at all.
    """

    where: str
    place: str
    reason: str
    update: Mapping[str, Any] = MappingProxyType({})
    rename: str = ""
    optional: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

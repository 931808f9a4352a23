"""The paths of all operations as a tree, with the name of each place in Python."""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from dataclasses import dataclass, field

from wechatpay_chain._catalogue.operations import Operation, find_operation, list_operations
from wechatpay_chain._chain.spelling import spell_segment

__all__ = ["Place", "grow"]


@dataclass(eq=False)
class Place:
    """A segment of paths.

    Attributes:
        template: the path template from the root, as a chain has it; of APIv2, below `v2/`.
        attribute: the attribute of a chain that adds the segment; empty if only brackets can write it.
        parent: the place before; None for a root.
        children: the places behind, by segment.
        operations: the operations at this place, by verb in lower case.
    """

    template: str
    attribute: str
    parent: Place | None = None
    children: dict[str, Place] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)

    @property
    def segment(self) -> str:
        """The last segment."""
        return self.template.rpartition("/")[2]

    @property
    def name(self) -> str:
        """The name of the place among the types: the attribute, a variable and `_empty_` without their underscores."""
        is_private = self.segment.startswith("{") or not self.segment
        return self.attribute.strip("_") if is_private else self.attribute or self.segment

    @property
    def line(self) -> tuple[Place, ...]:
        """The places from the root to this one."""
        return (*(self.parent.line if self.parent else ()), self)

    def walk(self) -> Iterator[Place]:
        """Yields this place and all behind it."""
        yield self
        for _, child in sorted(self.children.items()):
            yield from child.walk()


def grow() -> dict[str, Place]:
    """Returns the roots of the tree, by segment.

    Raises:
        ValueError: two places side by side have one name.
    """
    roots: dict[str, Place] = {}
    for method, path in list_operations():
        operation = find_operation(method, path)
        assert operation is not None
        first, *segments = operation.template.split("/")
        place = roots.setdefault(first, Place(first, f"{first}_" if keyword.iskeyword(first) else first))
        for segment in segments:
            if segment not in place.children:
                template = f"{place.template}/{segment}"
                place.children[segment] = Place(template, spell_segment(place.template, segment), place)
            place = place.children[segment]
        place.operations[method.lower()] = operation
    for root in roots.values():
        for place in root.walk():
            names = [child.name for child in place.children.values()]
            if len(set(names)) < len(names):
                raise ValueError(f"{place.template}: two places have one name: {sorted(names)}")
    return roots

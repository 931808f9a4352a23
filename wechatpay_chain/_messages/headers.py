"""HTTP headers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from wechatpay_chain._messages.redaction import escape

__all__ = ["Headers"]


class Headers(Mapping[str, str]):
    """Immutable HTTP headers, found by name in any case. Its repr shows names only, for values can be secret."""

    __slots__ = ("_items",)

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._items = {name.lower(): (name, value) for name, value in headers.items()}

    @classmethod
    def joined(cls, fields: Iterable[tuple[str, str]]) -> Headers:
        """Of fields as they came. Those of one name, which the service does not send, are joined: RFC 9110, 5.3."""
        headers = cls.__new__(cls)
        items = headers._items = {}
        for item in fields:
            key = item[0].lower()
            items[key] = (item[0], f"{items[key][1]}, {item[1]}") if key in items else item
        return headers

    def __getitem__(self, name: str) -> str:
        return self._items[name.lower()][1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    # Mapping's own takes 2 µs, this one 0.3, and a call asks for some twenty.
    def get(self, name: str, default: Any = None) -> Any:
        """The value of a header, or another where there is none."""
        item = self._items.get(name.lower())
        return item[1] if item else default

    def __or__(self, other: Mapping[str, str]) -> Headers:
        merged = Headers.__new__(Headers)
        merged._items = {**self._items, **(other if isinstance(other, Headers) else Headers(other))._items}
        return merged

    def without(self, name: str) -> Headers:
        """Returns the same headers but for one."""
        rest = Headers.__new__(Headers)
        rest._items = {key: item for key, item in self._items.items() if key != name.lower()}
        return rest

    def has_any(self, names: frozenset[str]) -> bool:
        """Whether one of these is there, in lower case."""
        return not names.isdisjoint(self._items)

    def as_dict(self) -> dict[str, str]:
        """Names as they were written, and values."""
        return dict(self._items.values())

    def __repr__(self) -> str:
        return f"<Headers {', '.join(map(escape, self))}>"

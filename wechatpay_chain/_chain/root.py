"""Where a chain starts: an attribute of a client."""

from __future__ import annotations

from typing import Any, Generic, NoReturn, Protocol, TypeVar, overload

from wechatpay_chain._chain.call import Sender
from wechatpay_chain._chain.node import Chain, Node

__all__ = ["Root", "no_such_root"]


C = TypeVar("C", bound=Chain)


class _HasSender(Protocol):
    _dispatch: Any


class Root(Generic[C]):
    """An attribute of a client at which a chain starts. At run time it is a `Node`; type checkers know what the chain has.

    Args:
        segment: the first segment of its paths.
    """

    def __init__(self, segment: str) -> None:
        self._segment = segment

    @overload
    def __get__(self, client: None, owner: type) -> Root[C]: ...
    @overload
    def __get__(self, client: _HasSender, owner: type) -> C: ...
    def __get__(self, client: _HasSender | None, owner: type) -> C | Root[C]:
        if client is None:
            return self
        sender: Sender = client._dispatch
        return Node(sender, self._segment)  # type: ignore[return-value]

    def __set__(self, client: object, value: object) -> NoReturn:
        raise AttributeError(f"a client's chains are read-only; {self._segment} cannot be set")


def no_such_root(client: type, attribute: str) -> AttributeError:
    """Returns the error of an attribute that a client does not have."""
    import difflib

    public = [name for name in dir(client) if not name.startswith("_")]
    meant = difflib.get_close_matches(attribute.lower(), public, n=1)
    advice = f"; did you mean {meant[0]!r}?" if meant else "."
    return AttributeError(
        f"{attribute!r} is not an attribute of a client{advice} A chain begins at v2, v3, hk, global_, brand, or anywhere "
        'with client["…"]'
    )

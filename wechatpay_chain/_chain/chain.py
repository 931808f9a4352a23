"""A chain of attributes: a path template that grows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Protocol

from wechatpay_chain._chain.call import Call
from wechatpay_chain._chain.template import extend, hide_query, literal
from wechatpay_chain._messages.response import Response

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["VERBS", "Chain", "Sender"]

VERBS = tuple(f"{verb}{mode}" for verb in ("get", "post", "put", "patch", "delete") for mode in ("", "_async"))
_PUBLIC = ("chain", *VERBS)


class Sender(Protocol):
    """Sends the calls of a node."""

    def send(self, call: Call) -> Response:
        """Sends a call and returns its verified response."""
        ...

    async def send_async(self, call: Call) -> Response:
        """Sends a call for callers that await."""
        ...


class Chain:
    """A path template that grows by attributes.

    `chain.pre_send_coupon` adds a segment, `chain._openid_` a path variable, `chain["a/{b}"]` a path as written. Chains are
    immutable; equal templates of one client are equal chains. `str(chain)` is the whole template as it was written; `repr`
    hides the values of its query, which can be a token.
    """

    __slots__ = ("_sender", "_template")

    _sender: Sender
    _template: str

    def __init__(self, sender: Sender, template: str) -> None:
        object.__setattr__(self, "_sender", sender)
        object.__setattr__(self, "_template", template)

    def __getattr__(self, attribute: str) -> Self:
        return type(self)(self._sender, extend(self._template, attribute))

    def __getitem__(self, path: str) -> Self:
        return self.chain(path)

    def chain(self, path: str) -> Self:
        """Adds a path as written; `<name>` is another spelling of the variable `{name}`."""
        if not isinstance(path, str):
            raise TypeError(f"a path in brackets is a text such as 'a/b/{{c}}'; came one of type {type(path).__name__}")
        return type(self)(self._sender, literal(self._template, path))

    if not TYPE_CHECKING:  # a type checker is to report a node that is called

        def __call__(self, *_args: object, **_kwargs: object) -> NoReturn:
            """Raises a TypeError that names the verb that was probably meant."""
            import difflib

            segment = self._template.rpartition("/")[2].replace("-", "_")
            meant = next(iter(difflib.get_close_matches(segment, _PUBLIC, cutoff=0.6)), None)
            advice = f"did you mean .{meant}(…)?" if meant else f"end the chain with one of {', '.join(VERBS)}"
            raise TypeError(f"{self!r} is a path, not a verb: {advice}")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{self!r} is immutable; {name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{self!r} is immutable; {name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Chain):
            return NotImplemented
        return self._sender is other._sender and self._template == other._template

    def __hash__(self) -> int:
        return hash((id(self._sender), self._template))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __str__(self) -> str:
        return self._template

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {hide_query(self._template)}>"

    def __dir__(self) -> list[str]:
        return list(_PUBLIC)

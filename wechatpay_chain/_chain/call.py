"""A call: what the caller wants, before anything of it is checked, encrypted or encoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from wechatpay_chain._catalogue.formats import XML, format_on_wire
from wechatpay_chain._chain.template import Params, hide_query
from wechatpay_chain._messages.json_body import check_body
from wechatpay_chain._messages.request import Sink
from wechatpay_chain._messages.response import Response
from wechatpay_chain._messages.sensitive import Sensitive, contains_sensitive, encrypt_all
from wechatpay_chain.errors import ArgumentError

if TYPE_CHECKING:
    from wechatpay_chain._files.source import Files

__all__ = ["Call", "Fields", "Seconds", "Sender"]

Seconds = float | tuple[float, float] | tuple[float, float, float] | None
"""A timeout: seconds to connect, to wait for bytes, and in total; None for the client's. See `Client`."""

Fields = Mapping[str, str] | None
"""Headers that a call adds or replaces."""


class Call(NamedTuple):
    """One use of a verb, with what was passed to it; `Node` says what each argument is.

    The fields are in the order of the parameters of a verb, which passes them by position. A `sink` takes the file of a download.
    """

    method: str
    template: str
    variables: Mapping[str, object] = {}
    json: Any = None
    params: Params = None
    headers: Fields = None
    timeout: Seconds = None
    idempotent: bool = False
    files: Files | None = None
    xml: Any = None
    certificate: bool | None = None
    sink: Sink | None = None

    def checked(self) -> Call:
        """Returns the call, its `params` ready to be read more than once.

        Raises:
            ArgumentError: it is an operation of APIv2 without `v2/` before it.
        """
        _require_v2(self.template)
        if self.params is None or isinstance(self.params, (Mapping, str, bytes)):
            return self
        try:
            return self._replace(params=list(self.params))
        except TypeError:
            return self  # which is refused where the query is written

    @property
    def is_sensitive(self) -> bool:
        """Whether there is a `Sensitive` value in it.

        Raises:
            ArgumentError: `json`, `xml` or `params` contains itself, is nested too deeply, or has a key that is not text.
        """
        try:
            return any(map(contains_sensitive, (self.json, self.xml, self.params)))
        except (RecursionError, TypeError):
            raise self._fault() from None

    def encrypted(self, encrypt: Callable[[str], str]) -> Call:
        """Returns the call with every `Sensitive` value encrypted.

        Raises:
            ArgumentError: a value is too long, or as for `is_sensitive`.
        """
        if isinstance(self.json, Sensitive):
            check_body(self.json)
        try:
            return self._replace(
                json=encrypt_all(self.json, encrypt),
                xml=encrypt_all(self.xml, encrypt),
                params=encrypt_all(self.params, encrypt),
            )
        except (RecursionError, TypeError):
            raise self._fault() from None

    def _fault(self) -> ArgumentError:
        from wechatpay_chain._messages.json_faults import find_fault  # decimal and uuid take 3 ms to import

        for argument, value in (("json", self.json), ("xml", self.xml), ("params", self.params)):
            if fault := find_fault(value):
                return ArgumentError(f"{argument}: {fault}")
        return ArgumentError("json: it is nested too deeply; expected what JSON can write")

    def __repr__(self) -> str:
        return f"<Call {self.method} {hide_query(self.template)}>"


class Sender(Protocol):
    """Sends the calls of a node."""

    def send(self, call: Call) -> Response:
        """Sends a call and returns its verified response."""
        ...

    async def send_async(self, call: Call) -> Response:
        """Sends a call for callers that await."""
        ...


@lru_cache(maxsize=4096)
def _require_v2(template: str) -> None:
    if format_on_wire(template) is XML:
        raise ArgumentError(
            f"{hide_query(template)}: it belongs to APIv2; begin the chain with v2, as in client.v2.pay"
        )

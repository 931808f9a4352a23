"""How a call becomes a request: one way for each API, found by the first segment of the path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from wechatpay_chain._chain.call import Call
from wechatpay_chain._messages.effects import Steps
from wechatpay_chain._messages.request import Request

__all__ = ["Calls", "CallsByRoot"]


class Calls(Protocol):
    """Makes the requests of one API."""

    def prepare(self, call: Call, library: str) -> Steps[Request]:
        """Returns the request of a call, without its signature.

        Args:
            call: what the caller wants.
            library: the HTTP library that sends it, for the User-Agent header.

        Raises:
            PathVariableError, ArgumentError, ConfigurationError: the call cannot be sent.
        """
        ...


class CallsByRoot(NamedTuple):
    """Finds the API of a call.

    Attributes:
        by_root: by the first segment of the path.
        others: of any other path.
    """

    by_root: Mapping[str, Calls]
    others: Calls

    def find(self, template: str) -> Calls:
        """Returns what makes the requests of a path template."""
        return self.by_root.get(template.partition("/")[0], self.others)

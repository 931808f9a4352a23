"""How a call becomes a request: one way for each API, found by the first segment of the path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from posixpath import normpath
from typing import NamedTuple, NoReturn, Protocol
from urllib.parse import unquote

from wechatpay_chain._catalogue.formats import XML
from wechatpay_chain._chain.call import Call
from wechatpay_chain._chain.template import expand, hide_query
from wechatpay_chain._messages.effects import Steps
from wechatpay_chain._messages.request import Request
from wechatpay_chain._schemes.by_key import SCHEMES, scheme_at
from wechatpay_chain._schemes.scheme import Scheme
from wechatpay_chain.errors import ArgumentError, UnsupportedError

__all__ = ["Calls", "CallsByRoot", "divide"]


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


class RefusedCalls(NamedTuple):
    """Refuses calls that are not for this kind of customer.

    Attributes:
        scheme: what the calls would have to be signed with.
        own: what the client signs with.
    """

    scheme: Scheme
    own: Scheme

    def prepare(self, call: Call, library: str) -> NoReturn:  # noqa: ARG002 -- nothing is sent
        """Raises an error."""
        raise UnsupportedError(
            f"{hide_query(call.template)}: this client has {self.own.identity}=, and this call is made by a client with "
            f"{self.scheme.identity}=; nothing was sent"
        )


class CallsByRoot(NamedTuple):
    """Finds the API of a call.

    Attributes:
        by_root: by the first segment of the path.
        others: of any other path.
    """

    by_root: Mapping[str, Calls]
    others: Calls

    def find(self, call: Call) -> Calls:
        """Returns what makes the request of a call.

        Raises:
            PathVariableError, ArgumentError: its path cannot be made.
        """
        root = call.template.partition("/")[0].lower()
        if not root.isalnum():  # the segment that is sent may be the value of a variable, or percent-encoded
            path = unquote(expand(call.template, call.variables)).partition("?")[0].lower()
            root = normpath(re.sub(";[^/]*", "", path)).strip("/").partition("/")[0]
            if root == XML.root:
                raise ArgumentError(f"path: {hide_query(call.template)} is one of APIv2; write v2/ at its beginning")
        return self.by_root.get(root, self.others)


def divide(scheme: Scheme, signed: Calls, v2: Calls) -> CallsByRoot:
    """Returns the APIs of a client.

    Args:
        scheme: what the client signs with.
        signed: makes the requests that are signed with it.
        v2: makes those of APIv2, which only merchants have.
    """
    ways: dict[str, Calls] = {
        root: signed if root == scheme.root else RefusedCalls(scheme_at(root), scheme)
        for root in ("", *(each.root for each in SCHEMES))
    }
    others = ways.pop("")
    return CallsByRoot({**ways, XML.root: v2 if scheme.has_apiv2 else others}, others)

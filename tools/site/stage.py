"""Calls operations with their examples, to bring a sandbox into a state that another call needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tools.site.calls import make_arguments
from tools.site.entries import find_entry
from tools.site.values import Encrypted, Merchant
from wechatpay_chain import Client, Response, Sensitive
from wechatpay_chain.sandbox import Sandbox

__all__ = ["Given", "Preparation", "Stage"]

Given = Mapping[str, Any]
"""Values of a call by the names of their members; a member with None is left out."""


class Stage:
    """A sandbox and its client, which calls operations with their examples.

    Attributes:
        sandbox: the sandbox.
        client: its client.
    """

    def __init__(self, sandbox: Sandbox, client: Client) -> None:
        self.sandbox, self.client = sandbox, client

    def call(self, slug: str, **given: Any) -> Any:
        """Calls an operation with its example, and returns the parsed response; None if it has no body.

        Args:
            slug: the name of the operation's page.
            **given: values of members by name, that are used as they are; a member with None is left out.
        """
        entry = find_entry(slug)
        node = self.client[entry.operation.template]
        response: Response[Any] = getattr(node, entry.verb)(**self._resolve(make_arguments(entry, given)))
        if not response.content:
            return None
        return response.xml() if entry.is_v2 else response.json()

    def _resolve(self, value: Any) -> Any:
        match value:
            case Merchant():
                return self.client.mchid
            case Encrypted():
                return Sensitive(str(value))
            case Mapping():
                return {name: self._resolve(member) for name, member in value.items()}
            case list():
                return [self._resolve(item) for item in value]
        return value


class Preparation(NamedTuple):
    """What has to be there before a call.

    Attributes:
        words: what is there, in Chinese; empty if nothing has to be.
        prepare: brings it about, and returns the values of the call that follow from it.
    """

    words: str
    prepare: Callable[[Stage], Given]

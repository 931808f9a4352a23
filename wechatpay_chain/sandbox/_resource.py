"""The resource of a notification that a test makes: what the test leaves out is filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wechatpay_chain._catalogue.operations import find_event
from wechatpay_chain.sandbox._operations.account import Account
from wechatpay_chain.sandbox._operations.answers import fill

__all__ = ["complete_resource"]


def complete_resource(account: Account, event_type: str, resource: Any, original_type: str) -> tuple[str, Any]:
    """Returns the kind of a resource, and the resource with the required members that it lacks.

    Args:
        account: the merchant's account.
        event_type: the event type. The resource of one that is not documented stays as it is.
        resource: members of the resource. A JSON value that is no object stays as it is.
        original_type: its kind; empty for the first documented one, or the first word of the event type.
    """
    known = find_event(event_type)
    kinds = {each.original_type: each.schema for each in known.resources} if known else {}
    first = next(iter(kinds), "")
    kind = original_type or first or event_type.partition(".")[0].lower()
    schema = kinds.get(original_type or first)
    if not schema or not isinstance(resource, Mapping):
        return kind, resource
    digest = account.number(event_type, resource, digits=40).encode()
    return kind, fill(schema, {**account.identity(schema), **resource}, digest, account.now())

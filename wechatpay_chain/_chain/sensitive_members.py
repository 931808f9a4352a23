"""Marks what the catalogue knows to be encrypted, for callers whose values are plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wechatpay_chain._catalogue.operations import Schema
from wechatpay_chain._messages.sensitive import Sensitive
from wechatpay_chain._schemes.by_key import is_ciphertext

__all__ = ["mark_sensitive"]


def mark_sensitive(schema: Schema, value: Any) -> Any:
    """Returns a value whose sensitive texts are marked, so that the client encrypts them. Ciphertexts stay as they are.

    A text that is too long to be encrypted is marked, too, so that the client refuses it.

    Args:
        schema: the schema of the value.
        value: the JSON value; it is not changed.
    """
    match schema["type"], value:
        case "object", dict():
            properties: Mapping[str, Schema] = schema["properties"]
            return {
                name: mark_sensitive(properties[name], member) if name in properties else member
                for name, member in value.items()
            }
        case "array", list():
            return [mark_sensitive(schema["items"], item) for item in value]
        case "string", str() if schema.get("encrypted") and not is_ciphertext(value):
            return Sensitive(value)
    return value

"""Personal data in what is sent and in what comes back: names, numbers, addresses.

It travels encrypted to its reader: https://pay.weixin.qq.com/doc/v3/merchant/4013053257
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wechatpay_chain._messages.faults import ArgumentError

__all__ = ["Sensitive", "holds_sensitive", "opened", "sealed"]


class Sensitive:
    """A text that is encrypted before it is sent, anywhere in `json=` or `params=`. Its repr and str show nothing.

    Args:
        text: at most 214 bytes of UTF-8, which is what a key of 2048 bits can hold.

    Raises:
        TypeError: it is no text.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"Sensitive: came a {type(text).__name__}; expected a text")
        self._text = text

    def sealed(self, encrypt: Callable[[str], str]) -> str:
        """The ciphertext."""
        return encrypt(self._text)

    def __repr__(self) -> str:
        return "Sensitive(…)"


def holds_sensitive(value: object) -> bool:
    """Tells whether there is something sensitive in a JSON value or in query parameters.

    Raises:
        TypeError: an object has a name that is not a text. The encoder would write it as one: 1 and "1" would be the same.
        RecursionError: it holds itself, or is nested too deeply.
    """
    if type(value) in _PLAIN:  # which most are; to ask whether they are a Mapping takes three times as long
        return False
    if isinstance(value, (dict, Mapping)):  # a dict is known by its type alone
        "".join(value)  # raises unless all are texts, in a tenth of the time that asking each takes
        return any(map(holds_sensitive, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(holds_sensitive, value))
    return isinstance(value, Sensitive)


_PLAIN = frozenset({str, int, float, bool, type(None)})


def sealed(value: Any, encrypt: Callable[[str], str]) -> Any:
    """Encrypts everything sensitive in a copy of a value. The value itself stays as it is.

    Raises:
        TypeError, RecursionError: as `holds_sensitive`, which stops at the first that it finds.
    """
    if isinstance(value, Mapping):
        "".join(value)
        return {name: sealed(member, encrypt) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [sealed(item, encrypt) for item in value]
    return value.sealed(encrypt) if isinstance(value, Sensitive) else value


def opened(value: Any, path: str, decrypt: Callable[[str], str]) -> Any:
    """A JSON value with the texts at one path decrypted.

    Args:
        value: what came.
        path: names of members, joined by dots; lists are gone through.
        decrypt: opens one text.

    Raises:
        ArgumentError: nothing is there. An empty list is nothing to decrypt, and no error.
        DecryptionError: what is there is not encrypted to the merchant.
    """
    if not isinstance(path, str):
        raise ArgumentError(f"path: came a {type(path).__name__}; expected names of members joined by dots")
    if isinstance(value, list):
        return [opened(item, path, decrypt) for item in value]
    name, _, rest = path.partition(".")
    if not isinstance(value, dict) or name not in value:
        raise ArgumentError(f"path: {name!r} is not in the response; expected names of members joined by dots")
    if rest:
        return {**value, name: opened(value[name], rest, decrypt)}
    member = value[name]
    return {**value, name: [decrypt(text) for text in member] if isinstance(member, list) else decrypt(member)}

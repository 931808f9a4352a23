"""Encrypts and decrypts personal data in requests and responses: names, numbers, addresses.

Each field is encrypted with the public key of its recipient: https://pay.weixin.qq.com/doc/v3/merchant/4013053257
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wechatpay_chain._messages.faults import ArgumentError

__all__ = ["Sensitive", "contains_sensitive", "decrypt_at", "encrypt_all"]


class Sensitive:
    """Marks text in `json=`, `params=` or `xml=` to be encrypted before it is sent. Its repr and str do not show the text.

    Args:
        text: at most 214 bytes of UTF-8, the most that an RSA key of 2048 bits can encrypt; 1 to 255 bytes for an SM2 key.

    Raises:
        TypeError: the text is not a str.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"Sensitive: came a {type(text).__name__}; expected a str")
        self._text = text

    def _encrypt(self, encrypt: Callable[[str], str]) -> str:
        return encrypt(self._text)

    def __repr__(self) -> str:
        return "Sensitive(…)"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> Any:
        """Lets pydantic validate the types of operations: it takes an instance as it is, and makes none of a text."""
        from pydantic_core import core_schema

        return core_schema.is_instance_schema(cls)


def contains_sensitive(value: object) -> bool:
    """Tells whether a JSON value or query parameters contain a `Sensitive` value.

    Raises:
        TypeError: an object has a key that is not a str. The JSON encoder would convert it, so that 1 and "1" were
            the same key.
        RecursionError: the value contains itself, or is nested too deeply.
    """
    if type(value) in _PLAIN:  # most values; an `isinstance` check for Mapping takes three times as long
        return False
    if isinstance(value, (dict, Mapping)):  # dict first: its check is faster than that of an abstract class
        "".join(value)  # raises unless all keys are str, ten times as fast as checking each
        return any(map(contains_sensitive, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(contains_sensitive, value))
    return isinstance(value, Sensitive)


_PLAIN = frozenset({str, int, float, bool, type(None)})


def encrypt_all(value: Any, encrypt: Callable[[str], str]) -> Any:
    """Returns a copy of a JSON value in which every `Sensitive` value is encrypted.

    Args:
        value: the JSON value or the query parameters; it is not changed.
        encrypt: encrypts one text, and returns the ciphertext in base64.

    Raises:
        TypeError, RecursionError: as for `contains_sensitive`, which stops at the first `Sensitive` value.
    """
    if isinstance(value, Mapping):
        "".join(value)
        return {name: encrypt_all(member, encrypt) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [encrypt_all(item, encrypt) for item in value]
    return value._encrypt(encrypt) if isinstance(value, Sensitive) else value


def decrypt_at(value: Any, path: str, decrypt: Callable[[str], str]) -> Any:
    """Returns a copy of a JSON value in which the texts at one path are decrypted.

    Args:
        value: the JSON value; it is not changed.
        path: keys joined by dots. It continues through lists.
        decrypt: decrypts one text.

    Raises:
        ArgumentError: there is nothing at the path. An empty list is no error: it has nothing to decrypt.
        DecryptionError: a text cannot be decrypted with any of the merchant's keys.
    """
    if not isinstance(path, str):
        raise ArgumentError(f"path: came a {type(path).__name__}; expected keys joined by dots")
    if isinstance(value, list):
        return [decrypt_at(item, path, decrypt) for item in value]
    name, _, rest = path.partition(".")
    if not isinstance(value, dict) or name not in value:
        raise ArgumentError(f"path: {name!r} is not in the response; expected keys joined by dots")
    if rest:
        return {**value, name: decrypt_at(value[name], rest, decrypt)}
    member = value[name]
    return {**value, name: [decrypt(text) for text in member] if isinstance(member, list) else decrypt(member)}

"""The merchant's private keys, for decrypting what the service encrypted to the merchant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from wechatpay_chain._keys.own_keys import OwnKey
from wechatpay_chain._schemes import rsa
from wechatpay_chain.errors import ConfigurationError, DecryptionError

__all__ = ["MerchantKeys"]

T = TypeVar("T")


class MerchantKeys:
    """Decrypts with the current key of a merchant, or with an older one.

    Args:
        keys: the current key first; empty where a signer holds it.
    """

    def __init__(self, keys: Sequence[OwnKey[RSAPrivateKey]]) -> None:
        self._keys = tuple(keys)

    def decrypt(self, ciphertext: str) -> str:
        """Decrypts a text.

        Raises:
            ConfigurationError: there is no key.
            DecryptionError: it was not encrypted to any of the keys.
        """
        return self._try_each(rsa.decrypt, ciphertext)

    def decrypt_octets(self, ciphertext: str) -> bytes:
        """Decrypts bytes, such as the key of an encrypted bill; raises as `decrypt`."""
        return self._try_each(rsa.decrypt_octets, ciphertext)

    def _try_each(self, decrypt: Callable[[str, RSAPrivateKey], T], ciphertext: str) -> T:
        if not self._keys:
            raise ConfigurationError("private_key: it is missing; it decrypts what is encrypted to the merchant")
        *others, last = self._keys
        for key in others:
            with suppress(DecryptionError):
                return decrypt(ciphertext, key.here)
        return decrypt(ciphertext, last.here)

    def __repr__(self) -> str:
        return f"<MerchantKeys {len(self._keys)}>"

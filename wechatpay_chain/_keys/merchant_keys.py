"""Decrypts data that the service encrypted for the merchant, with the merchant's private keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from wechatpay_chain._keys.per_process_key import PerProcessKey
from wechatpay_chain._schemes import rsa
from wechatpay_chain.errors import ConfigurationError, DecryptionError

__all__ = ["MerchantKeys"]

T = TypeVar("T")


class MerchantKeys:
    """Decrypts with the merchant's current private key or an older one.

    Args:
        keys: the private keys, the current one first; empty if only a remote signer has the key.
    """

    def __init__(self, keys: Sequence[PerProcessKey[RSAPrivateKey]]) -> None:
        self._keys = tuple(keys)

    def decrypt(self, ciphertext: str) -> str:
        """Decrypts a text.

        Raises:
            ConfigurationError: there is no private key.
            DecryptionError: the text was not encrypted for any of the keys.
        """
        return self._try_each(rsa.decrypt, ciphertext)

    def decrypt_octets(self, ciphertext: str) -> bytes:
        """Decrypts bytes, such as the key of an encrypted bill. Raises the same errors as `decrypt`."""
        return self._try_each(rsa.decrypt_octets, ciphertext)

    def _try_each(self, decrypt: Callable[[str, RSAPrivateKey], T], ciphertext: str) -> T:
        if not self._keys:
            raise ConfigurationError(
                "private_key: it is missing; expected the private key, to decrypt what is encrypted for the merchant"
            )
        *others, last = self._keys
        for key in others:
            with suppress(DecryptionError):
                return decrypt(ciphertext, key.current)
        return decrypt(ciphertext, last.current)

    def __repr__(self) -> str:
        return f"<MerchantKeys {len(self._keys)}>"

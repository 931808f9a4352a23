"""Decrypts data that the service encrypted for the merchant, with the merchant's private keys."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from wechatpay_chain._keys.per_process_key import PerProcessKey
from wechatpay_chain._schemes.by_key import decrypt_octets
from wechatpay_chain._schemes.scheme import PrivateKey
from wechatpay_chain.errors import ConfigurationError, DecryptionError

__all__ = ["MerchantKeys"]


class MerchantKeys:
    """Decrypts with the merchant's current private key or an older one.

    Args:
        keys: the private keys, the current one first; empty if only a remote signer has the key. They may be of several schemes.
    """

    def __init__(self, keys: Sequence[PerProcessKey[PrivateKey]]) -> None:
        self._keys = tuple(keys)

    def decrypt(self, ciphertext: str) -> str:
        """Decrypts a text.

        Raises:
            ConfigurationError: there is no private key.
            DecryptionError: the text was not encrypted for any of the keys.
        """
        try:
            return self.decrypt_octets(ciphertext).decode()
        except UnicodeDecodeError:
            raise DecryptionError("the text is not a ciphertext for this private key") from None

    def decrypt_octets(self, ciphertext: str) -> bytes:
        """Decrypts bytes, such as the key of an encrypted bill. Raises the same errors as `decrypt`."""
        if not self._keys:
            raise ConfigurationError(
                "private_key: it is missing; expected the private key, to decrypt what is encrypted for the merchant"
            )
        *others, last = self._keys
        for key in others:
            with suppress(DecryptionError):
                return decrypt_octets(ciphertext, key.current)
        return decrypt_octets(ciphertext, last.current)

    def __repr__(self) -> str:
        return f"<MerchantKeys {len(self._keys)}>"

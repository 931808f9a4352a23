"""Keys of which each process has a copy of its own.

OpenSSL holds a lock of a key while another thread uses it for the first time. A child that is forked at that moment finds the
lock held by a thread that it does not have, and its first signature never ends.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPrivateNumbers,
    RSAPublicKey,
    RSAPublicNumbers,
)

from wechatpay_chain._forks.importing import importing
from wechatpay_chain._forks.process import current_process

__all__ = ["OwnKey"]

Key = TypeVar("Key", RSAPrivateKey, RSAPublicKey)


class OwnKey(Generic[Key]):
    """A key for the process that asks for it.

    Args:
        key: as it was loaded. It stays that of the process that makes this.
    """

    def __init__(self, key: Key) -> None:
        self._keys: dict[object, Any] = {current_process(): key}
        # Taken now, so that a child need not ask the key itself.
        self._numbers: RSAPrivateNumbers | RSAPublicNumbers = (
            key.private_numbers() if isinstance(key, RSAPrivateKey) else key.public_numbers()
        )

    @property
    def here(self) -> Key:
        """The key for this process."""
        process = current_process()
        if process not in self._keys:
            with importing:  # a fork waits for it, for OpenSSL makes a key under locks of the whole process
                self._keys.setdefault(process, self._copy())
        key: Key = self._keys[process]
        return key

    def _copy(self) -> RSAPrivateKey | RSAPublicKey:
        if isinstance(self._numbers, RSAPublicNumbers):
            return self._numbers.public_key()
        return self._numbers.private_key(unsafe_skip_rsa_key_validation=True)  # it was checked when it was loaded

    def __repr__(self) -> str:
        return "<OwnKey>"

"""Keys that every process copies for itself.

OpenSSL locks a key while a thread uses it for the first time. A child that is forked at that moment inherits the locked
lock without the thread that would release it, and its first signature never ends.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPrivateNumbers,
    RSAPublicKey,
    RSAPublicNumbers,
)

from wechatpay_chain._forks.no_fork import no_fork
from wechatpay_chain._forks.process import current_process
from wechatpay_chain._schemes.scheme import PrivateKey, PublicKey

__all__ = ["PerProcessKey"]

Key = TypeVar("Key", bound=PrivateKey | PublicKey)


class PerProcessKey(Generic[Key]):
    """A key with one copy for each process.

    Args:
        key: the loaded key, which the current process uses itself.
    """

    def __init__(self, key: Key) -> None:
        self._keys: dict[object, Any] = {current_process(): key}
        # Read now, so that a child never has to use the key of its parent.
        self._numbers: RSAPrivateNumbers | RSAPublicNumbers | Key
        match key:
            case RSAPrivateKey():
                self._numbers = key.private_numbers()
            case RSAPublicKey():
                self._numbers = key.public_numbers()
            case _:
                self._numbers = key  # it is bytes, which processes can share

    @property
    def current(self) -> Key:
        """The copy of the current process."""
        process = current_process()
        if process not in self._keys:
            with no_fork.current:  # delays forks, because OpenSSL creates a key under process-wide locks
                self._keys.setdefault(process, self._copy())
        key: Key = self._keys[process]
        return key

    def _copy(self) -> PrivateKey | PublicKey:
        if isinstance(self._numbers, RSAPublicNumbers):
            return self._numbers.public_key()
        if isinstance(self._numbers, RSAPrivateNumbers):  # the key was checked when it was loaded
            return self._numbers.private_key(unsafe_skip_rsa_key_validation=True)
        return self._numbers

    def __repr__(self) -> str:
        return "<PerProcessKey>"

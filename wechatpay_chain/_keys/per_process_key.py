"""Keys that every process copies for itself.

OpenSSL locks a key while a thread uses it for the first time. A child that is forked at that moment inherits the locked
lock without the thread that would release it, and its first signature never ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from wechatpay_chain._forks.no_fork import no_fork
from wechatpay_chain._forks.process import current_process
from wechatpay_chain._schemes.by_key import type_of
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
        # Its numbers are read now, so that a child never has to use the key of its parent.
        self._copy: Callable[[], Any] = type_of(key).share(key)

    @property
    def current(self) -> Key:
        """The copy of the current process."""
        process = current_process()
        if process not in self._keys:
            with no_fork.current:  # delays forks, because OpenSSL creates a key under process-wide locks
                self._keys.setdefault(process, self._copy())
        key: Key = self._keys[process]
        return key

    def __repr__(self) -> str:
        return "<PerProcessKey>"

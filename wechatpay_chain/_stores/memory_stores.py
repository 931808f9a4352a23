"""Stores in the memory of one process."""

from __future__ import annotations

import time
from collections import OrderedDict

from wechatpay_chain._forks.process import ForkSafeLock
from wechatpay_chain.errors import ConfigurationError

__all__ = ["CertificateMemory", "SeenNonces"]


class SeenNonces:
    """Nonce store in the memory of one process, with a TTL and a maximum size.

    Use it only if the server has one process. Each worker process of gunicorn, uWSGI or `uvicorn --workers` has its own
    store, and a forked child its own copy, so that a nonce which one process has seen is new to the others. Several
    processes need a `NonceStore` that they share.

    Args:
        size: the most nonces that are stored, 1 or more; the oldest are evicted first.

    Raises:
        ConfigurationError: the size is something else.
    """

    def __init__(self, size: int = 10_000) -> None:
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ConfigurationError(f"size: came {size!r}; expected a number, 1 or more")
        self._size = size
        self._ends: OrderedDict[str, float] = OrderedDict()
        self._lock = ForkSafeLock()

    def add(self, nonce: str, seconds: float) -> bool:
        """Stores a nonce; see `NonceStore.add`.

        Args:
            nonce: the nonce of a verified notification.
            seconds: the TTL.

        Returns:
            True if the nonce is new, False if it is stored already.
        """
        now = time.monotonic()
        with self._lock.current:
            is_known = self._ends.get(nonce, 0) > now
            if not is_known:
                self._ends[nonce] = now + seconds
                self._ends.move_to_end(nonce)
                # Not `if`: a child that was forked between the two steps has one nonce too many.
                while len(self._ends) > self._size:
                    self._ends.popitem(last=False)
        return not is_known

    def __repr__(self) -> str:
        return f"<SeenNonces {len(self._ends)} of {self._size}>"


class CertificateMemory:
    """Certificate cache in the memory of one process, for several clients of one merchant. A forked child has its own copy."""

    def __init__(self) -> None:
        self._saved: tuple[bytes, float] | None = None
        self._claimed_until = float("-inf")
        self._lock = ForkSafeLock()

    def load(self) -> bytes | None:
        """Returns the certificates that were saved last; see `CertificateCache.load`."""
        return None if self._saved is None else self._saved[0]

    def save(self, content: bytes) -> None:
        """Saves certificates; see `CertificateCache.save`."""
        self._saved = content, time.monotonic()

    def age(self) -> float | None:
        """Returns the seconds since the certificates were saved; see `SharedCertificateCache.age`."""
        return None if self._saved is None else time.monotonic() - self._saved[1]

    def claim(self, seconds: float) -> bool:
        """Claims the next download; see `SharedCertificateCache.claim`."""
        with self._lock.current:
            now = time.monotonic()
            is_free = self._claimed_until <= now
            if is_free:
                self._claimed_until = now + seconds
        return is_free

    def __repr__(self) -> str:
        return f"<CertificateMemory {'empty' if self._saved is None else 'filled'}>"

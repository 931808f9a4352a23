"""Nonce stores and certificate caches.

| | nonces | certificates | shared by |
|---|---|---|---|
| `SeenNonces` | yes | | the threads of one process |
| `CertificateMemory` | | yes | the clients of one process |
| `CertificateFile` | | yes | the processes of one machine, one after the other |
| `SQLiteStore` | yes | yes | the processes of one machine |
| `RedisStore`, `AsyncRedisStore` | yes | yes | all processes of all machines |
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from pathlib import Path

from wechatpay_chain._files.atomic import write_atomically
from wechatpay_chain._forks.process import ForkSafeLock
from wechatpay_chain._stores.redis_store import AsyncRedisStore, RedisStore
from wechatpay_chain._stores.sqlite_store import SQLiteStore

__all__ = ["AsyncRedisStore", "CertificateFile", "CertificateMemory", "RedisStore", "SQLiteStore", "SeenNonces"]


class SeenNonces:
    """Nonce store in the memory of one process, with a TTL and a maximum size.

    Use it only if the server has one process. Each worker process of gunicorn, uWSGI or `uvicorn --workers` has its own
    store, and a forked child its own copy, so that a nonce which one process has seen is new to the others. Several
    processes need a `NonceStore` that they share.

    Args:
        size: the most nonces that are stored; the oldest are evicted first.
    """

    def __init__(self, size: int = 10_000) -> None:
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


class CertificateFile:
    """Certificate cache in a file. The certificates stay encrypted as they were received.

    Args:
        path: the file. Its folder must exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def load(self) -> bytes | None:
        """Returns the response that was saved last, unverified; None if the file cannot be read."""
        try:
            return self._path.read_bytes()
        except OSError:
            return None

    def save(self, content: bytes) -> None:
        """Writes a response to the file, in place of the previous one.

        Raises:
            OSError: the file cannot be written; the previous one is unchanged.
        """
        write_atomically(self._path, content)

    def __repr__(self) -> str:
        return f"<CertificateFile {self._path}>"

"""Nonce stores and certificate caches."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from pathlib import Path

from wechatpay_chain._files.atomic import write_whole
from wechatpay_chain._forks.process import ForkSafeLock

__all__ = ["CertificateFile", "SeenNonces"]


class SeenNonces:
    """Keeps nonces in the memory of one process. The oldest are dropped first.

    It is for servers of one process. Each worker process of gunicorn, uWSGI or `uvicorn --workers` has its own, and a forked
    child its own copy: a nonce that one has seen is new to the others. For those, give a `NonceStore` that they share.

    Args:
        size: how many nonces are kept at the most.
    """

    def __init__(self, size: int = 10_000) -> None:
        self._size = size
        self._ends: OrderedDict[str, float] = OrderedDict()
        self._lock = ForkSafeLock()

    def add(self, nonce: str, seconds: float) -> bool:
        """Keeps a nonce for some seconds. Returns False if it is kept already."""
        now = time.monotonic()
        with self._lock.current:
            is_known = self._ends.get(nonce, 0) > now
            if not is_known:
                self._ends[nonce] = now + seconds
                self._ends.move_to_end(nonce)
                while len(self._ends) > self._size:  # a child can begin with one more: the fork came before its removal
                    self._ends.popitem(last=False)
        return not is_known

    def __repr__(self) -> str:
        return f"<SeenNonces {len(self._ends)} of {self._size}>"


class CertificateFile:
    """Keeps fetched certificates in a file, encrypted as they came.

    Args:
        path: of the file; its folder must be there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def load(self) -> bytes | None:
        """What was saved last, or None where nothing can be read. It is unverified input."""
        try:
            return self._path.read_bytes()
        except OSError:
            return None

    def save(self, answer: bytes) -> None:
        """Keeps an answer in place of the one before."""
        write_whole(self._path, answer)

    def __repr__(self) -> str:
        return f"<CertificateFile {self._path}>"

"""The clients of many merchants, each made when it is first needed.

```python
def load(mchid: str) -> Client:
    row = db.find_merchant(mchid)  # raises a LookupError if there is none
    return Client(mchid=mchid, private_key=row.private_key, …)

merchants = Merchants(load, size=2_000)
merchants.get("1900000109").v3.pay.transactions.native.post(json={…})
```
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from wechatpay_chain._forks.process import ForkSafeLock
from wechatpay_chain.errors import ArgumentError, ConfigurationError

if TYPE_CHECKING:
    from wechatpay_chain._client import Client

__all__ = ["Merchants"]

LONGEST_LOAD = 60.0
"""Seconds for which `get` waits for another thread that loads the same client."""


class _Loading:
    """The loading of a client, by one of those that need it.

    Attributes:
        lock: of the one that loads.
        callers: how many need it.
    """

    __slots__ = ("callers", "lock")

    def __init__(self) -> None:
        self.lock, self.callers = ForkSafeLock(), 0


class Merchants:
    """Keeps the clients that were used last, up to a number, and loads the others again when they are needed.

    Clients share their connections. One that is not kept any more can still be used by whoever has it, and frees what it holds when
    nobody has it. Several threads that need the same new client wait for one of them to load it; other merchants do not wait.

    Args:
        load: makes the client of a merchant. What it raises is raised by `get`, and not kept, so that a merchant can be added at any
            time. It gets what came from a URL, so it must look the number up, and not make a path or a query of it.
        size: the most clients that are kept. One takes about 20 kB.

    Raises:
        ConfigurationError: `size` is not a positive number.
    """

    def __init__(self, load: Callable[[str], Client], *, size: int = 1_000) -> None:
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ConfigurationError(f"size: came {size!r}; expected the most clients to keep, 1 or more")
        self._load, self._size = load, size
        self._clients: OrderedDict[str, Client] = OrderedDict()
        self._lock = ForkSafeLock()
        self._loading: dict[str, _Loading] = {}

    def get(self, mchid: str) -> Client:
        """Returns the client of a merchant.

        On an event loop, call it in a thread if loading takes time: `await asyncio.to_thread(merchants.get, mchid)`.

        Args:
            mchid: the merchant number, or the number of a brand.

        Raises:
            ArgumentError: it is no text of digits.
            ConfigurationError: `load` returned None, or has not returned within 60 seconds in another thread.
            Exception: what `load` raises.
        """
        if not (isinstance(mchid, str) and mchid.isascii() and mchid.isdigit() and len(mchid) <= 32):
            raise ArgumentError(
                f"mchid: came {str(mchid)[:40]!r} of type {type(mchid).__name__}; expected a text of 1 to 32 digits"
            )
        known = self._find(mchid)
        if known is not None:
            return known
        with self._lock.current:
            loading = self._loading.setdefault(mchid, _Loading())
            loading.callers += 1
        try:
            return self._load_once(mchid, loading)
        finally:
            with self._lock.current:
                loading.callers -= 1
                if not loading.callers and self._loading.get(mchid) is loading:
                    del self._loading[mchid]

    def forget(self, mchid: str) -> None:
        """Lets the next `get` load the client again: its keys have changed, or the merchant has left."""
        with self._lock.current:
            self._clients.pop(mchid, None)
            # Whoever is loading it now may have read the old keys already.
            self._loading.pop(mchid, None)

    def __len__(self) -> int:
        """The number of clients that are kept."""
        return len(self._clients)

    def __repr__(self) -> str:
        return f"<Merchants {len(self._clients)} of {self._size}>"

    def _find(self, mchid: str) -> Client | None:
        with self._lock.current:
            client = self._clients.get(mchid)
            if client is not None:
                self._clients.move_to_end(mchid)
            return client

    def _load_once(self, mchid: str, loading: _Loading) -> Client:
        """Loads a client, unless another caller has just loaded it."""
        lock = loading.lock.current
        if not lock.acquire(timeout=LONGEST_LOAD):
            raise ConfigurationError(
                f"load: it has not returned the client of {mchid} within {LONGEST_LOAD:g} s; give it timeouts, and do not let it wait "
                "for another merchant's client"
            )
        try:
            known = self._find(mchid)
            if known is not None:
                return known
            if self._loading.get(mchid) is loading:
                return self._keep(mchid, self._load(mchid), loading)
        finally:
            lock.release()
        return self.get(mchid)  # it was forgotten while this caller waited

    def _keep(self, mchid: str, client: Client | None, loading: _Loading) -> Client:
        if client is None:
            raise ConfigurationError("load: it returned None; raise a LookupError for a merchant that is unknown")
        with self._lock.current:
            if self._loading.get(mchid) is loading:  # and was not forgotten meanwhile
                self._clients[mchid] = client
            # Not `if`: a child that was forked between the two steps has one too many.
            while len(self._clients) > self._size:
                self._clients.popitem(last=False)
        return client

"""Stores in Redis, for the processes of several machines: one for clients of redis-py that block, one for those that await.

Each step is one command on one key, so it is atomic, takes one round trip, and works on a cluster.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from wechatpay_chain._extras import importing
from wechatpay_chain.errors import ConfigurationError

if TYPE_CHECKING:
    from redis import Redis, RedisCluster
    from redis.asyncio import Redis as AsyncRedis
    from redis.asyncio import RedisCluster as AsyncRedisCluster

__all__ = ["AsyncRedisStore", "RedisStore"]

KEEP = 30 * 24 * 3600
"""Seconds for which Redis keeps certificates that nobody saves again. Their age is told by what is left of this time."""

TIMEOUT = 1.0
"""Seconds for a connection, and for each command, of a client that is made from a URL. WeChat Pay waits 5 seconds for a reply."""

QUEUE = 3.0
"""Seconds for which a caller waits for a free connection of such a client."""

CONNECTIONS = 16
"""The most connections of a client that is made from a URL. The others would wait for Redis, too."""

C = TypeVar("C")


class _Keys:
    """The names of the keys, and what they hold.

    Args:
        prefix: what each key begins with.
        namespace: whose certificates these are.
    """

    def __init__(self, prefix: str, namespace: str) -> None:
        self._prefix = prefix
        self.certificates = f"{prefix}certificates:{namespace}"
        self.claim = f"{prefix}claim:{namespace}"

    def of_nonce(self, nonce: str) -> str:
        """Returns the key of a nonce."""
        return f"{self._prefix}nonce:{nonce}"

    @staticmethod
    def parse_age(left: int) -> float | None:
        """Returns the age of the certificates; None if there are none.

        Args:
            left: what PTTL returns: the milliseconds that Redis keeps them, negative if there are none.
        """
        return max(KEEP - left / 1000, 0.0) if left >= 0 else None


class RedisStore:
    """Nonce store and certificate cache in Redis, for all processes of all machines. Serves blocking and awaited calls.

        store = RedisStore("redis://redis.internal:6379/0")
        client = Client(seen=store, certificate_cache=store, …)

    It needs redis-py: `pip install "wechatpay-chain[redis]"`. While Redis cannot be reached, a notification is refused, so that WeChat
    Pay sends it again, and certificates are downloaded as if there were no cache.

    The nonces of a Redis that loses data, because it evicts keys or fails over before a replica has them, are lost too. Give it
    `maxmemory-policy noeviction`: https://redis.io/docs/latest/develop/reference/eviction/

    Args:
        redis: a URL, or a client of redis-py with a `socket_timeout`: a `Redis`, or a `RedisCluster`. A client that is made from a
            URL has timeouts of 1 second, and tries once. Another one should have `retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0)`:
            by default, redis-py tries for longer than WeChat Pay waits for the reply to a notification.
        namespace: whose certificates these are; one for each merchant number, because certificates are kept encrypted with its
            APIv3 key. Nonces are shared by all namespaces.
        prefix: what the names of the keys begin with.

    Raises:
        ConfigurationError: redis-py is not installed, or the client has no timeout.
    """

    def __init__(self, redis: str | Redis | RedisCluster, *, namespace: str = "", prefix: str = "wechatpay:") -> None:
        if isinstance(redis, str):
            module: Any = _import("redis")
            redis = module.Redis.from_pool(_make_pool(module.BlockingConnectionPool, redis))
        self._redis: Any = _check_client(redis, is_async=False)
        self._keys = _Keys(prefix, namespace)

    def add(self, nonce: str, seconds: float) -> bool:
        """Stores a nonce; see `NonceStore.add`.

        Raises:
            redis.RedisError: Redis cannot be reached. The notification is then refused, and sent again.
        """
        # Not bool(): whatever else came back, such as a pipeline, must not let a notification pass.
        return self._redis.set(self._keys.of_nonce(nonce), b"", nx=True, px=int(seconds * 1000)) is True

    def load(self) -> bytes | None:
        """Returns the certificates that were saved last; see `CertificateCache.load`."""
        return _to_bytes(self._redis.get(self._keys.certificates))

    def save(self, content: bytes) -> None:
        """Saves certificates; see `CertificateCache.save`."""
        self._redis.set(self._keys.certificates, content, ex=KEEP)

    def age(self) -> float | None:
        """Returns the seconds since the certificates were saved; see `SharedCertificateCache.age`."""
        return _Keys.parse_age(self._redis.pttl(self._keys.certificates))

    def claim(self, seconds: float) -> bool:
        """Claims the next download; see `SharedCertificateCache.claim`."""
        return bool(self._redis.set(self._keys.claim, b"", nx=True, px=int(seconds * 1000)))

    def __repr__(self) -> str:
        return f"<RedisStore {self._keys.certificates}>"


class AsyncRedisStore:
    """Nonce store and certificate cache in Redis, on a client of redis.asyncio. Otherwise as `RedisStore`.

    A client of redis.asyncio belongs to one event loop, so this store serves only calls that are awaited there. `RedisStore` serves
    them too, each command in a worker thread.

    Args:
        redis: a URL, or a client of redis.asyncio with a `socket_timeout`.
        namespace: whose certificates these are; one for each merchant number.
        prefix: what the names of the keys begin with.

    Raises:
        ConfigurationError: redis-py is not installed, or the client has no timeout.
    """

    def __init__(
        self, redis: str | AsyncRedis | AsyncRedisCluster, *, namespace: str = "", prefix: str = "wechatpay:"
    ) -> None:
        if isinstance(redis, str):
            module: Any = _import("redis.asyncio")
            redis = module.Redis.from_pool(_make_pool(module.BlockingConnectionPool, redis))
        self._redis: Any = _check_client(redis, is_async=True)
        self._keys = _Keys(prefix, namespace)

    async def add(self, nonce: str, seconds: float) -> bool:
        """Stores a nonce; see `RedisStore.add`."""
        return (await self._redis.set(self._keys.of_nonce(nonce), b"", nx=True, px=int(seconds * 1000))) is True

    async def load(self) -> bytes | None:
        """Returns the certificates that were saved last; see `CertificateCache.load`."""
        return _to_bytes(await self._redis.get(self._keys.certificates))

    async def save(self, content: bytes) -> None:
        """Saves certificates; see `CertificateCache.save`."""
        await self._redis.set(self._keys.certificates, content, ex=KEEP)

    async def age(self) -> float | None:
        """Returns the seconds since the certificates were saved; see `SharedCertificateCache.age`."""
        return _Keys.parse_age(await self._redis.pttl(self._keys.certificates))

    async def claim(self, seconds: float) -> bool:
        """Claims the next download; see `SharedCertificateCache.claim`."""
        return bool(await self._redis.set(self._keys.claim, b"", nx=True, px=int(seconds * 1000)))

    def __repr__(self) -> str:
        return f"<AsyncRedisStore {self._keys.certificates}>"


def _import(name: str) -> ModuleType:
    """Imports redis-py when it is first needed."""
    with importing("redis: redis-py is not installed; pip install 'wechatpay-chain[redis]'"):
        return import_module(name)


def _make_pool(kind: Any, url: str) -> object:
    """Returns a connection pool with timeouts, unless the URL itself has some. Callers wait for a free connection."""
    try:
        pool: object = kind.from_url(
            url, max_connections=CONNECTIONS, timeout=QUEUE, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT
        )
        return pool
    except ValueError:
        raise ConfigurationError("redis: the URL is wrong; expected one such as 'redis://host:6379/0'") from None


def _check_client(client: C, *, is_async: bool) -> C:
    """Returns a client of the right kind, which ends each command in bounded time."""
    holder = getattr(client, "connection_pool", None) or getattr(client, "nodes_manager", None)
    known = getattr(holder, "connection_kwargs", None) or getattr(client, "connection_kwargs", {})
    if not callable(getattr(client, "pttl", None)):
        raise ConfigurationError(f"redis: came a {type(client).__name__}; expected a URL, or a client of redis-py")
    if inspect.iscoroutinefunction(getattr(client, "execute_command", None)) != is_async:
        expected = "redis.asyncio" if is_async else "redis, and not of redis.asyncio: AsyncRedisStore takes that"
        raise ConfigurationError(f"redis: came a {type(client).__name__}; expected a client of {expected}")
    if known.get("socket_timeout", TIMEOUT) is None or "socket_timeout" not in known:
        raise ConfigurationError(
            "redis: the client has no socket_timeout, so that a call could wait for ever; make it with socket_timeout=1 and "
            "retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0)"
        )
    return client


def _to_bytes(value: bytes | str | None) -> bytes | None:
    """Returns a value as bytes; it is a text if the client has decode_responses=True."""
    return value.encode() if isinstance(value, str) else value

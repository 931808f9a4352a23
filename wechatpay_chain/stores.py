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

from wechatpay_chain._stores.certificate_file import CertificateFile
from wechatpay_chain._stores.memory_stores import CertificateMemory, SeenNonces
from wechatpay_chain._stores.redis_store import AsyncRedisStore, RedisStore
from wechatpay_chain._stores.sqlite_store import SQLiteStore

__all__ = ["AsyncRedisStore", "CertificateFile", "CertificateMemory", "RedisStore", "SQLiteStore", "SeenNonces"]

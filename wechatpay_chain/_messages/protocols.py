"""Protocols of the parts that users can implement themselves."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response

__all__ = [
    "AsyncTransport",
    "CertificateCache",
    "NonceStore",
    "SharedCertificateCache",
    "Signer",
    "Transport",
    "Verifier",
]


class CertificateCache(Protocol):
    """Stores fetched certificates for the next process, encrypted as they were received.

    It is used seldom: a process loads once, before its first download, and saves after each one. Each method may be an
    `async def`.
    """

    def load(self) -> bytes | Awaitable[bytes | None] | None:
        """Returns the response that was saved last, or None. The client verifies it like one just downloaded."""
        ...

    def save(self, content: bytes, /) -> Awaitable[None] | None:
        """Stores a verified response in place of the previous one."""
        ...


class SharedCertificateCache(CertificateCache, Protocol):
    """A certificate cache that several processes use at the same time, so that one of them downloads for all.

    A client looks here first whenever it needs certificates: after 12 hours, and for an unknown serial number too. If nothing newer
    than its own is there, the process that gets the claim downloads, and the others wait up to 5 seconds for what it saves. Then
    they download too: a cache that fails delays a call, and never fails it.
    """

    def age(self) -> float | Awaitable[float | None] | None:
        """Returns the seconds since certificates were saved, or None if there are none."""
        ...

    def claim(self, seconds: float, /) -> bool | Awaitable[bool]:
        """Claims the next download for this process.

        Args:
            seconds: how long nobody else gets the claim.

        Returns:
            True for the caller that downloads, False if another has claimed it less than `seconds` ago.
        """
        ...


class Signer(Protocol):
    """Signs outside this package: in an HSM, a KMS or your own signing service."""

    def sign(self, message: bytes) -> str | Awaitable[str]:
        """Returns the RSA-SHA256 signature (PKCS#1 v1.5) of a message, in base64. May be an `async def`."""
        ...


class Verifier(Protocol):
    """Verifies outside this package, in an HSM or your own service, that WeChat Pay signed a message."""

    def verify(self, message: bytes, signature: str, serial: str) -> bool | Awaitable[bool]:
        """Tells whether a base64 signature is valid for a message and the key with this id. May be an `async def`."""
        ...


class NonceStore(Protocol):
    """Stores the nonces of notifications, so that a replay is detected.

    Several processes, such as the workers of a server, need a shared store: Redis or a database.
    """

    def add(self, nonce: str, seconds: float, /) -> bool | Awaitable[bool]:
        """Stores a nonce. May be an `async def`.

        Args:
            nonce: the nonce of a verified notification.
            seconds: the TTL.

        Returns:
            True if the nonce is new, False if it is stored already. Of two concurrent calls, only one may return True.
        """
        ...


class Transport(Protocol):
    """Sends the requests of the sync verbs, in place of the requests library: `Client(transport=…)`."""

    def send(self, request: Request, /) -> Response:
        """Sends a request once, and returns its response, whatever the status is.

        The request is signed: send `method`, `url` and `headers` unchanged, and the bytes of `stream()` as the body.
        The transport enforces the `timeout` of the request, and limits what it reads into memory.

        Raises:
            TransportError: no complete response was received. `sent` says whether the service may have received the
                request.
            OSError: the same; it counts as sent. Any other exception reaches the caller of the verb as it is.
        """
        ...


class AsyncTransport(Protocol):
    """Sends the requests of the async verbs, in place of aiohttp: `Client(async_transport=…)`."""

    async def send(self, request: Request, /) -> Response:
        """Sends a request once, and returns its response; see `Transport.send`."""
        ...

"""The protocols of what users implement themselves."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response

__all__ = ["AsyncTransport", "CertificateCache", "NonceStore", "Signer", "Transport", "Verifier"]


class CertificateCache(Protocol):
    """A place where fetched certificates are kept for the next process, encrypted as they came.

    It is asked seldom: once before the first download of a process, and after each. Each method may be an `async def`.
    """

    def load(self) -> bytes | Awaitable[bytes | None] | None:
        """Returns what was saved last, or None. It is checked as if it had just been downloaded."""
        ...

    def save(self, answer: bytes, /) -> Awaitable[None] | None:
        """Keeps a response that has been verified."""
        ...


class Signer(Protocol):
    """Signs elsewhere: in an HSM, a KMS, or a signing service of your own."""

    def sign(self, message: bytes) -> str | Awaitable[str]:
        """The RSA-SHA256 signature (PKCS#1 v1.5) of a message in base64. May be an `async def`."""
        ...


class Verifier(Protocol):
    """Says elsewhere, in an HSM or a service of your own, whether WeChat Pay signed a message."""

    def verify(self, message: bytes, signature: str, serial: str) -> bool | Awaitable[bool]:
        """Whether a signature in base64 proves a message, by the key of that id. May be an `async def`."""
        ...


class NonceStore(Protocol):
    """Keeps the nonces of notifications, so that a copy which somebody sends again is recognised.

    Several processes, such as the workers of a server, need a store that they share: Redis or a database.
    """

    def add(self, nonce: str, seconds: float, /) -> bool | Awaitable[bool]:
        """Keeps a nonce for some seconds. May be an `async def`.

        Returns:
            True if the nonce is new, False if it is kept already. Two callers at once must not both get True.
        """
        ...


class Transport(Protocol):
    """Sends requests for the blocking verbs, in place of requests: `Client(transport=…)`."""

    def send(self, request: Request, /) -> Response:
        """Sends a request once, and returns its response, whatever the status is.

        The request is signed: `method`, `url` and `headers` are sent as they are, and the bytes of `stream()` as the body.
        The request's `timeout` is for the transport to keep.

        Raises:
            TransportError: there is no whole response. `sent` says whether the service may have received the request.
        """
        ...


class AsyncTransport(Protocol):
    """Sends requests for the awaited verbs, in place of aiohttp: `Client(async_transport=…)`."""

    async def send(self, request: Request, /) -> Response:
        """Sends a request once, and returns its response; see `Transport.send`."""
        ...

"""The history of the sandbox: the requests that it received, and its responses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from wechatpay_chain.sandbox._faults import Fault
from wechatpay_chain.sandbox._http import SandboxRequest, SandboxResponse
from wechatpay_chain.sandbox._operations.book import Book

__all__ = ["History", "Seen"]

MAX_KEPT_BODY = 1 << 16
"""The number of bytes of each body that the history keeps."""


class Seen(NamedTuple):
    """A request that the sandbox received, and its outcome.

    Attributes:
        call: the request, with its method, target, headers and body; of a body over 64 kB, only the first 64 kB.
        status: the status of the response, even if a fault kept it from being sent.
        fault: the fault of the response; None if there was none.
        response: the response, with its headers and body, shortened as that of the request.
        at: when it was received, on the sandbox's clock.
    """

    call: SandboxRequest
    status: int
    fault: Fault | None
    response: SandboxResponse
    at: datetime


class History:
    """Keeps the last requests. Each has a number, from 0, which it keeps when older ones are forgotten.

    Args:
        keep: how many are kept. Their bodies together have at most 64 MiB.

    Attributes:
        count: how many requests there were, also those that are forgotten: the number of the next one.
    """

    def __init__(self, keep: int) -> None:
        self._seen: Book[int, Seen] = Book(keep, lambda seen: len(seen.call.body) + len(seen.response.body))
        self.count = 0

    def __len__(self) -> int:
        return len(self._seen)

    def __iter__(self) -> Iterator[Seen]:
        return iter(list(self._seen.values()))

    def add(self, request: SandboxRequest, response: SandboxResponse, fault: Fault | None, at: datetime) -> None:
        """Adds a request, with its bodies shortened.

        Args:
            request: the request.
            response: its response.
            fault: the fault of the response, or None.
            at: when it was received.
        """
        verification = response.verification
        kept = response._replace(
            body=response.body[:MAX_KEPT_BODY],
            verification=verification and verification._replace(signed=verification.signed[:MAX_KEPT_BODY]),
        )
        call = request._replace(body=request.body[:MAX_KEPT_BODY])
        self._seen[self.count] = Seen(call, response.status, fault, kept, at)
        self.count += 1

    def numbered(self) -> dict[int, Seen]:
        """Returns the requests by number."""
        return dict(self._seen)

    def clear(self) -> None:
        """Forgets all requests. The numbers go on."""
        self._seen.clear()

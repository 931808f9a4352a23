"""Reads response bodies with aiohttp, so that every wait ends."""

from __future__ import annotations

from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

import aiohttp

from wechatpay_chain._messages.request import Sink
from wechatpay_chain._pipeline.async_driver import use_file
from wechatpay_chain._transport.aiohttp_direct import DirectResponse
from wechatpay_chain._transport.aiohttp_failures import Failures
from wechatpay_chain._transport.content import SinkContent

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["BodyReader", "read_into_sink"]

T = TypeVar("T")

LOOK_EVERY = 0.25
"""Seconds after which a wait for bytes checks that its connection is still there."""

BUCKET = 1 << 20
"""Bytes that are written to a sink at once."""


class BodyReader:
    """Reads the body of a response within its timeout.

    If a chunk is malformed, aiohttp closes the connection and drops its timer, but does not tell who reads the body.
    """

    def __init__(self, response: DirectResponse | aiohttp.ClientResponse, failures: Failures) -> None:
        self._response, self._failures = response, failures
        self._since: float | None = None
        self._is_closing = False

    def __enter__(self) -> Self:
        self._timer = self._failures.loop.call_later(0, self._look)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()

    async def read(self) -> bytes:
        """Returns the next bytes, empty at the end.

        Raises:
            TransportError: they do not arrive.
        """
        self._since = self._failures.loop.time()
        if self._since >= self._failures.deadline:  # which passed while earlier bytes were written
            raise self._failures.explain(aiohttp.SocketTimeoutError(), "body")
        try:
            return await self._response.content.readany()
        except Exception as error:
            raise self._failures.explain(error, "body") from self._failures.cause(error)
        finally:
            self._since = None

    def _look(self) -> None:
        failures, content = self._failures, self._response.content
        now, later = failures.loop.time(), LOOK_EVERY
        if self._since is not None:
            left = min(self._since + failures.read_seconds, failures.deadline) - now
            if left <= 0:
                content.set_exception(aiohttp.SocketTimeoutError())
                return
            # When it is seen twice, aiohttp is not about to report the end of the connection.
            is_closing = _is_closing(self._response)
            if is_closing and self._is_closing:
                content.set_exception(aiohttp.ClientPayloadError())
                return
            self._is_closing = is_closing
            later = min(later, left)
        self._timer = failures.loop.call_later(later, self._look)


def _is_closing(response: DirectResponse | aiohttp.ClientResponse) -> bool:
    connection = response.connection
    if connection is None:  # of a ClientResponse whose body has ended, or that a test has made
        return False
    return connection.transport is None or connection.transport.is_closing()


async def read_into_sink(
    content: SinkContent, sink: Sink, response: DirectResponse | aiohttp.ClientResponse, failures: Failures
) -> None:
    """Reads a body into a sink. The sink hashes, decompresses and writes in a worker thread."""
    bucket = bytearray()
    with BodyReader(response, failures) as reader:
        while piece := await reader.read():
            bucket += piece
            if len(bucket) >= BUCKET:
                await use_file(failures.loop, partial(content.add, bytes(bucket)))
                bucket.clear()
                sink.report()
        if bucket:
            await use_file(failures.loop, partial(content.add, bytes(bucket)))
            sink.report()
    content.finish()

"""A connector that never reuses a connection on which unexpected bytes arrived."""

from __future__ import annotations

import asyncio
import select
import weakref
from contextvars import ContextVar
from typing import Any

import aiohttp

from wechatpay_chain._transport.aiohttp_failures import Failures

__all__ = ["Connector", "connecting_for"]

connecting_for: ContextVar[Failures] = ContextVar("connecting_for")
"""The attempt that waits for a connection, and is told which one it gets."""


class Connector(aiohttp.TCPConnector):
    """Checks a kept connection before it is used again.

    Bytes that nobody asked for would be taken for the response to the next request, and no signature tells to which request a
    response belongs.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> aiohttp.connector.Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            is_new = connection.protocol not in self._known
            if connection.protocol is not None:
                self._known.add(connection.protocol)
            try:
                if _is_readable(connection):
                    # It may be only a TLS record of the connection itself, which is read in two turns of the loop.
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
            except BaseException:
                connection.close()
                raise
            if not connection.closed and connection.protocol is not None and not connection.protocol.should_close:
                if (attempt := connecting_for.get(None)) is not None:
                    attempt.is_connected, attempt.transport = True, connection.transport
                return connection
            connection.close()
            if is_new:
                raise aiohttp.ClientConnectionError("the peer sent something first, or closed at once")


def _is_readable(connection: aiohttp.connector.Connection) -> bool:
    sock = connection.transport.get_extra_info("socket") if connection.transport else None
    if sock is None or not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))

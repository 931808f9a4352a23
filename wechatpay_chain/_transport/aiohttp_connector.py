"""A connector that never reuses a connection on which unexpected bytes arrived."""

from __future__ import annotations

import asyncio
import select
import weakref
from contextvars import ContextVar
from typing import Any

import aiohttp
from aiohttp import client_proto, connector

from wechatpay_chain._transport.aiohttp_failures import Failures

__all__ = ["Connector", "connecting_for"]

connecting_for: ContextVar[Failures] = ContextVar("connecting_for")
"""The attempt that waits for a connection, and is told which one it gets."""


class Connector(aiohttp.TCPConnector):
    """Checks a kept connection before it is used again.

    Bytes that nobody asked for would be taken for the response to the next request, and no signature tells to which request a
    response belongs. An aiohttp without the private members that tell of such bytes gets a new connection for each request.

    Args:
        keepalive: seconds that an idle connection is kept.
        limit_per_host: connections to one host.
    """

    def __init__(self, keepalive: float, limit_per_host: int) -> None:
        self._can_check = _can_check()
        keeping: dict[str, Any] = {"keepalive_timeout": keepalive} if self._can_check else {"force_close": True}
        super().__init__(limit=0, limit_per_host=limit_per_host, **keeping)
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> connector.Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            if not self._can_check or await self._is_usable(connection):
                if (attempt := connecting_for.get(None)) is not None:
                    attempt.is_connected, attempt.transport = True, connection.transport
                return connection

    async def _is_usable(self, connection: connector.Connection) -> bool:
        """Tells whether nothing unexpected has arrived. Otherwise closes the connection.

        Raises:
            ClientConnectionError: it is a new connection, and the next one would bring the same.
        """
        protocol = connection.protocol
        is_new = protocol not in self._known
        if protocol is not None:
            self._known.add(protocol)
        try:
            if _is_readable(connection):
                # It may be only a TLS record of the connection itself, which is read in two turns of the loop.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
        except BaseException:
            connection.close()
            raise
        if not connection.closed and protocol is not None and not protocol.should_close:
            return True
        connection.close()
        if is_new:
            raise aiohttp.ClientConnectionError("the peer sent something first, or closed at once")
        return False


def _can_check() -> bool:
    """Tells whether this version of aiohttp has the members that are used here and are not public."""
    handler = getattr(client_proto, "ResponseHandler", None)
    return hasattr(handler, "should_close") and hasattr(connector.Connection, "protocol")


def _is_readable(connection: connector.Connection) -> bool:
    sock = connection.transport.get_extra_info("socket") if connection.transport else None
    if sock is None or not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))

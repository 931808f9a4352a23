"""A CONNECT proxy that leads the hosts of the service to the sandbox, and no other host anywhere.

An SDK that has api.mch.weixin.qq.com built in reaches the sandbox with `HTTPS_PROXY` and the authority's file.
Source: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from wechatpay_chain.sandbox._tls import SERVICE_HOSTS

__all__ = ["serve_proxy"]

HEAD_TIMEOUT = 10.0
"""Seconds to wait for a whole CONNECT request."""

_LONGEST_HEAD = 1 << 14


async def serve_proxy(host: str, port: int) -> tuple[asyncio.Server, int]:
    """Starts a proxy on a free port.

    Args:
        host: the address to listen on.
        port: the port of the sandbox, which serves HTTPS on the loopback interface or on that address.

    Returns:
        The server, and the port that it listens on.
    """
    connections: set[asyncio.Task[Any] | None] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The event loop has weak references only: a task that waits for the sandbox while the client has nothing more to
        # send would be collected as garbage.
        connections.add(task := asyncio.current_task())
        try:
            with contextlib.suppress(
                OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError
            ):
                await _connect(reader, writer, host, port)
        finally:
            writer.close()
            connections.discard(task)

    server = await asyncio.start_server(handle, host, 0, limit=_LONGEST_HEAD)
    return server, int(server.sockets[0].getsockname()[1])


async def _connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_TIMEOUT)
    method, _, rest = head.decode("latin-1").partition(" ")
    target = rest.partition(" ")[0].rpartition(":")[0].lower()
    if method != "CONNECT" or target not in SERVICE_HOSTS:
        refusal = "405 Method Not Allowed" if method != "CONNECT" else "403 Forbidden"
        writer.write(f"HTTP/1.1 {refusal}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        return
    upstream_reader, upstream_writer = await asyncio.open_connection(host, port)
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    try:
        await asyncio.gather(_pipe(reader, upstream_writer), _pipe(upstream_reader, writer))
    finally:
        upstream_writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while octets := await reader.read(1 << 16):
        writer.write(octets)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()

"""Connections of urllib3 on which every wait ends by a deadline, and pools that an interrupt cannot lock.

urllib3 and http.client bound each read of a socket, so that a peer that sends one byte at a time holds a thread for as long
as it likes. What they offer for it is used here: a class for a pool's connections, one for a connection's responses, and
one for a pool's queue.
"""

from __future__ import annotations

import http.client
import io
import queue
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from wechatpay_chain._messages.request import Timeout

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Attempt", "InterruptibleQueue", "bind"]


class Attempt:
    """One attempt of a thread, which bounds what the thread sends and receives through pools that are bound.

    A pool takes nothing that could carry it along, so that a thread keeps the one that it is at.

    Args:
        timeout: seconds of each wait, and of the whole.

    Attributes:
        deadline: what the monotonic clock may say at the most.
        until: the same, of the part of the attempt that is under way.
        is_connecting: whether a connection is being made, a proxy asked for it included.
        is_sending: whether the connection stands and the request is under way; None where no bound connection was used.
        response: the response that is read, once there is one.
    """

    def __init__(self, timeout: Timeout) -> None:
        self.timeout = timeout
        self.deadline = float("inf") if timeout.total is None else time.monotonic() + timeout.total
        self.is_sending: bool | None = None
        self.is_connecting = False
        self.until = self.deadline
        self.response: http.client.HTTPResponse | None = None
        self._before: Attempt | None = None

    def __enter__(self) -> Self:
        self._before, _thread.attempt = _thread.attempt, self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _thread.attempt = self._before  # a signal's handler may have sent something in the middle of another call
        if error is not None and self.response is not None:
            self.response.close()  # which closes the socket; urllib3 forgets that where a head is malformed

    def seconds(self, longest: float) -> float:
        """Returns how long to wait for the socket now.

        Raises:
            TimeoutError: the deadline is over.
        """
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return min(longest, left)


class _Thread(threading.local):
    attempt: Attempt | None = None


_thread = _Thread()


def bind(pool: Any) -> None:
    """Lets a pool of urllib3 make connections that keep to the deadline of the attempt that uses them."""
    connections: Any = pool.ConnectionCls
    if isinstance(connections, type) and issubclass(connections, http.client.HTTPConnection):
        pool.ConnectionCls = _bounded(connections)
    if pool.block and "urlopen" not in vars(pool):
        urlopen = pool.urlopen

        def bounded(*args: Any, **options: Any) -> Any:
            attempt = _thread.attempt
            return urlopen(*args, **({"pool_timeout": attempt.timeout.connect} if attempt else {}), **options)

        pool.urlopen = bounded


def _bounded(connections: type) -> type:
    if connections not in _made and not issubclass(connections, _Bounded):
        _made[connections] = type(connections.__name__, (_Bounded, connections), {})
    return _made.get(connections, connections)


_made: dict[type, type] = {}


class _Socket:
    """What http.client wants of a socket to read a response from."""

    def __init__(self, sock: socket.socket, attempt: Attempt) -> None:
        self._sock, self._attempt = sock, attempt

    def makefile(self, mode: str) -> io.BufferedReader:
        raw = self._sock.makefile(mode, buffering=0)  # type: ignore[call-overload]
        return io.BufferedReader(_Reader(self._sock, raw, self._attempt))


class _Reader(io.RawIOBase):
    """Reads from a socket, and waits no longer than the attempt has that the response came in."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase, attempt: Attempt) -> None:
        self._sock, self._raw, self._attempt = sock, raw, attempt

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        timeout = self._attempt.timeout
        longest = timeout.connect if self._attempt.is_connecting else timeout.read
        seconds = self._attempt.seconds(longest)
        if seconds < longest:  # else it is set already, and to set it again would be a system call
            self._sock.settimeout(seconds)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        # More came than the response. What lies in the socket is seen before the connection is used again; what TLS has
        # decrypted already is not, and would be taken for the response to the next request.
        pending = getattr(self._sock, "pending", None)
        if pending is not None and not self.closed and _is_left(pending):
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)
        self._raw.close()
        super().close()


def _is_left(pending: Callable[[], int]) -> bool:
    try:
        return pending() > 0
    except (OSError, ValueError):  # it is closed
        return False


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
        attempt = _thread.attempt
        bounded: Any = _Socket(sock, attempt) if attempt else sock
        super().__init__(bounded, *args, **options)
        if attempt is not None:
            attempt.response = self


class _Bounded(http.client.HTTPConnection):
    """Goes before a class of connections."""

    response_class = _Response

    def connect(self) -> None:
        attempt = _thread.attempt
        if attempt is None:
            super().connect()
            return
        attempt.is_sending, attempt.is_connecting = False, True
        attempt.until = min(attempt.deadline, time.monotonic() + attempt.timeout.connect)
        try:
            self.timeout = attempt.seconds(attempt.timeout.connect)
            super().connect()
        finally:
            attempt.is_connecting, attempt.until = False, attempt.deadline

    def send(self, data: Any) -> None:
        attempt = _thread.attempt
        if attempt is not None and not attempt.is_connecting:  # what goes to a proxy meanwhile is not the request
            if self.sock is None:
                self.connect()
            sock: Any = self.sock
            # The seconds that were left to the attempt before may still be set.
            sock.settimeout(attempt.seconds(attempt.timeout.read))
            attempt.is_sending = True
        super().send(data)


class InterruptibleQueue:
    """The connections that a pool keeps, the last one first.

    A signal's exception (Ctrl-C, an alarm, a soft time limit) inside the lock of Python's own queue leaves it locked, and
    every later call waits for ever. Here nothing is locked: each step is one step of the interpreter. It never waits; a pool
    that finds nothing makes a new connection.

    Args:
        maxsize: how many are kept.
    """

    def __init__(self, maxsize: int = 0) -> None:
        self._kept: deque[Any] = deque()
        self._maxsize = maxsize

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ARG002 -- as of queue.LifoQueue
        """Takes out a connection.

        Raises:
            queue.Empty: none is kept.
        """
        try:
            return self._kept.pop()
        except IndexError:
            raise queue.Empty from None

    def put(self, connection: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ARG002
        """Keeps a connection.

        Raises:
            queue.Full: enough are kept.
        """
        if len(self._kept) >= self._maxsize:
            raise queue.Full
        self._kept.append(connection)

    def qsize(self) -> int:
        """Returns how many are kept."""
        return len(self._kept)

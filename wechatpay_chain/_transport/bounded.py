"""Connections of urllib3 on which every wait ends by a deadline, and pools that an interrupt cannot lock.

urllib3 and http.client bound only each single read, so a peer that sends one byte at a time could hold a thread for hours. They
let users replace the class of a pool's connections, of a connection's responses, and of a pool's queue; that is done here.
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

__all__ = ["BoundedAttempt", "InterruptibleQueue", "bind"]


class BoundedAttempt:
    """One attempt of a call, which bounds all that its thread sends and receives through bound pools.

    A pool has no argument that could carry it, so each thread keeps its current one.

    Args:
        timeout: seconds for each wait, and in total.

    Attributes:
        deadline: the time of the monotonic clock at which the attempt must end.
        until: the time at which the current part of the attempt must end.
        is_connecting: whether a connection is being made, through a proxy or not.
        is_sending: whether there is a connection and the request is being sent; None if no bound connection was used.
        response: the response that is being read; None before it.
    """

    def __init__(self, timeout: Timeout) -> None:
        self.timeout = timeout
        self.deadline = float("inf") if timeout.total is None else time.monotonic() + timeout.total
        self.is_sending: bool | None = None
        self.is_connecting = False
        self.until = self.deadline
        self.response: http.client.HTTPResponse | None = None
        self._before: BoundedAttempt | None = None

    def __enter__(self) -> Self:
        self._before, _thread.attempt = _thread.attempt, self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _thread.attempt = self._before  # a signal handler may have sent a call of its own in the middle of this one
        if error is not None and self.response is not None:
            self.response.close()  # which closes the socket; urllib3 does not after a malformed head

    def seconds(self, longest: float) -> float:
        """Returns how many seconds to wait for the socket now.

        Raises:
            TimeoutError: the deadline has passed.
        """
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return min(longest, left)


class _Thread(threading.local):
    attempt: BoundedAttempt | None = None


_thread = _Thread()


def bind(pool: Any) -> None:
    """Makes the connections of a urllib3 pool keep the deadline of the attempt that uses them."""
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
    """The part of a socket that http.client reads a response from."""

    def __init__(self, sock: socket.socket, attempt: BoundedAttempt) -> None:
        self._sock, self._attempt = sock, attempt

    def makefile(self, mode: str) -> io.BufferedReader:
        raw = self._sock.makefile(mode, buffering=0)  # type: ignore[call-overload]
        return io.BufferedReader(_Reader(self._sock, raw, self._attempt))


class _Reader(io.RawIOBase):
    """Reads from a socket within the deadline of its attempt."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase, attempt: BoundedAttempt) -> None:
        self._sock, self._raw, self._attempt = sock, raw, attempt

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        timeout = self._attempt.timeout
        longest = timeout.connect if self._attempt.is_connecting else timeout.read
        seconds = self._attempt.seconds(longest)
        if seconds < longest:  # otherwise it is set already, and setting it again would be a system call
            self._sock.settimeout(seconds)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        # Bytes after the response would be taken for the response to the next request. urllib3 sees those in the socket before
        # it uses the connection again, but not those that TLS has decrypted already.
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
    """Mixin for a class of connections; stands before it in the bases."""

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
        if attempt is not None and not attempt.is_connecting:  # what a proxy gets meanwhile is not the request
            if self.sock is None:
                self.connect()
            sock: Any = self.sock
            # The timeout of an earlier attempt may still be set.
            sock.settimeout(attempt.seconds(attempt.timeout.read))
            attempt.is_sending = True
        super().send(data)


class InterruptibleQueue:
    """A pool's queue of idle connections, last in first out.

    An exception of a signal handler (Ctrl-C, an alarm, a soft time limit) inside the lock of Python's own queue leaves it locked,
    and every later call waits forever. This queue has no lock: each step is atomic in the interpreter. It never waits: a pool
    that finds it empty makes a new connection.

    Args:
        maxsize: the most connections that are kept.
    """

    def __init__(self, maxsize: int = 0) -> None:
        self._kept: deque[Any] = deque()
        self._maxsize = maxsize

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ARG002 -- as of queue.LifoQueue
        """Returns an idle connection, and removes it.

        Raises:
            queue.Empty: there is none.
        """
        try:
            return self._kept.pop()
        except IndexError:
            raise queue.Empty from None

    def put(self, connection: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ARG002
        """Keeps a connection.

        Raises:
            queue.Full: `maxsize` are kept already.
        """
        if len(self._kept) >= self._maxsize:
            raise queue.Full
        self._kept.append(connection)

    def qsize(self) -> int:
        """Returns how many are kept."""
        return len(self._kept)

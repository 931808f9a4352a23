"""A store in a SQLite file, for the processes of one machine."""

from __future__ import annotations

import itertools
import math
import os
import random
import time
import weakref
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from wechatpay_chain._forks.no_fork import call_before_fork, no_fork
from wechatpay_chain._forks.process import current_process
from wechatpay_chain.errors import ConfigurationError

if TYPE_CHECKING:
    import sqlite3

__all__ = ["SQLiteStore"]

BUSY = 2.0
"""Seconds for which a process waits for another that writes; WeChat Pay waits 5 seconds for the reply to a notification."""

PAUSE = 0.02
"""Seconds for which one try waits for it, and the most seconds between two tries."""

T = TypeVar("T")

_TABLES = """
CREATE TABLE IF NOT EXISTS nonces (nonce TEXT PRIMARY KEY, ends REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS nonces_by_end ON nonces (ends);
CREATE TABLE IF NOT EXISTS certificates (name TEXT PRIMARY KEY, content BLOB NOT NULL, saved REAL NOT NULL) WITHOUT ROWID;
"""
_ADD = "INSERT INTO nonces VALUES (?, ?) ON CONFLICT (nonce) DO UPDATE SET ends = excluded.ends WHERE ends <= ? OR ends > ?"
_SAVE = (
    "INSERT INTO certificates VALUES (?, ?, ?) "
    "ON CONFLICT (name) DO UPDATE SET content = excluded.content, saved = excluded.saved"
)


_Identity = tuple[int, int] | None

_open: dict[str, tuple[object, sqlite3.Connection, _Identity]] = {}
"""The connection to each file that is in use, the process that made it, and which file that was. The stores of thousands of merchants
share one."""

_users: dict[str, set[int]] = {}
"""The stores of each file."""

_numbers = itertools.count()


def _leave(file: str, number: int) -> None:
    """Closes a file that no other store uses; if others have the lock for too long, it stays open until the process ends."""
    lock = no_fork.current
    # A fork in the midst of it would leave the child a lock that nobody releases.
    if not lock.acquire(timeout=BUSY):
        return
    try:
        _users[file].discard(number)
        if not _users[file]:
            _close(file)
    finally:
        lock.release()


def _close(file: str) -> None:
    if file in _open and _open[file][0] is current_process():
        _open.pop(file)[1].close()


def _identify(file: str) -> _Identity:
    """Returns what tells a file from another one of the same name; None if there is none."""
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _close_all() -> None:
    for file in list(_open):
        _close(file)


# SQLite keeps its locks in the memory of the process. A child that has a connection of its parent takes no lock of its own, and the file
# is not safe from others any more: https://sqlite.org/howtocorrupt.html#_carrying_an_open_database_connection_across_a_fork_
call_before_fork(_close_all)


class SQLiteStore:
    """Nonce store and certificate cache in a SQLite file, which the processes of one machine share.

        store = SQLiteStore("/var/lib/shop/wechatpay.db")
        client = Client(seen=store, certificate_cache=store, …)

    A nonce is in the file when `add` returns, and stays there when the process is killed; those of the last moment can be lost when the
    machine loses its power. The file must be on a local disk: the locks of SQLite do not work on every network file system
    (https://sqlite.org/wal.html). A server that forks in C, such as uWSGI, must do so before the file is used, or with `lazy-apps`. In one
    process, the stores of one file share a connection.

    Args:
        path: the file. SQLite adds two files beside it, `-wal` and `-shm`.
        namespace: whose certificates these are; one for each merchant number, because certificates are kept encrypted with its
            APIv3 key. Nonces are shared by all namespaces.

    Raises:
        ConfigurationError: the folder of the file does not exist.
    """

    def __init__(self, path: str | os.PathLike[str], *, namespace: str = "") -> None:
        self._path, self._namespace = Path(path), namespace
        if not self._path.parent.is_dir():
            raise ConfigurationError(f"path: the folder {str(self._path.parent)!r} does not exist")
        self._file, number = os.path.realpath(path), next(_numbers)
        with no_fork.current:
            import sqlite3  # noqa: F401 -- not while a fork may come in between

            _users.setdefault(self._file, set()).add(number)
        # Also when the process ends: a connection that another thread uses must not be freed under it.
        weakref.finalize(self, _leave, self._file, number)

    def add(self, nonce: str, seconds: float) -> bool:
        """Stores a nonce; see `NonceStore.add`.

        Raises:
            sqlite3.Error: the file cannot be written. The notification is then refused, and sent again.
        """
        return self._add(nonce, seconds, math.inf)

    def load(self) -> bytes | None:
        """Returns the certificates that were saved last; see `CertificateCache.load`."""
        row = self._find(self._namespace)
        return None if row is None else row[0]

    def save(self, content: bytes) -> None:
        """Saves certificates; see `CertificateCache.save`."""

        def save(connection: sqlite3.Connection) -> None:
            connection.execute(_SAVE, (self._namespace, content, time.time()))

        self._run(save)

    def age(self) -> float | None:
        """Returns the seconds since the certificates were saved; see `SharedCertificateCache.age`."""
        row = self._find(self._namespace)
        age = -1.0 if row is None else time.time() - row[1]
        # They were saved in the future, by a clock that was wrong: nobody knows how old they are.
        return age if age >= 0 else None

    def claim(self, seconds: float) -> bool:
        """Claims the next download; see `SharedCertificateCache.claim`."""
        # A claim that ends later than a new one was made before the clock was set back.
        return self._add(f"claim of {self._namespace}", seconds, seconds)

    def _find(self, name: str) -> tuple[bytes, float] | None:
        def find(connection: sqlite3.Connection) -> tuple[bytes, float] | None:
            select = "SELECT content, saved FROM certificates WHERE name = ?"
            with closing(connection.execute(select, (name,))) as found:
                row: tuple[bytes, float] | None = found.fetchone()
                return row

        return self._run(find)

    def _add(self, nonce: str, seconds: float, longest: float) -> bool:
        """Adds a row unless there is one that has not ended, and ends within `longest` seconds."""

        def add(connection: sqlite3.Connection) -> bool:
            with connection:
                # A transaction that reads before it writes could deadlock with another.
                connection.execute("BEGIN IMMEDIATE")
                now = time.time()
                connection.execute("DELETE FROM nonces WHERE ends <= ?", (now,))
                return connection.execute(_ADD, (nonce, now + seconds, now, now + longest)).rowcount == 1

        return self._run(add)

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Does something with the file, and again while others are using it, for 2 seconds at most.

        No fork can come in between, because a child that is forked within a transaction inherits a lock that nobody releases. So it is
        tried for short times: imports and forks wait meanwhile.
        """
        import sqlite3

        deadline = time.monotonic() + BUSY
        while True:
            lock = no_fork.current
            if not lock.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
                raise sqlite3.OperationalError(f"{self._path}: other threads have been using it for {BUSY:g} s")
            try:
                return work(self._connect())
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
            finally:
                lock.release()
            time.sleep(random.uniform(0.001, PAUSE))  # noqa: S311 -- it is no secret

    def _connect(self) -> sqlite3.Connection:
        """Returns the connection of this process. Only a thread that has the lock may use it.

        Raises:
            sqlite3.OperationalError: it is of a parent process.
        """
        import sqlite3

        process = current_process()
        if self._file in _open:
            owner, connection, identity = _open[self._file]
            if owner is not process:
                raise sqlite3.OperationalError(
                    f"{self._path}: it was used before a server forked this process without Python's knowledge; with uWSGI, set "
                    "lazy-apps = true"
                )
            if _identify(self._file) == identity:
                return connection
            _close(self._file)  # it was deleted, and other processes use a new one
        connection = sqlite3.connect(self._file, timeout=PAUSE, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_TABLES)
        except BaseException:
            connection.close()
            raise
        _open[self._file] = process, connection, _identify(self._file)
        return connection

    def __repr__(self) -> str:
        return f"<SQLiteStore {self._path}>"

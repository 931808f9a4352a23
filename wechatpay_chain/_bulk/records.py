"""The files of a bulk job: its results, and which lines were begun.

What is written is on the disk before anything depends on it. Many lines share one fsync.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from array import array
from collections.abc import Iterator
from functools import partial
from io import BufferedRandom
from pathlib import Path

from wechatpay_chain._pipeline.async_driver import in_thread
from wechatpay_chain.errors import ArgumentError

__all__ = ["Records"]

MODE = 0o600
"""The results have what the service returned, which can be personal data."""


_OUTCOMES = ("", "done", "refused", "unknown", "unsent")


class _Appended:
    """A file that grows by whole lines.

    Args:
        path: the file.
        start: what each line starts with.
    """

    def __init__(self, path: Path, start: bytes) -> None:
        self._start = start
        self._file: BufferedRandom = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, MODE), "r+b")
        self._pending: list[tuple[bytes, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None
        self._writing = threading.Lock()

    def lock(self, path: Path) -> None:
        """Locks the file, so that two processes cannot do the same job; where the system has no such locks, nothing."""
        try:
            import fcntl
        except ImportError:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise ArgumentError(
                f"results: {str(path)!r} is in use by another process, or by an `async for` over this job that was left early and is "
                "not closed; end that first"
            ) from None

    def read(self) -> Iterator[bytes]:
        """Yields the lines, and cuts off one that a killed process has not finished, after the others were used without an error."""
        whole = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                if not whole and not line.startswith(self._start[: len(line)]):
                    yield line  # it is a file of something else
                break
            whole += len(line)
            yield line
        self._file.seek(whole)
        self._file.truncate()

    async def append(self, line: bytes) -> None:
        """Writes a line. Returns when it is on the disk.

        Raises:
            OSError: it cannot be written.
        """
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        self._pending.append((line, written))
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._write_pending(loop))
        await written

    async def _write_pending(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._pending:
            batch, self._pending = self._pending, []
            try:
                await in_thread(loop, partial(self._write, [line for line, _ in batch]))
            except Exception as error:
                for _, written in batch:
                    if not written.done():
                        written.set_exception(error)
            else:
                for _, written in batch:
                    if not written.done():
                        written.set_result(None)

    def _write(self, lines: list[bytes]) -> None:
        with self._writing:
            self._file.write(b"".join(lines))
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file after the fsync in progress, which would keep its lock."""
        with self._writing:
            self._file.close()


class Records:
    """The results of a job, and the lines that were begun.

    Args:
        path: the file with the results. `.begun` is added for the other one, which exists only while it is needed.

    Raises:
        ArgumentError: another process does this job, or the file has other things than results.
        OSError: a file cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._begun_path = self._path.with_name(f"{self._path.name}.begun")
        self._results = _Appended(self._path, b'{"line": ')
        self._results.lock(self._path)
        self._begun: _Appended | None = None
        # By the number of a line. What was begun and has no result yet is counted, because a line can be begun several times.
        self._digests, self._outcomes, self._begins = array("Q", [0]), bytearray(1), bytearray(1)
        try:
            self._read_begun()
            self._read_results()
        except BaseException:
            self.close()
            raise

    @property
    def last_line(self) -> int:
        """The highest number of a line that an earlier run has sent; 0 if there is none."""
        return len(self._digests) - 1

    def find(self, line: int) -> tuple[int, str]:
        """Returns the digest of a line and its last outcome: 0 and an empty text for what is not known."""
        if line >= len(self._digests):
            return 0, ""
        return self._digests[line], _OUTCOMES[self._outcomes[line]]

    def is_begun(self, line: int) -> bool:
        """Tells whether a line may have been acted on in an earlier run."""
        return line < len(self._begins) and (self._begins[line] > 0 or self.find(line)[1] == "unknown")

    async def begin(self, line: int, digest: int) -> None:
        """Notes that a line is sent now. Returns when that is on the disk."""
        if self._begun is None:
            self._begun = _Appended(self._begun_path, b"")
        await self._begun.append(b"%d %016x\n" % (line, digest))

    async def append(self, result: bytes) -> None:
        """Writes a result. Returns when it is on the disk."""
        await self._results.append(result)

    def close(self, *, is_done: bool = False) -> None:
        """Closes the files.

        Args:
            is_done: True if every line has a result, so that the lines that were begun need not be known any more.
        """
        self._results.close()
        if self._begun is not None:
            self._begun.close()
        if is_done:
            self._begun_path.unlink(missing_ok=True)

    def _read_results(self) -> None:
        for text in self._results.read():
            parsed = _parse(text)
            if parsed is None:
                raise ArgumentError(f"results: {str(self._path)!r} has a line that is no result of a bulk job")
            line, digest, outcome = parsed
            self._note(line, digest)
            self._outcomes[line] = outcome
            # This result is that of a beginning.
            self._begins[line] = max(self._begins[line] - 1, 0)

    def _read_begun(self) -> None:
        if not self._begun_path.exists():
            return
        begun = _Appended(self._begun_path, b"")
        try:
            for text in begun.read():
                line, digest = text.split()
                self._note(int(line), int(digest, 16))
                self._begins[int(line)] = min(self._begins[int(line)] + 1, 255)
        except ValueError:
            raise ArgumentError(f"results: {str(self._begun_path)!r} has a line that no bulk job wrote") from None
        finally:
            begun.close()

    def _note(self, line: int, digest: int) -> None:
        missing = line + 1 - len(self._digests)
        if missing > 0:
            self._digests.extend([0] * missing)
            self._outcomes.extend(bytes(missing))
            self._begins.extend(bytes(missing))
        self._digests[line] = digest


def _parse(text: bytes) -> tuple[int, int, int] | None:
    """Returns the number of a result's line, its digest, and the number of its outcome; None if it is something else."""
    try:
        known = json.loads(text)
        line, digest, outcome = known["line"], int(known["digest"], 16), _OUTCOMES.index(known["outcome"])
    except (ValueError, KeyError, TypeError):
        return None
    return (line, digest, outcome) if isinstance(line, int) and line > 0 and outcome else None

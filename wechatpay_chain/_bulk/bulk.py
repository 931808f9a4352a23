"""Runs a bulk job."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from wechatpay_chain._bulk.lines import Line, LineSource, Shape, read_lines
from wechatpay_chain._bulk.records import Records
from wechatpay_chain._bulk.repeating import is_repeatable
from wechatpay_chain._bulk.result import Result, judge_error, judge_response, may_earlier_attempts_be_done
from wechatpay_chain._chain.node import Chain
from wechatpay_chain._messages.arguments import parse_timeout
from wechatpay_chain._pipeline.async_driver import in_thread
from wechatpay_chain.errors import (
    ArgumentError,
    AuthenticationError,
    ConfigurationError,
    RedirectionError,
    TransportError,
    WeChatPayError,
)

__all__ = ["Bulk", "Result", "parse_rate"]

ATTEMPTS = 12
"""How often a line is sent in one run, beside the retries of the client, if it may be."""

ATTEMPTS_WITHOUT_REACH = 3
"""How often it is sent as long as no line has been sent at all, perhaps because of a wrong proxy."""

FIRST_BACKOFF, LONGEST_BACKOFF = 0.5, 20.0
"""Seconds before the second attempt, at most; twice as long before each further one."""

SKIPPED_AT_ONCE = 1000
"""After how many lines with a final result others of the event loop have their turn."""

UNSENT_IN_A_ROW = 20
"""How many lines in a row that could not be sent end the job: the service cannot be reached."""

NOT_ABOUT_A_LINE = (AuthenticationError, ConfigurationError, RedirectionError)
"""Errors that end the job: a wrong key or setting, or a proxy that answers in place of the service."""

INTERRUPTED, STOPPED = "Interrupted", "Stopped"
"""The codes of lines that this run has not sent: an earlier run may have, or the job has ended before."""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


_SECONDS = {"": 1, "s": 1, "second": 1, "m": 60, "minute": 60, "h": 3600, "hour": 3600}


def parse_rate(rate: str | float | None) -> float:
    """Returns the calls per second of a rate such as 50, "50/s" or "600/m"; 0 for no limit.

    Raises:
        ArgumentError: it is something else.
    """
    if rate is None:
        return 0.0
    text, _, unit = str(rate).partition("/")
    try:
        per_second = float(text) / _SECONDS[unit]
    except (ValueError, KeyError):
        per_second = 0.0
    if not 0 < per_second < float("inf"):
        raise ArgumentError(f"rate: came {rate!r}; expected calls per time, such as '50/s' or '600/m'")
    return per_second


@dataclass
class _Run:
    """What belongs to one iteration of a job.

    Attributes:
        records: the files.
        feed: the lines that are left, and their digests; None now and then, while it skips lines.
        room: for results that nobody has taken yet.
        ready: the results; None from each worker that has ended.
        ends: a future. Its result is the error that ends the job, or None when nobody waits for results any more.
        unsent: how many lines in a row could not be sent.
    """

    records: Records
    feed: Iterator[tuple[Line, int] | None]
    room: asyncio.Semaphore
    ends: asyncio.Future[BaseException | None]
    ready: asyncio.Queue[Result | None] = field(default_factory=asyncio.Queue)
    unsent: int = 0

    def end(self, error: BaseException | None) -> None:
        """Lets the job end, with an error if there is one, unless it ends already."""
        if not self.ends.done():
            self.ends.set_result(error)

    async def pause(self, seconds: float) -> None:
        """Waits, for no longer than the job goes on."""
        if seconds > 0:
            await asyncio.wait([self.ends], timeout=seconds)


class Bulk:
    """A bulk job: one call for each line of a file, each line once.

        async for result in client.bulk(
            "POST",
            "v3/marketing/partner/product-coupon/users/{openid}/pre-send-coupon",
            "users.csv",
            results="results.jsonl",
            rate="50/s",
        ):
            print(result.line, result.outcome, result.code)

    A line's values are path variables, if the path has such names, otherwise members of the body, or of the query of a GET or a DELETE.
    In a CSV file, the header has the names; `amount.total` is a member of `amount`, an empty cell is left out, and numbers are written
    as the operation has them. What WeChat Pay wants encrypted is encrypted.

    **Each line once.** A result is on the disk before it is returned, and a line with a final result, `done` or `refused`, is not sent
    again when the job is started again with the same files: also after the process was killed. A line whose outcome is unknown is sent
    again with exactly the same values, if the service can recognize it: a query, a PUT, a DELETE, or a call with a number of your own,
    such as out_request_no or out_bill_no. Any other line is never sent again; it stays `unknown` for you to look up. So does a line that
    is refused when it is sent again: the refusal does not say what became of it the first time. Correct what was refused in a new input,
    with another file for its results.

    A file, a list or a tuple is read to its end first: if a line cannot be read, nothing is sent.

    A job ends with an error that is not about a line: a wrong key (401), a redirect (3xx), an input that has changed, a service that
    cannot be reached. Start it again when the cause is gone. Memory grows by 10 bytes a line, and by nothing else.

    Args:
        method: the verb.
        node: the operation.
        lines: a .csv or .jsonl file, or dicts. The same lines in the same order when the job is started again.
        results: the file that gets the results, one JSON object a line, mode 0600. The job is started again by naming it again.
        json: members that each call has; a line replaces them.
        rate: the most calls per time, such as "50/s" or "600/m"; None for no limit. The client's retries inside a call are not
            counted; `wechatpay_chain.rates` counts them.
        concurrency: the most calls at the same time, 1 to 1000.
        repeat: True or False to say yourself whether a line may be sent again although it may have been acted on.
        timeout: seconds, for each call.

    Raises:
        ArgumentError: an argument is wrong, the input is not that of the results, or another process writes to the same file.
        AuthenticationError, ConfigurationError, RedirectionError, TransportError, OSError: see above; while it is iterated.

    Attributes:
        counts: how many lines have which outcome and code, in this run.
        earlier: how many lines had a final result from an earlier run, by outcome: done and refused.
    """

    def __init__(
        self,
        method: str,
        node: Chain,
        lines: LineSource,
        results: str | os.PathLike[str],
        *,
        json: Mapping[str, Any] | None,
        rate: str | float | None,
        concurrency: int,
        repeat: bool | None,
        timeout: Any,
    ) -> None:
        self._method = str(method).upper()
        if self._method not in METHODS:
            raise ArgumentError(f"method: came {method!r}; expected one of {', '.join(METHODS)}")
        if isinstance(concurrency, bool) or not isinstance(concurrency, int) or not 1 <= concurrency <= 1000:
            raise ArgumentError(f"concurrency: came {concurrency!r}; expected a number from 1 to 1000")
        if repeat is not None and not isinstance(repeat, bool):
            raise ArgumentError(f"repeat: came {repeat!r}; expected True, False or None")
        if timeout is not None:
            parse_timeout(timeout)
        rate_per_second = parse_rate(rate)
        self._interval = 1 / rate_per_second if rate_per_second else 0.0
        self._shape = Shape(self._method, node, {} if json is None else json)
        self._verb = getattr(node, f"{self._method.lower()}_async")
        self._lines, self._results, self._concurrency = lines, results, concurrency
        self._repeat, self._timeout = repeat, timeout
        self._next_call = 0.0
        self._is_reached = False
        self.counts: Counter[tuple[str, str]] = Counter()
        self.earlier: Counter[str] = Counter()

    async def __aiter__(self) -> AsyncIterator[Result]:
        # Many results take seconds to read.
        loop = asyncio.get_running_loop()
        records = await in_thread(loop, partial(Records, self._results))
        is_done = self._is_reached = False
        self._next_call = 0.0
        self.counts.clear()
        self.earlier.clear()
        try:
            if self._can_be_read_twice():
                # Before anything is sent, and not only when the turn of a line comes.
                await in_thread(loop, partial(self._check_lines, records))
            run = _Run(records, self._feed(records), asyncio.Semaphore(self._concurrency), loop.create_future())
            workers = [asyncio.create_task(self._work(run)) for _ in range(self._concurrency)]
            left, has_unsent = len(workers), False
            try:
                while left:
                    result = await run.ready.get()
                    if result is None:
                        left -= 1
                        continue
                    run.room.release()
                    has_unsent = has_unsent or result.outcome == "unsent"
                    self.counts[result.outcome, result.code] += 1
                    yield result
            finally:
                run.end(None)
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
            if (error := run.ends.result()) is not None:
                raise error
            # What was begun must be known for as long as a result says that a line was not sent: the next run sends it.
            is_done = not has_unsent
        finally:
            records.close(is_done=is_done)

    def _can_be_read_twice(self) -> bool:
        if isinstance(self._lines, (str, os.PathLike)):
            return Path(self._lines).is_file()  # and not a pipe
        return isinstance(self._lines, (list, tuple))

    def _check_lines(self, records: Records) -> None:
        last = 0
        for line in read_lines(self._lines):
            if records.last_line:
                self._check_line(line, self._shape.find_digest(line), records)
            last = line.number
        self._check_end(last, records)

    def _check_end(self, last: int, records: Records) -> None:
        """Raises an ArgumentError if an earlier run had more lines: they must not be forgotten."""
        if last < records.last_line:
            raise ArgumentError(
                f"lines: there are {last}, but the results have line {records.last_line}; restore the input, or name another file "
                "for the results"
            )

    @staticmethod
    def _check_line(line: Line, digest: int, records: Records) -> None:
        """Raises an ArgumentError for a line that is not the one that an earlier run has sent."""
        if records.find(line.number)[0] not in (0, digest):
            raise ArgumentError(
                f"results: line {line.number} is not the one that has a result there: the input, the operation or json= has "
                "changed; restore it, or name another file for the results"
            )

    def _feed(self, records: Records) -> Iterator[tuple[Line, int] | None]:
        """Yields the lines without a final result, and their digests; None after many with one."""
        is_first, last = True, 0
        at_once = max(SKIPPED_AT_ONCE // self._concurrency, 1)  # each worker skips as many
        for line in read_lines(self._lines):
            last = line.number
            digest = self._shape.find_digest(line)
            self._check_line(line, digest, records)
            outcome = records.find(line.number)[1]
            if outcome in ("done", "refused"):
                self.earlier[outcome] += 1
                if self.skipped % at_once == 0:
                    yield None
                continue
            missing = self._shape.find_missing(line) if is_first else ()
            if missing:
                raise ArgumentError(
                    f"lines: line {line.number} has no value for {', '.join(missing)}, which the path needs; its names are "
                    f"{', '.join(map(str, line.fields))}"
                )
            is_first = False
            yield line, digest
        self._check_end(last, records)

    async def _work(self, run: _Run) -> None:
        """Takes line after line until there is none, or until something ends the whole job."""
        try:
            while not run.ends.done() and (following := next(run.feed, ())) != ():
                if not following:
                    await asyncio.sleep(0)
                    continue
                line, digest = following
                result, error = await self._do(line, digest, run)
                result = replace(result, digest=f"{digest:016x}")
                # What the files say of a line that an earlier run has left unknown is more than can be said now.
                if result.code not in (INTERRUPTED, STOPPED) or run.records.find(line.number)[1] != "unknown":
                    await run.records.append(result.to_json())
                # A call that is cancelled can end with another error. Nobody takes results any more then, so there is no room to wait for.
                if not run.ends.done():
                    await run.room.acquire()
                run.ready.put_nowait(result)
                if error is not None:
                    run.end(error)
        except BaseException as error:
            # Not only an Exception: a call can raise a CancelledError of its own.
            run.end(error)
        run.ready.put_nowait(None)

    async def _do(self, line: Line, digest: int, run: _Run) -> tuple[Result, WeChatPayError | None]:
        """Sends a line, and again as long as that is allowed and makes sense.

        Returns:
            What became of it, and the error that ends the job, if there is one.
        """
        try:
            arguments = self._shape.make_arguments(line)
        except ArgumentError as error:
            return Result(line.number, "refused", code="ArgumentError", message=str(error), attempts=0), None
        again = self._repeat if self._repeat is not None else is_repeatable(self._method, arguments)
        if not again and run.records.is_begun(line.number):
            message = "an earlier run may have sent this line, and it has no number by which to repeat it; look it up"
            return Result(line.number, "unknown", code=INTERRUPTED, message=message, attempts=0), None
        may_act = self._method != "GET"
        may_be_done, attempt = may_act and run.records.is_begun(line.number), 0
        if may_act:
            await run.records.begin(line.number, digest)
            arguments["idempotent"] = again
        fatal: WeChatPayError | None = None
        result = Result(
            line.number, "unsent", code=STOPPED, message="the job ended before this line was sent", attempts=0
        )
        while True:
            await self._await_slot(run)
            if run.ends.done():
                break
            attempt += 1
            try:
                response = await self._verb(**arguments, timeout=self._timeout)
                self._is_reached, run.unsent = True, 0
                return replace(judge_response(line.number, response), attempts=attempt), None
            except WeChatPayError as error:
                result, is_temporary = judge_error(line.number, error)
                may_be_done = may_be_done or (may_act and may_earlier_attempts_be_done(error))
                fatal = error if isinstance(error, NOT_ABOUT_A_LINE) else None
            self._is_reached = self._is_reached or result.outcome != "unsent"
            if may_be_done and result.outcome == "refused":
                # A refusal of a repetition does not say what the first attempt did.
                result = replace(result, outcome="unknown")
            may_be_done = may_be_done or (may_act and result.outcome == "unknown")
            result = replace(result, attempts=attempt if result.attempts else 0)
            most = ATTEMPTS if self._is_reached else ATTEMPTS_WITHOUT_REACH
            if attempt >= most or fatal or not is_temporary or not (again or result.outcome == "unsent"):
                break
            backoff = min(FIRST_BACKOFF * 2 ** (attempt - 1), LONGEST_BACKOFF)
            await run.pause(backoff * random.uniform(0.5, 1.0))  # noqa: S311 -- jitter is no secret
        run.unsent = run.unsent + 1 if result.outcome == "unsent" else 0
        if run.unsent >= UNSENT_IN_A_ROW:
            fatal = TransportError(
                f"the job has ended, because {run.unsent} lines in a row could not be sent: {result.message}",
                sent=False,
            )
        return (replace(result, outcome="unknown") if may_be_done else result), fatal

    async def _await_slot(self, run: _Run) -> None:
        """Waits until the rate allows another call."""
        if self._interval:
            now = time.monotonic()
            slot = max(self._next_call, now)
            self._next_call = slot + self._interval
            await run.pause(slot - now)

    @property
    def skipped(self) -> int:
        """How many lines had a final result from an earlier run."""
        return sum(self.earlier.values())

    def __repr__(self) -> str:
        return f"<Bulk {self._method} {sum(self.counts.values())} results>"

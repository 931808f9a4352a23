"""The command `bulk`: one request for each line of a file, with a progress bar and a summary."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wechatpay_chain._cli.console import make_console, print_line, print_table
from wechatpay_chain._cli.credentials import Credentials, with_credentials
from wechatpay_chain._cli.inputs import read_json
from wechatpay_chain._cli.outcome import Status
from wechatpay_chain._cli.request import Verb

if TYPE_CHECKING:
    from wechatpay_chain._bulk.bulk import Bulk
    from wechatpay_chain._client import Client

__all__ = ["bulk"]

Show = Callable[[int, int], None]
"""Shows how many lines have a result, and how many of them failed."""


@with_credentials
def bulk(
    credentials: Credentials,
    method: Annotated[Verb, typer.Argument(case_sensitive=False, help="The verb.")],
    path: Annotated[str, typer.Argument(help="The path, whose variables are columns of the input.")],
    source: Annotated[Path, typer.Option("--input", help="The lines: a .csv file with a header, or a .jsonl file.")],
    output: Annotated[Path, typer.Option(help="The results. Name it again to go on after an interruption.")],
    rate: Annotated[str | None, typer.Option(help="The most requests per time, such as 50/s or 600/m.")] = None,
    concurrency: Annotated[int, typer.Option(help="The most requests at the same time.")] = 32,
    body: Annotated[
        str | None,
        typer.Option("--json", metavar="JSON|@FILE", help="Members that each request has; a line replaces them."),
    ] = None,
    repeat: Annotated[
        bool | None,
        typer.Option(
            "--repeat/--no-repeat",
            help="Whether a line may be sent again although it may have been acted on; by default if it has a number of your own.",
        ),
    ] = None,
) -> None:
    """Sends one request for each line of a file, each line once, also after an interruption.

    The exit status is 1 if lines were refused, and 3 if the outcome of some is unknown or they were not sent.
    """
    json = None if body is None else read_json("--json", body)
    client = credentials.client()
    job = client.bulk(
        method.value, path, source, results=output, json=json, rate=rate, concurrency=concurrency, repeat=repeat
    )
    try:
        with _show_progress(source) as show:
            asyncio.run(_run(client, job, show))
    except KeyboardInterrupt:
        print_line("wechatpay-chain: interrupted; the same command goes on from here", stderr=True)
        raise
    outcomes: Counter[str] = Counter()
    outcomes.update(dict.fromkeys(("done", "refused", "unknown", "unsent"), 0))
    for (outcome, _), count in job.counts.items():
        outcomes[outcome] += count
    outcomes.update(job.earlier)
    _show_summary(job, outcomes, output)
    if outcomes["unknown"] or outcomes["unsent"]:
        raise typer.Exit(int(Status.UNKNOWN))
    if outcomes["refused"]:
        raise typer.Exit(int(Status.REFUSED))


async def _run(client: Client, job: Bulk, show: Show) -> None:
    async with client:
        async for _ in job:
            finished = sum(job.counts.values())
            done = sum(count for (outcome, _), count in job.counts.items() if outcome == "done")
            show(job.skipped + finished, finished - done)


def _show_summary(job: Bulk, outcomes: Counter[str], output: Path) -> None:
    earlier = f", {job.skipped:,} of them by an earlier run" if job.skipped else ""
    print_line(", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items()), earlier)
    failed = [(outcome, code, count) for (outcome, code), count in job.counts.most_common() if outcome != "done"]
    if failed:
        print_table(("outcome", "code", "lines"), ((outcome, code, f"{count:,}") for outcome, code, count in failed))
        print_line(f"their messages are in {output}")


@contextmanager
def _show_progress(source: Path) -> Iterator[Show]:
    """Shows lines, rate, the time that is left and failures, if the error output is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _finished, _failed: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    total = _count_lines(source) if source.is_file() else None  # a pipe can be read once
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}/s"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]} failed"),
    )
    with Progress(*columns, console=make_console(stderr=True)) as bar:
        task = bar.add_task("", total=total, rate="-", failed=0)

        def show(finished: int, failed: int) -> None:
            speed = bar.tasks[0].speed
            bar.update(task, completed=finished, rate="-" if speed is None else f"{speed:.0f}", failed=failed)

        yield show


def _count_lines(source: Path) -> int:
    with source.open("rb") as file:
        lines = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
    return max(lines - (source.suffix == ".csv"), 1)

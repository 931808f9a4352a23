"""The commands `download`, `bill` and `upload`: files, with a progress bar on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wechatpay_chain._cli.console import AsJson, make_console, print_json, print_line
from wechatpay_chain._cli.credentials import Credentials, with_credentials
from wechatpay_chain._cli.inputs import read_json
from wechatpay_chain._cli.outcome import Failure, Status
from wechatpay_chain._cli.request import Params, Variables, find_written, make_arguments, show_response
from wechatpay_chain.errors import APIError

if TYPE_CHECKING:
    from wechatpay_chain._client import Client
    from wechatpay_chain._files.announcement import Source
    from wechatpay_chain._files.download import Progress

__all__ = ["bill", "download", "show_progress", "upload"]

CHINA = timezone(timedelta(hours=8))


class Kind(str, Enum):
    """The kind of a bill."""

    TRADE = "trade"
    FUND = "fund"
    SHARING = "sharing"


_BILLS = {Kind.TRADE: "v3/bill/tradebill", Kind.FUND: "v3/bill/fundflowbill", Kind.SHARING: "v3/profitsharing/bills"}

_CURES = {
    "STATEMENT_CREATING": "the bill is not ready; it is made by 10:00 of the next day in China",
    "NO_STATEMENT_EXIST": "there is no bill: the day had no payments, or it has not passed",
    "INVALID_REQUEST": "if the day is not one of the last three months, there is no bill of it",
}

Gunzip = Annotated[bool, typer.Option("--gunzip", help="Decompress a file that is compressed.")]


@with_credentials
def download(
    credentials: Credentials,
    source: Annotated[
        str, typer.Argument(help="The URL of a file, or the path of an operation that announces one with GET.")
    ],
    to: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    var: Variables = None,
    param: Params = None,
    gunzip: Gunzip = False,
    as_json: AsJson = False,
) -> None:
    """Downloads a file, and compares its digest with the one that was announced."""
    with credentials.client() as client:
        announced: Source = source
        if not source.startswith(("https://", "http://")):
            announced = client.chain(source).get(**make_arguments("GET", source, var, param, None))
        _save(client, announced, to, gunzip=gunzip, as_json=as_json)


@with_credentials
def bill(
    credentials: Credentials,
    day: Annotated[
        str | None, typer.Argument(help="The day in China, such as 2026-01-31; by default yesterday.")
    ] = None,
    kind: Annotated[Kind, typer.Option(help="The kind of the bill.")] = Kind.TRADE,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file to write; by default KIND-DAY.csv.")
    ] = None,
    param: Params = None,
    as_json: AsJson = False,
) -> None:
    """Downloads the bill of a day."""
    found = datetime.now(CHINA).date() - timedelta(days=1) if day is None else _parse_day(day)
    params = [f"bill_date={found.isoformat()}", "tar_type=GZIP", *(param or ())]
    path = _BILLS[kind]
    with credentials.client() as client:
        try:
            announced = client.chain(path).get(**make_arguments("GET", path, None, params, None))
        except APIError as error:
            cure = _CURES.get(error.code)
            if cure is None:
                raise
            raise Failure(f"{found}: {error.code} {error.message!r}: {cure}", Status.REFUSED) from None
        _save(client, announced, output or Path(f"{kind.value}-{found}.csv"), gunzip=True, as_json=as_json)


@with_credentials
def upload(
    credentials: Credentials,
    path: Annotated[str, typer.Argument(help="The path of the operation, such as v3/merchant/media/upload.")],
    file: Annotated[Path, typer.Argument(help="The file.")],
    part: Annotated[str, typer.Option(help="The name of the file's part; by default the documented one.")] = "",
    meta: Annotated[
        str | None, typer.Option("--json", metavar="JSON|@FILE|-", help="Members of the meta that are not filled in.")
    ] = None,
    var: Variables = None,
) -> None:
    """Uploads a file, and prints the JSON of the response."""
    json = None if meta is None else read_json("--json", meta)
    arguments = make_arguments("POST", path, var, None, None, json)
    if not file.is_file():
        raise Failure(f"{str(file)!r}: there is no such file")
    with credentials.client() as client:
        with _read_with_progress(file) as opened:
            arguments["files"] = {part or _find_part(path): (file.name, opened) if opened else file}
            response = client.chain(path).post(**arguments)
        show_response(response)


def _parse_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"came {text!r}; expected a day such as 2026-01-31", param_hint="DAY") from None


def _find_part(path: str) -> str:
    """Returns the name of the part that an operation wants the file in."""
    operation = find_written("POST", path)
    members = operation.form["properties"] if operation and operation.form else {}
    return next((name for name, schema in members.items() if schema["type"] == "file"), "file")


def _save(client: Client, source: Source, to: Path, *, gunzip: bool, as_json: bool) -> None:
    """Downloads an announced file, and prints what was written."""
    with show_progress(to.name) as progress:
        client.download(source, to, gunzip=gunzip, progress=progress)
    size = to.stat().st_size
    if as_json:
        print_json({"file": str(to), "bytes": size})
    else:
        print_line((str(to), "bold"), f" {size:,} bytes")


@contextmanager
def show_progress(name: str) -> Iterator[Progress | None]:
    """Shows the progress of a download, or that something is under way, if the error output is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress as Bar

    with Bar(console=make_console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda received, total: bar.update(task, completed=received, total=total)


@contextmanager
def _read_with_progress(file: Path) -> Iterator[Any]:
    """Opens a file whose reading is shown, if the error output is a terminal; else yields None."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import open as open_with_bar

    with open_with_bar(file, "rb", description=file.name, console=make_console(stderr=True), transient=True) as opened:
        yield opened

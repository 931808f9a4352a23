"""The commands, and how their errors become one line and an exit status."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from wechatpay_chain._cli import (
    bulk,
    certificates,
    doctor,
    notify,
    operations,
    qr,
    reconcile,
    request,
    sandbox,
    transfer_files,
)
from wechatpay_chain._cli.console import print_line
from wechatpay_chain._cli.outcome import Failure, Status, describe_failure, find_status
from wechatpay_chain._version import __version__
from wechatpay_chain.errors import WeChatPayError

__all__ = ["run"]

# A traceback would show the values of local variables; an error box would take five lines.
app = typer.Typer(name="wechatpay-chain", pretty_exceptions_enable=False, rich_markup_mode=None, no_args_is_help=True)
app.add_typer(sandbox.app, name="sandbox")
app.add_typer(notify.app, name="notify")
for command in (
    request.request,
    operations.operations,
    bulk.bulk,
    doctor.doctor,
    certificates.certificates,
    transfer_files.bill,
    transfer_files.download,
    transfer_files.upload,
    reconcile.reconcile,
    qr.qr,
):
    app.command()(command)


def _print_version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def wechatpay_chain(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """WeChat Pay for Python."""


def run(arguments: Sequence[str] | None) -> int:
    """Runs a command; `main` has the arguments and the result."""
    # Without a handler, Python writes the warnings of the log on stderr, where an error is to be one line.
    logging.getLogger("wechatpay_chain").addHandler(logging.NullHandler())
    try:
        ended: object = app(args=arguments, prog_name="wechatpay-chain", standalone_mode=False)
        return ended if isinstance(ended, int) else 0
    except SystemExit as left:  # the reader of a pipe has closed it
        return left.code if isinstance(left.code, int) else 0
    except TyperException as error:
        return _show_usage(error)
    except (Failure, WeChatPayError, OSError) as error:
        print_line(("wechatpay-chain: ", "red"), describe_failure(error), stderr=True)
        return int(find_status(error))


def _show_usage(error: TyperException) -> int:
    """Prints the one line of an error in the arguments; the help, if there are none at all."""
    message, context = error.format_message(), getattr(error, "ctx", None)
    if message.startswith("Usage:"):
        print(message)
        return int(Status.USAGE)
    path = context.command_path if context else "wechatpay-chain"
    cure = f"; {path} --help shows what it takes"
    print_line((f"{path}: ", "red"), " ".join(message.split()).removesuffix("."), cure, stderr=True)
    return int(Status.USAGE)

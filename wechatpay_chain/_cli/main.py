"""The entry point of the command line: runs a command, and turns its error into one line and an exit status."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

__all__ = ["main"]

_EXTRA = ("rich", "segno", "typer")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: the arguments without the program's name; None takes them from `sys.argv`.

    Returns:
        The exit status of the process; `Status` lists them.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a character that a terminal or a pipe cannot have is shown as \u5fae
            stream.reconfigure(errors="backslashreplace")
    try:
        from wechatpay_chain._cli.app import run

        return run(arguments)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        print(f"wechatpay-chain: the command line needs {missing}: pip install 'wechatpay-chain[cli]'", file=sys.stderr)
        return 2

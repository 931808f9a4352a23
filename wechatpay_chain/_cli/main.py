"""The entry point of the command line: makes the parser and runs the command."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from wechatpay_chain._cli import certificates, sandbox
from wechatpay_chain._version import __version__

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: the arguments without the program's name; None takes them from `sys.argv`.

    Returns:
        The exit status of the process.
    """
    parser = argparse.ArgumentParser(prog="wechatpay-chain", description="WeChat Pay for Python.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    for command in (sandbox, certificates):
        command.add_parser(commands)
    options = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    return run(options)

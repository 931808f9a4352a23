"""The command line: `python -m wechatpay_chain sandbox` serves a WeChat Pay on this machine."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wechatpay_chain._version import __version__

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns the process's exit status.

    Args:
        arguments: without the program's name; None takes those of the process.
    """
    parser = argparse.ArgumentParser(prog="wechatpay-chain", description="WeChat Pay for Python.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    sandbox = commands.add_parser(
        "sandbox",
        help="serve a WeChat Pay on this machine until interrupted",
        description="Serves a WeChat Pay on this machine until interrupted. It makes its keys as it starts.",
    )
    sandbox.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    sandbox.add_argument("--port", type=_port, default=0, help="the port (default: a free one)")
    sandbox.add_argument(
        "--credentials", type=Path, metavar="FILE", help="where to write the merchant's credentials, as JSON"
    )
    sandbox.add_argument(
        "--sign-with",
        choices=["public-key", "certificate"],
        help="the key that signs every answer (default: the one that a call names in Wechatpay-Serial)",
    )
    options = parser.parse_args(arguments)
    return _sandbox(options.host, options.port, options.credentials, options.sign_with)


def _sandbox(host: str, port: int, credentials: Path | None, sign_with: str | None) -> int:
    from wechatpay_chain.sandbox import Sandbox

    interrupted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: interrupted.set())
    try:
        with Sandbox(host=host, port=port, sign_with=sign_with) as sandbox:
            if credentials is not None and not _write_whole(credentials, sandbox.credentials):
                return 1
            print(f"WeChat Pay sandbox at {sandbox.base_url}, merchant {sandbox.credentials['mchid']}", flush=True)
            if credentials is None:
                print("Its credentials are in memory only; write them to a file with --credentials FILE.", flush=True)
            interrupted.wait()
    except OSError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    return 0


def _port(text: str) -> int:
    if text.isascii() and text.isdecimal() and int(text) < 1 << 16:
        return int(text)
    raise argparse.ArgumentTypeError(f"came {text!r}; expected a number from 0 to 65535")


def _write_whole(path: Path, value: Mapping[str, Any]) -> bool:
    """Writes JSON so that whoever sees the file sees all of it; only its owner may read it, for it holds a key."""
    name = None
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=2)
        Path(name).replace(path)
    except OSError as error:
        if name is not None:
            Path(name).unlink()
        print(f"sandbox: --credentials {str(path)!r} cannot be written: {error.strerror}", file=sys.stderr)
        return False
    return True

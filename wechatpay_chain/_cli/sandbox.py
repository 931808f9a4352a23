"""The command `sandbox`: runs a WeChat Pay sandbox until it is interrupted."""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wechatpay_chain._files.atomic import write_atomically

__all__ = ["add_parser", "run"]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command and its options.

    Args:
        commands: the subparsers of the main parser.
    """
    parser = commands.add_parser(
        "sandbox",
        help="run a WeChat Pay sandbox on this machine until interrupted",
        description="Runs a WeChat Pay sandbox on this machine until interrupted. Its keys are generated at startup.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_parse_port, default=0, help="the port to listen on (default: a free port)")
    parser.add_argument(
        "--credentials", type=Path, metavar="FILE", help="the file to write the merchant's credentials to, as JSON"
    )
    parser.add_argument(
        "--tls",
        type=Path,
        metavar="FILE",
        help="serve HTTPS, and write the authority that clients have to trust to this file",
    )
    parser.add_argument(
        "--proxy",
        action="store_true",
        help="serve a CONNECT proxy too, which leads api.mch.weixin.qq.com to the sandbox; needs --tls",
    )
    parser.add_argument("--public-url", default="", metavar="URL", help="the URL of a server in front of the sandbox")
    parser.add_argument(
        "--sign-with",
        choices=["public-key", "certificate"],
        help="the key that signs every response (default: the key that the request names in Wechatpay-Serial, or the "
        "certificate)",
    )
    parser.add_argument(
        "--fault",
        type=_parse_fault,
        metavar="NAME=N|NAME=P%",
        action="append",
        default=[],
        help="a fault in the next N responses, or in P percent of all responses, such as 503=2 or slow=10%%; may be "
        "repeated",
    )
    parser.add_argument("--seed", type=int, help="a seed that makes the random choice of faults repeatable")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Runs the sandbox until SIGINT or SIGTERM.

    Args:
        options: the parsed options of the command.

    Returns:
        The exit status: 0, or 1 after an error.
    """
    from wechatpay_chain.errors import ConfigurationError
    from wechatpay_chain.sandbox import Sandbox

    credentials: Path | None = options.credentials
    interrupted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: interrupted.set())
    try:
        with Sandbox(
            host=options.host,
            port=options.port,
            sign_with=options.sign_with,
            seed=options.seed,
            tls=options.tls is not None,
            proxy=options.proxy,
            public_url=options.public_url,
        ) as sandbox:
            for name, times, share in options.fault:
                sandbox.fault(name, times=times, share=share)
            known = dict(sandbox.credentials)
            if options.tls is not None:
                options.tls.write_text(sandbox.authority, encoding="ascii")
                known["ca_bundle"] = str(options.tls.absolute())
            if credentials is not None and not _write_credentials(credentials, known):
                return 1
            print(f"WeChat Pay sandbox at {sandbox.base_url}, merchant {sandbox.credentials['mchid']}", flush=True)
            if sandbox.proxy_url:
                print(f"Its proxy is HTTPS_PROXY={sandbox.proxy_url}, its authority {options.tls}", flush=True)
            if credentials is None:
                print("Its credentials are in memory only; write them to a file with --credentials FILE.", flush=True)
            interrupted.wait()
    except (ConfigurationError, OSError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    return 0


def _parse_fault(text: str) -> tuple[str, int | None, float | None]:
    """Returns the name of the fault, and either the number of responses or their share from 0 to 1."""
    found = re.fullmatch(r"([a-z0-9-]+)=(?:([1-9][0-9]{0,4})|([0-9]{1,3}(?:\.[0-9]+)?)%)", text)
    if found is None:
        raise argparse.ArgumentTypeError(
            f"came {text!r}; expected a fault and a number or a percentage, such as 503=2 or slow=10%"
        )
    if found[3] and float(found[3]) > 100:
        raise argparse.ArgumentTypeError(f"came {text!r}; expected at most 100%")
    return found[1], int(found[2]) if found[2] else None, float(found[3]) / 100 if found[3] else None


def _parse_port(text: str) -> int:
    if text.isascii() and text.isdecimal() and int(text) < 1 << 16:
        return int(text)
    raise argparse.ArgumentTypeError(f"came {text!r}; expected a number from 0 to 65535")


def _write_credentials(path: Path, credentials: Mapping[str, Any]) -> bool:
    """Writes the credentials as JSON, and returns True if that succeeded."""
    try:
        write_atomically(path, json.dumps(credentials, indent=2).encode())
    except OSError as error:
        print(f"sandbox: --credentials {str(path)!r} cannot be written: {error.strerror}", file=sys.stderr)
        return False
    return True

"""The command line: `sandbox` serves a WeChat Pay on this machine, `certificates` fetches the platform certificates."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wechatpay_chain._files.atomic import write_atomically
from wechatpay_chain._version import __version__

__all__ = ["main"]

APIV3_KEY_VARIABLE = "WECHATPAY_APIV3_KEY"
PASSPHRASE_VARIABLE = "WECHATPAY_PASSPHRASE"  # noqa: S105 -- the name of a variable
DEFAULT_BASE_URL = "https://api.mch.weixin.qq.com/"


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
    sandbox.add_argument(
        "--fault",
        type=_fault,
        metavar="NAME=N|NAME=P%",
        action="append",
        default=[],
        help="what goes wrong with the next N answers, or with P percent of all, such as 503=2 or slow=10%%; may be repeated",
    )
    sandbox.add_argument("--seed", type=int, help="makes the draws of faults repeatable")
    certificates = commands.add_parser(
        "certificates",
        help="fetch WeChat Pay's platform certificates",
        description="Fetches WeChat Pay's platform certificates, checks them, and prints serial and validity of each. The "
        f"APIv3 key is read from the environment variable {APIV3_KEY_VARIABLE}, and a passphrase of the private key from "
        f"{PASSPHRASE_VARIABLE}, for other users of a machine can read a command line.",
    )
    certificates.add_argument("--mchid", required=True, help="the merchant number")
    certificates.add_argument(
        "--serial",
        default="",
        help="the serial number of the merchant API certificate, or the file apiclient_cert.pem; not needed with a .p12",
    )
    certificates.add_argument(
        "--private-key", required=True, type=Path, metavar="FILE", help="apiclient_key.pem, or apiclient_cert.p12"
    )
    certificates.add_argument(
        "--output", required=True, type=Path, metavar="DIR", help="where to write SERIAL.pem of each"
    )
    certificates.add_argument("--base-url", default=DEFAULT_BASE_URL, help="the service (default: %(default)s)")
    certificates.add_argument(
        "--trust-anchor",
        type=Path,
        metavar="FILE",
        action="append",
        default=[],
        help="a certificate that must have issued them",
    )
    options = parser.parse_args(arguments)
    if options.command == "certificates":
        return _certificates(options)
    return _sandbox(options)


def _certificates(options: argparse.Namespace) -> int:
    from cryptography.hazmat.primitives.serialization import Encoding

    from wechatpay_chain._client import Client
    from wechatpay_chain.errors import WeChatPayError

    try:
        with Client(
            mchid=options.mchid,
            serial=options.serial,
            private_key=options.private_key,
            passphrase=os.environ.get(PASSPHRASE_VARIABLE),
            apiv3_key=os.environ.get(APIV3_KEY_VARIABLE, ""),
            base_url=options.base_url,
            trust_anchors=options.trust_anchor,
        ) as client:
            fetched = client.platform_certificates()
        options.output.mkdir(parents=True, exist_ok=True)
        for serial, certificate in fetched.items():
            path = options.output / f"{serial}.pem"
            write_atomically(path, certificate.public_bytes(Encoding.PEM))
            begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
            print(f"{serial} valid from {begins:%Y-%m-%d} to {ends:%Y-%m-%d} in {path}")
    except (WeChatPayError, OSError) as error:
        print(f"certificates: {error}", file=sys.stderr)
        return 1
    return 0


def _sandbox(options: argparse.Namespace) -> int:
    from wechatpay_chain.errors import ConfigurationError
    from wechatpay_chain.sandbox import Sandbox

    credentials: Path | None = options.credentials
    interrupted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: interrupted.set())
    try:
        with Sandbox(host=options.host, port=options.port, sign_with=options.sign_with, seed=options.seed) as sandbox:
            for name, times, share in options.fault:
                sandbox.fault(name, times=times, share=share)
            if credentials is not None and not _write(credentials, sandbox.credentials):
                return 1
            print(f"WeChat Pay sandbox at {sandbox.base_url}, merchant {sandbox.credentials['mchid']}", flush=True)
            if credentials is None:
                print("Its credentials are in memory only; write them to a file with --credentials FILE.", flush=True)
            interrupted.wait()
    except (ConfigurationError, OSError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    return 0


def _fault(text: str) -> tuple[str, int | None, float | None]:
    found = re.fullmatch(r"([a-z0-9-]+)=(?:([1-9][0-9]{0,4})|([0-9]{1,3}(?:\.[0-9]+)?)%)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"came {text!r}; expected a fault and a number, such as 503=2 or slow=10%")
    if found[3] and float(found[3]) > 100:
        raise argparse.ArgumentTypeError(f"came {text!r}; expected at most 100%")
    return found[1], int(found[2]) if found[2] else None, float(found[3]) / 100 if found[3] else None


def _port(text: str) -> int:
    if text.isascii() and text.isdecimal() and int(text) < 1 << 16:
        return int(text)
    raise argparse.ArgumentTypeError(f"came {text!r}; expected a number from 0 to 65535")


def _write(path: Path, value: Mapping[str, Any]) -> bool:
    try:
        write_atomically(path, json.dumps(value, indent=2).encode())
    except OSError as error:
        print(f"sandbox: --credentials {str(path)!r} cannot be written: {error.strerror}", file=sys.stderr)
        return False
    return True

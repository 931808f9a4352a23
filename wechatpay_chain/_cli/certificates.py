"""The command `certificates`: downloads WeChat Pay's platform certificates."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from wechatpay_chain._files.atomic import write_atomically

__all__ = ["add_parser", "run"]

APIV3_KEY_VARIABLE = "WECHATPAY_APIV3_KEY"
PASSPHRASE_VARIABLE = "WECHATPAY_PASSPHRASE"  # noqa: S105 -- the name of a variable
DEFAULT_BASE_URL = "https://api.mch.weixin.qq.com/"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command and its options.

    Args:
        commands: the subparsers of the main parser.
    """
    parser = commands.add_parser(
        "certificates",
        help="download WeChat Pay's platform certificates",
        description="Downloads and verifies WeChat Pay's platform certificates, writes each to a file, and prints its "
        f"serial number and validity. The APIv3 key is read from the environment variable {APIV3_KEY_VARIABLE}, and the "
        f"passphrase of the private key, if it has one, from {PASSPHRASE_VARIABLE}, because other users of a machine can "
        "read a command line.",
    )
    parser.add_argument("--mchid", required=True, help="the merchant number")
    parser.add_argument(
        "--serial",
        default="",
        help="the serial number of the merchant API certificate, or the file apiclient_cert.pem; not needed with a .p12 "
        "file",
    )
    parser.add_argument(
        "--private-key", required=True, type=Path, metavar="FILE", help="apiclient_key.pem, or apiclient_cert.p12"
    )
    parser.add_argument(
        "--output",
        required=True,
        type=Path,
        metavar="DIR",
        help="the folder for the certificates; each is written to SERIAL.pem",
    )
    parser.add_argument(
        "--base-url", default=DEFAULT_BASE_URL, help="the base URL of the service (default: %(default)s)"
    )
    parser.add_argument(
        "--trust-anchor",
        type=Path,
        metavar="FILE",
        action="append",
        default=[],
        help="a certificate that must have issued the platform certificates; may be repeated",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Downloads the certificates, writes them to files and prints their validity.

    Args:
        options: the parsed options of the command.

    Returns:
        The exit status: 0, or 1 after an error.
    """
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

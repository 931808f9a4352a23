"""The command `certificates`: downloads WeChat Pay's platform certificates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wechatpay_chain._cli.console import AsJson, print_json, print_line
from wechatpay_chain._cli.credentials import Credentials, with_credentials
from wechatpay_chain._cli.transfer_files import show_progress
from wechatpay_chain._files.atomic import write_atomically

__all__ = ["certificates"]


@with_credentials
def certificates(
    credentials: Credentials,
    output: Annotated[
        Path,
        typer.Option(metavar="DIR", help="The folder for the certificates; each is written to SERIAL.pem."),
    ],
    trust_anchor: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A certificate that must have issued them; may be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Downloads and verifies the platform certificates.

    Each is written to a file. The APIv3 key is needed, which decrypts them.
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    anchors = {"trust_anchors": trust_anchor} if trust_anchor else {}
    with credentials.client(**anchors) as client, show_progress("certificates"):
        fetched = client.platform_certificates()
    output.mkdir(parents=True, exist_ok=True)
    written = []
    for serial, certificate in fetched.items():
        file = output / f"{serial}.pem"
        write_atomically(file, certificate.public_bytes(Encoding.PEM))
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        days = {"valid_from": f"{begins:%Y-%m-%d}", "valid_to": f"{ends:%Y-%m-%d}"}
        written.append({"serial": serial, **days, "file": str(file)})
    if as_json:
        print_json(written)
        return
    for each in written:
        print_line(
            (each["serial"], "bold"), f" valid from {each['valid_from']} to {each['valid_to']} in {each['file']}"
        )

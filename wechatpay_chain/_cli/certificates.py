"""The command `certificates`: downloads WeChat Pay's platform certificates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wechatpay_chain._cli.console import AsJson, print_json, print_line
from wechatpay_chain._files.atomic import write_atomically

__all__ = ["fetch"]


def fetch(
    mchid: Annotated[str, typer.Option(help="The merchant number.")],
    private_key: Annotated[Path, typer.Option(metavar="FILE", help="apiclient_key.pem, or apiclient_cert.p12.")],
    output: Annotated[
        Path,
        typer.Option(metavar="DIR", help="The folder for the certificates; each is written to SERIAL.pem."),
    ],
    serial: Annotated[
        str,
        typer.Option(
            help="The serial number of the merchant API certificate, or apiclient_cert.pem; not needed with a .p12 file.",
            show_default=False,
        ),
    ] = "",
    base_url: Annotated[str, typer.Option(help="The base URL of the service.")] = "https://api.mch.weixin.qq.com/",
    trust_anchor: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A certificate that must have issued them; may be repeated."),
    ] = None,
    apiv3_key: Annotated[str, typer.Option(envvar="WECHATPAY_APIV3_KEY", hidden=True)] = "",
    passphrase: Annotated[str | None, typer.Option(envvar="WECHATPAY_PASSPHRASE", hidden=True)] = None,
    as_json: AsJson = False,
) -> None:
    """Downloads and verifies WeChat Pay's platform certificates, and writes each to a file."""
    from cryptography.hazmat.primitives.serialization import Encoding

    from wechatpay_chain._client import Client

    with Client(
        mchid=mchid,
        serial=serial,
        private_key=private_key,
        passphrase=passphrase,
        apiv3_key=apiv3_key,
        base_url=base_url,
        trust_anchors=trust_anchor or (),
    ) as client:
        fetched = client.platform_certificates()
    output.mkdir(parents=True, exist_ok=True)
    written = []
    for serial_number, certificate in fetched.items():
        path = output / f"{serial_number}.pem"
        write_atomically(path, certificate.public_bytes(Encoding.PEM))
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        written.append(
            {
                "serial": serial_number,
                "valid_from": f"{begins:%Y-%m-%d}",
                "valid_to": f"{ends:%Y-%m-%d}",
                "file": str(path),
            }
        )
    if as_json:
        print_json(written)
        return
    for each in written:
        print_line(
            (each["serial"], "bold"), f" valid from {each['valid_from']} to {each['valid_to']} in {each['file']}"
        )

"""The command `sandbox`: runs a WeChat Pay sandbox until it is interrupted. Its own commands steer one that runs."""

from __future__ import annotations

import errno
import json
import re
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from wechatpay_chain._cli import sandbox_control
from wechatpay_chain._cli.console import print_line
from wechatpay_chain._cli.outcome import Failure
from wechatpay_chain._cli.sandbox_control import DEFAULT_PORT
from wechatpay_chain._files.atomic import write_atomically

__all__ = ["app"]

app = typer.Typer()
sandbox_control.add_commands(app)


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port to listen on; 0 for a free port.")
    ] = DEFAULT_PORT,
    credentials: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file to write the merchant's credentials to, as JSON.")
    ] = None,
    tls: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Serve HTTPS, and write the authority that clients have to trust to this file."
        ),
    ] = None,
    proxy: Annotated[
        bool,
        typer.Option(
            "--proxy",
            help="Serve a CONNECT proxy too, which leads api.mch.weixin.qq.com to the sandbox; needs --tls.",
        ),
    ] = False,
    public_url: Annotated[
        str, typer.Option(metavar="URL", help="The URL of a server in front of the sandbox.", show_default=False)
    ] = "",
    sign_with: Annotated[
        str | None,
        typer.Option(
            metavar="public-key|certificate",
            help="The key that signs every response; by default the key that the request names in Wechatpay-Serial, or "
            "the certificate.",
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=N|=P%]",
            help="A fault in the next N responses, or in P percent of all responses, such as 503=2 or slow=10%; may be "
            "repeated.",
        ),
    ] = None,
    keep: Annotated[
        int,
        typer.Option(min=1, max=1_000_000, help="How many requests, orders and other things of each kind are kept."),
    ] = 10_000,
    sm2: Annotated[bool, typer.Option("--sm2", help="Give the merchant SM2 keys; needs the extra [sm2].")] = False,
    seed: Annotated[int | None, typer.Option(help="A seed that makes the random choice of faults repeatable.")] = None,
) -> None:
    """Runs a WeChat Pay sandbox on this machine until interrupted, or steers one that runs.

    Its keys are generated at startup.
    """
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    if proxy and tls is None:
        raise typer.BadParameter(
            "it needs --tls FILE, because a program that uses the proxy speaks HTTPS", param_hint="--proxy"
        )
    from wechatpay_chain.sandbox import Sandbox

    faults = [parse_fault(each) for each in fault or ()]
    interrupted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: interrupted.set())
    try:
        with Sandbox(
            host=host,
            port=port,
            sign_with=sign_with,
            seed=seed,
            tls=tls is not None,
            proxy=proxy,
            keep=keep,
            sm2=sm2,
            public_url=public_url,
        ) as sandbox:
            for arguments in faults:
                sandbox.fault(**arguments)
            known = dict(sandbox.credentials)
            if tls is not None:
                tls.write_text(sandbox.authority, encoding="ascii")
                known["ca_bundle"] = str(tls.absolute())
            if credentials is not None:
                _write_credentials(credentials, known)
            print_line("WeChat Pay sandbox at ", (sandbox.base_url, "bold"), f", merchant {known['mchid']}")
            if sandbox.proxy_url:
                print_line(f"Its proxy is HTTPS_PROXY={sandbox.proxy_url}, its authority {tls}")
            if credentials is None:
                print_line("Its credentials are in memory only; write them to a file with --credentials FILE.")
            interrupted.wait()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise Failure(
            f"--port: {port} is in use at {host}, perhaps by another sandbox; choose another port, or 0 for a free one"
        ) from None


def parse_fault(text: str) -> dict[str, Any]:
    """Returns the arguments of `Sandbox.fault`: a fault, and the number of responses or their share.

    Raises:
        BadParameter: it is not written as NAME, NAME=N or NAME=P%.
    """
    found = re.fullmatch(r"([a-z0-9-]+)(?:=(?:([1-9][0-9]{0,4})|([0-9]{1,3}(?:\.[0-9]+)?)%))?", text)
    if found is None or (found[3] and float(found[3]) > 100):
        raise typer.BadParameter(
            f"came {text!r}; expected a fault, and a number or at most 100%, such as 503, 503=2 or slow=10%",
            param_hint="--fault",
        )
    share = {"share": float(found[3]) / 100} if found[3] else {}
    return {"fault": found[1], **({"times": int(found[2])} if found[2] else {}), **share}


def _refuse_options(context: typer.Context) -> None:
    """Refuses options before a command, which would do nothing: `sandbox --port 1 pay`."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(
                f"it starts a sandbox, and {context.invoked_subcommand} steers one that runs; name it with --sandbox-url "
                "after the command",
                param_hint=f"--{name.replace('_', '-')}",
            )


def _write_credentials(path: Path, credentials: Mapping[str, Any]) -> None:
    """Writes the credentials as JSON.

    Raises:
        Failure: the file cannot be written.
    """
    try:
        write_atomically(path, json.dumps(credentials, indent=2).encode())
    except OSError as error:
        raise Failure(f"--credentials {str(path)!r} cannot be written: {error.strerror}") from None

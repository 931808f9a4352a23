"""The command `doctor`: checks keys, files, clock and network, and says what to do about each finding."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wechatpay_chain._cli.console import AsJson, print_json, print_line
from wechatpay_chain._cli.credentials import Credentials, with_credentials
from wechatpay_chain._cli.findings import Finding, Level, check_files, check_settings, find_scheme
from wechatpay_chain._cli.outcome import Failure, Status, describe_failure
from wechatpay_chain.errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    NotFoundError,
    RateLimitError,
    ServerError,
    SignatureError,
    WeChatPayError,
)

if TYPE_CHECKING:
    import requests

    from wechatpay_chain.types import v3

__all__ = ["doctor"]

NEAR = 60
"""Seconds from which on it is worth a warning that this clock is off."""

TIMEOUT = 5.0
_STYLES = {Level.FINE: "green", Level.WARNING: "yellow", Level.ERROR: "bold red"}


@with_credentials
def doctor(
    credentials: Credentials,
    online: Annotated[
        bool, typer.Option("--online", help="Send a signed echo too, which the service answers with its signature.")
    ] = False,
    notify_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Let the service notify this URL of the echo; with --online."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Checks the settings, the clock and the network.

    The exit status is 1 if there is an error, else 0.
    """
    if notify_url and not online:
        raise typer.BadParameter("it needs --online", param_hint="--notify-url")
    findings = list(_examine(credentials, online, notify_url))
    if as_json:
        print_json([finding._asdict() for finding in findings])
    else:
        for name, level, text in findings:
            print_line((f"{level.value:<8}", _STYLES[level]), (name, "bold"), f": {text}")
    if any(finding.level is Level.ERROR for finding in findings):
        raise typer.Exit(Status.REFUSED)


def _examine(credentials: Credentials, online: bool, notify_url: str | None) -> Iterator[Finding]:
    try:
        settings = credentials.read()
    except (ConfigurationError, Failure) as error:
        yield Finding("settings", Level.ERROR, describe_failure(error))
        return
    found = list(check_settings(settings))
    yield from found
    yield from check_files(credentials.find_secret_files())
    try:
        yield _check_clock(settings)
    except ConfigurationError:
        return  # what is wrong with the network's settings has been found
    if online and not any(finding.level is Level.ERROR for finding in found):
        yield from _check_echo(settings, notify_url)


def _check_clock(settings: Mapping[str, Any]) -> Finding:
    """Compares this clock with the service's, by the Date header of a request without a signature."""
    import requests

    from wechatpay_chain._config import FIRST, parse_origin
    from wechatpay_chain._keys.verification import WINDOW
    from wechatpay_chain._transport.route import Route

    origin = parse_origin(settings.get("base_url", FIRST), settings.get("allow_http", False))
    route = Route(origin, settings.get("proxies"), settings.get("ca_bundle"))
    proxy = route.proxy(origin)
    try:
        with requests.Session() as session:
            session.trust_env = False
            response = session.get(
                origin,
                timeout=TIMEOUT,
                verify=str(route.ca_bundle) if route.ca_bundle else True,
                proxies={"https": proxy.url, "http": proxy.url} if proxy else {},
                allow_redirects=False,
                stream=True,
            )
            response.close()
        offset = time.time() - parsedate_to_datetime(response.headers["Date"]).timestamp()
    except requests.exceptions.SSLError:
        return Finding(
            "connection",
            Level.ERROR,
            f"the certificate of {origin} is not trusted; is there a proxy that inspects TLS? name its authority in ca_bundle",
        )
    except requests.RequestException as error:
        cause = _explain_connection(error)
        through = f" through the proxy {proxy.shown} of {proxy.setting}" if proxy else ""
        return Finding("connection", Level.ERROR, f"{origin} cannot be reached{through} ({cause}); check the network")
    except (KeyError, ValueError):
        return Finding("clock", Level.WARNING, f"{origin} sends no usable Date header to compare this clock with")
    level = Level.ERROR if abs(offset) >= WINDOW else Level.WARNING if abs(offset) >= NEAR else Level.FINE
    cure = "" if level is Level.FINE else "; synchronize it with NTP"
    return Finding("clock", level, f"{abs(offset):.0f} seconds {'ahead of' if offset > 0 else 'behind'} {origin}{cure}")


def _explain_connection(error: requests.RequestException) -> str:
    """Returns the cause of a connection that failed, in the words of the system: Connection refused."""
    reason = getattr(error.args[0] if error.args else None, "reason", error)
    found = re.search(r"\[Errno -?[0-9]+\] ([\w ]+)", str(reason))
    return found[1] if found else type(error).__name__


def _check_echo(settings: Mapping[str, Any], notify_url: str | None) -> Iterator[Finding]:
    """Sends an echo, whose signatures show that the keys of both sides fit."""
    from wechatpay_chain._client import Client
    from wechatpay_chain._keys.keyring import normalize_id

    scheme, _ = find_scheme(settings)
    if scheme.root:
        untried = "neither the keys nor the notification URL were" if notify_url else "the keys were not"
        yield Finding(
            "echo",
            Level.WARNING,
            f"it was not sent, because the service has no echo for {scheme.identity}=; so {untried} tried; make a call "
            f"below /{scheme.root}/ to try them",
        )
        return
    body: v3.security.echo.PostBody = {"echo_message": "wechatpay-chain doctor"}
    if notify_url:
        body["notify_url"] = notify_url
    try:
        with Client(**{**settings, "retry": None}) as client:
            response = client.v3.security.echo.post(json=body)
    except AuthenticationError as error:
        yield Finding(
            "echo",
            Level.ERROR,
            f"{describe_failure(error)}; do mchid, serial and private_key belong to one merchant API certificate?",
        )
    except SignatureError as error:
        yield Finding(
            "echo",
            Level.ERROR,
            f"{describe_failure(error)}; are public_key and public_key_id the pair of this merchant, from 账户中心 > API安全?",
        )
    except WeChatPayError as error:
        is_refused = isinstance(error, APIError) and not isinstance(error, (RateLimitError, ServerError))
        wrong = "mchid or the notify URL may be wrong" if notify_url else "mchid may be wrong"
        yield Finding("echo", Level.ERROR, f"{describe_failure(error)}; {wrong if is_refused else 'try again later'}")
    else:
        signed = response.headers.get("Wechatpay-Serial", "")
        yield Finding("echo", Level.FINE, f"both signatures are valid; the service signed with {signed}")
        if settings.get("certs") and signed not in {normalize_id(key_id) for key_id in settings["certs"]}:
            yield Finding(
                "certs",
                Level.WARNING,
                f"none of its keys was used: the service signed with {signed}, which was fetched; is the id in certs right?",
            )
        yield from _check_decryption(settings)
        if notify_url:
            yield Finding(
                "notification",
                Level.FINE,
                f"the service accepted {notify_url}; your server should have SECURITY_ECHO.SUCCESS now, and respond with 204",
            )


def _check_decryption(settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Decrypts the list of platform certificates, which shows whether the APIv3 key is right."""
    from wechatpay_chain._client import Client

    if settings.get("apiv3_key") is None:
        return
    try:
        with Client(**{**settings, "retry": None}) as client:
            client.platform_certificates()
    except NotFoundError:
        yield Finding(
            "apiv3_key", Level.FINE, "it cannot be tried: this merchant has no platform certificates to decrypt"
        )
    except ConfigurationError as error:
        yield Finding("apiv3_key", Level.ERROR, describe_failure(error))
    except WeChatPayError as error:
        yield Finding("apiv3_key", Level.WARNING, f"it could not be tried: {describe_failure(error)}; try again")
    else:
        yield Finding("apiv3_key", Level.FINE, "it decrypts the platform certificates")

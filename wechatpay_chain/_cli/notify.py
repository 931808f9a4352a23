"""The command `notify verify`: reads a notification that was captured, as the client of a server would."""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated

import typer

from wechatpay_chain._cli.console import AsJson, print_json, print_line
from wechatpay_chain._cli.credentials import Credentials, with_credentials
from wechatpay_chain._cli.inputs import read_text
from wechatpay_chain._cli.outcome import Failure, Status
from wechatpay_chain._messages.xml_body import find_first_byte
from wechatpay_chain.errors import SignatureError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechatpay_chain._notifications.notification import Notification
    from wechatpay_chain._notifications.xml_notification import RefundNotice, XMLNotification

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)


@app.callback()
def notify() -> None:
    """Reads notifications."""


@app.command()
@with_credentials
def verify(
    credentials: Credentials,
    message: Annotated[
        str, typer.Argument(metavar="FILE|-", help="The request as it came: headers, an empty line, the body.")
    ],
    headers: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The headers, if the message is the body alone: lines, or JSON."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verifies and decrypts a notification that was captured, of APIv3 or APIv2.

    The signature of an old one is verified as of its own time, and its age is shown.
    """
    received = read_text(message if message == "-" else f"@{message}")
    if not headers and find_first_byte(received) == b"<":
        head, body = "", received  # one of APIv2 has its signature in its body
    else:
        head, body = (_decode(read_text(f"@{headers}")), received) if headers else _split(received)
    if find_first_byte(body) == b"<":
        with credentials.client() as client:
            _show_xml(client.notifications.parse_xml(body), as_json)
        return
    fields = _parse_headers(head)
    age = _find_age(fields)
    received_at = None if age is None or age < 0 else datetime.fromtimestamp(time.time() - age, timezone.utc)
    with credentials.client() as client:
        try:
            notification = client.notifications.parse(fields, body, received_at=received_at)
        except SignatureError as error:
            hint = "; it ends with a line break, which an editor may have added" if body.endswith(b"\n") else ""
            raise Failure(f"{error}; the body has {len(body)} bytes{hint}", Status.UNVERIFIED) from None
    _show(notification, age, as_json)


def _show(notification: Notification, age: float | None, as_json: bool) -> None:
    from wechatpay_chain._keys.verification import WINDOW

    if as_json:
        names = ("id", "event_type", "create_time", "summary", "original_type", "resource")
        print_json({name: getattr(notification, name) for name in names})
        return
    print_line(("verified", "green"), f" {notification.event_type} {notification.id}, {notification.summary}")
    if age is not None and age >= WINDOW:
        print_line(
            ("old: ", "yellow"),
            f"signed {age / 60:.0f} minutes ago; a server refuses what is older than {WINDOW // 60} minutes",
        )
    print_json(notification.resource)


def _show_xml(notification: XMLNotification | RefundNotice, as_json: bool) -> None:
    from wechatpay_chain._notifications.xml_notification import XMLNotification

    is_signed = isinstance(notification, XMLNotification)
    kind, event = (
        (notification.kind, notification.event) if isinstance(notification, XMLNotification) else ("refund", {})
    )
    if as_json:
        print_json({"kind": kind, "signed": is_signed, "fields": dict(notification.fields), "event": dict(event)})
        return
    state = ("verified", "green") if is_signed else ("decrypted, not signed: query the refund", "yellow")
    print_line(state, f" {kind} {notification.fields.get('event_type', '')}".rstrip())
    print_json(dict(event or notification.fields))


def _decode(octets: bytes) -> str:
    """Returns the text of headers, in the encoding that an editor saved it in.

    Raises:
        Failure: it is no text.
    """
    try:
        return octets.decode("utf-16" if octets.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError:
        raise Failure("--headers: expected text, lines such as Name: value, or a JSON object") from None


def _split(message: bytes) -> tuple[str, bytes]:
    """Returns the head and the body of a request.

    Raises:
        Failure: there is no empty line between them.
    """
    parts = re.split(rb"\r?\n\r?\n", message, maxsplit=1)
    if len(parts) != 2 or parts[0].lstrip().startswith(b"{"):
        raise Failure("expected headers, an empty line and the body; or the body alone, and its headers with --headers")
    head = parts[0].decode("latin-1")
    length = re.search(r"^content-length: *([0-9]+)\s*$", head, re.IGNORECASE | re.MULTILINE)
    return head, parts[1][: int(length[1])] if length else parts[1]


def _parse_headers(head: str) -> Mapping[str, str]:
    """Returns headers from lines, of which the first may be that of a request, or from JSON."""
    import json

    try:
        parsed = json.loads(head)
    except (ValueError, RecursionError):
        lines = (line.partition(":") for line in head.splitlines())
        return {
            name.strip(): value.strip() for name, separator, value in lines if separator and " " not in name.strip()
        }
    if not isinstance(parsed, dict):
        raise Failure("--headers: expected lines such as Name: value, or a JSON object")
    return {str(name): str(value) for name, value in parsed.items()}


def _find_age(fields: Mapping[str, str]) -> float | None:
    """Returns how many seconds ago a message was signed, by its own timestamp; None if it has none."""
    stamps = [value for name, value in fields.items() if name.lower() == "wechatpay-timestamp"]
    return time.time() - int(stamps[0]) if stamps and re.fullmatch("[0-9]{1,12}", stamps[0]) else None

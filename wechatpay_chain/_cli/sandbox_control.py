"""The commands that steer a running sandbox through its control interface, as `curl` to `/_sandbox/…` does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wechatpay_chain._cli.console import AsJson, make_console, print_json, print_line
from wechatpay_chain._cli.inputs import parse_members, parse_seconds, read_json
from wechatpay_chain._cli.outcome import Failure, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULT_PORT", "add_commands"]

DEFAULT_PORT = 8900
"""Where the command starts a sandbox and looks for one, so that two terminals need no setting."""

DEFAULT_URL = f"http://127.0.0.1:{DEFAULT_PORT}/"
TIMEOUT = 30.0
"""Seconds that an action may take. It posts notifications, and waits 5 seconds for each receiver."""

Url = Annotated[
    str, typer.Option("--sandbox-url", envvar="WECHATPAY_SANDBOX_URL", metavar="URL", help="Where the sandbox runs.")
]
Authority = Annotated[
    Path | None,
    typer.Option("--ca", metavar="FILE", help="The authority of a sandbox with --tls FILE.", exists=True),
]
Members = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME=TEXT|NAME:=JSON]...", help="More arguments of the method of this name in Python."),
]


def add_commands(app: typer.Typer) -> None:
    """Adds the commands to the one that runs a sandbox."""
    for command in (pay, act, notify, fault, heal, rotate, advance, reset, state):
        app.command()(command)


def pay(
    out_trade_no: Annotated[str, typer.Argument(help="The number of an order or of a combined order.")],
    members: Members = None,
    url: Url = DEFAULT_URL,
    ca: Authority = None,
    as_json: AsJson = False,
) -> None:
    """Pays an order as its user does, such as: pay 20260101-0001 discount:=10."""
    notice = _call(url, ca, "pay", {"out_trade_no": out_trade_no, **parse_members(members or ())})
    _show_notices(notice, as_json, f"{out_trade_no} is paid")


def act(
    kind: Annotated[str, typer.Argument(help="The kind of the object, such as order, refund or transfer.")],
    number: Annotated[str, typer.Argument(help="Its number, such as out_refund_no or out_bill_no.")],
    name: Annotated[str, typer.Argument(metavar="ACT", help="What the user or the service does, such as finish.")],
    members: Members = None,
    url: Url = DEFAULT_URL,
    ca: Authority = None,
    as_json: AsJson = False,
) -> None:
    """Does what a user or the service does to an object: act refund R1 finish status=ABNORMAL; act transfer T1 confirm."""
    arguments = {"kind": kind, "number": number, "act": name, **parse_members(members or ())}
    _show_notices(_call(url, ca, "act", arguments), as_json, f"{kind} {number}: {name}")


def notify(
    event_type: Annotated[str, typer.Argument(help="The event type, such as REFUND.SUCCESS.")],
    receiver: Annotated[str, typer.Option("--url", metavar="URL", help="The URL to post to.")],
    resource: Annotated[
        str, typer.Option(metavar="JSON|@FILE|-", help="Members of the resource; those that it lacks are filled in.")
    ] = "{}",
    original_type: Annotated[str, typer.Option(help="The kind of the resource.", show_default=False)] = "",
    fault: Annotated[str | None, typer.Option(help="A fault in the signature of the first post.")] = None,
    to: Annotated[str, typer.Option(metavar="merchant|brand", help="Whose keys sign and encrypt it.")] = "merchant",
    url: Url = DEFAULT_URL,
    ca: Authority = None,
    as_json: AsJson = False,
) -> None:
    """Posts a signed and encrypted notification.

    The exit status is 1 if the receiver did not respond with 200 or 204.
    """
    arguments = {
        "event_type": event_type,
        "resource": read_json("--resource", resource),
        "url": receiver,
        "original_type": original_type,
        "fault": fault,
        "to": to,
    }
    notice = _call(url, ca, "notify", arguments)
    _show_notices(notice, as_json, "")
    if not _is_received(notice):
        raise typer.Exit(Status.REFUSED)


def fault(
    name: Annotated[str, typer.Argument(metavar="NAME[=N|=P%]", help="A fault, such as 503, 503=2 or slow=10%.")],
    url: Url = DEFAULT_URL,
    ca: Authority = None,
    as_json: AsJson = False,
) -> None:
    """Adds a fault to the next response, to the next N, or to P percent of all."""
    from wechatpay_chain._cli.sandbox import parse_fault

    _show_notices(_call(url, ca, "fault", parse_fault(name)), as_json, f"fault {name}")


def heal(url: Url = DEFAULT_URL, ca: Authority = None, as_json: AsJson = False) -> None:
    """Ends all faults."""
    _show_notices(_call(url, ca, "heal"), as_json, "no faults")


def rotate(url: Url = DEFAULT_URL, ca: Authority = None, as_json: AsJson = False) -> None:
    """Makes a new platform certificate, which signs from now on."""
    _show_notices(_call(url, ca, "rotate"), as_json, "a new platform certificate signs")


def advance(
    time: Annotated[str, typer.Argument(help="Seconds, or a time such as 15m, 2h or 2d.")],
    url: Url = DEFAULT_URL,
    ca: Authority = None,
    as_json: AsJson = False,
) -> None:
    """Advances the sandbox's clock, and posts what is due by then."""
    _show_notices(_call(url, ca, "advance", {"seconds": parse_seconds(time)}), as_json, f"the clock is {time} further")


def reset(url: Url = DEFAULT_URL, ca: Authority = None, as_json: AsJson = False) -> None:
    """Forgets everything but the keys."""
    _show_notices(_call(url, ca, "reset"), as_json, "all but the keys is forgotten")


def state(url: Url = DEFAULT_URL, ca: Authority = None, as_json: AsJson = False) -> None:
    """Shows the orders, the faults, the clock and the number of requests."""
    known = _call(url, ca, "state", method="GET")
    if as_json:
        print_json(known)
        return
    shown = _call(url, ca, "overview", {"start": known["requests"]}, "GET")
    print_line((known["base_url"], "bold"), f" merchant {known['mchid']}, {known['now']}, {known['requests']} requests")
    for name, each in known["faults"].items():
        print_line("fault ", (name, "red"), f": the next {each['times']} responses, and {each['share']:.0%} of all")
    if not shown["orders"]:
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table("order", "state", "fen", "description", box=box.SIMPLE)
    for order in shown["orders"]:
        cells = (order["number"], order["state"], str(order["total"]), order["description"])
        table.add_row(*map(Text, cells))
    make_console().print(table)


def _show_notices(result: Any, as_json: bool, done: str) -> None:
    """Prints what was done, and the posts of its notification, if there is one, or several."""
    if as_json:
        print_json(result)
        return
    if done:
        print_line((done, "green"))
    for notice in result if isinstance(result, list) else [result] if result else []:
        outcomes = [str(post["outcome"]) for post in notice["posts"]]
        came = (
            (", ".join(outcomes), "green" if _is_received(notice) else "red")
            if outcomes
            else ("being posted", "yellow")
        )
        print_line(notice["event_type"], " to ", notice["url"], ": ", came)


def _is_received(notice: Mapping[str, Any]) -> bool:
    return bool(notice["posts"]) and str(notice["posts"][-1]["outcome"]) in ("200", "204")


def _call(
    url: str, authority: Path | None, action: str, arguments: Mapping[str, Any] | None = None, method: str = "POST"
) -> Any:
    """Calls an action of the control interface, and returns its result.

    Raises:
        Failure: no sandbox runs there, or it refuses the action.
    """
    import requests

    target = f"{url.rstrip('/')}/_sandbox/{action}"
    query, body = (arguments, None) if method == "GET" else (None, arguments or {})
    try:
        with requests.Session() as session:
            session.trust_env = False  # a proxy would not reach this machine
            session.verify = str(authority) if authority else True
            response = session.request(method, target, params=query, json=body, timeout=TIMEOUT, allow_redirects=False)
        content = response.json()
        if response.status_code == 200:
            return content["result"]
        message = content["error"]
    except requests.exceptions.SSLError:
        cause = "its certificate is not trusted; name the file that `sandbox --tls FILE` wrote with --ca FILE"
    except (requests.exceptions.ConnectionError, requests.exceptions.Timeout):
        cause = (
            "no connection; start a sandbox with `wechatpay-chain sandbox`, or name the URL of one with --sandbox-url or "
            "WECHATPAY_SANDBOX_URL"
        )
    except (requests.RequestException, KeyError, TypeError):
        cause = "no sandbox responds there; name the URL of one with --sandbox-url or WECHATPAY_SANDBOX_URL"
    else:
        raise Failure(f"{action}: {message}", Status.REFUSED)
    raise Failure(f"{url}: {cause}", Status.UNKNOWN) from None

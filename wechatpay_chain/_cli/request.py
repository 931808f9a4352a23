"""The command `request`: one signed call, whose response is verified."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wechatpay_chain._catalogue.formats import JSON, XML, format_of
from wechatpay_chain._chain.template import literal
from wechatpay_chain._cli.console import print_json, print_line
from wechatpay_chain._cli.credentials import Credentials, with_credentials
from wechatpay_chain._cli.dry_run import show_request
from wechatpay_chain._cli.inputs import parse_pairs, read_json
from wechatpay_chain._cli.outcome import Failure, Status, describe_failure
from wechatpay_chain.errors import WeChatPayError

if TYPE_CHECKING:
    from wechatpay_chain._catalogue.operations import Operation, Schema
    from wechatpay_chain._messages.response import Response

__all__ = ["Headers", "Params", "Variables", "find_written", "make_arguments", "request", "show_response"]

Variables = Annotated[
    list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="A path variable; may be repeated.")
]
Params = Annotated[
    list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="A query parameter; may be repeated.")
]
Headers = Annotated[list[str] | None, typer.Option("--header", metavar="NAME:VALUE", help="A header; may be repeated.")]


class Verb(str, Enum):
    """The method of a call."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


@with_credentials
def request(
    credentials: Credentials,
    method: Annotated[Verb, typer.Argument(case_sensitive=False, help="The method.")],
    path: Annotated[str, typer.Argument(help="The path, such as v3/pay/transactions/native.")],
    body: Annotated[
        str | None,
        typer.Option(
            "--json",
            metavar="JSON|@FILE|-",
            help="The body: JSON, @FILE, or - for stdin; for v2/…, the fields of its XML.",
        ),
    ] = None,
    var: Variables = None,
    param: Params = None,
    header: Headers = None,
    decrypt: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="A member of the response to decrypt, such as payer.name; may be repeated."),
    ] = None,
    idempotent: Annotated[
        bool, typer.Option("--idempotent", help="Retry it even if the service may have acted on it.")
    ] = False,
    qr: Annotated[
        bool | None, typer.Option("--qr/--no-qr", help="Show a code_url as a QR code; by default on a terminal.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be signed and sent; send nothing.")
    ] = False,
) -> None:
    """Sends a signed request, verifies the response, and prints its JSON.

    Members that WeChat Pay wants encrypted are encrypted. The response of APIv2 is printed as JSON too.
    """
    if body is not None and method is Verb.GET:
        raise typer.BadParameter("a GET has no body; its parameters are --param", param_hint="--json")
    if decrypt and format_of(literal("", path)) is XML:
        raise typer.BadParameter("the responses of APIv2 have no members to decrypt", param_hint="--decrypt")
    json = None if body is None else read_json("--json", body)
    arguments = make_arguments(method.value, path, var, param, header, json)
    if idempotent and method is not Verb.GET:
        arguments["idempotent"] = True
    if dry_run:
        show_request(credentials, method.value, path, arguments)
        return
    with credentials.client() as client, _explaining_interrupts(method):
        response = getattr(client.chain(path), method.value.lower())(**arguments)
    show_response(response, decrypt or ())
    if qr or (qr is None and sys.stdout.isatty()):
        _show_code(response)


def make_arguments(
    method: str,
    path: str,
    var: Iterable[str] | None,
    param: Iterable[str] | None,
    header: Iterable[str] | None,
    json: Any = None,
) -> dict[str, Any]:
    """Returns the keywords of a verb, with the members that WeChat Pay wants encrypted marked.

    Args:
        method: the method.
        path: the path or its template.
        var: path variables.
        param: query parameters.
        header: headers.
        json: the body; None for none.

    Raises:
        BadParameter: an option has no name or no separator.
        Failure: a path variable has the name of another keyword, or a parameter of APIv2 comes twice.
    """
    arguments: dict[str, Any] = dict(parse_pairs("--var", var or ()))
    if taken := arguments.keys() & {
        "json",
        "xml",
        "params",
        "headers",
        "timeout",
        "files",
        "idempotent",
        "certificate",
    }:
        raise Failure(f"--var: {', '.join(taken)} cannot be a name here; write its value into the path")
    operation, form = find_written(method, path), format_of(literal("", path))
    if params := parse_pairs("--param", param or ()):
        query = operation.query["properties"] if operation and operation.query else {}
        marked = [(name, _mark(query.get(name), value)) for name, value in params]
        is_v2, once = form is XML, dict(marked)
        if is_v2 and len(once) < len(marked):
            raise Failure("--param: a name came twice; APIv2 signs the parameters, of which none can come twice")
        arguments["params"] = once if is_v2 else marked
    if headers := parse_pairs("--header", header or (), ":"):
        arguments["headers"] = {name: value.strip() for name, value in headers}
    if json is not None:
        arguments[form.body] = _mark(operation.body if operation else None, json)
    return arguments


def show_response(response: Response, decrypt: Iterable[str] = ()) -> None:
    """Prints the body of a response, and on the error output its status, whether it was signed, and its Request-ID.

    Args:
        response: the response.
        decrypt: the members to decrypt.
    """
    verified = "verified" if _is_signed(response) else "not signed"
    print_line(
        (f"{response.status_code} {verified}", "green"), f", Request-ID {response.request_id or '-'}", stderr=True
    )
    if not response.content:
        return
    if format_of(response.request.template) is XML:
        content = _read_v2(response)
        print_line(content) if isinstance(content, str) else print_json(content)
        return
    try:
        shown = response.decrypt(*decrypt)
    except WeChatPayError as error:
        print_json(response.json())
        raise Failure(f"--decrypt: {describe_failure(error)}", Status.UNVERIFIED) from None
    print_json(shown)


def find_written(method: str, path: str) -> Operation | None:
    """Returns the operation at a path as it was written, whose variables may have values already; None if the catalogue lacks it."""
    from wechatpay_chain._catalogue.nearest import find_operation_at

    return find_operation_at(method, literal("", path.partition("?")[0]))


def _is_signed(response: Response) -> bool:
    """Tells whether a response has a signature, which then has been verified. Some of APIv2 have none."""
    return format_of(response.request.template) is JSON or (_is_xml(response) and bool(response.xml().get("sign")))


def _read_v2(response: Response) -> Any:
    """Returns the fields of a response of APIv2, or the text of one that has a table or JSON."""
    return response.xml() if _is_xml(response) else response.text


def _is_xml(response: Response) -> bool:
    from wechatpay_chain._messages.xml_body import find_first_byte

    return find_first_byte(response.content) == b"<"


@contextmanager
def _explaining_interrupts(method: Verb) -> Iterator[None]:
    """Says, when somebody presses Ctrl-C, that the service may have acted on the call."""
    try:
        yield
    except KeyboardInterrupt:
        if method is not Verb.GET:
            print_line("wechatpay-chain: interrupted; it is unknown what the request did, so query it", stderr=True)
        raise


def _mark(schema: Schema | None, value: Any) -> Any:
    from wechatpay_chain._chain.sensitive_members import mark_sensitive

    return mark_sensitive(schema, value) if schema else value


def _show_code(response: Response) -> None:
    from wechatpay_chain._cli.qr import print_qr

    content = _read_v2(response) if format_of(response.request.template) is XML else response.json()
    if isinstance(content, dict) and isinstance(code := content.get("code_url"), str):
        print_qr(code)

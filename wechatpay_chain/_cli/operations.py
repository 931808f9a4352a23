"""The command `operations`: finds what WeChat Pay documents, and shows how it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wechatpay_chain._cli.console import AsJson, print_json, print_line
from wechatpay_chain._cli.outcome import Failure, Status

if TYPE_CHECKING:
    from wechatpay_chain._catalogue.operations import Operation

__all__ = ["operations"]


def operations(
    words: Annotated[
        list[str] | None,
        typer.Argument(help="Words of a path, a title, a product or a role; a method; or a whole path."),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show each in full, as if it was the only one.")] = False,
    as_json: AsJson = False,
) -> None:
    """Finds operations, such as: operations 退款; operations POST native.

    The only one that is found is shown in full: its chain, its variables and an example.
    """
    found = _find([word.casefold() for word in words or ()])
    if not found:
        raise Failure(f"no operation has all of {' '.join(words or ())!r}; try fewer or other words", Status.REFUSED)
    in_full = show or len(found) == 1
    if as_json:
        print_json([_describe(operation, in_full) for operation in found])
        return
    for operation in found:
        print_line(
            (f"{operation.method:<6} ", "cyan"),
            (operation.template, "bold"),
            f"  {operation.title}",
            (" (deprecated)" if operation.deprecated else "", "red"),
        )
        if in_full:
            _print_in_full(_describe(operation, True))


def _find(words: list[str]) -> list[Operation]:
    """Returns the operations that have all words, or the ones at a path that is given whole."""
    from wechatpay_chain._catalogue.operations import find_operation, list_operations

    known = [operation for key in list_operations() if (operation := find_operation(*key))]
    methods = {word for word in words if word.upper() in ("GET", "POST", "PUT", "PATCH", "DELETE")}
    others = [word.lstrip("/") for word in words if word not in methods]
    of_method = [operation for operation in known if not methods or operation.method.lower() in methods]
    if len(others) == 1 and (exact := [each for each in of_method if each.template.casefold() == others[0]]):
        return exact
    return [operation for operation in of_method if all(word in _text(operation) for word in others)]


def _text(operation: Operation) -> str:
    return " ".join((operation.template, operation.title, *operation.tags, *operation.roles)).casefold()


def _describe(operation: Operation, in_full: bool) -> dict[str, Any]:
    short = {"method": operation.method, "path": operation.template, "title": operation.title}
    if not in_full:
        return short
    from wechatpay_chain._cli.example import find_added, write_chain, write_example

    return {
        **short,
        "products": list(operation.tags),
        "roles": list(operation.roles),
        "chain": write_chain(operation),
        "variables": list(operation.variables["properties"]) if operation.variables else [],
        "params": list(operation.query["properties"]) if operation.query else [],
        "required": [name for name in (operation.body or {}).get("required", ()) if name not in find_added(operation)],
        "sync": write_example(operation, is_async=False),
        "async": write_example(operation, is_async=True),
        "page": f"api/{operation.page}/",
    }


def _print_in_full(known: dict[str, Any]) -> None:
    for name in ("products", "roles", "chain", "variables", "params", "required", "page"):
        value = known[name]
        if value:
            print_line((f"  {name}: ", "cyan"), value if isinstance(value, str) else ", ".join(value))
    for mode in ("sync", "async"):
        print_line(f"\n{known[mode]}")

"""The command `operations`: finds what WeChat Pay documents, and shows how it is called."""

from __future__ import annotations

import re
from importlib.metadata import metadata
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
        typer.Argument(help="Words of a path, a title, a product or a role; a method; or a whole path, URL or chain."),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show each in full, as if it was the only one.")] = False,
    as_json: AsJson = False,
) -> None:
    """Finds operations, such as: operations 退款; operations POST native.

    The only one that is found is shown in full: its chain, its variables and an example.
    """
    found = _find(words or [])
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
    """Returns the operations that have all words, or the ones at a path, a URL or a chain that is given whole.

    Those that are offered come before those that are not, of APIv3 before others, and each product's together.
    """
    from wechatpay_chain._catalogue.operations import find_operation, list_operations

    known = [operation for key in list_operations() if (operation := find_operation(*key))]
    methods = {word.upper() for word in words if word.upper() in _METHODS}
    others = [word for word in words if word.upper() not in _METHODS]
    of_method = [operation for operation in known if not methods or operation.method in methods]
    if len(others) == 1 and (exact := _find_at(others[0], of_method)):
        return exact
    texts = [word.casefold().lstrip("/") for word in others]
    found = [operation for operation in of_method if all(text in _text(operation) for text in texts)]
    return sorted(found, key=_rank)


_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def _find_at(place: str, known: list[Operation]) -> list[Operation]:
    """Returns the operations at a place: a path, also one whose variables have values; a URL; or a chain, with or without its verb."""
    from wechatpay_chain._catalogue.nearest import find_path
    from wechatpay_chain._chain.spelling import spell

    chain = re.sub(r"\s+|\(.*", "", place.removeprefix("await ").removeprefix("client."), flags=re.DOTALL)
    *front, verb = chain.split(".")
    verb = verb.removesuffix("_async")
    spelt = [each for each in known if spell(each.template) in (f".{chain}", f".{'.'.join(front)}")]
    if spelt:
        has_verb = verb.upper() in _METHODS and spell(spelt[0].template) != f".{chain}"
        return [each for each in spelt if not has_verb or each.method == verb.upper()]
    path = re.sub("^https?://[^/]+", "", place).partition("?")[0].strip("/")
    at = find_path(path, "GET") or find_path(f"v2/{path}", "POST")
    return [each for each in known if at and at.methods.get(each.method) == each.path]


def _rank(operation: Operation) -> tuple[bool, int, bool, str, int]:
    root = operation.template.partition("/")[0]
    order = ("v3", "v2", "global", "hk")
    place = order.index(root) if root in order else len(order)
    product = "".join(operation.tags[:1]) or "\uffff"
    is_basic = product.startswith("基础支付") and "/global/" not in operation.template
    return operation.deprecated, place, not is_basic, product, len(operation.template)


def _text(operation: Operation) -> str:
    return " ".join((operation.template, operation.title, *operation.tags, *operation.roles)).casefold()


def _describe(operation: Operation, in_full: bool) -> dict[str, Any]:
    short = {"method": operation.method, "path": operation.template, "title": operation.title}
    if not in_full:
        return short
    from wechatpay_chain._cli.example import write_chain, write_example

    return {
        **short,
        "products": list(operation.tags),
        "roles": list(operation.roles),
        "chain": write_chain(operation),
        "variables": list(operation.variables["properties"]) if operation.variables else [],
        "params": list(operation.query["properties"]) if operation.query else [],
        "required": [name for name in (operation.body or {}).get("required", ()) if name not in operation.added],
        "sync": write_example(operation, is_async=False),
        "async": write_example(operation, is_async=True),
        "page": f"{_find_site()}api/{operation.page}/",
    }


def _find_site() -> str:
    """Returns the address of the documentation, which the package's metadata has."""
    urls = (url.split(", ") for url in metadata("wechatpay-chain").get_all("Project-URL") or [])
    return next((url for name, url in urls if name == "Documentation"), "")


def _print_in_full(known: dict[str, Any]) -> None:
    for name in ("products", "roles", "chain", "variables", "params", "required", "page"):
        value = known[name]
        if value:
            print_line((f"  {name}: ", "cyan"), value if isinstance(value, str) else ", ".join(value))
    for mode in ("sync", "async"):
        print_line(f"\n{known[mode]}")

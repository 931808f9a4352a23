"""Finds the operation of a request, or the nearest one if there is none."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NoReturn
from urllib.parse import unquote

from wechatpay_chain._catalogue.formats import XML, format_on_wire
from wechatpay_chain._catalogue.nearest import nearest_path
from wechatpay_chain._catalogue.operations import find_operation
from wechatpay_chain.sandbox._http import SandboxRequest
from wechatpay_chain.sandbox._multipart import parse_multipart
from wechatpay_chain.sandbox._operations import registry
from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Operation
from wechatpay_chain.sandbox._parsing import is_upload

__all__ = ["Routes", "is_v2", "to_origin_form"]

MAX_SHOWN_PATH = 256
"""Characters of an unknown path that are compared with the known paths, and shown in the message."""


def to_origin_form(target: str) -> str:
    """Returns the path and the query of a request target.

    Source: https://www.rfc-editor.org/rfc/rfc9112#section-3.2

    Args:
        target: the request target; an absolute URL if the client sends to a proxy.
    """
    rest = re.sub("^https?://[^/?#]*", "", target, flags=re.IGNORECASE)
    return rest if rest and not rest.startswith("?") else f"/{rest}"


def is_v2(target: str) -> bool:
    """Tells whether a request is of APIv2, which has XML and a signature of its own.

    Args:
        target: the request target.
    """
    return format_on_wire(to_origin_form(target)) is XML


class Routes:
    """Finds operations: those that a user has added, then those of the catalogue."""

    def __init__(self) -> None:
        self._added: dict[str, Any] = {}
        self._operations: dict[tuple[str, str], Operation] = {}

    def add(self, operation: Operation) -> None:
        """Adds an operation, or replaces the one of the same method and path."""
        _plant(self._added, operation.path)
        self._operations[operation.method, operation.path] = operation

    def clear(self) -> None:
        """Removes what was added."""
        self._added.clear()
        self._operations.clear()

    def find_operation(self, request: SandboxRequest) -> tuple[Operation, dict[str, str]]:
        """Returns the operation of a request, and its path variables, percent-decoded.

        Args:
            request: the request, its target in origin form.

        Returns:
            The operation; if there is none, an operation that refuses the request with 404 or 405.
        """
        path = request.target.partition("?")[0]
        segments = path.split("/")[1:]
        template, values = _match(segments, self._added) or ("", [])
        if added := self._operations.get((request.method, template)):
            is_documented = find_operation(added.method, added.path) is not None
            found = added if is_documented else added._replace(upload=_is_upload(request))
            return found, _name(template, values)
        template, values = _match(segments, _tree()) or ("", [])
        if request.method in registry.list_paths().get(template, ()):
            return registry.find_operation(request.method, template), _name(template, values)
        return _make_unsupported(request, path, template), {}


def _name(template: str, values: list[str]) -> dict[str, str]:
    return dict(zip(re.findall(r"\{(\w+)\}", template), map(unquote, values), strict=True))


@cache
def _tree() -> dict[str, Any]:
    """Returns the paths of the catalogue as a tree."""
    root: dict[str, Any] = {}
    for template in registry.list_paths():
        _plant(root, template)
    return root


def _plant(root: dict[str, Any], template: str) -> None:
    """Adds a path to a tree by its segments; `{}` leads to what is behind a variable, and `` to the template itself."""
    place = root
    for segment in template.split("/")[1:]:
        place = place.setdefault("{}" if segment.startswith("{") else f"={segment}", {})
    place[""] = template


def _match(segments: list[str], place: dict[str, Any]) -> tuple[str, list[str]] | None:
    """Returns the template of a path and the values of its variables. A name goes before a variable."""
    if not segments:
        return (place[""], []) if "" in place else None
    first, rest = segments[0], segments[1:]
    if (named := place.get(f"={first}")) is not None and (found := _match(rest, named)):
        return found
    if first and (variable := place.get("{}")) is not None and (found := _match(rest, variable)):
        template, values = found
        return template, [first, *values]
    return None


def _make_unsupported(request: SandboxRequest, path: str, template: str) -> Operation:
    """Returns an operation that refuses its request and names the nearest operation.

    Args:
        request: a request that no operation matches.
        path: the path of the request.
        template: the template of that path, which has other methods; empty if the path is unknown.
    """
    shown = path if len(path) <= MAX_SHOWN_PATH else f"{path[:MAX_SHOWN_PATH]}…"

    def refuse(_account: Account, _request: CheckedRequest) -> NoReturn:
        meant = nearest_path(f"v2{shown}" if is_v2(path) else shown.strip("/"), request.method)
        near = meant.methods if meant else {}
        nearest = template or near.get(request.method) or next(iter(near.values()), "/v3/certificates")
        methods = registry.list_paths()[nearest]
        method = request.method if request.method in methods else methods[0]
        message = (
            f"This sandbox does not know {request.method} {shown}. The nearest operation that it knows is "
            f"{method} {nearest}."
        )
        if template:
            raise Refusal(405, "METHOD_NOT_ALLOWED", message, headers={"Allow": ", ".join(methods)})
        raise Refusal(404, "NOT_FOUND", message)

    return Operation(request.method, path, refuse, upload=_is_upload(request))


def _is_upload(request: SandboxRequest) -> bool:
    """Tells whether a request of an undocumented operation is an upload, of which only the meta or the fields are signed."""
    parts = parse_multipart(request.headers.get("Content-Type", ""), request.body)
    return any(part.file_name is not None for part in parts) if is_v2(request.target) else is_upload(parts)

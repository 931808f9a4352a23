"""Finds the operation of a request, or the nearest one if the sandbox does not support it."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import cache
from itertools import zip_longest
from typing import NoReturn
from urllib.parse import unquote

from wechatpay_chain.sandbox._http import SandboxRequest
from wechatpay_chain.sandbox._multipart import parse_multipart
from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Operation
from wechatpay_chain.sandbox._operations.registry import OPERATIONS
from wechatpay_chain.sandbox._parsing import is_upload

__all__ = ["find_operation", "parse_path_variables", "to_origin_form"]

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


def find_operation(request: SandboxRequest) -> Operation:
    """Returns the operation of a request.

    Args:
        request: the request, its target in origin form.

    Returns:
        The operation; if the sandbox does not support it, an operation that refuses the request with 404 or 405.
    """
    path = request.target.partition("?")[0]
    at_path = [operation for operation in OPERATIONS if _compile_pattern(operation.path).fullmatch(path)]
    return next((operation for operation in at_path if operation.method == request.method), None) or _make_unsupported(
        request, path, at_path
    )


def _make_unsupported(request: SandboxRequest, path: str, at_path: list[Operation]) -> Operation:
    """Returns an operation that refuses its request and names the nearest supported operation.

    Args:
        request: a request that no operation matches.
        path: the path of the request.
        at_path: the operations of that path, with other methods.
    """
    shown = path if len(path) <= MAX_SHOWN_PATH else f"{path[:MAX_SHOWN_PATH]}…"

    def measure_similarity(operation: Operation) -> float:
        # The value of a path variable does not count.
        pairs = zip_longest(shown.split("/"), operation.path.split("/"), fillvalue="")
        requested, known = zip(*(pair for pair in pairs if not pair[1].startswith("{")), strict=True)
        template = f"{operation.method} {'/'.join(known)}"
        return SequenceMatcher(None, f"{request.method} {'/'.join(requested)}", template, autojunk=False).ratio()

    def refuse(_account: Account, _request: CheckedRequest) -> NoReturn:
        nearest = max(at_path or OPERATIONS, key=measure_similarity)
        message = (
            f"This sandbox does not know {request.method} {shown}. The nearest operation that it knows is "
            f"{nearest.method} {nearest.path}."
        )
        if at_path:
            allowed = ", ".join(operation.method for operation in at_path)
            raise Refusal(405, "METHOD_NOT_ALLOWED", message, headers={"Allow": allowed})
        raise Refusal(404, "NOT_FOUND", message)

    # Only the meta of an upload is signed, so the signature can be verified only if an upload is recognized.
    parts = parse_multipart(request.headers.get("Content-Type", ""), request.body)
    return Operation(request.method, path, refuse, upload=is_upload(parts))


def parse_path_variables(operation: Operation, target: str) -> dict[str, str]:
    """Returns the path variables of a request by name, percent-decoded.

    Args:
        operation: the operation of the request.
        target: the request target in origin form.
    """
    found = _compile_pattern(operation.path).fullmatch(target.partition("?")[0])
    return {name: unquote(value) for name, value in found.groupdict().items()} if found else {}


@cache
def _compile_pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(template)))

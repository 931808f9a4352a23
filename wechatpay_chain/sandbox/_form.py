"""The form of the page: the operations, an example of each, and calls that the sandbox sends to itself."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from wechatpay_chain._catalogue import operations as catalogue
from wechatpay_chain._catalogue.operations import Schema
from wechatpay_chain._catalogue.upload_rules import RULES
from wechatpay_chain._chain.sensitive_members import mark_sensitive
from wechatpay_chain._client import Client
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.response import Response
from wechatpay_chain.errors import APIError, SignatureError, WeChatPayError
from wechatpay_chain.sandbox._control import Views
from wechatpay_chain.sandbox._gateway import Gateway
from wechatpay_chain.sandbox._http import SandboxRequest
from wechatpay_chain.sandbox._operations.answers import fill
from wechatpay_chain.sandbox._operations.combined import CombinedOrder
from wechatpay_chain.sandbox._operations.operation import Operation
from wechatpay_chain.sandbox._operations.orders import Order
from wechatpay_chain.sandbox._operations.refunds import Refund
from wechatpay_chain.sandbox._operations.registry import list_paths
from wechatpay_chain.sandbox._routing import is_v2

__all__ = ["Form", "find_title"]

NOTIFY_URL = "http://127.0.0.1:8000/notify"
"""The notify_url of examples: that of the documentation is not on this machine."""

_SAMPLE_FILE = b"a file of the sandbox"
_ANY: Schema = {"type": "any"}
_OWN_NUMBERS = ("mchid", "sp_mchid", "combine_mchid")


class Form:
    """Makes examples of operations, and calls operations.

    Attributes:
        views: what it shows as JSON, by name.

    Args:
        gateway: the gateway of the sandbox.
        make_client: returns a client of the sandbox; it takes settings of `Client`.
    """

    def __init__(self, gateway: Gateway, make_client: Callable[..., Client]) -> None:
        self._gateway, self._make_client = gateway, make_client
        self.views: Views = {"operations": self.operations, "example": self.example}

    def operations(self) -> list[dict[str, str]]:
        """Returns the method, the path template and the title of every operation of APIv3."""
        return [
            {"method": method, "path": path, "title": find_title(method, path)}
            for path, methods in list_paths().items()
            for method in methods
            if not is_v2(path)
        ]

    def example(self, method: str, path: str) -> dict[str, Any]:
        """Returns a path and a body for a call, with what the operation requires and the numbers of the merchant.

        Args:
            method: the HTTP method.
            path: the path template.
        """
        known = catalogue.find_operation(method, path)
        if known is None:
            return {"path": path, "body": None}
        variables = {**(self._fill(known.variables) if known.variables else {}), **self._find_latest_numbers()}
        filled = re.sub(r"\{(\w+)\}", lambda found: quote(str(variables.get(found[1], found[1])), safe=""), path)
        values = self._fill(known.query) if known.query else {}
        query = urlencode({name: _format(value) for name, value in values.items()}, doseq=True)
        body = self._fill(known.body) if known.body else None
        return {"path": f"{filled}?{query}" if query else filled, "body": {} if known.form else body}

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Signs a call, sends it, and returns its response or its error.

        Args:
            method: the HTTP method.
            path: the path and the query.
            body: the JSON body, or the meta of an upload; None for no body.
        """
        operation, _ = self._gateway.routes.find_operation(SandboxRequest(method, path, Headers({}), b""))
        template, _, query = path.partition("?")
        arguments = _make_arguments(operation, parse_qsl(query, keep_blank_values=True), body)
        with self._make_client(retry=None) as client:
            try:
                return _describe(getattr(client[template], method.lower())(**arguments))
            except (APIError, SignatureError) as error:
                return {**(_describe(error.response) if error.response else {}), "error": str(error)}
            except WeChatPayError as error:
                return {"error": str(error)}

    def _find_latest_numbers(self) -> dict[str, str]:
        """Returns the numbers of the latest order and refund, by which an example of a query finds something."""
        account = self._gateway.account
        numbered: dict[str, Mapping[str, Any]] = {
            "out_trade_no": account.book(Order),
            "combine_out_trade_no": account.book(CombinedOrder),
            "out_refund_no": account.book(Refund),
        }
        numbers = {name: list(each)[-1] for name, each in numbered.items() if each}
        paid = [order.payment.transaction_id for order in tuple(account.book(Order).values()) if order.payment]
        return {**numbers, **({"transaction_id": paid[-1]} if paid else {})}

    def _fill(self, schema: Schema) -> dict[str, Any]:
        account, names = self._gateway.account, schema["properties"]
        given: dict[str, Any] = {name: account.keys.number for name in _OWN_NUMBERS if name in schema["required"]}
        if "notify_url" in names:
            given["notify_url"] = NOTIFY_URL
        if "bill_date" in names:
            given["bill_date"] = (account.now() - timedelta(days=1)).date().isoformat()
        filled = fill(schema, given, secrets.token_bytes(32), account.now())
        return {name: filled[name] for name in names if name in filled}


def find_title(method: str, path: str) -> str:
    """Returns the title of an operation in Chinese; empty if the catalogue lacks it.

    Args:
        method: the HTTP method.
        path: the path template.
    """
    known = catalogue.find_operation(method, path)
    return known.title if known else ""


def _format(value: Any) -> Any:
    """Returns the value of a query parameter as it is sent."""
    return str(value).lower() if isinstance(value, bool) else value


def _make_arguments(operation: Operation, query: list[tuple[str, str]], body: Any) -> dict[str, Any]:
    """Returns the keywords of a verb of the client: a query, a body and a file, with what is to be encrypted marked."""
    known = catalogue.find_operation(operation.method, operation.path)
    members = known.query["properties"] if known and known.query else {}
    arguments: dict[str, Any] = {
        "params": [(name, mark_sensitive(members.get(name, _ANY), value)) for name, value in query]
    }
    if operation.upload:
        rule = RULES[re.sub(r"\{\w+\}", "*", operation.path)]
        arguments["files"] = {rule.part: (f"sample.{next(iter(rule.most), 'png')}", _SAMPLE_FILE)}
        body = body or None  # without a meta, the client makes it
    if body is not None:
        arguments["json"] = mark_sensitive(known.body if known and known.body else _ANY, body)
    return arguments


def _describe(response: Response) -> dict[str, Any]:
    body = response.content.decode(errors="replace")
    return {"status": response.status_code, "headers": dict(response.headers), "body": body}

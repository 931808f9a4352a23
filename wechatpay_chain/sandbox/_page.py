"""The page of the sandbox for people: its files, and the JSON that it shows.

Everything that it shows comes as JSON below `/_sandbox/` and is inserted as text, because requests can contain anything.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from typing import Any

from aiohttp import web

from wechatpay_chain._schemes.canonical import parse_authorization, request_message
from wechatpay_chain.errors import ConfigurationError
from wechatpay_chain.sandbox._clock import CHINA
from wechatpay_chain.sandbox._control import Views
from wechatpay_chain.sandbox._faults import Faults
from wechatpay_chain.sandbox._form import find_title
from wechatpay_chain.sandbox._gateway import Gateway
from wechatpay_chain.sandbox._history import History, Seen
from wechatpay_chain.sandbox._notifier import Notice, Notifier
from wechatpay_chain.sandbox._operations.combined import CombinedOrder
from wechatpay_chain.sandbox._operations.orders import Order
from wechatpay_chain.sandbox._operations.transactions import PREPAY
from wechatpay_chain.sandbox._routing import to_origin_form

try:
    import segno
except ImportError:
    raise ConfigurationError("the sandbox needs segno: pip install 'wechatpay-chain[sandbox]'") from None

__all__ = ["Page"]

MAX_LISTED = 100
"""The number of calls, of orders and of notifications that are listed."""

_FILES = "/_sandbox/page/"
_QR_CODE = f"{_FILES}qr.svg"
_CONTENT_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_OPEN = ("NOTPAY", "USERPAYING")


class Page:
    """Shows the state of a sandbox.

    Attributes:
        views: what it shows as JSON, by name.

    Args:
        gateway: the gateway of the sandbox.
        history: its history.
        notifier: its notifications.
        faults: its faults.
    """

    def __init__(self, gateway: Gateway, history: History, notifier: Notifier, faults: Faults) -> None:
        self._gateway, self._history, self._notifier, self._faults = gateway, history, notifier, faults
        folder = files("wechatpay_chain.sandbox") / "page"
        self._files = {f"{_FILES}{file.name}": file.read_bytes() for file in folder.iterdir()}
        self.views: Views = {"overview": self.overview, "seen": self.seen}
        self._files["/"] = self._files.pop(f"{_FILES}index.html")

    def find_file(self, path: str, query: Mapping[str, str]) -> web.Response | None:
        """Returns a file of the page, or the QR code of an order; None if there is no such file.

        Args:
            path: the path.
            query: the query; of a QR code, `number` is the number of the order.
        """
        content = self._make_qr_code(query.get("number", "")) if path == _QR_CODE else self._files.get(path)
        if content is None:
            return None
        content_type = _CONTENT_TYPES["html" if path == "/" else path.rpartition(".")[2]]
        return web.Response(body=content, content_type=content_type, charset="utf-8")

    def overview(self, start: str = "0") -> dict[str, Any]:
        """Returns what the page shows.

        Args:
            start: the number of the first call that is not shown yet.
        """
        account, calls = self._gateway.account, self._history.numbered()
        singles = [_describe_order(order) for order in tuple(account.book(Order).values()) if not order.combined]
        combined = [_describe_combined(order) for order in tuple(account.book(CombinedOrder).values())]
        orders = sorted([*singles, *combined], key=lambda order: (order["is_open"], order["placed_at"]), reverse=True)
        return {
            "mchid": account.keys.number,
            "now": account.now(),
            "first": min(calls, default=self._history.count),
            "next": max(calls, default=self._history.count - 1) + 1,
            "calls": [self._describe_call(each, calls[each]) for each in calls if each >= int(start)][-MAX_LISTED:],
            "orders": orders[:MAX_LISTED],
            "notices": [_describe_notice(notice) for notice in self._notifier.notices[-MAX_LISTED:]],
            "faults": self._faults.describe(),
        }

    def seen(self, number: str) -> dict[str, Any]:
        """Returns a call with its messages, and with the message that was signed.

        Args:
            number: the number of the call.
        """
        seen = self._history.numbered()[int(number)]
        verification = seen.response.verification
        return {
            "message": _make_message(seen),
            "problem": None if verification is None else verification.problem,
            "request": {"headers": seen.call.headers, "body": seen.call.body.decode(errors="replace")},
            "response": {"headers": seen.response.headers, "body": seen.response.body.decode(errors="replace")},
        }

    def _describe_call(self, number: int, seen: Seen) -> dict[str, Any]:
        request = seen.call._replace(target=to_origin_form(seen.call.target))
        operation, _ = self._gateway.routes.find_operation(request)
        return {
            "number": number,
            "method": request.method,
            "target": request.target,
            "title": find_title(operation.method, operation.path),
            "status": seen.status,
            "fault": seen.fault,
            "at": seen.at,
        }

    def _make_qr_code(self, number: str) -> bytes | None:
        account = self._gateway.account
        order = account.book(CombinedOrder).get(number) or account.book(Order).get(number)
        if order is None or order.trade_type != "NATIVE":
            return None
        _, respond = PREPAY["native"]
        code, drawn = segno.make_qr(respond(order.prepay_id)["code_url"]), io.BytesIO()
        code.save(drawn, kind="svg", scale=4, light="white")
        return drawn.getvalue()


def _describe_order(order: Order) -> dict[str, Any]:
    return {
        "number": order.out_trade_no,
        "description": order.placed.get("description", ""),
        "state": order.trade_state,
        "total": order.total,
        "placed_at": order.placed_at,
        "is_open": order.trade_state in _OPEN,
        "has_code": order.trade_type == "NATIVE",
    }


def _describe_combined(order: CombinedOrder) -> dict[str, Any]:
    first = _describe_order(order.orders[0])
    total = sum(each.total for each in order.orders)
    has_code = order.trade_type == "NATIVE"
    return {**first, "number": order.placed["combine_out_trade_no"], "total": total, "has_code": has_code}


def _describe_notice(notice: Notice) -> dict[str, Any]:
    return {
        "id": notice.id,
        "url": notice.url,
        "event_type": notice.event_type,
        "posts": [
            {"at": _to_time(post.at), "outcome": post.outcome, "response": post.response}
            for post in tuple(notice.posts)
        ],
        "is_received": notice.is_received,
        "next_at": None if notice.next_at is None else _to_time(notice.next_at),
    }


def _to_time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, CHINA)


def _make_message(seen: Seen) -> str:
    """Returns the message that the signature of a request is of; empty if its Authorization header is malformed."""
    credentials = parse_authorization(seen.call.headers.get("Authorization", ""))
    signed = seen.response.verification.signed if seen.response.verification else seen.call.body
    if not credentials.keys() >= {"timestamp", "nonce_str"}:
        return ""
    target = to_origin_form(seen.call.target)
    message = request_message(seen.call.method, target, credentials["timestamp"], credentials["nonce_str"], signed)
    return message.decode(errors="replace")

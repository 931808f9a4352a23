"""Steers a running sandbox from outside, for programs in other languages: JSON over HTTP below `/_sandbox/`.

    curl -d '{"fault": "503", "times": 2}' http://127.0.0.1:8080/_sandbox/fault

Only programs on this machine may use it, and no page of another origin: a browser would let any page post to the loopback interface.
"""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from aiohttp import web

from wechatpay_chain.errors import ConfigurationError

__all__ = ["PREFIX", "Control", "Views"]

PREFIX = "/_sandbox/"
"""What the paths of the control interface begin with. No path of the service does."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


Views = Mapping[str, Callable[..., Any]]
"""Functions that return what there is to show, by name."""

FindFile = Callable[[str, Mapping[str, str]], "web.Response | None"]
"""Returns the response with the file of a path and a query, or None."""


class Control:
    """Carries out what is asked for below `/_sandbox/`, and serves the page for people.

    Args:
        actions: the functions that a POST of their name calls.
        views: the functions that a GET calls, by name.
        find_file: finds the files of the page.
    """

    def __init__(self, actions: Iterable[Callable[..., Any]], views: Views, find_file: FindFile) -> None:
        self._actions: dict[tuple[str, str], Callable[..., Any]] = {
            **{("GET", name): view for name, view in views.items()},
            **{("POST", action.__name__): action for action in actions},
        }
        self._find_file = find_file

    @staticmethod
    def covers(received: web.BaseRequest) -> bool:
        """Tells whether a request is for the control interface or the page, not for the service."""
        return received.path.startswith(PREFIX) or (received.method, received.path) == ("GET", "/")

    async def respond(self, received: web.BaseRequest, body: bytes) -> web.Response:
        """Returns the response to a request: a file of the page, the result of an action as JSON, or an error.

        The arguments of an action are the members of the body, those of a view are in the query.
        """
        response = await self._respond(received, body)
        response.headers.update(_HEADERS)
        return response

    async def _respond(self, received: web.BaseRequest, body: bytes) -> web.Response:
        if not _is_own(received):
            return _error(403, "only programs on this machine may steer the sandbox, and no page of another origin")
        if received.method == "GET" and (file := self._find_file(received.path, received.query)):
            return file
        name = received.path.removeprefix(PREFIX)
        action = self._actions.get((received.method, name))
        if action is None:
            known = ", ".join(f"{method} {PREFIX}{each}" for method, each in self._actions)
            return _error(404, f"{received.method} {received.path} is none of {known}")
        try:
            arguments = dict(received.query) if received.method == "GET" else json.loads(body or b"{}")
            # A notification is posted before an action ends, so it must not run on the event loop.
            result = await asyncio.to_thread(action, **arguments)
        except (ConfigurationError, TypeError, ValueError) as error:
            return _error(400, str(error))
        except KeyError as error:
            return _error(400, f"the sandbox has no {error}")
        return web.json_response({"result": _plain(result)}, dumps=_dumps)


def _is_own(received: web.BaseRequest) -> bool:
    try:
        is_local = ipaddress.ip_address(received.remote or "").is_loopback
    except ValueError:
        return False
    host = received.headers.get("Host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    origin = received.headers.get("Origin", "")
    return is_local and name in _LOOPBACK_NAMES and origin in ("", f"{received.scheme}://{host}")


def _plain(value: Any, within: tuple[Any, ...] = ()) -> Any:
    """Returns a value in the form of JSON: live objects by their public members.

    Args:
        value: the value.
        within: the live objects around it. Where one of them comes again, as the order of a refund of an order does, it is left out.
    """
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value) if not field.name.startswith("_") and field.repr]
        return _plain({name: getattr(value, name) for name in names}, (*within, value))
    if isinstance(value, Mapping):
        shown = {str(name): member for name, member in value.items() if not _is_among(member, within)}
        return {name: _plain(member, within) for name, member in shown.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, within) for item in value if not _is_among(item, within)]
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value


def _is_among(value: Any, objects: tuple[Any, ...]) -> bool:
    return any(value is each for each in objects)


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status, dumps=_dumps)

"""Reads the table of the operations and notifications that WeChat Pay documents.

Nothing is refused because it is not in the table: it is a description, and the service has operations that it lacks.

The table is a text of four sections, compressed, for a wheel would have 45 kB more (`xzcat` shows it). A line of `[members]` is the name of a member and its schema in JSON; a line of `[objects]` has
the numbers of its members, from 0, with `!` after each that is required; a line of `[operations]` or `[notifications]` is a key
and a JSON object. `{"object": 5}` stands for the object in line 5. So every schema is written once, and only what is asked for
is parsed.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

from wechatpay_chain._catalogue.formats import JSON, XML, Format
from wechatpay_chain._catalogue.v2_rules import RULES

__all__ = ["Event", "Operation", "Resource", "Schema", "find_event", "find_operation", "list_events", "list_operations"]

Schema = Mapping[str, Any]
"""A JSON schema: `type` is object, array, string, integer, number, boolean, any or file. `encrypted` is True for a text that is
encrypted to its receiver, `json` for a text that is JSON."""


class Operation(NamedTuple):
    """What is known of an operation.

    Attributes:
        method: the verb in upper case.
        path: the path template with its leading slash, as it is sent: that of APIv2 has no `v2/`.
        api: v3 for JSON, v2 for XML.
        title: the name in Chinese.
        status: the HTTP status of success.
        tags: the products in Chinese.
        roles: who may call it, in Chinese.
        variables: the schema of the path variables; None if there are none.
        query: the schema of the query.
        headers: the schema of the headers.
        form: the schema of the parts of an upload.
        body: the schema of the body.
        body_required: whether a call must have a body.
        response: the schema of the response; None for an empty response and for a file.
        produces: the media types of a response that is a file.
        host: the origin of the service, if it is not that of all others.
        client_certificate: whether the TLS client certificate of the merchant is needed.
        sign_types: the values of `sign_type` in APIv2; empty if there is no such field.
        deprecated: whether it is no longer offered.
    """

    method: str
    path: str
    api: str
    title: str
    status: int
    tags: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    variables: Schema | None = None
    query: Schema | None = None
    headers: Schema | None = None
    form: Schema | None = None
    body: Schema | None = None
    body_required: bool = False
    response: Schema | None = None
    produces: tuple[str, ...] = ()
    host: str = ""
    client_certificate: bool = False
    sign_types: tuple[str, ...] = ()
    deprecated: bool = False

    @property
    def template(self) -> str:
        """The path template as a chain has it: without its leading slash, and of APIv2 below `v2/`."""
        return self.format.to_chain(self.path)

    @property
    def format(self) -> Format:
        """How its calls are written."""
        return XML if self.api == XML.root else JSON

    @property
    def added(self) -> frozenset[str]:
        """The fields that the client adds to a call of APIv2; none in APIv3."""
        rule = RULES.get(f"{self.method} {self.path}")
        return rule.added if rule else frozenset()

    @property
    def page(self) -> str:
        """The name of its page in the documentation: the template with dots between its segments, and the verb."""
        segments = [segment.strip("{}") or "empty" for segment in self.template.split("/")]
        return ".".join((*segments, self.method.lower()))


class Resource(NamedTuple):
    """What a notification is about.

    Attributes:
        original_type: the kind of the resource; empty if it is not documented.
        schema: the schema of the decrypted resource; None if it is not documented.
    """

    original_type: str
    schema: Schema | None = None


class Event(NamedTuple):
    """What is known of a type of notifications.

    Attributes:
        event_type: the event, such as TRANSACTION.SUCCESS.
        title: the name in Chinese.
        resources: one for each kind of resource that the event is sent for.
    """

    event_type: str
    title: str
    resources: tuple[Resource, ...]


def list_operations() -> list[tuple[str, str]]:
    """Returns the method and the path template of every operation."""
    return list(_table().operations)


def list_events() -> list[str]:
    """Returns the type of every event."""
    return list(_table().events)


@lru_cache(maxsize=4096)
def find_operation(method: str, path: str) -> Operation | None:
    """Returns an operation by its method and its path template, or None."""
    text = _table().operations.get((method, path))
    return Operation(method, path, **_resolve(json.loads(text))) if text else None


@lru_cache(maxsize=4096)
def find_event(event_type: str) -> Event | None:
    """Returns what is known of an event, or None."""
    text = _table().events.get(event_type)
    if not text:
        return None
    known = json.loads(text)
    return Event(event_type, known["title"], tuple(Resource(**_resolve(resource)) for resource in known["resources"]))


class _Table(NamedTuple):
    members: list[str]
    objects: list[str]
    operations: dict[tuple[str, str], str]
    events: dict[str, str]


@cache
def _table() -> _Table:
    text = lzma.decompress((files("wechatpay_chain._catalogue") / "table.xz").read_bytes()).decode()
    _, members, objects, operations, events = (section.splitlines() for section in text.split("\n["))
    return _Table(
        members[1:],
        objects[1:],
        {(method, path): rest for method, path, rest in (line.split(" ", 2) for line in operations[1:])},
        {event: rest for event, _, rest in (line.partition(" ") for line in events[1:])},
    )


def _resolve(known: dict[str, Any]) -> dict[str, Any]:
    """Returns the attributes of an operation or of a resource."""
    for name, value in known.items():
        if isinstance(value, dict):
            known[name] = _schema(value)
        elif isinstance(value, list):
            known[name] = tuple(value)
    return known


def _schema(written: dict[str, Any]) -> Schema:
    if "object" in written:
        return _object(written["object"])
    if "items" in written:
        return {**written, "items": _schema(written["items"])}
    return written


@cache
def _object(number: int) -> Schema:
    properties, required = {}, []
    for each in _table().objects[number].split():
        name, _, written = _table().members[int(each.rstrip("!"))].partition(" {")
        properties[name] = _schema(json.loads(f"{{{written}"))
        if each.endswith("!"):
            required.append(name)
    return {"type": "object", "properties": properties, "required": required}

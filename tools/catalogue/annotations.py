"""Schemas as annotations: what a caller may pass, and what a response may bring.

A request is closed: only the documented values of an enum are right. A response is open: the service adds values. Numbers of APIv2
are texts in a response and either in a request. `Ref` marks the name of a TypedDict, which each file spells in its own way.
"""

from __future__ import annotations

import enum
import json
import keyword
import re
from dataclasses import dataclass
from typing import NamedTuple

from tools.catalogue.writing import pascal
from wechatpay_chain._catalogue.operations import Schema

__all__ = ["REF", "Definition", "Definitions", "Direction", "Member"]

REF = "§"
"""Stands before a reference to a TypedDict."""


class Direction(enum.Enum):
    """Who writes a value, and in which form."""

    REQUEST = "request"
    RESPONSE = "response"
    V2_REQUEST = "request of APIv2"
    V2_RESPONSE = "response of APIv2"

    @property
    def is_request(self) -> bool:
        """Whether the caller writes it."""
        return self in (Direction.REQUEST, Direction.V2_REQUEST)

    @property
    def is_v2(self) -> bool:
        """Whether it is XML, in which everything is a text."""
        return self in (Direction.V2_REQUEST, Direction.V2_RESPONSE)


class Member(NamedTuple):
    """A member of a TypedDict."""

    name: str
    annotation: str
    required: bool


class Definition(NamedTuple):
    """A TypedDict."""

    name: str
    members: tuple[Member, ...]

    @property
    def is_plain(self) -> bool:
        """Whether class syntax can write it: each member is an identifier, and none hides a name that an annotation uses."""
        names = {member.name for member in self.members}
        used = {name for member in self.members for name in re.findall(r"(?<![\w.\"])[A-Za-z_]\w*", member.annotation)}
        return all(name.isidentifier() and not keyword.iskeyword(name) for name in names) and not names & used


@dataclass
class Definitions:
    """The TypedDicts of one place, in the order in which they are written.

    Attributes:
        prefix: the names that lead to them, with a dot after each.
        found: the TypedDicts by name.
    """

    prefix: str
    found: dict[str, Definition]

    def annotate(self, schema: Schema, name: str, direction: Direction) -> str:
        """Returns the annotation of a schema, and defines the TypedDicts that it needs.

        Args:
            schema: the schema.
            name: the name of the TypedDict, if it is an object.
            direction: who writes it.

        Raises:
            ValueError: two TypedDicts have one name.
        """
        match schema["type"]:
            case "array":
                return f"list[{self.annotate(schema['items'], name, direction)}]"
            case "object" if not schema["properties"]:
                return "Mapping[str, Any]" if direction.is_request else "dict[str, Any]"
            case "object" if any("$" in member for member in schema["properties"]):  # coupon_id_$n: any number of them
                return "Mapping[str, str | int]" if direction.is_request else "dict[str, str]"
            case "object":
                return self._define(schema, name, direction)
            case _:
                return _scalar(schema, direction)

    def _define(self, schema: Schema, name: str, direction: Direction) -> str:
        if name in self.found:
            raise ValueError(f"{self.prefix}{name}: two TypedDicts have this name")
        self.found[name] = Definition(name, ())  # before those of its members
        asked = set(schema["required"]) - (_FILLED if direction is Direction.V2_REQUEST else set())
        members = tuple(
            Member(member, self.annotate(each, f"{name}{pascal(member)}", direction), member in asked)
            for member, each in schema["properties"].items()
        )
        self.found[name] = Definition(name, members)
        return f"{REF}{self.prefix}{name}"


_FILLED = {"combine_mch_id", "mch_id", "mchid", "nonce_str", "sign", "sign_type", "workwx_sign"}
"""What a client of APIv2 fills in, because it knows the merchant and signs."""

_NAMES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "any": "Any", "file": "Any"}
_TIMES = {"rfc3339": "str | datetime", "date": "str | date"}


def _scalar(schema: Schema, direction: Direction) -> str:
    kind, values = schema["type"], schema.get("enum")
    if direction is Direction.V2_RESPONSE:
        return "str"
    if values and (kind == "string" or not direction.is_v2):
        literal = f"Literal[{', '.join(json.dumps(value, ensure_ascii=False) for value in values)}]"
        return literal if direction.is_request else f"{literal} | {_NAMES[kind]}"
    if direction.is_request and schema.get("encrypted"):
        return "Sensitive | str"
    if direction.is_v2:
        return "str | int" if kind in ("integer", "number") else "str"
    if direction.is_request and kind == "string":
        return _TIMES.get(schema.get("format", ""), "str")
    return _NAMES[kind]

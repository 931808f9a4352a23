"""The signature of a verb at a place: what a call takes, and what comes back."""

from __future__ import annotations

from typing import NamedTuple

from tools.catalogue.annotations import Definitions, Direction
from tools.catalogue.tree import Place
from wechatpay_chain._catalogue.formats import XML
from wechatpay_chain._catalogue.operations import Operation, Schema

__all__ = ["Signature", "sign"]


class Signature(NamedTuple):
    """What a verb takes and returns.

    Attributes:
        parameters: the keywords, with their annotations.
        result: the annotation of the parsed response.
    """

    parameters: tuple[str, ...]
    result: str


def sign(place: Place, verb: str, definitions: Definitions) -> Signature:
    """Returns the signature of a verb, and defines the TypedDicts that it needs."""
    operation = place.operations[verb]
    request = Direction.V2_REQUEST if operation.format is XML else Direction.REQUEST
    required, optional = [], []
    for name, schema in (operation.variables or {"properties": {}})["properties"].items():
        literal = definitions.annotate(schema, "", request) if schema.get("enum") else "str | int"
        required.append(f"{name}: {literal}")
    body = operation.format.body
    if operation.form:
        optional.append(f"{body}: Mapping[str, Any] = ...")
        required.append("files: Files")
    elif operation.body:
        annotation = definitions.annotate(operation.body, f"{verb.capitalize()}Body", request)
        _add(required, optional, body, annotation, operation.body_required)
    if query := operation.query:
        annotation = definitions.annotate(query, f"{verb.capitalize()}Query", request)
        _add(required, optional, "params", annotation, bool(query["required"]))
    shared = ["headers: Fields = ...", "timeout: Seconds = ...", *(["idempotent: bool = ..."] if verb != "get" else [])]
    if operation.format is XML and verb == "post":
        shared.append("certificate: bool | None = ...")
    return Signature((*required, *optional, *shared), _result(operation, verb, definitions))


def _add(required: list[str], optional: list[str], name: str, annotation: str, is_required: bool) -> None:
    if is_required:
        required.append(f"{name}: {annotation}")
    else:
        optional.append(f"{name}: {annotation} | None = ...")


def _result(operation: Operation, verb: str, definitions: Definitions) -> str:
    name, schema = f"{verb.capitalize()}Result", operation.response
    if operation.format is XML:
        empty: Schema = {"type": "object", "properties": {}, "required": []}
        known = schema if schema and schema["type"] == "object" else empty
        if not known["properties"]:
            return "dict[str, str]"
        return definitions.annotate(known, name, Direction.V2_RESPONSE)
    return definitions.annotate(schema, name, Direction.RESPONSE) if schema else "None"

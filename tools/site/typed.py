"""The typed form of a call: a function whose parameters and result have the types of the operation."""

from __future__ import annotations

import re
from functools import cache

from tools.catalogue.annotations import REF, Definitions
from tools.catalogue.calls import Signature, sign
from tools.site.entries import Entry
from tools.site.source import WIDTH
from tools.site.styles import find_reader

__all__ = ["list_all_type_names", "list_type_names", "name_prefix", "write_typed"]

_SHARED = {"headers", "timeout", "idempotent", "certificate"}
"""Keywords that every call takes."""


def write_typed(entry: Entry) -> str:
    """Returns a program that makes the call in a function with types.

    Args:
        entry: the operation.
    """
    signature, _ = _sign(entry)
    parameters = [parameter for parameter in signature.parameters if parameter.partition(":")[0] not in _SHARED]
    if entry.operation.form:
        parameters = [parameter for parameter in parameters if not parameter.startswith(("json:", "xml:"))]
    names = [parameter.partition(":")[0] for parameter in parameters]
    rows = ["client: Client", *(parameter.removesuffix(" | None = ...") for parameter in parameters)]
    result, member = _describe_result(entry, signature.result)
    heading = _wrap(
        f"def call({', '.join(rows)}) -> {result}:", f"def call(\n    {f',{chr(10)}    '.join(rows)},\n) -> {result}:"
    )
    arguments = [f"{name}={name}" for name in names]
    called = f"{entry.chain}.{entry.verb}"
    body = _wrap(
        f"    response = {called}({', '.join(arguments)})",
        f"    response = {called}(\n        {', '.join(arguments)}\n    )",
    )
    code = f"{heading}\n{body}\n    return response{member}\n"
    return f"{_write_imports(entry, code)}\n\n{code}"


def list_type_names(entry: Entry) -> list[str]:
    """Returns the names of the types of an operation, without those of inner objects: v3.pay.transactions.native.PostBody."""
    outer = [f"{name_prefix(entry)}.{entry.verb.capitalize()}{kind}" for kind in ("Body", "Query", "Result")]
    return [name for name in list_all_type_names(entry) if name in outer]


def list_all_type_names(entry: Entry) -> list[str]:
    """Returns the names of the types of an operation, each before those of its inner objects."""
    return [f"{name_prefix(entry)}.{name}" for name in _sign(entry)[1]]


def name_prefix(entry: Entry) -> str:
    """Returns the name that all types of an operation begin with: v3.pay.transactions.native."""
    return ".".join(place.name for place in entry.place.line)


@cache
def _sign(entry: Entry) -> tuple[Signature, tuple[str, ...]]:
    definitions = Definitions(f"{name_prefix(entry)}.", {})
    found = sign(entry.place, entry.verb, definitions)
    parameters = tuple(parameter.replace(REF, "") for parameter in found.parameters)
    return Signature(parameters, found.result.replace(REF, "")), tuple(definitions.found)


def _describe_result(entry: Entry, annotation: str) -> tuple[str, str]:
    """Returns the annotation of what the function returns, and how it is read from the response."""
    if entry.is_v2:
        reader = find_reader(entry.operation)
        return ("bytes" if reader == ".content" else annotation), reader
    if entry.operation.response:
        return annotation, ".json()"
    return ("bytes", ".content") if entry.operation.produces else ("int", ".status_code")


def _wrap(flat: str, wrapped: str) -> str:
    return flat if len(flat) <= WIDTH else wrapped


def _write_imports(entry: Entry, code: str) -> str:
    typing = [name for name in ("Any", "Literal") if re.search(rf"\b{name}\b", code)]
    ours = ["Client", *(["Files"] if "Files" in code else [])]
    root = entry.place.line[0].name
    lines = ["from collections.abc import Mapping\n"] if "Mapping[" in code else []
    lines += [f"from typing import {', '.join(typing)}\n"] if typing else []
    lines += ["\n"] if lines else []
    lines.append(f"from wechatpay_chain import {', '.join(ours)}\n")
    lines += [f"from wechatpay_chain.types import {root}\n"] if f" {root}." in code or f"[{root}." in code else []
    return "".join(lines)

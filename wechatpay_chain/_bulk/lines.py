"""Reads the lines of a bulk job, and makes a call of each."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from uritemplate import variables

from wechatpay_chain._catalogue.formats import format_of
from wechatpay_chain._catalogue.nearest import find_operation_at
from wechatpay_chain._catalogue.operations import Schema
from wechatpay_chain._chain.node import Chain
from wechatpay_chain._chain.sensitive_members import mark_sensitive
from wechatpay_chain._messages.sensitive import Sensitive
from wechatpay_chain.errors import ArgumentError

__all__ = ["Line", "LineSource", "Shape", "read_lines"]

LineSource = str | os.PathLike[str] | Iterable[Mapping[str, Any]]
"""A CSV or JSONL file, or dicts."""

_QUERIED = ("GET", "DELETE")


class Line(NamedTuple):
    """A line of the input.

    Attributes:
        number: counted from 1, without the header of a CSV file.
        fields: its values by name: texts, if it is of a CSV file.
        is_text: whether the values are texts whose types the operation says.
    """

    number: int
    fields: Mapping[str, Any]
    is_text: bool


def _to_text(value: object) -> str:
    return value._encrypt(str) if isinstance(value, Sensitive) else str(value)


def read_lines(source: LineSource) -> Iterator[Line]:
    """Yields the lines of an input.

    Raises:
        ArgumentError: a line is no JSON object, or of another type.
        OSError: the file cannot be read.
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        yield from _read_csv(path) if path.suffix.lower() == ".csv" else _read_jsonl(path)
        return
    for number, fields in enumerate(source, 1):
        if not isinstance(fields, Mapping):
            raise ArgumentError(f"lines: number {number} came as a {type(fields).__name__}; expected a dict")
        yield Line(number, fields, False)


def _read_csv(path: Path) -> Iterator[Line]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            reader = csv.DictReader(file)
            _check_header(reader.fieldnames or ())
            for number, fields in enumerate(reader, 1):
                if None in fields or None in fields.values():
                    raise ArgumentError(
                        f"lines: line {number} of {str(path)!r} has more or fewer cells than the header"
                    )
                yield Line(number, fields, True)
        except UnicodeDecodeError:
            raise ArgumentError(f"lines: {str(path)!r} is not UTF-8; save it as CSV UTF-8") from None
        except csv.Error as error:
            raise ArgumentError(f"lines: {str(path)!r} is no CSV file: {error}") from None


def _check_header(names: Sequence[str]) -> None:
    """Raises an ArgumentError if two columns are for the same member, such as amount and amount.total."""
    outer = {name[: dot.start()] for name in names for dot in re.finditer(r"\.", name)}
    twice = sorted({name for name in names if name in outer or names.count(name) > 1})
    if twice:
        raise ArgumentError(f"lines: the header has more than one column for {', '.join(twice)}")


def _read_jsonl(path: Path) -> Iterator[Line]:
    with path.open(encoding="utf-8-sig") as file:
        for number, text in _decode(path, file):
            if not text.strip():
                continue
            try:
                fields = json.loads(text)
            except (ValueError, RecursionError):
                fields = None
            if not isinstance(fields, dict):
                raise ArgumentError(f"lines: line {number} of {str(path)!r} is no JSON object")
            yield Line(number, fields, False)


def _decode(path: Path, file: TextIO) -> Iterator[tuple[int, str]]:
    try:
        yield from enumerate(file, 1)
    except UnicodeDecodeError:
        raise ArgumentError(f"lines: {str(path)!r} is not UTF-8") from None


class Shape:
    """What the call of a line looks like: which values go into the path, the query and the body.

    Args:
        method: the verb in upper case.
        node: the operation.
        constants: members that each call has, in its body, or in the query of a GET and a DELETE; a line replaces them.

    Raises:
        ArgumentError: the constants cannot be sent.
    """

    def __init__(self, method: str, node: Chain, constants: Mapping[str, Any]) -> None:
        if not isinstance(constants, Mapping):
            raise ArgumentError(f"json: came a {type(constants).__name__}; expected a dict")
        try:
            json.dumps(constants, default=lambda value: value._encrypt(str))
        except (AttributeError, TypeError, ValueError, RecursionError):
            raise ArgumentError("json: it has something that JSON cannot represent") from None
        template = str(node).partition("?")[0]
        self._variables = frozenset(variables(template))
        self._constants = dict(constants)
        self._job = method, template, self._constants
        operation = find_operation_at(method, template.lstrip("/"))
        is_query = method in _QUERIED
        self._part = "params" if is_query else format_of(template).body
        schema = operation and (operation.query if is_query else operation.body)
        self._schema: Schema = schema or {"type": "object", "properties": {}}

    def find_digest(self, line: Line) -> int:
        """Returns a hash of what a line asks for, 1 to 2**64 - 1, which tells whether the job is still the same."""
        asked = [*self._job, line.fields]
        text = json.dumps(asked, sort_keys=True, ensure_ascii=False, default=_to_text)
        return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big") or 1

    def find_missing(self, line: Line) -> list[str]:
        """Returns the path variables that a line has no value for."""
        return sorted(name for name in self._variables if line.fields.get(name) in (None, ""))

    def make_arguments(self, line: Line) -> dict[str, Any]:
        """Returns the keywords of the verb for a line.

        Raises:
            ArgumentError: a text is no value of the member that it is for.
        """
        named = {name: value for name, value in line.fields.items() if name in self._variables}
        rest = {name: value for name, value in line.fields.items() if name not in self._variables}
        if line.is_text:
            rest = _nest(rest, self._schema)
        members = mark_sensitive(self._schema, _merge(self._constants, rest))
        return {**named, **({self._part: members} if members or self._part != "params" else {})}


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in over.items():
        known = merged.get(name)
        is_deeper = isinstance(known, Mapping) and isinstance(value, Mapping)
        merged[name] = _merge(known, value) if is_deeper else value  # type: ignore[arg-type]
    return merged


def _nest(texts: Mapping[str, str], schema: Schema) -> dict[str, Any]:
    """Returns members for the cells of a CSV file: amount.total is a member of amount, and an empty cell is none."""
    nested: dict[str, Any] = {}
    for column, text in texts.items():
        if text == "":
            continue
        inner, known = nested, schema
        *outer, name = column.split(".")
        for each in outer:
            inner = inner.setdefault(each, {})
            known = known.get("properties", {}).get(each, {})
        inner[name] = _convert(column, text, known.get("properties", {}).get(name, {}).get("type", "string"))
    return nested


def _convert(column: str, text: str, kind: str) -> Any:
    try:
        match kind:
            case "integer":
                return int(text.replace("_", "?"))  # int() takes 1_0 for 10
            case "number":
                return json.loads(text)
            case "boolean":
                return {"true": True, "false": False}[text.lower()]
            case "object" | "array":
                return json.loads(text)
    except (ValueError, KeyError, RecursionError):
        raise ArgumentError(f"{column}: the cell is no {kind}") from None
    return text

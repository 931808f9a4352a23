"""Reads the facts, corrects them, and brings them into one form.

The facts are two files, `operations.json` and `notifications.json`, of which the project keeps only what it derives.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.catalogue.corrected_schemas import SCHEMAS
from tools.catalogue.correction import Correction
from tools.catalogue.corrections import CORRECTIONS
from tools.catalogue.translations import PATTERNS, TYPES

__all__ = ["read_facts"]

Fact = dict[str, Any]
Schema = dict[str, Any]

_KEPT = ("deprecated", "produces", "roles", "tags", "title")
_LIMITS = ("format", "maxLength", "minLength", "minimum", "maximum", "minItems", "maxItems", "pattern", "default")
_MOMENTS = {"date": r"\d{4}-\d\d-\d\d", "rfc3339": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"}
"""The formats of dates and times, which many texts lack that have an example of one."""


def read_facts(folder: Path) -> tuple[list[Fact], list[Fact], str]:
    """Returns the operations, the notifications of APIv3, and the SHA-256 of what they were read from.

    Raises:
        ValueError: a correction corrects nothing, or a fact is of a form that is not known.
    """
    texts = [(folder / name).read_bytes() for name in ("operations.json", "notifications.json")]
    operations, notifications = (json.loads(text) for text in texts)
    notifications = [fact for fact in notifications if fact["api"] == "v3"]
    named = {f"{fact['method']} {fact['path']}": fact for fact in operations}
    named |= {fact["event_type"]: fact for fact in notifications}
    for fact in named.values():
        _shape(fact)
    for correction in CORRECTIONS:
        _correct(named, correction)
    if unknown := {name for name, _ in SCHEMAS} - named.keys():
        raise ValueError(f"{', '.join(sorted(unknown))}: there is nothing to replace; see corrected_schemas.py")
    return (
        [_operation(name, named[name]) for name in sorted(named) if "method" in named[name]],
        [_notification(name, named[name]) for name in sorted(named) if "method" not in named[name]],
        hashlib.sha256(b"".join(texts)).hexdigest(),
    )


def _shape(fact: Fact) -> None:
    """Brings the lists of fields into the form of schemas."""
    for part in ("path_params", "query", "headers", "form"):
        if fields := fact.pop(part, None):
            fact[part] = {
                "type": "object",
                "properties": {
                    field["name"]: {key: value for key, value in field.items() if key != "required"} for field in fields
                },
                "required": [field["name"] for field in fields if field.get("required")],
            }


def _correct(named: dict[str, Fact], correction: Correction) -> None:
    where = correction.where
    facts = [
        fact
        for name, fact in named.items()
        if name == where or (where.endswith("*") and name.startswith(where.removesuffix("*")))
    ]
    part, *members = re.findall(r"[^.\[]+|\[\]", correction.place)
    found = [
        (parent, schema)
        for fact in facts
        for parent, schema in ([(fact, fact[part])] if part in fact else [])
        for parent, schema in _descend(parent, schema, members)
    ]
    if not found or not sum([_apply(correction, parent, schema, members) for parent, schema in found]):
        raise ValueError(f"{where} {correction.place}: there is nothing to correct")


def _descend(parent: Schema, schema: Schema, members: list[str]) -> Iterator[tuple[Schema, Schema]]:
    if not members:
        yield parent, schema
        return
    child = schema.get("items") if members[0] == "[]" else schema.get("properties", {}).get(members[0])
    if child is not None:
        yield from _descend(schema, child, members[1:])


def _apply(correction: Correction, parent: Schema, schema: Schema, members: list[str]) -> bool:
    """Changes one schema. Returns False if that changes nothing."""
    before = json.dumps([parent, schema])
    if correction.rename:
        properties = parent["properties"]
        parent["properties"] = {
            (correction.rename if name == members[-1] else name): properties[name] for name in properties
        }
    for name, value in correction.update.items():
        schema[name] = value
        if value is None:
            del schema[name]
    if "required" in schema or correction.required:
        gone = {*correction.optional, *correction.removed}
        kept = [name for name in schema.get("required", []) if name not in gone]
        schema["required"] = [*kept, *correction.required]
    for name in correction.removed:
        schema["properties"].pop(name, None)
    return json.dumps([parent, schema]) != before


def _operation(name: str, fact: Fact) -> Fact:
    method, path = name.split(" ")
    operation = {key: fact[key] for key in _KEPT if fact.get(key)}
    operation |= {"method": method, "path": path, "api": fact["api"], "status": fact.get("status", 302)}
    if host := fact.get("base_uri"):
        operation["host"] = host.rstrip("/")
    if fact.get("client_cert"):
        operation["client_certificate"] = True
    variables = re.findall(r"\{(\w+)\}", path)
    known = fact.get("path_params", {}).get("properties", {})
    if variables:
        operation["variables"] = {
            "type": "object",
            "properties": {name: _schema(known.get(name, {"type": "string"})) for name in variables},
            "required": variables,
        }
    for part in ("query", "headers", "form", "body", "response"):
        if (schema := fact.get(part)) and not (part == "response" and fact.get("status") == 204):
            _, schema = SCHEMAS.get((name, part), ("", schema))
            operation[part] = _schema(schema)
    if fact.get("body_required") or operation.get("body", {}).get("required"):
        operation["body_required"] = True
    sent = operation.get("form") or operation.get("body") or operation.get("query") or {}
    if fact["api"] == "v2" and (sign_type := sent.get("properties", {}).get("sign_type")):
        default = sign_type.get("default")
        operation["sign_types"] = sorted(sign_type.get("enum", ["MD5"]), key=lambda each: each != default)
    return operation


def _notification(name: str, fact: Fact) -> Fact:
    originals = fact["original_type"]
    corrected = [(original, SCHEMAS[name, original][1]) for original in originals if (name, original) in SCHEMAS]
    resource = fact.get("resource") or {}
    resources = corrected or [(originals[0] if originals else "", resource if resource.get("properties") else {})]
    if not corrected and len(originals) > 1:
        raise ValueError(f"{name}: it has several original types; expected a schema for each in corrected_schemas.py")
    return {
        "event_type": name,
        "title": fact["title"],
        "resources": [
            {"original_type": original, **({"schema": _schema(schema)} if schema else {})}
            for original, schema in resources
        ],
    }


def _schema(source: Schema) -> Schema:
    kind = TYPES.get(source["type"], source["type"])
    if mixed := source.get("mixed"):
        # Each has the values of some merchants; all of them are one text.
        return _schema(
            {**source, **mixed[0], "mixed": None, "enum": [value for each in mixed for value in each["enum"]]}
        )
    schema: Schema = {"type": kind}
    if source.get("json"):
        schema["json"] = True
    if source.get("encrypted"):
        schema["encrypted"] = True
    schema |= {limit: source[limit] for limit in _LIMITS if source.get(limit) is not None}
    if pattern := schema.get("pattern"):
        schema["pattern"] = PATTERNS[pattern]
    match kind:
        case "object":
            return _object_schema(source)
        case "array":
            schema["items"] = _schema(source["items"])
        case "number" if source.get("format") != "float":
            schema["type"] = "integer"  # it is one in every example but one, whose format says so
        case "string" | "integer" | "number" | "boolean" | "any" | "file":
            pass
        case _:
            raise ValueError(f"{kind!r} is no type; add it to TYPES in translations.py")
    if enum := source.get("enum"):
        schema["enum"] = list(dict.fromkeys(enum if schema["type"] == "integer" else map(str, enum)))
    if "example" in source and not source.get("encrypted"):  # a ciphertext tells nothing
        schema["example"] = _example(schema, source["example"])
        if kind == "string" and not schema.keys() & {"format", "enum", "json"}:
            schema |= _moment(str(schema["example"]))
    return schema


def _moment(example: str) -> Schema:
    """Returns the format of a text whose example is a date or a time."""
    return next(({"format": name} for name, form in _MOMENTS.items() if re.fullmatch(form, example)), {})


def _example(schema: Schema, example: object) -> object:
    value = (
        int(example) if schema["type"] == "integer" and isinstance(example, str) and example.isdecimal() else example
    )
    if schema["type"] == "string" and isinstance(example, (int, float)):
        value = str(example)
    if "enum" in schema and value not in schema["enum"]:
        raise ValueError(f"{value!r} is an example that its enum lacks: {schema['enum']}; correct one of them")
    return value


def _object_schema(source: Schema) -> Schema:
    described = source.get("properties", {})
    required = source.get("required") or []
    properties = {name: _schema(schema) for name, schema in described.items()}
    # What is required and not described can be passed, and is not asked for.
    properties |= {name: {"type": "any"} for name in required if name not in described}
    properties = dict(sorted(properties.items()))
    asked = [
        name for name in properties if name in required and not described.get(name, {"nullable": True}).get("nullable")
    ]
    return {"type": "object", "properties": properties, "required": asked}

"""Writes the small modules of facts that every call needs, so that no call reads the table."""

from __future__ import annotations

import re

from tools.catalogue.upload_facts import UPLOADS
from tools.catalogue.writing import STAMP
from wechatpay_chain._catalogue.operations import Operation, find_operation, list_operations
from wechatpay_chain._catalogue.upload_rule import Rule

__all__ = ["underscored", "upload_rules", "v2_segments"]


def v2_segments() -> str:
    """Returns the module of the first segments of APIv2.

    Raises:
        ValueError: a path of another API begins with one of them.
    """
    first: dict[str, set[str]] = {"v2": set(), "v3": set()}
    for operation in _operations():
        first[operation.api].add(operation.path.split("/")[1])
    if shared := first["v2"] & first["v3"]:
        raise ValueError(f"{', '.join(sorted(shared))}: the first segment does not distinguish APIv2 from other APIs")
    return _module(
        "The first path segments of APIv2, which no path of another API begins with.",
        "V2_SEGMENTS = frozenset(\n    {\n"
        + "".join(f'        "{segment}",\n' for segment in sorted(first["v2"]))
        + "    }\n)\n",
    )


def underscored() -> str:
    """Returns the module of the paths in which the service itself writes an underscore."""
    places = {
        re.sub(r"\{\w+\}", "{}", "/".join(segments[: index + 1]))
        for segments in (operation.template.split("/") for operation in _operations())
        for index in range(len(segments))
    }
    found = sorted(
        place for place in places if "_" in place.rpartition("/")[2] and place.replace("_", "-") not in places
    )
    return _module(
        "The places where the service writes an underscore and has no hyphenated twin. `{}` stands for any variable.",
        "UNDERSCORED = (\n" + "".join(f'    "{place}",\n' for place in found) + ")\n",
    )


def upload_rules() -> str:
    """Returns the module of the rules of uploads.

    Raises:
        ValueError: the operations that upload a file are not those of `upload_facts`.
    """
    parts = {}
    for operation in _operations():
        if operation.form and operation.api == "v3":
            (parts[operation.path],) = (
                name for name, schema in operation.form["properties"].items() if schema["type"] == "file"
            )
    if unknown := parts.keys() ^ {path for path in UPLOADS if path.startswith("/v3/")}:
        raise ValueError(f"{', '.join(sorted(unknown))}: upload_facts.py and the facts differ")
    lines = "".join(
        f'    "{re.sub(r"{[^{}]*}", "*", path)}": {_rule(rule._replace(part=parts.get(path, rule.part)))},\n'
        for path, rule in UPLOADS.items()
    )
    return _module(
        "The metadata that each upload operation requires about a file, by path, with `*` for a variable.",
        f"from wechatpay_chain._catalogue.upload_rule import Rule\n\nRULES = {{\n{lines}}}\n",
    )


def _rule(rule: Rule) -> str:
    default = Rule()._asdict()
    return f"Rule({', '.join(f'{name}={value!r}' for name, value in rule._asdict().items() if value != default[name])})"


def _operations() -> list[Operation]:
    return [operation for key in list_operations() if (operation := find_operation(*key))]


def _module(doc: str, body: str) -> str:
    return f'{STAMP}"""{doc}"""\n\n{body}'

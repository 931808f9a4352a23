"""Prints the public API: every public name, its signature, and the public members of classes.

python -m tests.public_api > tests/data/public_api.txt
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
from collections.abc import Iterator

MODULES = ("", ".crypto", ".errors", ".micropay", ".middleware", ".sandbox", ".stores")


def lines() -> Iterator[str]:
    """Yields one line for each public name and each public member of a class."""
    for suffix in MODULES:
        module = importlib.import_module(f"wechatpay_chain{suffix}")
        for name in sorted(module.__all__):
            item = getattr(module, name)
            path = f"wechatpay_chain{suffix}.{name}"
            is_alias = suffix != "" and hasattr(importlib.import_module("wechatpay_chain"), name)
            yield from [f"{path} is wechatpay_chain.{name}"] if is_alias else _describe(path, item)


def _describe(path: str, item: object) -> Iterator[str]:
    if not isinstance(item, type):
        yield f"{path}{_format_signature(item)}"
        return
    bases = ", ".join(base.__name__ for base in item.__bases__ if base is not object)
    yield f"class {path}({bases}){_format_signature(item)}"
    if issubclass(item, enum.Enum):
        yield from (f"  {member.name} = {member.value!r}" for member in item)
        return
    fields = {field.name for field in dataclasses.fields(item)} if dataclasses.is_dataclass(item) else set()
    members = {name: value for name, value in vars(item).items() if not name.startswith("_")}
    for name in sorted(fields - members.keys() - {name for name in fields if name.startswith("_")}):
        yield f"  {name}"
    for name, value in sorted(members.items()):
        inner = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
        yield f"  {name}{_format_signature(inner) if callable(inner) else ''}"


def _format_signature(item: object) -> str:
    try:
        signature = inspect.signature(item)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    kept = [parameter.replace(default=_stable_default(parameter)) for parameter in signature.parameters.values()
            if not parameter.name.startswith("_")]  # fmt: skip
    return str(signature.replace(parameters=kept))


class _Text:
    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _stable_default(parameter: inspect.Parameter) -> object:
    """Returns a default whose text is the same in every run."""
    default = parameter.default
    is_plain = (
        default is inspect.Parameter.empty or default is None or isinstance(default, (str, int, float, tuple, bool))
    )
    return default if is_plain else _Text("…")


if __name__ == "__main__":
    print("\n".join(lines()))

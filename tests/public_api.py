"""Prints the public API: every public name, its signature, and the public members of classes.

python -m tests.public_api > tests/data/public_api.txt
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
from collections.abc import Iterator

MODULES = ("", ".crypto", ".errors", ".middleware", ".sandbox", ".stores")


def lines() -> Iterator[str]:
    """Yields one line for each name and member."""
    for suffix in MODULES:
        module = importlib.import_module(f"wechatpay_chain{suffix}")
        for name in sorted(module.__all__):
            thing = getattr(module, name)
            place = f"wechatpay_chain{suffix}.{name}"
            is_ours = suffix == "" or not hasattr(importlib.import_module("wechatpay_chain"), name)
            yield from _described(place, thing) if is_ours else [f"{place} is wechatpay_chain.{name}"]


def _described(place: str, thing: object) -> Iterator[str]:
    if not isinstance(thing, type):
        yield f"{place}{_signature(thing)}"
        return
    bases = ", ".join(base.__name__ for base in thing.__bases__ if base is not object)
    yield f"class {place}({bases}){_signature(thing)}"
    if issubclass(thing, enum.Enum):
        yield from (f"  {member.name} = {member.value!r}" for member in thing)
        return
    fields = {field.name for field in dataclasses.fields(thing)} if dataclasses.is_dataclass(thing) else set()
    members = {name: value for name, value in vars(thing).items() if not name.startswith("_")}
    for name in sorted(fields - members.keys() - {name for name in fields if name.startswith("_")}):
        yield f"  {name}"
    for name, value in sorted(members.items()):
        inner = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
        yield f"  {name}{_signature(inner) if callable(inner) else ''}"


def _signature(thing: object) -> str:
    try:
        signature = inspect.signature(thing)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    kept = [parameter.replace(default=_shown(parameter)) for parameter in signature.parameters.values()
            if not parameter.name.startswith("_")]  # fmt: skip
    return str(signature.replace(parameters=kept))


class _Shown:
    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _shown(parameter: inspect.Parameter) -> object:
    """Returns a default whose text is the same in every run."""
    default = parameter.default
    is_plain = (
        default is inspect.Parameter.empty or default is None or isinstance(default, (str, int, float, tuple, bool))
    )
    return default if is_plain else _Shown("…")


if __name__ == "__main__":
    print("\n".join(lines()))

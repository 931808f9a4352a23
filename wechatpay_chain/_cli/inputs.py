"""Reads the arguments of commands that have a notation of their own."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

from wechatpay_chain._cli.outcome import Failure

__all__ = ["parse_members", "parse_pairs", "parse_seconds", "read_json", "read_text"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def read_text(source: str) -> bytes:
    """Returns what an argument stands for: `@FILE` for a file, `-` or `@-` for stdin, else the text itself.

    Raises:
        OSError: the file cannot be read.
        Failure: there is no such user, for a path that begins with ~.
    """
    if source in ("-", "@-"):
        return sys.stdin.buffer.read()
    if not source.startswith("@"):
        return source.encode(errors="surrogateescape")
    try:
        return Path(source[1:]).expanduser().read_bytes()
    except RuntimeError as error:
        raise Failure(f"{source[1:]!r}: {error}") from None


def read_json(option: str, source: str) -> Any:
    """Returns the JSON that an argument stands for; `read_text` has its notation.

    Args:
        option: the option, for the error.
        source: the argument.

    Raises:
        BadParameter: it is not JSON.
    """
    try:
        return json.loads(read_text(source))
    except RecursionError:
        fault = "it is nested too deeply"
    except UnicodeDecodeError:
        fault = "it is not UTF-8"
    except ValueError as error:
        fault = f"{error}{'' if source.startswith(('@', '-')) else '; a file is @FILE, and stdin is -'}"
    raise typer.BadParameter(f"expected JSON: {fault}", param_hint=option)


def parse_pairs(option: str, pairs: Iterable[str], separator: str = "=") -> list[tuple[str, str]]:
    """Returns pairs of a name and a text from `name=value`.

    Args:
        option: the option, for the error.
        pairs: the arguments.
        separator: what stands between a name and its value.

    Raises:
        BadParameter: one of them has no name or no separator.
    """
    split = [pair.partition(separator) for pair in pairs]
    for pair, (name, found, _) in zip(pairs, split, strict=True):
        if not name or not found:
            raise typer.BadParameter(f"came {pair!r}; expected name{separator}value", param_hint=option)
    return [(name, value) for name, _, value in split]


def parse_members(pairs: Iterable[str]) -> dict[str, Any]:
    """Returns members of a JSON object: `name=value` is a text, and `name:=value` is JSON, as in HTTPie.

    Raises:
        BadParameter: one of them is neither, or not JSON.
    """
    members: dict[str, Any] = {}
    for pair in pairs:
        ((name, value),) = parse_pairs("NAME=VALUE", [pair])
        key = name.removesuffix(":")
        members[key] = read_json(key, value) if name.endswith(":") else value
    return members


def parse_seconds(text: str) -> float:
    """Returns seconds: a number, or one with a unit, such as 90, 15m, 2h or 2d.

    Raises:
        BadParameter: it is something else.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)", text)
    if found is None:
        raise typer.BadParameter(f"came {text!r}; expected seconds, or a time such as 15m, 2h or 2d")
    return float(found[1]) * _UNITS[found[2] or "s"]

"""Makes the example of an operation: the six styles, and what the sandbox answers to exactly that call."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tools.site.calls import make_arguments
from tools.site.entries import Entry
from tools.site.preparations import find_preparation
from tools.site.stage import Stage
from tools.site.styles import STYLES, find_reader, write_style
from wechatpay_chain import Client, Response
from wechatpay_chain._catalogue.operations import Schema
from wechatpay_chain.sandbox import Sandbox

__all__ = ["SEED", "Example", "make_example_of", "prepare", "run_block", "write_files"]

SEED = 1
"""The seed of the sandbox, which makes the numbers that it assigns repeatable."""

_FILES = ("shop.jpg", "video.mp4", "file.pdf")


class Example(NamedTuple):
    """The example of an operation.

    Attributes:
        prepared: what was there before the call, in Chinese; empty if nothing had to be.
        styles: the blocks of code by style.
        status: the HTTP status of the response.
        body: the body of the response as it is shown; empty if there is none.
        content_type: the media type of the response.
    """

    prepared: str
    styles: dict[str, str]
    status: int
    body: str
    content_type: str


def write_files(folder: Path) -> None:
    """Writes the files that the examples of uploads read from the current folder."""
    for name in _FILES:
        (folder / name).write_bytes(b"a file of the sandbox")


def make_example_of(entry: Entry, sandbox: Sandbox, client: Client) -> Example:
    """Calls an operation with its example, and returns the example and the response.

    Args:
        entry: the operation.
        sandbox: a sandbox, which is reset.
        client: its client.

    Raises:
        APIError: the sandbox refuses the call.
    """
    arguments = prepare(entry, sandbox, client)
    styles = {style: write_style(entry, style, arguments) for style in STYLES}
    response = run_block(styles["同步纯链式"], client)["response"]
    words = find_preparation(entry.slug).words
    return Example(
        words, styles, response.status_code, _show(entry, response, sandbox), response.headers.get("Content-Type", "")
    )


def prepare(entry: Entry, sandbox: Sandbox, client: Client) -> dict[str, Any]:
    """Brings a sandbox into the state that a call needs, and returns the keywords of the call.

    Args:
        entry: the operation.
        sandbox: a sandbox, which is reset.
        client: its client.
    """
    sandbox.reset()
    return make_arguments(entry, find_preparation(entry.slug).prepare(Stage(sandbox, client)))


def run_block(code: str, client: Client) -> dict[str, Any]:
    """Runs a block of a page, and returns the names that it defines."""
    scope: dict[str, Any] = {"client": client, "__name__": "page"}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(code, "page", "exec"), scope)
    return scope


def _show(entry: Entry, response: Response, sandbox: Sandbox) -> str:
    """Returns the body of a response as JSON; an empty text if it is a file. An address of the sandbox is shown as the service's."""
    if find_reader(entry.operation) == ".xml()":
        value: Any = response.xml()
    elif "json" in response.headers.get("Content-Type", ""):
        schema = entry.operation.response
        value = _shorten(schema, response.json()) if schema else response.json()
    else:
        return ""
    shown = json.dumps(value, ensure_ascii=False, indent=2)
    return shown.replace(sandbox.base_url, "https://api.mch.weixin.qq.com/")


def _shorten(schema: Schema, value: Any) -> Any:
    """Returns a value with the beginnings of its ciphertexts, which are 344 characters and say nothing."""
    match schema["type"], value:
        case "object", dict():
            members: Mapping[str, Schema] = schema["properties"]
            return {name: _shorten(members[name], each) if name in members else each for name, each in value.items()}
        case "array", list():
            return [_shorten(schema["items"], each) for each in value]
        case "string", str() if schema.get("encrypted"):
            return f"{value[:16]}…"
    return value

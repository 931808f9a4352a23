"""What commands print: short lines with colours, or JSON. Rich leaves the colours out of pipes and with NO_COLOR."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wechatpay_chain._cli.outcome import Failure, Status

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["AsJson", "make_console", "print_json", "print_line", "print_table"]

# Unicode: the categories Cc, without tab and line feed, and the marks and overrides of direction.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
"""The option of a command that prints lines for people."""


def make_console(*, stderr: bool = False) -> Console:
    """Returns the console of this process's output, as it is now."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def print_line(*parts: tuple[str, str] | str, stderr: bool = False) -> None:
    """Prints a line. Texts of others are no markup, and their control characters do nothing.

    Args:
        *parts: texts, or pairs of a text and its style.
        stderr: True for the error output.
    """
    from rich.text import Text

    plain = [(part, "") if isinstance(part, str) else part for part in parts]
    line = Text.assemble(*((_escape(text), style) for text, style in plain))
    with _writing():
        make_console(stderr=stderr).print(line)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints a table. Its texts are no markup either.

    Args:
        columns: the names at the top.
        rows: the cells of each row.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns)
    for row in rows:
        table.add_row(*(Text(_escape(cell)) for cell in row))
    with _writing():
        make_console().print(table)


def print_json(value: Any) -> None:
    """Prints a value as JSON, with colours on a terminal."""
    from rich.highlighter import JSONHighlighter
    from rich.text import Text

    text = Text(_escape(json.dumps(value, ensure_ascii=False, indent=2)))
    with _writing():
        make_console().print(JSONHighlighter()(text))
        sys.stdout.flush()


def _escape(text: str) -> str:
    """Writes the characters that steer a terminal or turn the direction of a line as escapes, as JSON writes them."""
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


@contextmanager
def _writing() -> Iterator[None]:
    """Turns a failure to write, such as that of a full disk, into an error that does not say that nothing was sent."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Failure(f"the output cannot be written: {error.strerror}", Status.UNKNOWN) from None

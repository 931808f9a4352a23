"""What commands print: short lines with colours, or JSON. Rich leaves the colours out of pipes and with NO_COLOR."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wechatpay_chain._cli.outcome import Failure, Status

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["AsJson", "make_console", "print_json", "print_line"]

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
    from rich.control import strip_control_codes
    from rich.text import Text

    plain = [(part, "") if isinstance(part, str) else part for part in parts]
    line = Text.assemble(*((strip_control_codes(text).replace("\x1b", ""), style) for text, style in plain))
    with _writing():
        make_console(stderr=stderr).print(line)


def print_json(value: Any) -> None:
    """Prints a value as JSON, with colours on a terminal."""
    with _writing():
        make_console().print_json(json.dumps(value, ensure_ascii=False), ensure_ascii=False)
        sys.stdout.flush()


@contextmanager
def _writing() -> Iterator[None]:
    """Turns a failure to write, such as that of a full disk, into an error that does not say that nothing was sent."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Failure(f"the output cannot be written: {error.strerror}", Status.UNKNOWN) from None

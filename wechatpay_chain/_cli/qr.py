"""The command `qr`: shows a text as a QR code in the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from wechatpay_chain._cli.console import AsJson, print_json
from wechatpay_chain._cli.outcome import Failure

if TYPE_CHECKING:
    import segno

__all__ = ["print_qr", "qr"]


def qr(
    text: Annotated[str, typer.Argument(help="The text, such as the code_url of an order.")], as_json: AsJson = False
) -> None:
    """Shows a text as a QR code."""
    if as_json:
        print_json({"text": text, "rows": ["".join(map(str, row)) for row in _make(text).matrix]})
    else:
        print_qr(text)


def print_qr(text: str) -> None:
    """Prints a text as a QR code, two rows on each line.

    Raises:
        Failure: the text is too long.
    """
    code = _make(text)
    try:
        "\u2580\u2588".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:  # blocks that the encoding of the output lacks
        border = [[0] * (len(code.matrix) + 4)] * 2
        rows = [*border, *([0, 0, *row, 0, 0] for row in code.matrix), *border]
        print("\n".join("".join("##" if bit else "  " for bit in row) for row in rows))
        return
    code.terminal(out=sys.stdout, compact=True)


def _make(text: str) -> segno.QRCode:
    import segno

    if not text:
        raise Failure("a QR code cannot be empty; expected 1 to about 1,000 characters")
    try:
        return segno.make_qr(text)
    except UnicodeEncodeError:
        raise Failure("the text is not valid UTF-8") from None
    except ValueError:
        raise Failure(f"a QR code cannot have {len(text)} characters; expected 1 to about 1,000") from None

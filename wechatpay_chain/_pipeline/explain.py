"""Explains a 401: shows the message that was signed, the message that the service verified, and where they differ.

The values of path variables and of the query are hidden in both: they are openids, numbers and download tokens. Of the body, only
as much is shown as the service itself shows: https://pay.weixin.qq.com/doc/v3/merchant/4012072670
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote_plus

from wechatpay_chain._messages.redaction import HIDDEN, LONGEST_TEXT, hide_values, quote
from wechatpay_chain._messages.request import Request
from wechatpay_chain._schemes.canonical import parse_authorization, request_message

__all__ = ["explain_signature", "hidden_values"]

SHOWN_OF_BODY = 8
"""Bytes of a body that are shown, about as many as the service shows."""

LONGEST_MESSAGE = 2 * LONGEST_TEXT
"""Characters of a message that are shown."""

MIN_HIDDEN = 4
"""Characters of the shortest value that is hidden wherever it appears."""

# A parameter of a query, in any form in which the service repeats it.
_PARAMETER = re.compile(r"([?&][\w.\[\]%-]{1,64}=)[^&\s\\'\"]+")

_LINES = ("method", "path or query", "timestamp", "nonce", "body")


def explain_signature(request: Request, reported: object) -> str:
    """Shows the message that was signed, the message that the service verified, and the first line that differs.

    Args:
        request: the request as it was sent.
        reported: `sign_information` of the response, of any type.
    """
    credentials = parse_authorization(request.headers.get("Authorization", ""))
    timestamp, nonce = credentials.get("timestamp", ""), credentials.get("nonce_str", "")
    head = request_message(request.method, request.target, timestamp, nonce, "").decode()[:-1]
    report = reported if isinstance(reported, dict) else {}
    theirs = report.get("truncated_sign_message")
    theirs = theirs[: len(head) + SHOWN_OF_BODY + 1] if isinstance(theirs, str) else ""
    of_body = request.body.decode(errors="replace")[: min(max(len(theirs) - len(head), 0), SHOWN_OF_BODY)]
    said = f"\n  we signed, {len(head.encode()) + len(request.body) + 1} bytes: {_shown(f'{head}{of_body}{chr(10)}', request)}"
    if not theirs:
        return said
    length = report.get("sign_message_length")
    length = length if type(length) is int and 0 <= length < 1 << 63 else "unknown"
    said += f"\n  they verified, {length} bytes: {_shown(theirs, request)}"
    for name, line, other in zip(_LINES, (head + of_body).split("\n"), theirs.split("\n"), strict=False):
        if line != other and not (name == "body" and (line.startswith(other) or other.startswith(line))):
            return f"{said}\n  They differ in the {name}: something between the client and the service changes it."
    return f"{said}\n  They are the same, so private_key= is not the key of the certificate in serial=."


def _shown(message: str, request: Request) -> str:
    """Quotes a canonical message without the values in its path and its query."""
    path = request.target.partition("?")[0]
    message = _PARAMETER.sub(rf"\1{HIDDEN}", message.replace(path, f"/{request.template}"))
    return quote(hide_values(message, hidden_values(request), MIN_HIDDEN), LONGEST_MESSAGE)


def hidden_values(request: Request) -> set[str]:
    """Returns the values of a request's path variables and of its query, encoded and decoded."""
    values = set(_values(request))
    return values | {unquote_plus(value) for value in values}


def _values(request: Request) -> Iterator[str]:
    path, _, query = request.target.partition("?")
    written = set(request.template.split("/"))
    yield from (segment for segment in path.split("/") if segment not in written)
    yield from (parameter.partition("=")[2] for parameter in query.split("&"))

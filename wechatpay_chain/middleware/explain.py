"""Explains a 401: shows what was signed beside what the service says it verified, so that the difference can be seen.

Values of path variables and of the query are hidden in both: they are openids, numbers, and tokens that open files. Of the
body no more is shown than the service itself shows: https://pay.weixin.qq.com/doc/v3/merchant/4012072670
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote, unquote_plus

from wechatpay_chain.http import Request, parse_authorization, request_message
from wechatpay_chain.redaction import FEWEST, LONGEST_TEXT, hide_values, quote
from wechatpay_chain.template import hide_query

__all__ = ["explain_signature", "hidden_values"]

SHOWN_OF_BODY = 8
"""Bytes of a body that a message may repeat, which is about what the service repeats."""

LONGEST_MESSAGE = 2 * LONGEST_TEXT
"""Characters of each message that are shown."""


def explain_signature(request: Request, reported: object) -> str:
    """Shows the message that was signed, and the message that the service verified.

    Args:
        request: as it was sent.
        reported: the response's `sign_information`, whatever came there.
    """
    credentials = parse_authorization(request.headers.get("Authorization", ""))
    timestamp, nonce = credentials.get("timestamp", ""), credentials.get("nonce_str", "")
    path, mark, query = request.target.partition("?")
    shown_path = f"/{request.template}"
    head = request_message(request.method, request.target, timestamp, nonce, "")
    report = reported if isinstance(reported, dict) else {}
    theirs = report.get("truncated_sign_message")
    theirs = theirs if isinstance(theirs, str) else ""
    of_body = min(max(len(theirs.encode(errors="replace")) - len(head), 0), SHOWN_OF_BODY)
    ours = request_message(
        request.method, hide_query(f"{shown_path}{mark}{query}"), timestamp, nonce, request.body[:of_body]
    )
    we_signed = (
        f"\n  we signed, {len(head) + len(request.body)} bytes: {quote(ours.decode(errors='replace'), LONGEST_MESSAGE)}"
    )
    if not theirs:
        return we_signed
    length = report.get("sign_message_length")
    length = length if type(length) is int and 0 <= length < 1 << 63 else "unknown"
    # Of a text without an end, what is longer than ours holds nothing that was signed.
    theirs = theirs[: len(head) + SHOWN_OF_BODY].replace(path, shown_path)
    # What is shown of ours anyway stays as it is, although a value may be like it.
    known = "|".join(re.escape(part) for part in (shown_path, timestamp, nonce) if part)
    values = hidden_values(request)
    parts = re.split(f"({known})", theirs)
    parts[::2] = [hide_values(part, values, FEWEST) for part in parts[::2]]
    theirs = "".join(parts)
    return (
        f"{we_signed}\n  they verified, {length} bytes: {quote(theirs, LONGEST_MESSAGE)}"
        "\n  Where both are the same, the private key is not that of the certificate whose serial= was given."
    )


def hidden_values(request: Request) -> set[str]:
    """Collects the values of a request's path variables and of its query, as they were sent and as they read."""
    values = set(_values(request))
    return values | {unquote(value) for value in values} | {unquote_plus(value) for value in values}


def _values(request: Request) -> Iterator[str]:
    path, _, query = request.target.partition("?")
    written = set(request.template.split("/"))
    yield from (segment for segment in path.split("/") if segment and segment not in written)
    for parameter in query.split("&"):
        name, mark, value = parameter.partition("=")
        yield value if mark else name

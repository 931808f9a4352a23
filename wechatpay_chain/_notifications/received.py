"""Reads the headers and the body of a received request, in the form of any web framework or server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from numbers import Number
from typing import Any, NamedTuple, NoReturn, Protocol

from wechatpay_chain._messages.fields import is_field_name
from wechatpay_chain._messages.headers import Headers

__all__ = ["HeaderSource", "ReceivedHeaders", "read_body", "read_headers"]


class _Items(Protocol):
    def items(self) -> Iterable[tuple[Any, Any]]: ...


HeaderSource = _Items | Iterable[Any] | str | bytes
"""Headers in any form that servers use.

An object with `items()`, such as a dict, a framework's own headers or a WSGI environ; pairs of name and value, as in
ASGI; a str or bytes of header lines or JSON. Names and values may be str or bytes; values may also be numbers or lists
of values.
"""


class ReceivedHeaders(NamedTuple):
    """The headers of a received request that matter for a notification.

    Attributes:
        fields: the headers that have one value.
        repeated: the names of the signature's headers that have several different values.
        is_empty: whether the request had no headers at all.
    """

    fields: Headers
    repeated: frozenset[str]
    is_empty: bool


_NAMES = {
    "wechatpaytimestamp": "Wechatpay-Timestamp",
    "wechatpaynonce": "Wechatpay-Nonce",
    "wechatpaysignature": "Wechatpay-Signature",
    "wechatpayserial": "Wechatpay-Serial",
    "wechatpaysignaturetype": "Wechatpay-Signature-Type",
    "requestid": "Request-ID",
}
# A server may join the values of a repeated header with commas. These headers never contain a comma; a nonce could.
_WITHOUT_COMMA = ("Wechatpay-Timestamp", "Wechatpay-Signature", "Wechatpay-Serial", "Wechatpay-Signature-Type")

_EXPECTED = (
    "expected the headers of the request: a mapping, pairs of name and value, a WSGI environ, or a str of header lines "
    "(request.headers in Django, Flask, FastAPI and aiohttp)"
)


def read_body(body: object) -> bytes:
    """Returns a body as bytes.

    Raises:
        TypeError: the body is not bytes.
    """
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    raise TypeError(
        f"body: came a {type(body).__name__}; expected the raw bytes of the request, because they are what is signed "
        "(request.body in Django, request.get_data() in Flask, await request.body() in FastAPI, await request.read() "
        "in aiohttp)"
    )


def read_headers(source: HeaderSource) -> ReceivedHeaders:
    """Reads the headers that matter for a notification.

    Args:
        source: the headers. Names are case-insensitive, and may have the form of WSGI: `HTTP_WECHATPAY_SERIAL`.

    Raises:
        TypeError: the form of the source or of one of these headers is not supported.
    """
    found: dict[str, set[str]] = {}
    pairs = [(_normalize_name(name), value) for name, value in _iterate_pairs(source)]
    try:
        for plain, value in pairs:
            if name := _NAMES.get(plain):
                found.setdefault(name, set()).update(_read_values(name, value))
    except RecursionError:
        _refuse("a value that contains itself")
    if not found:
        _refuse_container(source, pairs)
    return ReceivedHeaders(
        Headers({name: next(iter(values)) for name, values in found.items() if len(values) == 1}),
        frozenset(name for name, values in found.items() if len(values) > 1 and name != "Request-ID"),
        not pairs,
    )


def _refuse(came: str, expected: str = _EXPECTED) -> NoReturn:
    raise TypeError(f"headers: came {came}; {expected}") from None


def _iterate_pairs(source: Any) -> Iterator[tuple[object, object]]:
    kind = f"a {type(source).__name__}"
    if isinstance(source, (bytes, bytearray, memoryview)):
        source = bytes(source).decode("latin-1")
    if isinstance(source, str):
        source = _parse_text(source)
    if isinstance(source, type):
        _refuse(f"the class {source.__name__}")
    if hasattr(source, "headers"):
        _refuse(f"a {type(source).__name__}; pass its .headers")
    try:
        iterator = iter(source.items() if hasattr(source, "items") else source)
    except TypeError:
        _refuse(kind)
    for item in iterator:
        if isinstance(item, Mapping) and "value" in item and ("name" in item or "key" in item):
            yield item.get("name", item.get("key")), item["value"]
        elif isinstance(item, (tuple, list)) and len(item) == 2:
            yield item[0], item[1]
        else:
            _refuse(f"{kind} of {type(item).__name__}")


def _parse_text(text: str) -> Any:
    """Parses JSON, or the pairs of header lines."""
    if text.lstrip().startswith(("{", "[")):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            _refuse("a str that starts like JSON and is not valid")
    head = re.split(r"\r?\n[ \t]*\r?\n", text.strip())[0]
    lines = [line for line in re.split(r"\r\n|\r|\n", head) if line]
    if lines and re.fullmatch(r"[A-Z]+ \S+ HTTP/[0-9.]+", lines[0]):
        del lines[0]
    pairs = [line.partition(":")[::2] for line in lines]
    if not all(":" in line for line in lines) or not all(is_field_name(name.strip()) for name, _ in pairs):
        _refuse("a str that is neither header lines nor JSON")
    return pairs


def _normalize_name(name: object) -> str:
    """Returns a header name in one spelling for all servers: `HTTP_WECHATPAY_SERIAL` becomes `wechatpayserial`."""
    if isinstance(name, (bytes, bytearray, memoryview)):
        name = bytes(name).decode("latin-1")
    if not isinstance(name, str):
        _refuse(f"a name that is a {type(name).__name__}")
    return re.sub("[_-]", "", name.removeprefix("HTTP_").strip().lower())


def _read_values(name: str, value: object) -> Iterator[str]:
    """Yields the values of a header as str. None is no value."""
    if value is None:
        return
    if isinstance(value, (bytes, bytearray, memoryview)):
        value = bytes(value).decode("latin-1")
    if isinstance(value, str):
        yield from (text.strip(" \t\r\n") for text in (value.split(",") if name in _WITHOUT_COMMA else [value]))
    elif isinstance(value, Mapping) and "value" in value:
        yield from _read_values(name, value["value"])
    elif isinstance(value, Iterable) and not isinstance(value, Mapping):
        for one in value:
            yield from _read_values(name, one)
    elif (text := _format_integer(value)) is not None:
        yield text
    else:
        _refuse(f"a {type(value).__name__} as the value of {name}", "expected a str, bytes or an integer")


def _format_integer(value: Any) -> str | None:
    """Returns the digits of an integer such as 1712345678 or 1712345678.0; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, Number):
        return None
    try:
        integer = int(value)  # type: ignore[call-overload]
        return str(integer) if integer == value else None
    except (TypeError, ValueError, OverflowError):  # in this order: complex; NaN or too many digits; infinity
        return None


def _refuse_container(source: object, pairs: Iterable[tuple[str, object]]) -> None:
    """Raises a TypeError for an object that contains headers at a deeper level: an ASGI scope, a Lambda event.

    Otherwise the error would blame a proxy for headers that are missing only at this level.
    """
    if (
        isinstance(source, Mapping) and "REQUEST_METHOD" in source
    ):  # a WSGI environ may contain nested values of any kind
        return
    for name, value in pairs:
        within = value if isinstance(value, (list, tuple)) else [value]
        if any(isinstance(one, (list, tuple)) or (isinstance(one, Mapping) and "value" not in one) for one in within):
            _refuse(f"a {type(source).__name__} that contains a {type(value).__name__} under {name[:40]!r}")

"""Encodes JSON bodies."""

from __future__ import annotations

import json

from wechatpay_chain._messages.faults import ArgumentError

__all__ = ["check_body", "encode_body", "encode_json"]


_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def encode_json(value: object, argument: str = "json", place: str = "") -> bytes:
    """Encodes a value as compact JSON in UTF-8: the bytes that are both signed and sent.

    Args:
        value: a JSON value.
        argument: the name of the argument that has the value, for the error.
        place: the path of the value inside the argument, for the error; empty for the argument itself.

    Raises:
        ArgumentError: the value contains something that JSON or UTF-8 cannot represent: NaN, an unpaired surrogate, an
            object of another type. The message says where it is, and what to write instead.
    """
    try:
        return _JSON.encode(value).encode()
    except (TypeError, ValueError, RecursionError):
        from wechatpay_chain._messages.json_faults import find_fault

        fault = find_fault(value, place) or f"{place or 'it'} cannot be written as JSON"
        raise ArgumentError(f"{argument}: {fault}") from None


def encode_body(value: object) -> bytes:
    """Encodes the body of a request: an object or a list, as JSON.

    Raises:
        ArgumentError: the value is neither a dict nor a list, or cannot be written as JSON.
    """
    check_body(value)
    return encode_json(value)


def check_body(value: object) -> None:
    """Checks that a body is an object or a list. No operation takes anything else.

    Raises:
        ArgumentError: the body is something else. A str or bytes is most often JSON already, and the message says so.
    """
    if isinstance(value, (dict, list, tuple)):
        return
    from wechatpay_chain._messages.json_faults import advise, name_kind

    is_text = isinstance(value, (str, bytes, bytearray, memoryview))
    advice = "the client encodes json= itself, so leave json.dumps out" if is_text else advise(value)
    raise ArgumentError(f"json: came {name_kind(value)}; expected a dict or a list{advice and f'; {advice}'}")

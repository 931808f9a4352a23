"""Writes JSON bodies."""

from __future__ import annotations

import json

from wechatpay_chain._messages.faults import ArgumentError

__all__ = ["body_bytes", "check_body", "json_bytes"]


_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def json_bytes(value: object, argument: str = "json", place: str = "") -> bytes:
    """Writes a value as compact JSON in UTF-8, the bytes that are both signed and sent.

    Args:
        value: what JSON can write.
        argument: the name of the argument that it came in, for the error.
        place: where it stands in there; empty for the argument itself.

    Raises:
        ArgumentError: the value holds what JSON or UTF-8 cannot write: NaN, half of a surrogate pair, an object. The
            message says where, and what to write instead.
    """
    try:
        return _JSON.encode(value).encode()
    except (TypeError, ValueError, RecursionError):
        from wechatpay_chain._messages.json_faults import find_fault

        fault = find_fault(value, place) or f"{place or 'it'} holds what JSON cannot write"
        raise ArgumentError(f"{argument}: {fault}") from None


def body_bytes(value: object) -> bytes:
    """Writes the body of a request: an object or a list, as JSON.

    Raises:
        ArgumentError: the value is neither a dict nor a list, or holds what JSON cannot write.
    """
    check_body(value)
    return json_bytes(value)


def check_body(value: object) -> None:
    """Sees to it that a body is an object or a list; no operation takes another.

    Raises:
        ArgumentError: it is not. For a text the reason is most often that it is JSON already.
    """
    if isinstance(value, (dict, list, tuple)):
        return
    from wechatpay_chain._messages.json_faults import advise, name_kind

    is_text = isinstance(value, (str, bytes, bytearray, memoryview))
    advice = "json= is written as JSON by the client, so leave json.dumps out" if is_text else advise(value)
    raise ArgumentError(f"json: came {name_kind(value)}; expected a dict or a list{advice and f'; {advice}'}")

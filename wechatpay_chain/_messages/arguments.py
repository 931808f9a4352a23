"""Parses arguments that both a client and a call take."""

from __future__ import annotations

from typing import Any, TypeGuard

from wechatpay_chain._messages.faults import ArgumentError
from wechatpay_chain._messages.request import Timeout

__all__ = ["parse_bool", "parse_download_timeout", "parse_timeout"]

MAX_SECONDS = 10**6
"""The longest timeout. The timers of every operating system support it."""

TOTAL = 60.0
"""Default total timeout of one attempt, in seconds."""


def parse_timeout(timeout: object) -> Timeout:
    """Parses a timeout: one number, (connect, read), or (connect, read, total).

    Args:
        timeout: seconds. One number sets connect and read. The default of total is 60, or connect + read if more.

    Raises:
        ArgumentError: the timeout is not valid.
    """
    figures: tuple[Any, ...] = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    if len(figures) in (2, 3) and all(map(_is_seconds, figures)):
        connect, read, *total = (float(figure) for figure in figures)
        return Timeout(connect, read, total[0] if total else max(TOTAL, connect + read))
    raise ArgumentError(
        f"timeout: came {timeout!r}; expected seconds above 0 and up to a million, or (connect, read) or (connect, "
        "read, total) of them: to connect, to wait for the next bytes, and for the whole attempt"
    )


def parse_download_timeout(timeout: object, default: Timeout) -> Timeout:
    """Parses the timeout of a download, which has no total unless three numbers are given.

    Args:
        timeout: as for `parse_timeout`; None for the default, without its total.
        default: the timeout of the client.

    Raises:
        ArgumentError: the timeout is not valid.
    """
    if timeout is None:
        return default._replace(total=None)
    has_total = isinstance(timeout, tuple) and len(timeout) == 3
    parsed = parse_timeout(timeout)
    return parsed if has_total else parsed._replace(total=None)


def parse_bool(name: str, value: object) -> bool:
    """Returns a value that must be True or False; truthy values of other types are refused.

    Args:
        name: of the argument, for the error.
        value: what the caller passed.

    Raises:
        ArgumentError: the value is not a bool.
    """
    if isinstance(value, bool):
        return value
    raise ArgumentError(f"{name}: came {value!r}; expected True or False")


def _is_seconds(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= MAX_SECONDS

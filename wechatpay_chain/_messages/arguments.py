"""Arguments that both a client and a call have."""

from __future__ import annotations

from typing import Any, TypeGuard

from wechatpay_chain._messages.faults import ArgumentError
from wechatpay_chain._messages.request import Timeout

__all__ = ["parse_bool", "parse_download_timeout", "parse_timeout"]

MOST_SECONDS = 10**6
"""What the timers of every system can count."""

TOTAL = 60.0
"""Seconds that an attempt may take, if nothing else is set."""


def parse_timeout(timeout: object) -> Timeout:
    """Parses a timeout: one number, (connect, read), or (connect, read, total).

    Args:
        timeout: seconds. One number is for connect and for read. The default of total is 60, or connect + read if that is more.

    Raises:
        ArgumentError: it is something else.
    """
    figures: tuple[Any, ...] = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    if len(figures) in (2, 3) and all(map(_is_seconds, figures)):
        connect, read, *total = (float(figure) for figure in figures)
        return Timeout(connect, read, total[0] if total else max(TOTAL, connect + read))
    raise ArgumentError(
        f"timeout: came {timeout!r}; expected seconds above 0 and up to a million, or (connect, read) or (connect, read, "
        "total) of them: to connect, to wait for the next bytes, and for the whole attempt"
    )


def parse_download_timeout(timeout: object, default: Timeout) -> Timeout:
    """Parses the timeout of a download, which has no total unless there are three numbers.

    Args:
        timeout: as for `parse_timeout`; None for the default, without its total.
        default: the timeout of the client.
    """
    if timeout is None:
        return default._replace(total=None)
    has_total = isinstance(timeout, tuple) and len(timeout) == 3
    parsed = parse_timeout(timeout)
    return parsed if has_total else parsed._replace(total=None)


def parse_bool(name: str, value: object) -> bool:
    """Returns True or False; nothing else is taken as one of them.

    Raises:
        ArgumentError: it is something else.
    """
    if isinstance(value, bool):
        return value
    raise ArgumentError(f"{name}: came {value!r}; expected True or False")


def _is_seconds(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= MOST_SECONDS

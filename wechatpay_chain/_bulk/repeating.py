"""Tells whether a call can be made again without being acted on twice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["is_repeatable"]

# By such a number of the merchant's own, the service recognizes a call: with the same parameters, it returns the first result again.
# Source: https://pay.weixin.qq.com/doc/v3/merchant/4012081709
_OWN_NUMBER = re.compile(
    r"(combine_)?out_\w*(no|number)|\w*request_no|mch_billno|partner_trade_no|business_code", re.ASCII
)


def is_repeatable(method: str, arguments: Mapping[str, Any]) -> bool:
    """Tells whether a call can be made again without being acted on twice: a query, a PUT or a DELETE, or one with an own number.

    Args:
        method: the verb in upper case.
        arguments: the keywords of the verb.
    """
    if method in ("GET", "PUT", "DELETE"):  # RFC 9110, 9.2.2
        return True
    body = arguments.get("json") or arguments.get("xml") or {}
    named = {**arguments, **(body if isinstance(body, Mapping) else {})}
    return any(value for name, value in named.items() if _OWN_NUMBER.fullmatch(name))

"""Finds the rate limit of an operation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from wechatpay_chain.errors import ConfigurationError

__all__ = ["Rule", "Rules"]

MOST_KNOWN = 10_000
"""How many operations are remembered. A path with its variables filled in counts as one of its own."""

_ENTRY = re.compile(r"(?P<verb>\*|GET|POST|PUT|PATCH|DELETE) (?P<path>/\S+)")


class Rule(NamedTuple):
    """A limit, and what it is for.

    Attributes:
        group: the entry that it comes from, which names the counter.
        item: the limit, as the `limits` library has it; None for an operation without one.
    """

    group: str
    item: Any


class Rules:
    """The limits of all operations.

    Args:
        rates: the limits by operation; see `DOCUMENTED`.
        parse: parses a text that has limits.

    Raises:
        ConfigurationError: an entry is wrong.
    """

    def __init__(self, rates: Mapping[str, str], parse: Any) -> None:
        self._rules = [(*_compile(entry), Rule(entry, _parse(entry, text, parse))) for entry, text in rates.items()]
        # The more an entry says, the sooner it is asked: a path without wildcards first.
        self._rules.sort(key=lambda rule: (rule[2].group.count("*"), -len(rule[2].group)))
        self._known: dict[tuple[str, str], Rule] = {}

    def find(self, method: str, template: str) -> Rule:
        """Returns the rule of an operation.

        Args:
            method: the verb in upper case.
            template: the path template, without a leading slash.
        """
        known = self._known.get((method, template))
        if known is None:
            path = f"/{template.lstrip('/')}"
            matching = (
                rule for verb, pattern, rule in self._rules if verb in ("*", method) and pattern.fullmatch(path)
            )
            known = next(matching, Rule(f"{method} {path}", None))
            if len(self._known) < MOST_KNOWN:
                self._known[method, template] = known
        return known


def _compile(entry: str) -> tuple[str, re.Pattern[str]]:
    found = _ENTRY.fullmatch(entry)
    path = found["path"].removesuffix("/**") if found else "**"
    if found is None or "**" in path:
        raise ConfigurationError(
            f"rates: came {entry!r}; expected an operation such as 'GET /v3/refund/domestic/refunds/*'"
        )
    pattern = re.escape(path).replace(r"\*", "[^/]+")
    return found["verb"], re.compile(pattern if path == found["path"] else f"{pattern}/.+")


def _parse(entry: str, text: str, parse: Any) -> Any:
    try:
        (item,) = parse(text)
    except (ValueError, TypeError, AttributeError):
        item = None
    if item is None or item.amount < 1:
        raise ConfigurationError(f"rates: {entry!r} came with {text!r}; expected one limit such as '50/second'")
    return item

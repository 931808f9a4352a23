"""The addresses of WeChat Pay's own pages on operations, as far as they are known, in `official_pages.json`.

They are from the links at the ends of the pages of wechatpay.im, and from other public code that names the page of an operation. Addresses that begin with /wiki/ or /docs/ are of earlier forms of the
official documentation, which has no page with a newer address that is known.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from tools.site.entries import Entry

__all__ = ["list_official_pages", "read_official_pages"]

_FILE = Path(__file__).with_name("official_pages.json")
_LABELS = {
    r"/doc/v[23]/merchant/": "商户",
    r"/doc/v[23]/partner/": "合作伙伴",
    r"/(?:wiki|docs)/": "旧版文档",
}


@cache
def read_official_pages() -> dict[str, list[str]]:
    """Returns the addresses by method and path."""
    known: dict[str, list[str]] = json.loads(_FILE.read_text(encoding="utf-8"))
    return known


def list_official_pages(entry: Entry) -> list[tuple[str, str]]:
    """Returns the names and the addresses of an operation's official pages; those of one name are numbered.

    Raises:
        ValueError: an address has an unknown form.
    """
    by_label: dict[str, list[str]] = {}
    for address in read_official_pages().get(f"{entry.operation.method} {entry.operation.path}", []):
        by_label.setdefault(_name(address), []).append(address)
    return [
        (f"{label} {number}" if len(addresses) > 1 else label, address)
        for label, addresses in by_label.items()
        for number, address in enumerate(addresses, 1)
    ]


def _name(address: str) -> str:
    for pattern, label in _LABELS.items():
        if re.match(rf"https://pay\.weixin\.qq\.com{pattern}", address):
            return label
    raise ValueError(f"{address}: no name for an address of this form")

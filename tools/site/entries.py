"""The operations as the site lists them: each with its chain, the name of its page, its title and its product."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache

from tools.catalogue.tree import Place, grow
from tools.site.sections import SECTIONS, Section, find_section, name_product, rank_product
from wechatpay_chain._catalogue.operations import Operation
from wechatpay_chain._catalogue.v2_rule import V2Rule
from wechatpay_chain._catalogue.v2_rules import RULES as V2_RULES
from wechatpay_chain._chain.spelling import spell

__all__ = ["Entry", "find_entry", "group", "list_entries", "name_in_product"]


_TITLES = {
    "v3.bill.tradebill.get": "申请交易账单（对账单）",
    "v3.merchant.media.upload.post": "图片上传（文件上传）",
    "v3.pay.partner.transactions.out-trade-no.out_trade_no.close.post": "关闭订单（关单）",
    "v3.pay.transactions.out-trade-no.out_trade_no.close.post": "关闭订单（关单）",
}
"""Titles with the words that people use, where the documentation has others."""


@dataclass(frozen=True, eq=False)
class Entry:
    """An operation of the site.

    Attributes:
        operation: the operation.
        place: its place in the tree of paths, by which its types are named.
        verb: the verb of the chain.
        section: the section that it is in.
        product: the name of its product within the section.
    """

    operation: Operation
    place: Place
    verb: str
    section: Section
    product: str

    @property
    def slug(self) -> str:
        """The name of its page: the template, with dots between its segments, and the verb."""
        segments = [segment.strip("{}") or "empty" for segment in self.operation.template.split("/")]
        return ".".join((*segments, self.verb))

    @property
    def title(self) -> str:
        """The name in Chinese, as people search for it."""
        return _TITLES.get(self.slug) or self.operation.title.removesuffix("API") or self.operation.title

    @property
    def chain(self) -> str:
        """The expression that leads to it, by attributes where they can write it."""
        return f"client{spell(self.operation.template)}"

    @property
    def is_v2(self) -> bool:
        """Whether it is of APIv2."""
        return self.operation.api == "v2"

    @property
    def rule(self) -> V2Rule | None:
        """What the client adds to it, and how its response is judged; None if it is not of APIv2."""
        return V2_RULES[f"{self.operation.method} {self.operation.path}"] if self.is_v2 else None


@cache
def list_entries() -> tuple[Entry, ...]:
    """Returns all operations, in the order of their paths.

    Raises:
        ValueError: two pages have one name, or no section has an operation.
    """
    entries = tuple(
        Entry(operation, place, verb, find_section(operation), name_product(operation))
        for _, root in sorted(grow().items())
        for place in root.walk()
        for verb, operation in sorted(place.operations.items())
    )
    # A file system may not tell capitals apart.
    doubled = [slug for slug, count in Counter(entry.slug.lower() for entry in entries).items() if count > 1]
    if doubled:
        raise ValueError(f"{', '.join(doubled)}: two pages have this name; tell them apart in Entry.slug")
    return entries


def find_entry(slug: str) -> Entry:
    """Returns an operation by the name of its page.

    Raises:
        KeyError: there is no such page.
    """
    return _by_slug()[slug]


@cache
def _by_slug() -> dict[str, Entry]:
    return {entry.slug: entry for entry in list_entries()}


def group(entries: tuple[Entry, ...]) -> dict[Section, dict[str, list[Entry]]]:
    """Returns operations by section and product, in the order of the navigation."""
    found: dict[Section, dict[str, list[Entry]]] = {section: {} for section in SECTIONS}
    for entry in sorted(entries, key=lambda entry: rank_product(entry.operation)):
        found[entry.section].setdefault(entry.product, []).append(entry)
    return found


def name_in_product(entries: list[Entry]) -> dict[str, str]:
    """Returns the titles of a product's operations by slug, with the end of the path where two have one title."""
    by_title: dict[str, list[Entry]] = {}
    for entry in entries:
        by_title.setdefault(entry.title, []).append(entry)
    return {
        entry.slug: f"{title} ({end})" if end else title
        for title, same in by_title.items()
        for entry, end in zip(same, _tell_apart(same), strict=True)
    }


def _tell_apart(entries: list[Entry]) -> list[str]:
    """Returns the ends of paths that tell operations with one title apart; empty texts for a single one."""
    if len(entries) == 1:
        return [""]
    paths = [entry.operation.template.split("/") for entry in entries]
    for count in range(1, max(map(len, paths)) + 1):
        ends = ["/".join(segments[-count:]) for segments in paths]
        if len(set(ends)) == len(ends):
            return ends
    return [entry.verb for entry in entries]

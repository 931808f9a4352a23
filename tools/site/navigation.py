"""The navigation of both languages, and the files of configuration that have it."""

from __future__ import annotations

import json
from importlib.metadata import metadata
from typing import Any

from tools.site.entries import Entry, name_in_product
from tools.site.sections import Section

__all__ = ["GUIDES", "RECIPES", "REFERENCE", "write_chinese", "write_english"]

GUIDES = (
    "index.md",
    "getting-started.md",
    "chain.md",
    "types.md",
    "notifications.md",
    "apiv2.md",
    "brand.md",
    "sm2.md",
    "files.md",
    "middleware.md",
    "errors.md",
    "command-line.md",
    "sandbox.md",
    "testing.md",
    "performance.md",
    "fleet.md",
    "faq.md",
)
"""The guides of both languages, in their order. A new page in docs/zh and docs/en gets its place here."""

RECIPES = tuple(
    f"recipes/{name}.md"
    for name in (
        "index",
        "jsapi",
        "app",
        "h5",
        "native",
        "codepay",
        "combined",
        "paid-once",
        "query",
        "close",
        "refund",
        "transfer",
        "profit-sharing",
        "partner",
        "bills",
        "uploads",
        "complaints",
        "coupons",
        "public-key",
        "merchants",
        "deployment",
        "proxy",
        "signer",
        "logging",
        "from-wechatpayv3",
        "from-wechatpay-php",
        "from-wechatpay-axios-plugin",
    )
)
"""The recipes of both languages, those of a shop's flows first."""

REFERENCE = (
    "api.md",
    "api-errors.md",
    "api-middleware.md",
    "api-stores.md",
    "api-bills.md",
    "api-rates.md",
    "api-telemetry.md",
    "api-merchants.md",
    "api-crypto.md",
    "api-micropay.md",
    "api-types.md",
    "api-sandbox.md",
)
"""The pages of the API reference, in English only."""


def write_chinese(groups: dict[Section, dict[str, list[Entry]]]) -> str:
    """Returns the configuration of the site in Chinese."""
    operations: list[Any] = ["api/index.md"]
    for section, products in groups.items():
        pages: list[Any] = [f"api/{section.slug}.md"]
        for product, entries in products.items():
            names = name_in_product(entries)
            pages.append({product: [{names[entry.slug]: f"api/{entry.slug}.md"} for entry in entries]})
        operations.append({section.name: pages})
    operations.append("api/notifications.md")
    operations.append({"类型一览": [f"api/{section.types_slug}.md" for section in groups]})
    return _write(
        "../../mkdocs.zh.yml", "zh", "site", [{"指南": list(GUIDES)}, {"常用做法": list(RECIPES)}, {"接口": operations}]
    )


def write_english() -> str:
    """Returns the configuration of the site in English, in the folder `en` of the other one."""
    nav = [{"Guides": list(GUIDES)}, {"Recipes": list(RECIPES)}, "operations.md", {"API reference": list(REFERENCE)}]
    return _write("../../mkdocs.en.yml", "en", "site/en", nav)


def _write(inherited: str, docs: str, site: str, nav: list[Any]) -> str:
    configuration: dict[str, Any] = {"INHERIT": inherited, "docs_dir": docs, "site_dir": site, "nav": nav}
    if url := _find_repository():
        # Not repo_url: with it, each page asks the host of the repository how many people like it.
        configuration["extra"] = {"social": [{"icon": "fontawesome/brands/git-alt", "link": url}]}
    return json.dumps(configuration, ensure_ascii=False, indent=1)  # JSON is YAML


def _find_repository() -> str:
    """Returns the URL of the repository, which [project.urls] of pyproject.toml has; an empty text if it has none."""
    urls = (url.split(", ") for url in metadata("wechatpay-chain").get_all("Project-URL") or [])
    return next((url for name, url in urls if name in ("Repository", "Source")), "")

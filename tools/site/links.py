"""The links of the built site: `python -m tools.site.links FOLDER` finishes them, and checks that each leads somewhere.

A page of one language links to a page of the other one by `site:` and the path from the beginning of the site. The tools leave such a
link as it is, where each would change a relative one in its own way.
"""

from __future__ import annotations

import html
import posixpath
import re
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

__all__ = ["SITE", "find_broken_links", "finish_links"]

SITE = "site:"
"""Begins a link whose path is from the beginning of the site."""

# What a page shows has &quot; for a quote; a parser of HTML would take half a minute for all pages.
_LINK = re.compile(r'\s(?:href|src)="([^"]+)"')
_PLACE = re.compile(r'\s(?:id|name)="([^"]+)"')


class _Page(NamedTuple):
    """The links and the places of a page."""

    links: list[str]
    places: set[str]


def finish_links(site: Path) -> None:
    """Makes the links that begin with `site:` relative to their pages.

    Args:
        site: the folder of the built site.
    """
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        root = "../" * (len(page.relative_to(site).parts) - 1) or "./"
        finished = text.replace(f'href="{SITE}', f'href="{root}')
        if finished != text:
            page.write_text(finished, encoding="utf-8")


def find_broken_links(site: Path) -> list[str]:
    """Returns the links that lead nowhere, each with its page.

    Args:
        site: the folder of the built site.
    """
    files = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}

    @cache
    def parse(name: str) -> _Page:
        text = (site / name).read_text(encoding="utf-8")
        return _Page(sorted(set(_LINK.findall(text))), {"", *_PLACE.findall(text)})

    @cache
    def find(folder: str, path: str) -> str:
        """Returns the file that a path leads to from a folder; an empty text if there is none."""
        name = posixpath.normpath(posixpath.join(folder, unquote(path))).removeprefix("/")
        return next((each for each in (name, posixpath.normpath(f"{name}/index.html")) if each in files), "")

    def leads(page: str, link: str) -> bool:
        url = urlsplit(html.unescape(link))
        if url.scheme or url.netloc:
            return url.scheme != SITE.rstrip(":")
        target = find(posixpath.dirname(page), url.path) if url.path else page
        return bool(target) and (not target.endswith(".html") or unquote(url.fragment) in parse(target).places)

    return [
        f"{page}: {link}"
        for page in sorted(files)
        if page.endswith(".html")
        and not page.endswith("404.html")  # whose links begin at the address that was not found
        for link in parse(page).links
        if not leads(page, link)
    ]


def main(site: Path) -> int:
    """Finishes the links, and prints those that lead nowhere."""
    finish_links(site)
    broken = find_broken_links(site)
    for each in broken:
        print(f"{each} leads nowhere", file=sys.stderr)
    print(f"{sum(1 for _ in site.rglob('*.html'))} pages, {len(broken)} broken links")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

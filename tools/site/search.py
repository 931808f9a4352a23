"""Puts the index of the search in the order of the navigation: `python -m tools.site.search FOLDER`.

Of pages that fit a query alike, the search shows those first that stand first in the index, where Zensical has them by their names.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tools.site.entries import list_entries
from tools.site.sections import SECTIONS

__all__ = ["sort_index"]


def sort_index(site: Path) -> None:
    """Sorts the index of the site in Chinese: the guides, then the operations by section.

    Args:
        site: the folder of the built site.
    """
    path = site / "search.json"
    index = json.loads(path.read_text(encoding="utf-8"))
    ranks = {entry.slug: 1 + SECTIONS.index(entry.section) for entry in list_entries()}

    def rank(item: dict[str, str]) -> int:
        folder, _, page = item["location"].partition("/")
        return ranks.get(page.partition("/")[0], len(ranks)) if folder == "api" else 0

    index["items"].sort(key=rank)
    path.write_text(json.dumps(index, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    sort_index(Path(sys.argv[1]))

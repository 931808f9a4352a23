"""Writes everything that the site is built from: `python -m tools.site FOLDER`.

The folder gets zh/ and en/ with their pages, and zh.yml and en.yml, which Zensical and MkDocs read.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from tools.site import indexes, navigation
from tools.site.entries import Entry, group, list_entries
from tools.site.examples import SEED, Example, make_example_of, write_files
from tools.site.guides import copy_guides
from tools.site.page import write_page
from tools.site.styles import BROWSED
from tools.site.typed import list_type_names
from wechatpay_chain.sandbox import Sandbox


def main(folder: Path) -> None:
    """Writes the pages and the configuration."""
    entries = list_entries()
    groups = group(entries)
    for language in ("zh", "en"):
        shutil.rmtree(folder / language, ignore_errors=True)
        (folder / language).mkdir(parents=True)
    operations = folder / "zh" / "api"
    operations.mkdir()
    links = _list_links(entries)
    copy_guides("zh", folder / "zh", links)
    copy_guides("en", folder / "en", links)
    for section, products in groups.items():
        _write(operations / f"{section.slug}.md", indexes.write_section(section, products))
        _write(operations / f"{section.types_slug}.md", indexes.write_types(section, products))
    _write(operations / "index.md", indexes.write_index(groups))
    _write(operations / "notifications.md", indexes.write_notifications(entries))
    _write(folder / "en" / "operations.md", indexes.write_english_index(groups))
    _write(folder / "zh.yml", navigation.write_chinese(groups))
    _write(folder / "en.yml", navigation.write_english())
    examples = _make_examples(entries)
    for entry in entries:
        _write(operations / f"{entry.slug}.md", write_page(entry, examples.get(entry)))
    print(f"{len(entries)} pages of operations, {len(examples)} of them with the response of the sandbox: {folder}")


def _make_examples(entries: tuple[Entry, ...]) -> dict[Entry, Example]:
    """Returns the examples, which read their files from the current folder. A page that a browser opens has none."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as files, Sandbox(seed=SEED) as sandbox, sandbox.client(retry=None) as client:
        write_files(Path(files))
        os.chdir(files)
        try:
            called = [entry for entry in entries if entry.operation.path not in BROWSED]
            return {entry: make_example_of(entry, sandbox, client) for entry in called}
        finally:
            os.chdir(before)


def _list_links(entries: tuple[Entry, ...]) -> dict[str, str]:
    """Returns the names of pages by the code that names an operation: a type, or a method and a path."""
    links = {name: entry.slug for entry in entries for name in list_type_names(entry)}
    for entry in entries:
        for path in (entry.operation.path, entry.operation.template):
            links[f"{entry.operation.method} {path}"] = entry.slug
    return links


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())

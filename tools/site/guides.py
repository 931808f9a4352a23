"""Copies the guides into the folders that the site is built from."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tools.site.links import SITE

__all__ = ["copy_guides"]

DOCS = Path(__file__).parents[2] / "docs"


def copy_guides(language: str, folder: Path, links: dict[str, str]) -> None:
    """Copies the pages of a language, the examples, the style sheet and the script.

    Links that leave the folder of a language lead somewhere in the site, as they do in the repository. The name of a type and the
    method and path of an operation become links to the page of the operation.

    Args:
        language: zh or en.
        folder: where they are copied to.
        links: the pages of operations, by the code that names them.
    """
    for page in sorted((DOCS / language).rglob("*.md")):
        text = _link(_lead(page.read_text(encoding="utf-8")), links)
        copied = folder / page.relative_to(DOCS / language)
        copied.parent.mkdir(exist_ok=True)
        copied.write_text(text, encoding="utf-8")
    shutil.copytree(DOCS / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(DOCS / "assets", folder / "assets")


def _lead(text: str) -> str:
    """Returns a page whose links out of the folder of its language lead from the beginning of the site."""

    def write(link: re.Match[str]) -> str:
        language, page = link.groups()
        return f"]({SITE}{'en/' if language == 'en' else ''}{_address(page)}"

    text = re.sub(r"\]\((?:\.\./)+(en|zh)/([\w/-]+)\.md", write, text)
    # The examples and the other files are in both sites, the pages of operations in the Chinese one only.
    text = re.sub(r"\]\((?:\.\./)+(examples|assets)/", rf"]({SITE}\1/", text)
    return re.sub(r"\]\((?:\.\./)*api/([\w.-]+)\.md", lambda link: f"]({SITE}api/{_address(link[1])}", text)


def _address(page: str) -> str:
    """Returns the address of a page below the beginning of its site."""
    return page.removesuffix("index") if page.endswith("index") else f"{page}/"


def _link(text: str, links: dict[str, str]) -> str:
    """Returns a page with links from the code in its text; in blocks, headings and other links there are none."""

    def write(code: re.Match[str]) -> str:
        slug = links.get(code[1])
        return f"[{code[0]}]({SITE}api/{slug}/)" if slug else code[0]

    parts = re.split(r"(^```.*?^```$|^#[^\n]*$|\[[^\]]*\]\([^)]*\))", text, flags=re.DOTALL | re.MULTILINE)
    return "".join(part if index % 2 else re.sub(r"`([^`\n]+)`", write, part) for index, part in enumerate(parts))

"""MkDocs hooks: links that leave the folder of a language lead somewhere in the site, as they do on the repository's page."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.structure.files import File

EXAMPLES = Path(__file__).parent / "examples"


def on_files(files, config):
    for path in sorted(EXAMPLES.glob("*.py")):
        files.append(File.generated(config, f"examples/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, page, config, **_):
    root = "../" * (
        page.url.count("/") + (Path(config.docs_dir).name == "en")
    )  # from the page to the root of the site, which is Chinese

    def lead(link):
        language, name = link.groups()
        return "](" + (root + ("en/" if language == "en" else "") + ("" if name == "index" else f"{name}/") or "./")

    markdown = re.sub(r"\]\(\.\./((?:\.\./)*)examples/", r"](\1examples/", markdown)
    return re.sub(r"\]\((?:\.\./)+(en|zh)/([\w/-]+)\.md", lead, markdown)

"""MkDocs hooks: links that leave the folder of a language lead somewhere in the site, as they do on the repository's page."""

from __future__ import annotations

from pathlib import Path

from mkdocs.structure.files import File

EXAMPLES = Path(__file__).parent / "examples"


def on_files(files, config):
    for path in sorted(EXAMPLES.glob("*.py")):
        files.append(File.generated(config, f"examples/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, **_):
    return markdown.replace("](../examples/", "](examples/")

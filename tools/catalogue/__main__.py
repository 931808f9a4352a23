"""Writes the files that are derived from the facts.

python -m tools.catalogue --facts FOLDER    writes the table, from operations.json and notifications.json
python -m tools.catalogue                   writes everything else, from the table
python -m tools.catalogue --check           fails if a file is not what the table says
"""

from __future__ import annotations

import argparse
import lzma
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "wechatpay_chain"

TEXT = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0}]
"""How xz compresses text best."""


def small_modules() -> dict[str, str]:
    """Returns the modules of facts that every call needs, by their paths within the package."""
    from tools.catalogue import rules

    return {
        "_catalogue/irregular.py": rules.irregular(),
        "_catalogue/upload_rules.py": rules.upload_rules(),
        "_catalogue/v2_rules.py": rules.v2_rules(),
        "_catalogue/v2_segments.py": rules.v2_segments(),
    }


def types_and_nodes() -> dict[str, str]:
    """Returns the types and the stubs, by their paths within the package.

    Their names are found by asking the chain, so the small modules have to be there before this imports it.
    """
    from tools.catalogue import packages
    from tools.catalogue.events import Events
    from tools.catalogue.modules import products
    from tools.catalogue.tree import grow

    found = products(grow())
    files: dict[str, str] = {}
    roots = sorted({product.root for product in found})
    for root in roots:
        of_root = [product for product in found if product.root == root]
        if of_root[0].has_module:
            files |= {f"types/{root}/{product.name}.py": product.types() for product in of_root}
            files[f"types/{root}/__init__.py"] = packages.types_of_root(of_root)
        else:
            files[f"types/{root}.py"] = packages.module_of_root(of_root)
        files[f"_nodes/{root}.pyi"] = packages.nodes_of_root(of_root)
    events = Events()
    return files | {
        "types/notifications.py": events.types(),
        "_nodes/resources.pyi": events.stub(),
        "_nodes/__init__.pyi": packages.roots_of_nodes(roots),
        "_nodes/brackets.pyi": packages.brackets(found),
    }


def load_table() -> str:
    """Returns the text of the table that is there; an empty text if there is none."""
    path = PACKAGE / "_catalogue" / "table.xz"
    return lzma.decompress(path.read_bytes()).decode() if path.exists() else ""


def save_table(text: str) -> None:
    """Writes the table if its text is another one. Other versions of xz may compress the same text into other bytes."""
    if load_table() != text:
        (PACKAGE / "_catalogue" / "table.xz").write_bytes(lzma.compress(text.encode(), filters=TEXT))
        print("wechatpay_chain/_catalogue/table.xz")


def differing(files: dict[str, str]) -> list[str]:
    """Returns the files that are not there, or have another text."""
    paths = {name: PACKAGE / name for name in files}
    return [
        name for name, path in paths.items() if not path.exists() or path.read_text(encoding="utf-8") != files[name]
    ]


def write(files: dict[str, str]) -> None:
    """Writes the files that differ."""
    for name in differing(files):
        path = PACKAGE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[name], encoding="utf-8")
        print(f"wechatpay_chain/{name}")


def surplus(files: dict[str, str]) -> list[str]:
    """Returns the generated files that are there and should not be."""
    folders = (PACKAGE / "_nodes", *(path for path in (PACKAGE / "types").glob("*") if path.is_dir()))
    there = (path for folder in folders for path in folder.rglob("*") if path.suffix in (".py", ".pyi"))
    return sorted({path.relative_to(PACKAGE).as_posix() for path in there} - files.keys())


def main() -> int:
    """Writes or checks the files; see the docstring of this module."""
    parser = argparse.ArgumentParser(prog="python -m tools.catalogue")
    parser.add_argument("--facts", type=Path, metavar="FOLDER", help="write the table from the facts in this folder")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file differs")
    chosen = parser.parse_args()
    if chosen.facts:
        from tools.catalogue.facts import read_facts
        from tools.catalogue.table import write_table

        save_table(write_table(*read_facts(chosen.facts)))
        return 0
    if chosen.check:
        wrong = differing(small_modules()) or differing(files := types_and_nodes()) + surplus(files)
        for name in wrong:
            print(f"wechatpay_chain/{name}: it is not what the table says; run make catalogue", file=sys.stderr)
        return 1 if wrong else 0
    write(small_modules())
    write(files := types_and_nodes())
    for name in surplus(files):
        (PACKAGE / name).unlink()
        print(f"wechatpay_chain/{name} removed")
    return 0


if __name__ == "__main__":
    sys.exit(main())

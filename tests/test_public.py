"""Public names and their signatures do not change by accident."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import wechatpay_chain
from tests.public_api import lines

PINNED = Path(__file__).parent / "data" / "public_api.txt"


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="other Python versions print some types differently")
def test_public_names_and_signatures_are_those_on_file():
    """To change the API, run python -m tests.public_api > tests/data/public_api.txt and add a line to CHANGELOG.md."""
    assert list(lines()) == PINNED.read_text().splitlines()


def test_lazy_imports_public_names_and_type_imports_agree():
    assert sorted(wechatpay_chain._HOMES) == sorted(set(wechatpay_chain.__all__) - {"__version__"})
    source = Path(wechatpay_chain.__file__).read_text()
    typed = source[source.index("if TYPE_CHECKING:") : source.index("_HOMES = ")]
    for name, home in wechatpay_chain._HOMES.items():
        assert name in typed.partition(f"from wechatpay_chain.{home} import ")[2].partition("    from ")[0], name


def test_modules_without_an_underscore_are_public():
    root = Path(wechatpay_chain.__file__).parent
    public = {
        path.stem
        for path in root.iterdir()
        if not path.name.startswith("_") and (path.suffix == ".py" or path.is_dir())
    }
    assert public == {
        "bills",
        "crypto",
        "errors",
        "merchants",
        "micropay",
        "middleware",
        "pytest_plugin",
        "rates",
        "sandbox",
        "stores",
        "telemetry",
        "types",
    }
    assert {path.stem for path in (root / "sandbox").glob("*.py")} - {"__init__"} == {
        path.stem for path in (root / "sandbox").glob("_*.py")
    } - {"__init__"}

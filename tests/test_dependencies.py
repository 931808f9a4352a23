"""The package declares what it imports, with the lowest version that it works with."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import wechatpay_chain
from tests.lowest import NEEDED, NEEDED_BY_TESTS, constraint

PACKAGE = Path(wechatpay_chain.__file__).parent
TYPES_ALONE = {"typing_extensions"}
"""Imported for types alone, and part of every type checker."""


def imported(file: Path) -> set[str]:
    """The top-level modules that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def test_every_import_is_declared():
    found = set().union(*map(imported, PACKAGE.rglob("*.py")))
    assert {"requests", "aiohttp", "yarl", "urllib3"} <= found
    foreign = found - set(sys.stdlib_module_names) - {"wechatpay_chain"} - TYPES_ALONE
    assert foreign <= {requirement.name.replace("-", "_") for requirement in NEEDED}


@pytest.mark.parametrize("requirement", [*NEEDED, *NEEDED_BY_TESTS], ids=str)
def test_every_requirement_has_a_lowest_version(requirement):
    assert constraint(requirement).startswith(f"{requirement.name}==")


def test_constraints():
    assert constraint(Requirement("a>=1.2,<3")) == "a==1.2"
    assert constraint(Requirement("a-b>=1; python_version < '3.11'")) == 'a-b==1; python_version < "3.11"'
    for unbounded in ("a", "a<2", "a~=1.0", "a>=1,==1.1"):
        with pytest.raises(ValueError, match="expected one lower bound"):
            constraint(Requirement(unbounded))

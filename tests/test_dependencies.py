"""The package declares what it imports, with the lowest version that it works with."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import wechatpay_chain
from tests.lowest import EXTRAS, REQUIREMENTS, TEST_REQUIREMENTS, build_constraint

PACKAGE = Path(wechatpay_chain.__file__).parent
CALLED_BY_PYDANTIC = {"pydantic_core"}
"""Imported only in a method that pydantic calls."""


def find_imports(file: Path) -> set[str]:
    """Returns the top-level modules that a file imports, at any place in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def find_third_party_imports(file: Path) -> set[str]:
    return find_imports(file) - {*sys.stdlib_module_names, "tomllib"} - {"wechatpay_chain"} - CALLED_BY_PYDANTIC


def names_of(requirements: list[Requirement]) -> set[str]:
    return {requirement.name.replace("-", "_") for requirement in requirements}


def test_every_import_is_declared():
    imports = {file.relative_to(PACKAGE): find_third_party_imports(file) for file in PACKAGE.rglob("*.py")}
    assert imports.pop(Path("pytest_plugin.py")) == {"pytest"}  # pytest has it when it loads the plugin
    used = set().union(*imports.values())
    assert {"requests", "aiohttp", "yarl", "urllib3"} <= used
    declared = {
        "_cli": names_of([*REQUIREMENTS, *EXTRAS["cli"]]),
        "sandbox": names_of([*REQUIREMENTS, *EXTRAS["cli"], *EXTRAS["sandbox"]]),
        "_bills/frames.py": names_of(REQUIREMENTS)
        | {"pandas", "polars", "pyarrow"},  # whoever asks for a table has them
        "_bills/bill.py": names_of(REQUIREMENTS) | {"pandas", "polars", "pyarrow"},
        "telemetry.py": names_of(REQUIREMENTS) | {"opentelemetry"},  # of opentelemetry-api
        "_rates/limiter.py": names_of([*REQUIREMENTS, *EXTRAS["redis"]]),
        "_stores/redis_store.py": names_of([*REQUIREMENTS, *EXTRAS["redis"]]),
        "_schemes/sm2.py": names_of([*REQUIREMENTS, *EXTRAS["sm2"]]),
    }
    for file, names in imports.items():
        allowed = declared.get(file.as_posix()) or declared.get(file.parts[0]) or names_of(REQUIREMENTS)
        assert names <= allowed, file


@pytest.mark.parametrize("name", ["jsonschema-rs", "multipart", "segno"])
def test_a_sandbox_without_its_extra_says_what_to_install(name):
    program = f"import sys; sys.modules[{name.replace('-', '_')!r}] = None; import wechatpay_chain.sandbox"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.stderr.splitlines()[-1].endswith(
        f"ConfigurationError: the sandbox needs {name}: pip install 'wechatpay-chain[sandbox]'"
    )


def test_a_store_in_redis_without_its_extra_says_what_to_install():
    program = "import sys; sys.modules['redis'] = None; from wechatpay_chain.stores import RedisStore; RedisStore('redis://x')"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.stderr.splitlines()[-1].endswith(
        "ConfigurationError: redis: redis-py is not installed; pip install 'wechatpay-chain[redis]'"
    )


@pytest.mark.parametrize(
    "requirement",
    [*REQUIREMENTS, *EXTRAS["cli"], *EXTRAS["sandbox"], *EXTRAS["redis"], *EXTRAS["otel"], *TEST_REQUIREMENTS],
    ids=str,
)
def test_every_requirement_has_a_lowest_version(requirement):
    assert build_constraint(requirement).startswith(f"{requirement.name}==")


def test_a_constraint_is_the_lowest_version_of_a_requirement():
    assert build_constraint(Requirement("a>=1.2,<3")) == "a==1.2"
    assert build_constraint(Requirement("a-b>=1; python_version < '3.11'")) == 'a-b==1; python_version < "3.11"'
    for unbounded in ("a", "a<2", "a~=1.0", "a>=1,==1.1"):
        with pytest.raises(ValueError, match="expected one lower bound"):
            build_constraint(Requirement(unbounded))

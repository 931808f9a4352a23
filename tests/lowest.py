"""Prints the lowest allowed version of every dependency, as a constraints file for pip.

The versions are written only in pyproject.toml, for the package, for its extras and for its tests.
"""

from __future__ import annotations

import sys
from pathlib import Path

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    from pip._vendor import tomli as tomllib

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
REQUIREMENTS = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
EXTRAS = {
    extra: [
        each for each in map(Requirement, lines) if each.name != PROJECT["project"]["name"]
    ]  # an extra that it includes
    for extra, lines in PROJECT["project"]["optional-dependencies"].items()
}
TEST_REQUIREMENTS = [Requirement(line) for line in PROJECT["dependency-groups"]["test"]]


def build_constraint(requirement: Requirement) -> str:
    """Returns the constraint that allows only the lowest version of a requirement.

    Raises:
        ValueError: The requirement does not have exactly one lower bound.
    """
    bounds = [bound.version for bound in requirement.specifier if bound.operator in (">=", "==")]
    if len(bounds) != 1:
        raise ValueError(f"{requirement}: expected one lower bound, as in name>=1.0")
    marker = f"; {requirement.marker}" if requirement.marker else ""
    return f"{requirement.name}=={bounds[0]}{marker}"


if __name__ == "__main__":
    print(*map(build_constraint, [*REQUIREMENTS, *EXTRAS["cli"], *EXTRAS["sandbox"], *TEST_REQUIREMENTS]), sep="\n")

"""Installs a wheel in a new environment, as a user does, and takes an order from its payment to its refund there.

    python tests/installed.py FOLDER-WITH-THE-WHEEL

It needs nothing but Python, so that it runs on every system and version that the package supports.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

PROGRAM = Path(__file__).resolve().with_name("installed_program.py")


def main(folder: Path) -> None:
    (wheel,) = folder.glob("*.whl")
    with tempfile.TemporaryDirectory() as empty:
        environment = Path(empty) / "environment"
        venv.create(environment, with_pip=True)
        scripts = environment / ("Scripts" if os.name == "nt" else "bin")

        def run(program: str, *arguments: str | Path) -> None:
            subprocess.run([scripts / program, *arguments], check=True, cwd=empty)

        run("python", "-m", "pip", "--disable-pip-version-check", "--quiet", "install", f"{wheel.resolve()}[sandbox]")
        run("python", "-m", "pip", "--disable-pip-version-check", "check")
        run("wechatpay-chain", "--version")
        # Isolated: no module of this repository is found.
        run("python", "-I", "-X", "utf8", "-W", "error", PROGRAM)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

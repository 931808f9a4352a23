"""Installs a wheel in a new environment, as a user does, and takes an order from its payment to its refund there.

    python tests/installed.py FOLDER-WITH-THE-WHEEL
    python tests/installed.py FOLDER-WITH-THE-WHEEL alone

The second form installs the sdist alone, and the wheel with the command line alone, which do not depend on the Python.

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


class Environment:
    """A new environment.

    Args:
        folder: where it is made; programs run there.
        requirement: what is installed in it.
    """

    def __init__(self, folder: Path, requirement: str) -> None:
        venv.create(folder, with_pip=True)
        self._folder, self._scripts = folder, folder / ("Scripts" if os.name == "nt" else "bin")
        self.run("python", "-m", "pip", "--disable-pip-version-check", "--quiet", "install", requirement)
        self.run("python", "-m", "pip", "--disable-pip-version-check", "check")

    def run(self, program: str, *arguments: str | Path) -> None:
        subprocess.run([self._scripts / program, *arguments], check=True, cwd=self._folder)


def try_whole(folder: Path) -> None:
    """Tries the wheel with the extra `sandbox`."""
    (wheel,) = folder.glob("*.whl")
    with tempfile.TemporaryDirectory() as empty:
        whole = Environment(Path(empty) / "sandbox", f"{wheel.resolve()}[sandbox]")
        whole.run("wechatpay-chain", "--version")
        # Isolated: no module of this repository is found.
        whole.run("python", "-I", "-X", "utf8", "-W", "error", PROGRAM)


def try_alone(folder: Path) -> None:
    """Tries the wheel with the command line and no more, and the sdist with no extra."""
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as empty:
        cli = Environment(Path(empty) / "cli", f"{wheel.resolve()}[cli]")
        cli.run("wechatpay-chain", "operations", "POST", "v3/pay/transactions/native")
        cli.run("wechatpay-chain", "qr", "weixin://wxpay/bizpayurl?pr=1")
        bare = Environment(Path(empty) / "sdist", str(sdist.resolve()))
        bare.run(
            "python",
            "-I",
            "-W",
            "error",
            "-c",
            "from wechatpay_chain import Client; print(Client.__doc__.splitlines()[0])",
        )


if __name__ == "__main__":
    {"": try_whole, "alone": try_alone}["".join(sys.argv[2:])](Path(sys.argv[1]))

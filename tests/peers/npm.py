"""Packages of npm that tests and benchmarks run."""

from __future__ import annotations

import json
import shutil
import subprocess

__all__ = ["AXIOS_PLUGIN", "install", "run_script"]

AXIOS_PLUGIN = "wechatpay-axios-plugin@0.9.6"


def install(folder, *packages):
    """Installs packages into `node_modules` in a folder.

    Returns:
        Whether it did. It does not if the machine has no Node.js, or npm's registry cannot be reached.
    """
    if shutil.which("npm") is None or shutil.which("node") is None:
        return False
    command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(folder), *packages]
    return not subprocess.run(command, capture_output=True, check=False, timeout=120).returncode


def run_script(folder, name, value):
    """Runs a script of a folder with a value, which it reads as JSON from its standard input.

    Returns:
        The JSON that it prints.
    """
    process = subprocess.run(
        ["node", str(folder / name)], input=json.dumps(value), capture_output=True, text=True, timeout=60, check=False
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)

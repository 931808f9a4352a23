"""The program of Node.js that tests run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.peers.npm import AXIOS_PLUGIN, install

SCRIPTS = Path(__file__).parent


@pytest.fixture(scope="session", params=["the axios that it installs", "axios 1.8"])
def node(request, tmp_path_factory):
    """The folder of a program that has the plugin. axios 1.8 ends a multipart body with text after the last boundary."""
    fcntl = pytest.importorskip("fcntl", reason="the workers of a test run share one installation by a lock of Unix")
    temporary = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        temporary = temporary.parent  # which all workers share: one of them installs
    axios = ["axios@~1.8.2"] if request.param == "axios 1.8" else []
    folder = temporary / f"node-{request.param.replace(' ', '-')}"
    with (temporary / "node.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            folder.mkdir()
            for script in SCRIPTS.glob("*.js"):
                shutil.copy(script, folder)
            install(folder, AXIOS_PLUGIN, *axios)
    if not (folder / "node_modules").exists():
        pytest.skip(f"npm cannot install {AXIOS_PLUGIN} from its registry")
    return folder

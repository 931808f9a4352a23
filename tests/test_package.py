"""The package exports its public names and loads a library only when it needs it."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import wechatpay_chain


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30).stdout


def test_importing_the_package_loads_no_dependency():
    loaded = run("import sys, wechatpay_chain; print(*sys.modules)").split()
    assert not {"requests", "aiohttp", "cryptography", "uritemplate", "urllib3"} & {
        name.split(".")[0] for name in loaded
    }


@pytest.mark.parametrize(("verb", "absent"), [("get", "aiohttp"), ("get_async", "requests")])
def test_each_mode_loads_its_own_library(service, verb, absent):
    from tests.service import MCHID, PUBLIC_KEY_ID, SERIAL, private_pem, public_pem

    code = f"""
import asyncio, inspect, sys
from wechatpay_chain import Client, TransportError
client = Client(mchid={MCHID!r}, serial={SERIAL!r}, private_key={private_pem(service.merchant)!r},
                certs={{{PUBLIC_KEY_ID!r}: {public_pem(service.public_key)!r}}}, base_url="http://127.0.0.1:9/")
assert not {{"requests", "aiohttp"}} & set(sys.modules)
try:
    call = client.v3.x.{verb}
    asyncio.run(call()) if inspect.iscoroutinefunction(call) else call()
except TransportError:
    print({absent!r} in sys.modules)
"""
    assert run(code) == "False\n"


def test_public_names_can_be_imported_and_listed():
    assert sorted(wechatpay_chain.__all__) == wechatpay_chain.__all__
    assert dir(wechatpay_chain) == wechatpay_chain.__all__
    for name in wechatpay_chain.__all__:
        assert getattr(wechatpay_chain, name) is not None
    with pytest.raises(AttributeError, match="Nothing"):
        wechatpay_chain.Nothing  # noqa: B018
    assert run("from wechatpay_chain import *; print(Client.__module__)") == "wechatpay_chain._client\n"


def test_every_module_and_every_exported_name_has_a_docstring():
    for module in pkgutil.walk_packages(wechatpay_chain.__path__, "wechatpay_chain."):
        if module.name.endswith("__main__"):
            continue
        loaded = importlib.import_module(module.name)
        assert loaded.__doc__, module.name
        for name in getattr(loaded, "__all__", ()):
            exported = getattr(loaded, name)
            if callable(exported) and getattr(exported, "__module__", "").startswith("wechatpay_chain"):
                assert exported.__doc__, f"{module.name}.{name}"


def test_the_version_is_that_of_the_distribution():
    from importlib.metadata import version

    assert version("wechatpay-chain") == wechatpay_chain.__version__


def test_no_module_has_more_than_400_lines():
    """Keeps each module short enough to be read in one go."""
    root = Path(wechatpay_chain.__file__).parent
    lengths = {path.relative_to(root): len(path.read_text().splitlines()) for path in root.rglob("*.py")}
    assert not {str(path): lines for path, lines in lengths.items() if lines > 400}

"""The plugin for pytest gives each test a sandbox in its first state."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "test_shop.py"

SHOP = """
import asyncio
import pytest

ORDER = {
    "appid": "wx", "description": "d", "out_trade_no": "order-1", "notify_url": "https://a.example/", "amount": {"total": 1}
}


def place(client):
    return client.v3.pay.transactions.native.post(json={**ORDER, "mchid": client.mchid})


@pytest.mark.parametrize("run", range(3))
def test_each_test_begins_anew(wechatpay_sandbox, wechatpay_client, run):
    assert not wechatpay_sandbox.orders and not wechatpay_sandbox.history
    place(wechatpay_client)
    assert list(wechatpay_sandbox.orders) == ["order-1"]
    wechatpay_sandbox.advance(3600)
    wechatpay_sandbox.fault("500")
    wechatpay_sandbox.operation("GET", "/v3/certificates")(lambda request: {"data": []})


def test_awaited_calls(wechatpay_client):
    order = {**ORDER, "mchid": wechatpay_client.mchid}
    asyncio.run(wechatpay_client.v3.pay.transactions.native.post_async(json=order))
    assert len(wechatpay_client.v3.certificates.get().json()["data"]) == 1
"""


def run_pytest(folder, *arguments, settings=""):
    (folder / "test_shop.py").write_text(SHOP)
    (folder / "pytest.ini").write_text(f"[pytest]\n{settings}\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("arguments", [(), ("--numprocesses", "2")], ids=["alone", "xdist"])
def test_each_test_has_a_state_of_its_own(tmp_path, arguments):
    run = run_pytest(tmp_path, *arguments)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "4 passed" in run.stdout


def test_the_example_of_the_documentation_passes(tmp_path):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "pytest.ini", EXAMPLE]
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "1 passed" in run.stdout


def test_settings(tmp_path):
    assert (
        run_pytest(
            tmp_path, settings="wechatpay_sandbox_seed = 5\nwechatpay_sandbox_sign_with = certificate"
        ).returncode
        == 0
    )
    wrong = run_pytest(tmp_path, settings="wechatpay_sandbox_sign_with = nobody")
    assert wrong.returncode == 1
    assert "sign_with: came 'nobody'; expected public-key or certificate" in wrong.stdout


def test_the_plugin_imports_nothing_until_a_test_uses_it(tmp_path):
    code = textwrap.dedent(
        """
        import sys, wechatpay_chain.pytest_plugin
        print({"aiohttp", "requests", "cryptography", "jsonschema"} & set(sys.modules))
        """
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout == "set()\n"

"""A plugin for pytest: a sandbox and a client for each test.

    def test_an_order(wechatpay_sandbox, wechatpay_client):
        wechatpay_client.v3.pay.transactions.native.post(json={…})
        assert wechatpay_sandbox.orders["…"].trade_state == "NOTPAY"

pytest finds it by itself once the package is installed with its extra: `pip install 'wechatpay-chain[sandbox]'`. One server serves all
tests of a process, on the loopback interface, and each test gets it without a trace of the test before: no orders, no faults, no
added operations, and the clock at the real time.

Settings in pytest.ini or pyproject.toml: `wechatpay_sandbox_seed`, a number, makes the numbers that the service assigns the same in
every run; `wechatpay_sandbox_sign_with` is `public-key` or `certificate`, the key that signs every response.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from wechatpay_chain import Client
    from wechatpay_chain.sandbox import Sandbox

__all__ = ["pytest_addoption", "wechatpay_client", "wechatpay_sandbox"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declares the settings."""
    parser.addini(
        "wechatpay_sandbox_seed", "makes the numbers of the WeChat Pay sandbox the same in every run", default=""
    )
    parser.addini("wechatpay_sandbox_sign_with", "the key that signs: public-key or certificate", default="")


@pytest.fixture(scope="session")
def _wechatpay_server(pytestconfig: pytest.Config) -> Iterator[Sandbox]:
    # pytest loads this file in every project that has the package; what it needs is imported by tests that use it.
    from wechatpay_chain.sandbox import Sandbox

    seed, sign_with = pytestconfig.getini("wechatpay_sandbox_seed"), pytestconfig.getini("wechatpay_sandbox_sign_with")
    with Sandbox(seed=int(seed) if seed else None, sign_with=sign_with or None) as sandbox:
        yield sandbox


@pytest.fixture
def wechatpay_sandbox(_wechatpay_server: Sandbox) -> Iterator[Sandbox]:
    """A sandbox in its first state."""
    _wechatpay_server.reset()
    yield _wechatpay_server
    _wechatpay_server.reset()


@pytest.fixture
def wechatpay_client(wechatpay_sandbox: Sandbox) -> Iterator[Client]:
    """A client of the sandbox that does not retry, so that a test sees the effect of one attempt.

    For another one: `wechatpay_sandbox.client(…)`.
    """
    with wechatpay_sandbox.client(retry=None) as client:
        yield client

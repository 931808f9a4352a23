"""What the tests of the sandbox's flows share: its memory is empty at the start of each test."""

from __future__ import annotations

import pytest
import requests

from tests.shop import keep_shop
from wechatpay_chain.sandbox import Sandbox


@pytest.fixture(scope="module")
def shared_sandbox():
    with Sandbox(seed=1) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox):
    """Yields the sandbox. Whatever a test made of it, its state and its page can be asked for."""
    shared_sandbox.reset()
    yield shared_sandbox
    for view in ("state", "overview"):
        response = requests.get(f"{shared_sandbox.base_url}_sandbox/{view}", timeout=10)
        assert response.status_code == 200, response.text


@pytest.fixture
def client(sandbox):
    with sandbox.client(retry=None) as client:
        yield client


@pytest.fixture
def shop(client):
    with keep_shop(client.notifications.parse) as shop:
        yield shop

"""What the tests of the sandbox's flows share: its memory is empty at the start of each test."""

from __future__ import annotations

import pytest

from tests.shop import keep_shop
from wechatpay_chain.sandbox import Sandbox


@pytest.fixture(scope="module")
def shared_sandbox():
    with Sandbox(seed=1) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox):
    shared_sandbox.reset()
    return shared_sandbox


@pytest.fixture
def client(sandbox):
    with sandbox.client(retry=None) as client:
        yield client


@pytest.fixture
def shop(client):
    with keep_shop(client.notifications.parse) as shop:
        yield shop

"""The direct path through aiohttp's private surface, and the fall-back to a ClientSession where a version lacks it."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import client_proto, connector

from wechatpay_chain._transport import aiohttp_direct, aiohttp_pool, aiohttp_session


@pytest.fixture
def paths(monkeypatch):
    """Tells which way each call went."""
    aiohttp_direct.is_available.cache_clear()
    taken = []

    def watched(module, name, way):
        original = getattr(module, name)

        async def watch(*arguments, **options):
            taken.append(way)
            return await original(*arguments, **options)

        monkeypatch.setattr(module, name, watch)

    watched(aiohttp_pool, "send_direct", "direct")
    watched(aiohttp_session, "send_through_session", "session")
    yield taken
    aiohttp_direct.is_available.cache_clear()


def called(client) -> None:
    assert asyncio.run(client.v3.x.post_async(json={"a": 1})).status_code == 200


def test_this_version_has_the_surface(client, paths):
    called(client)
    assert paths == ["direct"]


class OtherHandler:
    def set_response_params(self, *, other):
        """As a later version could have it."""


class Demanding(aiohttp.ClientRequest):
    def __init__(self, method, url, *, params, response_params):
        raise AssertionError("no call may come here")


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        (client_proto, "ResponseHandler", OtherHandler),
        (client_proto, "ResponseHandler", None),
        (aiohttp, "ClientRequest", Demanding),
        (aiohttp.TCPConnector, "connect", lambda self, request, *, traces, timeout, more: None),
        (connector, "Connection", object),
        (aiohttp.TCPConnector, "connect", None),
    ],
)
def test_a_version_without_the_surface(module, name, value, paths, monkeypatch):
    monkeypatch.setattr(module, name, value)
    assert aiohttp_direct.is_available() is False


@pytest.mark.parametrize("member", ["set_response_params", "read", "force_close", "set_exception"])
def test_a_member_that_is_gone(member, client, paths, monkeypatch):
    """The calls of a user continue to work, through the session."""

    real = client_proto.ResponseHandler
    view = type("ResponseHandler", (), {name: value for name, value in vars(real).items() if name != member})
    monkeypatch.setattr(client_proto, "ResponseHandler", view)
    called(client)
    assert paths == ["session"]


def test_the_switch(client, paths, monkeypatch):
    monkeypatch.setenv("WECHATPAY_CHAIN_AIOHTTP_DIRECT", "0")
    called(client)
    assert paths == ["session"]

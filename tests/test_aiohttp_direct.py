"""The direct path uses private parts of aiohttp; without them, a call goes through a ClientSession."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import client_proto, connector

from wechatpay_chain._transport import aiohttp_direct, aiohttp_pool, aiohttp_session


@pytest.fixture
def paths(monkeypatch):
    """Yields a list that records which path each call takes: "direct" or "session"."""
    monkeypatch.delenv("WECHATPAY_CHAIN_AIOHTTP_DIRECT", raising=False)  # a lane of .ci/run sets it
    aiohttp_direct.is_available.cache_clear()
    taken = []

    def record(module, name, path):
        original = getattr(module, name)

        async def send(*arguments, **options):
            taken.append(path)
            return await original(*arguments, **options)

        monkeypatch.setattr(module, name, send)

    record(aiohttp_pool, "send_direct", "direct")
    record(aiohttp_session, "send_through_session", "session")
    yield taken
    aiohttp_direct.is_available.cache_clear()


def assert_call_succeeds(client) -> None:
    assert asyncio.run(client.v3.x.post_async(json={"a": 1})).status_code == 200


def test_the_installed_version_takes_the_direct_path(client, paths):
    assert_call_succeeds(client)
    assert paths == ["direct"]


class OtherHandler:
    def set_response_params(self, *, other):
        """Takes another parameter, as a later version could."""


class RequestWithMoreParameters(aiohttp.ClientRequest):
    def __init__(self, method, url, *, params, response_params):
        raise AssertionError("no call may construct it")


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        (client_proto, "ResponseHandler", OtherHandler),
        (client_proto, "ResponseHandler", None),
        (aiohttp, "ClientRequest", RequestWithMoreParameters),
        (aiohttp.TCPConnector, "connect", lambda self, request, *, traces, timeout, more: None),
        (connector, "Connection", object),
        (aiohttp.TCPConnector, "connect", None),
    ],
)
def test_a_version_with_other_private_parts_has_no_direct_path(module, name, value, paths, monkeypatch):
    monkeypatch.setattr(module, name, value)
    assert aiohttp_direct.is_available() is False


def remove_member(monkeypatch, module, name: str, member: str) -> None:
    """Makes a class of aiohttp seem to lack a member. aiohttp itself goes on using the real class."""
    members = {key: value for key, value in vars(getattr(module, name)).items() if key != member}
    monkeypatch.setattr(module, name, type(name, (), members))


@pytest.mark.parametrize("member", ["set_response_params", "read", "force_close", "set_exception", "should_close"])
def test_without_a_private_member_calls_go_through_the_session(member, client, paths, monkeypatch):
    remove_member(monkeypatch, client_proto, "ResponseHandler", member)
    assert_call_succeeds(client)
    assert paths == ["session"]


def test_a_connection_that_cannot_be_checked_is_not_reused(client, wire, paths, monkeypatch):
    """Bytes that arrived on it unasked would be taken for the next response."""
    remove_member(monkeypatch, client_proto, "ResponseHandler", "should_close")

    async def main():
        for _ in range(3):
            assert (await client.v3.x.post_async(json={})).status_code == 200

    asyncio.run(main())
    assert len({received.peer for received in wire.received}) == 3


def test_an_environment_variable_turns_the_direct_path_off(client, paths, monkeypatch):
    monkeypatch.setenv("WECHATPAY_CHAIN_AIOHTTP_DIRECT", "0")
    assert_call_succeeds(client)
    assert paths == ["session"]

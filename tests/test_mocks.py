"""Libraries that replace HTTP in other people's tests see our calls: none of them reaches the true service."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import aiohttp
import pytest
import requests
import requests_mock
import responses

from tests.service import PUBLIC_KEY_ID
from wechatpay_chain import APIError, Client, TransportError

TRUE = "https://api.mch.weixin.qq.com/"
NATIVE = f"{TRUE}v3/pay/transactions/native"
BODY = b'{"code_url": "weixin://wxpay/x"}'


@pytest.fixture
def shop(service):
    with Client(**service.settings(TRUE), proxies={}) as client:
        yield client


def order(client):
    return client.v3.pay.transactions.native.post(json={"mchid": client.mchid})


def test_responses_sees_calls(shop, service):
    with responses.RequestsMock() as mock:
        mock.post(NATIVE, body=BODY, headers=service.signed(BODY).headers)
        assert order(shop).json()["code_url"]
        (call,) = mock.calls
        assert call.request.headers["Wechatpay-Serial"] == PUBLIC_KEY_ID
        assert b"".join(call.request.body) == b'{"mchid":"1900007291"}'
    with responses.RequestsMock() as mock:
        with pytest.raises(TransportError):  # what it has no response for goes nowhere
            shop.v3.certificates.get()
        assert len(mock.calls) == 1


def test_an_error_of_a_mock_is_none_of_the_headers(shop):
    with responses.RequestsMock() as mock:
        mock.post(NATIVE, body=ValueError("boom"))
        with pytest.raises(TransportError):
            order(shop)


def test_requests_mock_sees_calls(shop, service):
    with requests_mock.Mocker() as mock:
        mock.post(NATIVE, content=BODY, headers=service.signed(BODY).headers)
        assert order(shop).json()["code_url"]
        assert mock.call_count == 1
        mock.get(f"{TRUE}v3/x", status_code=500, json={"code": "SYSTEM_ERROR"})
        with pytest.raises(APIError):
            shop.v3.x.get()
        with pytest.raises(TransportError):
            shop.v3.other.get()


def test_a_mock_sees_downloads(shop, tmp_path):
    with responses.RequestsMock() as mock:
        mock.get(f"{TRUE}v3/billdownload/file", body=b"a,b\r\n", auto_calculate_content_length=True)
        shop.download(f"{TRUE}v3/billdownload/file?token=x", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"a,b\r\n"


@pytest.mark.parametrize("own", [False, True])
def test_a_mock_sees_a_session_of_ones_own(service, own):
    session = requests.Session() if own else None
    with Client(**service.settings(TRUE), proxies={}, session=session) as client, responses.RequestsMock() as mock:
        mock.post(NATIVE, body=BODY, headers=service.signed(BODY).headers)
        assert order(client).json()["code_url"]


def test_a_mock_that_is_gone_sees_nothing(service, wire, client):
    with responses.RequestsMock(assert_all_requests_are_fired=False), pytest.raises(TransportError):
        client.v3.x.get()
    assert not wire.received
    assert client.v3.x.get().status_code == 200
    assert len(wire.received) == 1


def test_a_tracer_that_wraps_a_session_sees_calls(client, wire, monkeypatch):
    seen = []
    send = requests.Session.send

    def traced(self, request, **options):
        seen.append(request.url)
        return send(self, request, **options)

    monkeypatch.setattr(requests.Session, "send", traced)
    assert client.v3.x.get().status_code == 200
    assert client.v3.x.post(json={}).status_code == 200
    assert seen == [f"{wire.base_url}v3/x"] * 2
    assert len({received.peer for received in wire.received}) == 1, "connections are kept all the same"


def test_a_tracer_of_aiohttp_sees_calls(service, wire, monkeypatch):
    seen = []
    request, made = aiohttp.ClientSession._request, aiohttp.ClientSession.__init__

    async def traced(self, method, url, **options):
        seen.append(str(url))
        return await request(self, method, url, **options)

    async def main():
        async with Client(**service.settings(wire.base_url)) as client:
            return (await client.v3.x.get_async()).status_code

    with monkeypatch.context() as patch:
        patch.setattr(aiohttp.ClientSession, "_request", traced)
        assert asyncio.run(main()) == 200
    assert seen == [f"{wire.base_url}v3/x"]

    async def note(_session, _context, params):
        seen.append(str(params.url))

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(note)

    def with_trace(self, *arguments, **options):
        made(self, *arguments, **{**options, "trace_configs": [trace]})

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", with_trace)
    trace.freeze()
    assert asyncio.run(main()) == 200
    assert len(seen) == 2


def test_aioresponses_sees_calls(shop, service):
    aioresponses = pytest.importorskip("aioresponses").aioresponses

    async def main():
        with aioresponses() as mock:
            mock.post(NATIVE, body=BODY, headers=service.signed(BODY).headers)
            try:
                return (await shop.v3.pay.transactions.native.post_async(json={"mchid": shop.mchid})).json()
            finally:
                assert len(mock.requests) == 1

    if tuple(map(int, aiohttp.__version__.split(".")[:2])) >= (3, 14):
        # It cannot make a response for this version of aiohttp. The call fails, and reaches nobody.
        with pytest.raises(TransportError):
            asyncio.run(main())
    else:
        assert asyncio.run(main())["code_url"]


def test_a_patch_that_is_there_before_the_package():
    """Some tools patch requests before anything else is imported; that counts as a patch too."""
    program = """
import requests, sys
sent = requests.Session.send
def traced(self, request, **options):
    print("seen")
    return sent(self, request, **options)
requests.Session.send = traced
from tests.service import Service, Wire
from wechatpay_chain import Client
service = Service()
with Wire(lambda received: service.signed()) as wire, Client(**service.settings(wire.base_url)) as client:
    print(client.v3.x.get().status_code)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ran.stdout == "seen\n200\n", ran.stderr

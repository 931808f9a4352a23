"""Libraries that mock HTTP in users' tests see our calls, and none of the calls reaches the real service."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import aiohttp
import pytest
import requests
import requests_mock
import responses

from tests.service import MCHID, PUBLIC_KEY_ID
from wechatpay_chain import APIError, Client, TransportError

REAL_URL = "https://api.mch.weixin.qq.com/"
NATIVE = f"{REAL_URL}v3/pay/transactions/native"
BODY = b'{"code_url": "weixin://wxpay/x"}'


@pytest.fixture
def real_url_client(service):
    with Client(**service.settings(REAL_URL), proxies={}) as client:
        yield client


def order(client):
    return client.v3.pay.transactions.native.post(json={"mchid": client.mchid})


def test_responses_sees_calls(real_url_client, service):
    with responses.RequestsMock() as mock:
        mock.post(NATIVE, body=BODY, headers=service.signed(BODY).headers)
        assert order(real_url_client).json()["code_url"]
        (call,) = mock.calls
        assert call.request.headers["Wechatpay-Serial"] == PUBLIC_KEY_ID
        assert b"".join(call.request.body) == b'{"mchid":"1900007291"}'
    with responses.RequestsMock() as mock:
        with pytest.raises(TransportError):  # the mock has no response for this path
            real_url_client.v3.certificates.get()
        assert len(mock.calls) == 1


def test_an_error_that_a_mock_raises_is_a_transport_error(real_url_client):
    with responses.RequestsMock() as mock:
        mock.post(NATIVE, body=ValueError("boom"))
        with pytest.raises(TransportError):
            order(real_url_client)


def test_requests_mock_sees_calls(real_url_client, service):
    with requests_mock.Mocker() as mock:
        mock.post(NATIVE, content=BODY, headers=service.signed(BODY).headers)
        assert order(real_url_client).json()["code_url"]
        assert mock.call_count == 1
        mock.get(f"{REAL_URL}v3/x", status_code=500, json={"code": "SYSTEM_ERROR"})
        with pytest.raises(APIError):
            real_url_client.v3.x.get()
        with pytest.raises(TransportError):
            real_url_client.v3.other.get()


def test_a_mock_sees_downloads(real_url_client, tmp_path):
    with responses.RequestsMock() as mock:
        mock.get(f"{REAL_URL}v3/billdownload/file", body=b"a,b\r\n", auto_calculate_content_length=True)
        real_url_client.download(f"{REAL_URL}v3/billdownload/file?token=x", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"a,b\r\n"


@pytest.mark.parametrize("has_session", [False, True])
def test_a_mock_sees_a_session_of_the_user(service, has_session):
    session = requests.Session() if has_session else None
    with Client(**service.settings(REAL_URL), proxies={}, session=session) as client, responses.RequestsMock() as mock:
        mock.post(NATIVE, body=BODY, headers=service.signed(BODY).headers)
        assert order(client).json()["code_url"]


def test_calls_reach_the_service_after_a_mock_has_ended(service, wire, client):
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
    assert len({received.peer for received in wire.received}) == 1, "connections are kept"


def test_a_tracer_of_aiohttp_sees_calls(service, wire, monkeypatch):
    seen = []
    request, init = aiohttp.ClientSession._request, aiohttp.ClientSession.__init__

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

    async def record(_session, _context, params):
        seen.append(str(params.url))

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(record)

    def with_trace(self, *arguments, **options):
        init(self, *arguments, **{**options, "trace_configs": [trace]})

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", with_trace)
    trace.freeze()
    assert asyncio.run(main()) == 200
    assert len(seen) == 2


def test_aioresponses_sees_calls(real_url_client, service):
    aioresponses = pytest.importorskip("aioresponses").aioresponses

    async def main():
        with aioresponses() as mock:
            mock.post(NATIVE, body=BODY, headers=service.signed(BODY).headers)
            try:
                node = real_url_client.v3.pay.transactions.native
                return (await node.post_async(json={"mchid": MCHID})).json()
            finally:
                assert len(mock.requests) == 1

    if tuple(map(int, aiohttp.__version__.split(".")[:2])) >= (3, 14):
        # aioresponses cannot build a response of this version of aiohttp. The call fails without reaching the service.
        with pytest.raises(TransportError):
            asyncio.run(main())
    else:
        assert asyncio.run(main())["code_url"]


def test_a_patch_made_before_the_package_is_imported_sees_calls():
    """Some tools patch requests before anything else is imported."""
    program = """
import requests, sys
send = requests.Session.send
def traced(self, request, **options):
    print("seen")
    return send(self, request, **options)
requests.Session.send = traced
from tests.service import Service, Wire
from wechatpay_chain import Client
service = Service()
with Wire(lambda received: service.signed()) as wire, Client(**service.settings(wire.base_url)) as client:
    print(client.v3.x.get().status_code)
"""
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert process.stdout == "seen\n200\n", process.stderr

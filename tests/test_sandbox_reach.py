"""Programs that have the service's hosts built in reach the sandbox: over HTTPS, through its proxy, and behind another server."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import socket
import ssl

import pytest
import requests

from tests.sandbox_command import run_sandbox
from wechatpay_chain import Client, TransportError
from wechatpay_chain.errors import ConfigurationError
from wechatpay_chain.sandbox import Sandbox
from wechatpay_chain.sandbox._proxy import serve_proxy

ORDER = {
    "appid": "wx",
    "description": "d",
    "out_trade_no": "reached-1",
    "notify_url": "https://a.example/",
    "amount": {"total": 1},
}


@pytest.fixture(scope="module")
def secure():
    with Sandbox(tls=True, proxy=True) as sandbox:
        yield sandbox


def test_a_client_calls_over_https(secure, send):
    assert secure.base_url.startswith("https://127.0.0.1:")
    with secure.client() as client:
        assert send(client.v3.certificates, "get").status_code == 200
    with secure.client(ca_bundle=None, retry=None) as client, pytest.raises(TransportError, match="certificate"):
        send(client.v3.certificates, "get")


def test_a_program_reaches_the_hosts_of_the_service_through_the_proxy(secure, send, tmp_path):
    """The client is as for the real service, but for its proxy and for whom it trusts."""
    known = {name: value for name, value in secure.credentials.items() if name != "base_url"}
    (tmp_path / "authority.pem").write_text(secure.authority)
    for host in ("api.mch.weixin.qq.com", "apihk.mch.weixin.qq.com"):
        settings = {
            **known,
            "base_url": f"https://{host}/",
            "proxies": {"https": secure.proxy_url},
            "ca_bundle": tmp_path / "authority.pem",
        }
        with Client(**settings) as client:
            order = {**ORDER, "mchid": client.mchid}
            assert send(client.v3.pay.transactions.native, "post", json=order).json()["code_url"]


def test_the_proxy_leads_nowhere_else(secure):
    host, port = secure.proxy_url.removeprefix("http://").split(":")
    for request, status in (
        (b"CONNECT www.example.com:443 HTTP/1.1\r\nHost: www.example.com:443\r\n\r\n", b"403"),
        (b"CONNECT 127.0.0.1:22 HTTP/1.1\r\n\r\n", b"403"),
        (b"GET http://api.mch.weixin.qq.com/ HTTP/1.1\r\nHost: api.mch.weixin.qq.com\r\n\r\n", b"405"),
    ):
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(request)
            assert connection.recv(100).split(b" ")[1] == status
    with pytest.raises(requests.exceptions.ProxyError):
        requests.get("https://www.example.com/", proxies={"https": secure.proxy_url}, timeout=5)


def test_the_proxy_keeps_a_connection_whose_client_has_sent_all():
    """The event loop does not keep a task that waits, so the garbage collector ended such connections now and then."""

    async def respond(reader, writer):
        await reader.read()
        gc.collect()
        writer.write(b"the response")
        writer.close()

    async def main():
        upstream = await asyncio.start_server(respond, "127.0.0.1", 0)
        proxy, port = await serve_proxy("127.0.0.1", upstream.sockets[0].getsockname()[1])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"CONNECT api.mch.weixin.qq.com:443 HTTP/1.1\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.write_eof()
        received = await reader.read()
        for each in (writer, proxy, upstream):
            each.close()
        return received

    assert asyncio.run(main()) == b"the response"


def test_the_certificate_names_the_hosts_of_the_service(secure):
    host, port = secure.base_url.removeprefix("https://").rstrip("/").split(":")
    context = ssl.create_default_context(cadata=secure.authority)
    for name in ("api.mch.weixin.qq.com", "api.wechatpay.cn", "localhost", "127.0.0.1"):
        with (
            socket.create_connection((host, int(port)), timeout=5) as raw,
            context.wrap_socket(raw, server_hostname=name),
        ):
            pass
    with (
        socket.create_connection((host, int(port)), timeout=5) as raw,
        pytest.raises(ssl.SSLCertVerificationError),
        context.wrap_socket(raw, server_hostname="www.example.com"),
    ):
        pass


def test_a_proxy_needs_https():
    with pytest.raises(ConfigurationError, match="proxy: it needs tls=True"):
        Sandbox(proxy=True)


def announce(client, sandbox, headers):
    client.v3.pay.transactions.native.post(json={**ORDER, "mchid": client.mchid})
    sandbox.pay(ORDER["out_trade_no"], notify=False)
    sandbox.advance(2 * 86400)
    day = sandbox.now.date().fromordinal(sandbox.now.date().toordinal() - 2)
    bill = client.v3.bill.tradebill.get(params={"bill_date": str(day)}, headers=headers)
    return bill.json()["download_url"]


def test_announced_urls_follow_the_server_in_front():
    with Sandbox() as sandbox, sandbox.client() as client:
        forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example, inner.example"}
        assert announce(client, sandbox, forwarded).startswith("https://shop.example/v3/billdownload/file?token=")
    for tls in (False, True):
        with Sandbox(tls=tls) as sandbox, sandbox.client() as client:
            assert announce(client, sandbox, {}).startswith(sandbox.base_url)


def test_announced_urls_begin_with_the_public_url():
    with Sandbox(public_url="https://sandbox.example/pay/") as sandbox:
        assert sandbox.base_url == "https://sandbox.example/pay/"


def test_the_command_serves_https_and_a_proxy(tmp_path):
    credentials, authority = tmp_path / "merchant.json", tmp_path / "authority.pem"
    with run_sandbox("--credentials", credentials, "--tls", authority, "--proxy") as process:
        assert "https://127.0.0.1:" in process.stdout.readline()
        assert f"authority {authority}" in process.stdout.readline()
        known = json.loads(credentials.read_text())
        assert known["ca_bundle"] == str(authority)
        with Client(**known, proxies={}) as client:
            assert client.v3.certificates.get().status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0
    with run_sandbox("--proxy") as process:
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out) == (2, "")
        assert "--proxy: it needs --tls FILE" in err

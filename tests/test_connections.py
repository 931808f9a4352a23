"""Pooled connections: who shares them, which certificates they trust, and when they are not reused."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shutil
import socket
import ssl
import threading
import time
import weakref

import pytest
from cryptography import x509

from tests.service import Kept, Reply, Wire, certificate_pem, new_certificate, new_key, private_pem
from wechatpay_chain import Client, ClientError, TransportError
from wechatpay_chain._transport import aiohttp_pool


def test_a_changed_ca_bundle_does_not_reuse_old_connections(service, authority, send, tmp_path):
    """Some tools keep the modification time of a file that they change."""
    context, trusted = authority
    path = tmp_path / "ca.pem"
    with Wire(lambda received: service.signed(), context) as wire:
        settings = {**service.settings(wire.base_url), "ca_bundle": path}
        shutil.copy(trusted, path)
        os.utime(path, (1, 1))
        with Client(**settings) as first:
            send(first.v3.x, "get")
            path.write_text(certificate_pem(new_certificate(new_key())))
            os.utime(path, (1, 1))
            with Client(**settings) as second, pytest.raises(TransportError) as caught:
                send(second.v3.x, "get")
            send(first.v3.x, "get")
    assert caught.value.sent is False
    assert len(wire.received) == 2


def test_a_certificate_of_another_host_is_refused(service, send, tmp_path):
    key = new_key()
    (tmp_path / "key.pem").write_text(private_pem(key))
    (tmp_path / "ca.pem").write_text(certificate_pem(new_certificate(key, names=[x509.DNSName("other.example")])))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")
    with Wire(lambda received: service.signed(), context) as wire:
        for url in (wire.base_url, wire.base_url.replace("127.0.0.1", "localhost")):
            with Client(**service.settings(url), ca_bundle=tmp_path / "ca.pem") as client:
                with pytest.raises(TransportError, match=r"CERTIFICATE_VERIFY_FAILED|CertificateError") as caught:
                    send(client.v3.x, "post", json={})
            assert caught.value.sent is False
    assert not wire.received


def test_an_event_loop_that_has_ended_is_garbage_collected(service, wire):
    clients = [Client(**service.settings(wire.base_url)) for _ in range(3)]
    loops = []

    async def main(client):
        loops.append(weakref.ref(asyncio.get_running_loop()))
        await asyncio.gather(*(client.v3.x.get_async() for _ in range(6)))

    for client in clients:
        asyncio.run(main(client))
    gc.collect()
    assert [loop() for loop in loops] == [None] * 3


def test_a_client_that_is_closed_late_closes_no_connection_of_others(service, wire):
    """Each request has its own client; the first client is garbage collected while the second begins."""

    async def main():
        first = Client(**service.settings(wire.base_url))
        await first.v3.x.get_async()
        second = Client(**service.settings(wire.base_url))
        del first
        gc.collect()
        await second.v3.x.get_async()
        await asyncio.sleep(0.01)
        third = Client(**service.settings(wire.base_url))
        await third.v3.x.get_async()
        assert len({received.peer for received in wire.received[1:]}) == 1
        await second.aclose()
        await third.v3.x.get_async()
        assert len({received.peer for received in wire.received[1:]}) == 1
        await third.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("status", [100, 102, 103])
@pytest.mark.parametrize("apart", [False, True])
def test_interim_responses_are_skipped(client, wire, service, status, apart):
    interim, final = Kept(f"HTTP/1.1 {status} X\r\n\r\n".encode()), service.signed(b'{"a":1}').octets
    wire.respond = lambda received: interim.then(final) if apart else Kept(interim + final)

    async def main():
        return [(await client.v3.x.post_async(json={})).json() for _ in range(3)]

    assert asyncio.run(main()) == [{"a": 1}] * 3


def test_a_large_body_that_the_peer_reads_slowly_is_no_timeout(service, send):
    size, rate = 16_000_000, 12_500_000
    with socket.create_server(("127.0.0.1", 0)) as server:

        def respond():
            accepted, _ = server.accept()
            with accepted:
                received = 0
                while received < size:
                    octets = accepted.recv(1 << 18)
                    received += len(octets)
                    time.sleep(len(octets) / rate)
                accepted.sendall(service.signed().octets)
                accepted.recv(1)

        threading.Thread(target=respond, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with Client(**service.settings(url), timeout=(2, 0.9)) as client:
            assert send(client.v3.x, "post", json={"a": "a" * size}).status_code == 200


@pytest.mark.parametrize("stalls", [True, False])
def test_the_read_timeout_starts_anew_with_each_byte(service, send, stalls):
    """The body of a response may take any time, as long as bytes keep coming."""
    octets = service.signed(b'{"a":1}').octets
    body = octets.index(b"\r\n\r\n") + 4
    chunks = [octets[:body], *(octets[at : at + 1] for at in range(body, len(octets)))]
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def respond():
            accepted, _ = server.accept()
            with accepted:
                accepted.recv(1 << 16)
                for chunk in chunks[:1] if stalls else chunks:
                    accepted.sendall(chunk)
                    time.sleep(0.2)
                done.wait(20)

        threading.Thread(target=respond, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with Client(**service.settings(url), timeout=(5, 1)) as client:
            began = time.monotonic()
            if stalls:
                with pytest.raises(TransportError) as caught:
                    send(client.v3.x, "get")
                assert caught.value.sent is True
                assert time.monotonic() - began < 15
            else:
                assert send(client.v3.x, "get").json() == {"a": 1}
                assert time.monotonic() - began > 1
        done.set()


def test_a_host_that_hangs_does_not_hold_up_another(service, wire, monkeypatch):
    monkeypatch.setattr(aiohttp_pool, "MOST_AT_ONCE", 2)
    release = threading.Event()
    with Wire(lambda received: release.wait(20) and None) as other:

        async def main():
            stuck = Client(**service.settings(other.base_url))
            calls = [asyncio.ensure_future(stuck.v3.x.get_async()) for _ in range(3)]
            async with Client(**service.settings(wire.base_url)) as client:
                await asyncio.wait_for(client.v3.x.get_async(), 4)
            while len(other.received) < 2:  # noqa: ASYNC110 -- another thread records them
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            assert len(other.received) == 2, "the third waits"
            release.set()
            await asyncio.gather(*calls, return_exceptions=True)
            await stuck.aclose()

        asyncio.run(main())
    assert len(wire.received) == 1


def test_a_connection_is_not_reused_after_a_408(client, wire, service):
    """A server sends it to an idle connection. It may cross the next request, whose own response then follows."""

    def respond(received):
        response = service.signed(json.dumps({"to": received.target}).encode()).octets
        return Kept(Reply(408).octets).then(response) if received.target == "/v3/late" else Kept(response)

    wire.respond = respond
    targets = ["first", "late", "second", "third"]
    for target in targets:
        try:
            result = client.v3[target].get().json()
        except ClientError as error:
            result = error.status_code
        assert result == (408 if target == "late" else {"to": f"/v3/{target}"})

    async def main():
        for target in targets:
            try:
                result = (await client.v3[target].get_async()).json()
            except ClientError as error:
                result = error.status_code
            assert result == (408 if target == "late" else {"to": f"/v3/{target}"})

    asyncio.run(main())


def test_a_connection_that_closed_while_the_loop_was_busy_is_not_reused(service):
    received, is_read, is_closed = [], threading.Event(), threading.Event()

    def serve(server):
        while True:
            try:
                accepted, _ = server.accept()
            except OSError:
                return
            with accepted:
                received.append(accepted.recv(1 << 16))
                accepted.sendall(service.signed().octets)
                is_read.wait(5)
                is_read.clear()
            is_closed.set()

    async def main(url):
        async with Client(**service.settings(url)) as client:
            for _ in range(4):
                await client.v3.x.post_async(json={})
                is_read.set()
                is_closed.wait(5)  # the loop is busy
                is_closed.clear()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        asyncio.run(main(f"http://127.0.0.1:{server.getsockname()[1]}/"))
        server.shutdown(socket.SHUT_RDWR)
    assert len(received) == 4


def test_a_call_that_is_cancelled_at_its_first_await_releases_its_connection(client, wire, service):
    wire.respond = lambda received: Kept(service.signed().octets).then(
        b"HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n"
    )
    messages = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: messages.append(context["message"]))
        await client.v3.x.get_async()
        assert wire.followed.wait(10), "the 408 that follows must arrive while the loop is busy"
        calling = asyncio.ensure_future(client.v3.x.get_async())
        await asyncio.sleep(0)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        del calling
        gc.collect()
        await client.v3.x.get_async()

    asyncio.run(main())
    gc.collect()
    assert messages == []


@pytest.mark.parametrize("size", [4096, 8192])
def test_another_response_in_the_same_tls_record_is_not_used(service, authority, size):
    """Bytes that TLS has decrypted are not seen at the socket, and would be taken for the next response."""
    context, ca_bundle = authority
    counts = {}

    def respond(received):
        counts[received.peer] = count = counts.get(received.peer, 0) + 1
        reply = service.signed(json.dumps({"to": received.target}).encode())
        if count > 1:
            return Kept(reply.octets)
        padding = size - len(reply.having(X_Pad="").octets)
        extra = service.signed(b'{"to": "nobody"}').octets
        return Kept(reply.having(X_Pad="p" * padding).octets + extra)

    with Wire(respond, context) as wire, Client(**service.settings(wire.base_url), ca_bundle=ca_bundle) as client:
        for number in range(4):
            assert client.v3[f"{number}"].get().json() == {"to": f"/v3/{number}"}

        async def main():
            for number in range(4):
                assert (await client.v3[f"{number}"].get_async()).json() == {"to": f"/v3/{number}"}
            await asyncio.sleep(0.1)  # TLS takes a moment to end on the connection that is not reused

        asyncio.run(main())

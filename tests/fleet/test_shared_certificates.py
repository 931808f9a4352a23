"""The processes of a fleet download certificates once, and go on without the cache if it fails."""

from __future__ import annotations

import asyncio
import multiprocessing
import time

import pytest

from tests.redis_server import NEEDS_REDIS
from tests.service import SERIAL, Reply, Wire, new_key, private_pem
from tests.test_rotation import APIV3_KEY, Authority, new_certificate
from wechatpay_chain import Client, SignatureError, WeChatPayError
from wechatpay_chain._keys import refresh
from wechatpay_chain.stores import AsyncRedisStore, CertificateMemory, RedisStore, SQLiteStore

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def authority(service, wire):
    wire.respond = authority = Authority(service)
    return authority


@pytest.fixture
def no_backoff(monkeypatch):
    """As if a minute passed between two calls."""
    monkeypatch.setattr(refresh, "BACKOFF", 0)


@pytest.fixture
def settings(service, wire):
    return {**service.settings(wire.base_url), "certs": {}, "apiv3_key": APIV3_KEY}


def call(settings, kind, argument, mode, start, results):
    cache = {"sqlite": SQLiteStore, "redis": RedisStore, "async redis": AsyncRedisStore}[kind](argument)
    client = Client(**settings, certificate_cache=cache)
    start.wait(60)
    if mode == "sync":
        results.put(client.v3.x.get().status_code)
    else:
        results.put(asyncio.run(client.v3.x.get_async()).status_code)


@pytest.mark.parametrize(
    ("kind", "mode"), [("sqlite", "sync"), ("redis", "sync"), ("redis", "async"), ("async redis", "async")]
)
def test_six_processes_download_once(service, wire, authority, settings, tmp_path, request, kind, mode):
    argument = str(tmp_path / "store.db") if kind == "sqlite" else request.getfixturevalue("redis_server").patient_url
    start, results = SPAWN.Barrier(6), SPAWN.Queue()
    settings = {**settings, "private_key": private_pem(service.merchant), "serial": SERIAL}
    arguments = settings, kind, argument, mode, start, results
    processes = [SPAWN.Process(target=call, args=arguments) for _ in range(6)]
    for process in processes:
        process.start()
    assert [results.get(timeout=60) for _ in processes] == [200] * 6
    for process in processes:
        process.join(20)
    assert authority.downloads == 1


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_rotation_is_downloaded_once_for_all_clients(
    authority, settings, send, tmp_path, kind, no_backoff, monkeypatch
):
    monkeypatch.setattr(refresh, "CLAIM", 0.5)
    make = CertificateMemory if kind == "memory" else lambda: SQLiteStore(tmp_path / "store.db")
    shared = make()
    caches = [shared if kind == "memory" else make() for _ in range(4)]
    clients = [Client(**settings, certificate_cache=cache) for cache in caches]
    for client in clients:
        assert send(client.v3.x, "get").status_code == 200
    assert authority.downloads == 1
    time.sleep(1.1)  # the claim of the first download has ended, and what was saved within a second counts as one's own
    authority.rotate()
    for client in clients:
        assert send(client.v3.x, "get").status_code == 200
    assert authority.downloads == 2
    for client in clients:
        client.close()


def test_a_serial_that_nobody_knows_is_looked_up_once_for_all_clients(
    service, authority, settings, send, no_backoff, monkeypatch
):
    monkeypatch.setattr(refresh, "CLAIM", 0.5)
    """A forged serial number must not make each process of a fleet download."""
    cache = CertificateMemory()
    clients = [Client(**settings, certificate_cache=cache) for _ in range(4)]
    for client in clients:
        send(client.v3.x, "get")
    assert authority.downloads == 1
    time.sleep(1.1)
    body = b"{}"
    for client in clients:
        forged = service.signature(body, serial="A" * 40)
        with pytest.raises(SignatureError):
            client.notifications.parse(forged, body)
    assert authority.downloads == 2
    for client in clients:
        client.close()


def test_the_age_decides_when_certificates_are_fetched_again(authority, settings, no_backoff):
    cache = CertificateMemory()
    with Client(**settings, certificate_cache=cache) as client:
        client.v3.x.get()
    content, saved = cache._saved
    cache._saved = content, saved - refresh.REFRESH_EVERY + 60
    with Client(**settings, certificate_cache=cache) as client:
        client.v3.x.get()
        assert authority.downloads == 1, "they are not 12 hours old"
    cache._saved, cache._claimed_until = (content, saved - refresh.REFRESH_EVERY - 60), 0
    with Client(**settings, certificate_cache=cache) as client:
        client.v3.x.get()
        client.v3.x.get()
        assert authority.downloads == 2, "they are"


class Claimed(CertificateMemory):
    """A process got the claim, and was killed."""

    def claim(self, seconds):
        return False


class Broken:
    def load(self):
        raise ConnectionError

    save = age = claim = load


@pytest.mark.parametrize("cache", [Claimed, Broken])
def test_a_cache_that_fails_delays_a_call_and_does_not_fail_it(authority, settings, send, cache, monkeypatch):
    monkeypatch.setattr(refresh, "OTHERS_WAIT", 0.5)
    began = time.monotonic()
    with Client(**settings, certificate_cache=cache()) as client:
        assert send(client.v3.x, "get").status_code == 200
    assert authority.downloads == 1
    assert time.monotonic() - began < 5


def test_a_process_does_not_wait_for_a_claim_of_its_own(service, wire, settings, send, no_backoff, monkeypatch):
    """Its first download failed."""
    monkeypatch.setattr(refresh, "BACKOFF_AFTER_OUTAGE", 0)
    wire.respond = lambda received: Reply(500, {}, b"{}")
    began = time.monotonic()
    with Client(**settings, certificate_cache=CertificateMemory()) as client:
        for _ in range(2):
            with pytest.raises(WeChatPayError):
                send(client.v3.x, "get")
        wire.respond = Authority(service)
        assert send(client.v3.x, "get").status_code == 200
    assert time.monotonic() - began < 4


@NEEDS_REDIS
def test_certificates_are_downloaded_while_redis_is_away(authority, settings, send, redis_server):
    store = RedisStore(redis_server.url)
    redis_server.stop()
    with Client(**settings, certificate_cache=store) as client:
        assert send(client.v3.x, "get").status_code == 200
    redis_server.start()
    with Client(**settings, certificate_cache=store) as client:
        assert send(client.v3.x, "get").status_code == 200
    assert authority.downloads == 2
    assert store.load() is not None


def test_what_another_process_saves_while_one_waits_is_taken(service, authority, settings, send):
    class Late(Claimed):
        """The other process saves during the third look."""

        looks = 0

        def age(self):
            self.looks += 1
            if self.looks == 3:
                self.save(service_listing)
            return super().age()

    service_listing = authority.listing()
    with Client(**settings, certificate_cache=Late()) as client:
        assert send(client.v3.x, "get").status_code == 200
    assert authority.downloads == 0


def test_certificates_of_another_merchant_are_not_taken(service, authority, settings, send):
    """They are encrypted with another APIv3 key: a namespace was forgotten."""
    cache = CertificateMemory()
    with Client(**settings, certificate_cache=cache) as client:
        client.v3.x.get()
    authority.fault = Reply(404, {}, b"{}")
    other = {**settings, "apiv3_key": "9" * 32}
    with Client(**other, certificate_cache=cache) as client, pytest.raises(WeChatPayError):
        send(client.v3.x, "get")


def test_a_certificate_that_has_rotated_is_found_in_what_another_process_saved(service, settings, send, no_backoff):
    with Wire(None) as wire:
        wire.respond = authority = Authority(service)
        cache, settings = CertificateMemory(), {**settings, "base_url": wire.base_url}
        with Client(**settings, certificate_cache=cache) as client:
            send(client.v3.x, "get")
            authority.key = new_key()
            authority.signer = new_certificate(authority.key)
            authority.listed.append(authority.signer)
            cache._saved = authority.listing(), time.monotonic() + 2
            assert send(client.v3.x, "get").status_code == 200
        assert authority.downloads == 1

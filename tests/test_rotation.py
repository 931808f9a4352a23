"""Platform certificates are fetched and checked automatically, once for concurrent calls, and never lose a call."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import stat
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.service import (
    MCHID,
    PUBLIC_KEY_ID,
    SERIAL,
    Received,
    Reply,
    certificate_pem,
    json_body,
    new_key,
    public_pem,
    wakeups_during,
)
from tests.service import new_certificate as any_certificate
from wechatpay_chain import Client, ConfigurationError, SignatureError, WeChatPayError, crypto
from wechatpay_chain._cli.main import main
from wechatpay_chain._keys import refresh
from wechatpay_chain._keys.certificate_list import CertificateList
from wechatpay_chain._keys.keyring import Keyring
from wechatpay_chain._messages.effects import Wait
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.request import Request, Timeout
from wechatpay_chain.sandbox import Sandbox

APIV3_KEY = "0123456789abcdef0123456789ABCDEF"


def new_certificate(key, **how):
    return any_certificate(key, issuer="Tenpay.com Root CA", **how)


class Authority:
    """A service that signs with certificates, lists them, and rotates them.

    `fault`, if it is set, is the response to a download, or a function that returns it.
    """

    def __init__(self, service) -> None:
        self.service = service
        self.key = service.platform
        self.listed = [new_certificate(service.platform)]
        self.signer = self.listed[0]
        self.downloads = 0
        self.fault = None

    @property
    def serial(self) -> str:
        return f"{self.signer.serial_number:040X}"

    def listing(self) -> bytes:
        entries = []
        for certificate in self.listed:
            nonce = crypto.nonce(12)
            ciphertext = crypto.aes_gcm_encrypt(certificate_pem(certificate), APIV3_KEY.encode(), nonce, "certificate")
            entries.append(
                {
                    "serial_no": f"{certificate.serial_number:040X}",
                    "effective_time": "2018-06-08T10:34:56+08:00",
                    "expire_time": "2028-12-08T10:34:56+08:00",
                    "encrypt_certificate": {
                        "algorithm": "AEAD_AES_256_GCM",
                        "nonce": nonce,
                        "associated_data": "certificate",
                        "ciphertext": ciphertext,
                    },
                }
            )
        return json_body({"data": entries})

    def __call__(self, received: Received) -> Reply | bytes | None:
        if received.target == "/v3/certificates":
            self.downloads += 1
            if self.fault is not None:
                return self.fault(self) if callable(self.fault) else self.fault
            return self.service.signed(self.listing(), key=self.key, serial=self.serial)
        return self.service.signed(b'{"a":1}', key=self.key, serial=self.serial)

    def rotate(self) -> None:
        self.key = new_key()
        self.signer = new_certificate(self.key)
        self.listed = [*self.listed, self.signer]


@pytest.fixture
def authority(service, wire):
    wire.respond = Authority(service)
    return wire.respond


@pytest.fixture
def apiv3_settings(service, wire, authority):
    """Settings of a client that has only the APIv3 key, and fetches what it verifies with."""
    return {**service.settings(wire.base_url), "certs": {}, "apiv3_key": APIV3_KEY}


@pytest.fixture
def no_backoff(monkeypatch):
    """Allows downloads without a minute between them."""
    monkeypatch.setattr(refresh, "BACKOFF", 0)


def test_certificates_are_fetched_before_the_first_call(apiv3_settings, wire, authority, send):
    with Client(**apiv3_settings) as client:
        assert not wire.received, "not in the constructor"
        assert send(client.v3.x, "post", json={}).json() == {"a": 1}
        assert send(client.v3.y, "post", json={}).json() == {"a": 1}
    # Before the call, because its response could not be verified otherwise.
    assert [received.target for received in wire.received] == ["/v3/certificates", "/v3/x", "/v3/y"]
    download, first, second = wire.received
    assert first.header("Wechatpay-Serial") is None
    assert download.header("Wechatpay-Serial") is None, "so that a certificate signs the response"
    assert download.body == b""
    assert second.header("Wechatpay-Serial") == authority.serial


def test_an_explicit_download_is_not_made_twice(apiv3_settings, wire, authority, send):
    with Client(**apiv3_settings) as client:
        assert send(client.v3.certificates, "get").json()["data"]
    assert authority.downloads == 1


def test_a_rotation_causes_one_download(apiv3_settings, authority, send, no_backoff):
    with Client(**apiv3_settings) as client:
        send(client.v3.x, "get")
        authority.rotate()
        assert send(client.v3.x, "get").json() == {"a": 1}
        assert send(client.v3.x, "get").json() == {"a": 1}
    assert authority.downloads == 2


def test_certificates_from_the_settings_are_refreshed(service, wire, authority, send):
    given = any_certificate(new_key())
    certs = {f"{given.serial_number:040X}": given}
    with Client(**{**service.settings(wire.base_url), "certs": certs, "apiv3_key": APIV3_KEY}) as client:
        assert send(client.v3.x, "get").json() == {"a": 1}
    assert authority.downloads == 1


def test_certificates_from_the_settings_need_no_download(service, wire, authority, send):
    certs = {authority.serial: authority.signer}
    with Client(**{**service.settings(wire.base_url), "certs": certs, "apiv3_key": APIV3_KEY}) as client:
        assert send(client.v3.x, "get").json() == {"a": 1}
    assert authority.downloads == 0


def test_a_client_with_public_keys_only_fetches_when_a_certificate_signs(service, wire, authority, send):
    """While a merchant moves to the public key, some responses are still signed by a certificate."""
    certs = {PUBLIC_KEY_ID: public_pem(service.public_key)}
    settings = {**service.settings(wire.base_url), "certs": certs, "apiv3_key": APIV3_KEY}
    with Client(**settings) as client:
        for _ in range(3):
            assert send(client.v3.x, "get").json() == {"a": 1}
        assert authority.downloads == 1
        authority.rotate()
        with pytest.raises(SignatureError) as caught:  # a minute has not passed
            send(client.v3.x, "get")
        assert caught.value.sent is True
    assert authority.downloads == 1
    assert all(
        received.header("Wechatpay-Serial") == PUBLIC_KEY_ID for received in wire.received if received.target == "/v3/x"
    )


def test_a_client_with_public_keys_only_never_refreshes(service, wire, authority, send, monkeypatch):
    """A merchant that has moved to the public key would otherwise depend on certificates forever."""
    certs = {PUBLIC_KEY_ID: public_pem(service.public_key)}
    wire.respond = lambda received: service.signed()
    with Client(**{**service.settings(wire.base_url), "certs": certs, "apiv3_key": APIV3_KEY}) as client:
        send(client.v3.x, "get")
        later = time.monotonic() + 2 * refresh.REFRESH_EVERY
        monkeypatch.setattr(refresh.time, "monotonic", lambda: later)
        send(client.v3.x, "get")
    assert {received.target for received in wire.received} == {"/v3/x"}


def test_certificates_are_not_fetched_if_fetch_certificates_is_false(service, wire, authority, send):
    certs = {PUBLIC_KEY_ID: public_pem(service.public_key)}
    settings = {**service.settings(wire.base_url), "certs": certs, "apiv3_key": APIV3_KEY, "fetch_certificates": False}
    with Client(**settings) as client, pytest.raises(SignatureError):
        send(client.v3.x, "get")
    assert authority.downloads == 0
    with pytest.raises(ConfigurationError, match="fetch_certificates is False"):
        Client(**{**settings, "certs": {}})
    with pytest.raises(ConfigurationError, match="fetch_certificates: came 0"):
        Client(**{**settings, "fetch_certificates": 0})


def test_an_unknown_public_key_id_causes_no_download(apiv3_settings, wire, service, authority, send):
    with Client(**apiv3_settings) as client:
        send(client.v3.x, "get")
        wire.respond = lambda received: service.signed(b"{}", serial="PUB_KEY_ID_99")
        with pytest.raises(SignatureError):
            send(client.v3.x, "get")
    assert authority.downloads == 1


def test_32_threads_make_one_download(apiv3_settings, authority):
    with Client(**apiv3_settings) as client, ThreadPoolExecutor(32) as threads:
        barrier = threading.Barrier(32)

        def call(_: int) -> int:
            barrier.wait()
            return client.v3.x.get().status_code

        assert list(threads.map(call, range(32))) == [200] * 32
    assert authority.downloads == 1


def test_32_tasks_make_one_download(apiv3_settings, authority):
    async def main() -> list[int]:
        async with Client(**apiv3_settings) as client:
            responses = await asyncio.gather(*(client.v3.x.get_async() for _ in range(32)))
        return [response.status_code for response in responses]

    assert asyncio.run(main()) == [200] * 32
    assert authority.downloads == 1


def delay_first_download(authority, started: threading.Event, release: threading.Event):
    """Makes the first download wait for an event; later ones do not wait."""

    def listing(authority):
        if authority.downloads == 1:
            started.set()
            release.wait(10)
        return authority.service.signed(authority.listing(), key=authority.key, serial=authority.serial)

    authority.fault = listing


def test_a_waiting_call_takes_over_a_cancelled_download(apiv3_settings, authority):
    started, release = threading.Event(), threading.Event()
    delay_first_download(authority, started, release)

    async def main() -> None:
        async with Client(**apiv3_settings) as client:
            first = asyncio.create_task(client.v3.x.get_async())
            await asyncio.to_thread(started.wait, 5)
            waiting = [asyncio.create_task(client.v3.x.get_async()) for _ in range(5)]
            await asyncio.sleep(0.1)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            responses = await asyncio.wait_for(asyncio.gather(*waiting), 5)
            assert [response.status_code for response in responses] == [200] * 5
        release.set()

    asyncio.run(main())
    assert authority.downloads == 2


def test_a_blocking_call_inside_a_loop_does_not_wait_for_that_loop(apiv3_settings, authority):
    """A task of the same loop is fetching the certificates; waiting for it would block the loop forever."""
    started, release = threading.Event(), threading.Event()
    delay_first_download(authority, started, release)

    async def main() -> None:
        async with Client(**apiv3_settings) as client:
            task = asyncio.create_task(client.v3.x.get_async())
            await asyncio.to_thread(started.wait, 5)
            began = time.monotonic()
            assert client.v3.x.get().status_code == 200
            assert time.monotonic() - began < 3
            release.set()
            assert (await task).status_code == 200

    asyncio.run(main())


def test_an_abandoned_download_is_taken_over(monkeypatch):
    def fetch(request, retries):
        response = yield request
        return response

    reader = CertificateList(APIV3_KEY.encode(), (), ("", None))
    refreshing = refresh.Refresh(Keyring({}), reader, None, Timeout(1, 1, 1), fetch, fetches=True, verifies=True)
    call = Request("GET", "v3/x", "http://127.0.0.1", "/v3/x", Headers({}), b"", Timeout(1, 1, 1))
    abandoned = refreshing.refresh("*", call)
    assert isinstance(next(abandoned), Request)
    waiting = next(refreshing.refresh("*", call))
    assert isinstance(waiting, Wait)
    later = time.monotonic() + max(refresh.ABANDONED_AFTER, refresh.BACKOFF)
    monkeypatch.setattr(refresh.time, "monotonic", lambda: later)
    second = refreshing.refresh("*", call)
    assert isinstance(next(second), Request), "the next call takes over the download"
    assert waiting.future.done(), "waiting calls continue"
    abandoned.close()
    assert isinstance(next(refreshing.refresh("*", call)), Wait), (
        "the end of the abandoned download does not end the second"
    )


def test_a_download_has_the_timeout_of_the_client_not_of_the_call(apiv3_settings, authority, send):
    authority.fault = lambda authority: (
        time.sleep(0.4),
        authority.service.signed(authority.listing(), key=authority.key, serial=authority.serial),
    )[1]
    with Client(**apiv3_settings) as client:
        assert send(client.v3.x, "get", timeout=(1, 0.2)).status_code == 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_does_not_wait_for_its_parents_download(apiv3_settings, authority, no_backoff):
    started, release = threading.Event(), threading.Event()
    delay_first_download(authority, started, release)
    with Client(**apiv3_settings) as client, ThreadPoolExecutor(1) as threads:
        parent_call = threads.submit(client.v3.x.get)
        assert started.wait(5)
        pid = os.fork()
        if pid == 0:
            began = time.monotonic()
            try:
                os._exit(0 if client.v3.x.get().status_code == 200 and time.monotonic() - began < 3 else 1)
            except BaseException:
                os._exit(2)
        _, status = os.waitpid(pid, 0)
        release.set()
        assert os.waitstatus_to_exitcode(status) == 0
        assert parent_call.result(5).status_code == 200


def test_a_client_without_references_is_freed_at_once(service):
    client = Client(**service.settings("http://127.0.0.1:9/"))
    gone = weakref.ref(client)
    gc.disable()
    try:
        del client
        assert gone() is None
    finally:
        gc.enable()


def test_twenty_forged_serials_make_one_download(apiv3_settings, wire, service, authority, send):
    with Client(**apiv3_settings) as client:
        send(client.v3.x, "get")
        genuine = wire.respond
        for number in range(20):
            forged = service.signed(b"{}", serial=f"{number:040X}")
            wire.respond = lambda received, forged=forged: (
                genuine(received) if "certificates" in received.target else forged
            )
            with pytest.raises(SignatureError):
                send(client.v3.x, "get")
        wire.respond = genuine
        assert send(client.v3.x, "get").status_code == 200
    assert authority.downloads == 1


FAULTS = {
    "404": Reply(404, {}, json_body({"code": "RESOURCE_NOT_EXISTS", "message": "无可用的平台证书"})),
    "500": Reply(500, {}, b"<html>"),
    "dropped": lambda authority: None,
    "unsigned": lambda authority: Reply(200, {}, authority.listing()),
    "signed with another key": lambda authority: authority.service.signed(
        authority.listing(), key=authority.service.merchant, serial=authority.serial
    ),
    "400 seconds old": lambda authority: authority.service.signed(
        authority.listing(), key=authority.key, serial=authority.serial, timestamp=int(time.time()) - 400
    ),
    "a damaged ciphertext": lambda authority: authority.service.signed(
        authority.listing().replace(b'"ciphertext": "', b'"ciphertext": "AAAA'),
        key=authority.key,
        serial=authority.serial,
    ),
    "an empty list": lambda authority: authority.service.signed(
        b'{"data":[]}', key=authority.key, serial=authority.serial
    ),
    "no list": lambda authority: authority.service.signed(b"[1]", key=authority.key, serial=authority.serial),
    "no JSON": lambda authority: authority.service.signed(b"\xff", key=authority.key, serial=authority.serial),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failed_download_keeps_the_old_certificates_and_does_not_repeat_the_call(
    apiv3_settings, wire, authority, send, no_backoff, fault
):
    with Client(**apiv3_settings) as client:
        send(client.v3.x, "get")
        old, old_key = authority.signer, authority.key
        authority.rotate()
        authority.fault = FAULTS[fault]
        wire.received.clear()
        with pytest.raises(SignatureError, match="fetching certificates failed"):
            send(client.v3.pay, "post", json={"once": True})
        assert [received.target for received in wire.received].count("/v3/pay") == 1
        authority.signer, authority.key = old, old_key
        assert send(client.v3.x, "get").status_code == 200, "the old certificate still verifies"


def listing_error(service, wire, authority, send, apiv3_settings, **settings) -> str:
    with Client(**{**apiv3_settings, **settings}) as client, pytest.raises(ConfigurationError) as caught:
        send(client.v3.x, "get")
    assert caught.value.sent is False
    assert authority.downloads == 1
    assert {received.target for received in wire.received} == {"/v3/certificates"}
    return str(caught.value)


def test_each_certificate_is_checked(service, wire, authority, send, apiv3_settings):
    key, good = service.platform, authority.listed
    authority.listed = [any_certificate(key)]
    assert "Tenpay.com Root CA" in listing_error(service, wire, authority, send, apiv3_settings)
    authority.downloads, authority.listed = 0, [new_certificate(key, age=90, days=-1)]
    assert "not valid yet" in listing_error(service, wire, authority, send, apiv3_settings)
    authority.downloads, authority.listed = 0, [new_certificate(key, age=-1, days=9)]
    assert "not valid yet" in listing_error(service, wire, authority, send, apiv3_settings)
    authority.downloads, authority.listed = 0, good
    assert "apiv3_key: the platform certificates cannot be decrypted with it" in listing_error(
        service, wire, authority, send, apiv3_settings, apiv3_key="x" * 32
    )
    listing = authority.listing().replace(authority.serial.encode(), b"A" * 40)
    authority.downloads = 0
    authority.fault = service.signed(listing, key=key, serial=authority.serial)
    assert "another serial number than its entry says" in listing_error(service, wire, authority, send, apiv3_settings)
    authority.downloads = 0
    authority.fault = service.signed(authority.listing().replace(b"AES_256", b"SM4_"), key=key, serial=authority.serial)
    assert "not encrypted with AEAD_AES_256_GCM" in listing_error(service, wire, authority, send, apiv3_settings)
    authority.downloads, authority.fault = 0, None
    authority.listed = [new_certificate(service.merchant)]
    authority.key, authority.signer = service.merchant, authority.listed[0]
    assert "the merchant's own" in listing_error(service, wire, authority, send, apiv3_settings)


def test_a_resource_encrypted_for_a_notification_is_no_certificate(service, apiv3_settings):
    reader = CertificateList(APIV3_KEY.encode(), (), ("", None))
    certificate = new_certificate(service.platform)
    serial, pem = f"{certificate.serial_number:040X}", certificate_pem(certificate)
    for text, data in ((pem, "transaction"), (json.dumps({"attach": pem}), "certificate")):
        encrypted = {
            "algorithm": "AEAD_AES_256_GCM",
            "nonce": "0123456789ab",
            "associated_data": data,
            "ciphertext": crypto.aes_gcm_encrypt(text, APIV3_KEY.encode(), "0123456789ab", data),
        }
        with pytest.raises(ConfigurationError, match="certificate"):
            reader.read(json_body({"data": [{"serial_no": serial, "encrypt_certificate": encrypted}]}))


def test_certificates_must_be_issued_by_a_trust_anchor(service, wire, authority, send, apiv3_settings):
    root_key = new_key()
    root = new_certificate(root_key)
    with pytest.raises(ConfigurationError, match="trust_anchors"):
        Client(**apiv3_settings, trust_anchors=[public_pem(root_key)])
    for invalid in ("root.pem", 5, ["nothing"]):
        with pytest.raises(ConfigurationError, match="trust_anchors"):
            Client(**apiv3_settings, trust_anchors=invalid)
    assert "trust_anchors" in listing_error(
        service, wire, authority, send, apiv3_settings, trust_anchors=[certificate_pem(root)]
    )
    root = any_certificate(root_key, subject="Tenpay.com Root CA", issuer="Tenpay.com Root CA")
    issued = new_certificate(service.platform, issuer_key=root_key)
    authority.listed, authority.signer, authority.downloads = [issued], issued, 0
    with Client(**apiv3_settings, trust_anchors=[certificate_pem(root)]) as client:
        assert send(client.v3.x, "get").status_code == 200


def test_certificates_are_refreshed_every_twelve_hours(apiv3_settings, authority, send, no_backoff, monkeypatch):
    with Client(**apiv3_settings) as client:
        send(client.v3.x, "get")
        send(client.v3.x, "get")
        assert authority.downloads == 1
        now = time.monotonic()
        monkeypatch.setattr(refresh.time, "monotonic", lambda: now + 12 * 3600 + 1)
        send(client.v3.x, "get")
        send(client.v3.x, "get")
    assert authority.downloads == 2


def test_certificates_are_refreshed_before_one_expires(apiv3_settings, service, authority, send, no_backoff):
    authority.listed = [new_certificate(service.platform, age=300, days=0.5)]
    authority.signer = authority.listed[0]
    with Client(**apiv3_settings) as client:
        send(client.v3.x, "get")
        send(client.v3.x, "get")
    assert authority.downloads == 3, "before the first call, and after each response"


def test_a_call_whose_response_could_not_be_verified_is_not_sent(apiv3_settings, wire, service, send, monkeypatch):
    """While certificates cannot be fetched, an order must not be placed whose response then fails verification."""
    from wechatpay_chain import Retry, TransportError

    wire.respond = lambda received: Reply(503) if received.target == "/v3/certificates" else service.signed()
    with Client(**{**apiv3_settings, "retry": Retry(backoff=0.01)}) as client:
        for _ in range(3):
            with pytest.raises(TransportError, match="Nothing was sent") as caught:
                send(client.v3.pay, "post", json={"out_trade_no": "1"})
            assert caught.value.sent is False
        assert {received.target for received in wire.received} == {"/v3/certificates"}
        assert len(wire.received) == 3, "the attempts of one download"
        wire.respond = Authority(service)
        clock = time.monotonic
        monkeypatch.setattr(refresh.time, "monotonic", lambda: clock() + 6)
        assert send(client.v3.pay, "post", json={"out_trade_no": "1"}).status_code == 200


def test_a_slow_cache_does_not_block_the_loop(apiv3_settings, authority):
    class Slow:
        def load(self):
            time.sleep(0.2)

        def save(self, content):
            time.sleep(0.2)

    async def main() -> int:
        async with Client(**apiv3_settings, certificate_cache=Slow()) as client:
            return await wakeups_during(client.v3.x.get_async())

    assert asyncio.run(main()) > 20


def test_the_next_process_reads_the_cache_instead_of_a_download(apiv3_settings, wire, authority, send, tmp_path):
    file = tmp_path / "certificates.json"
    with Client(**apiv3_settings, certificate_cache=file) as client:
        send(client.v3.x, "get")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["certificates.json"]
    assert b"BEGIN" not in file.read_bytes()
    with Client(**apiv3_settings, certificate_cache=str(file)) as client:
        assert send(client.v3.x, "get").status_code == 200
    assert authority.downloads == 1


@pytest.mark.parametrize("content", [b"", b"nothing", b"{}", b'{"data":[{}]}', b"\xff", b"[" * 9000])
def test_a_cache_with_wrong_content_is_ignored_and_replaced(apiv3_settings, authority, send, tmp_path, content):
    file = tmp_path / "certificates.json"
    file.write_bytes(content)
    with Client(**apiv3_settings, certificate_cache=file) as client:
        assert send(client.v3.x, "get").status_code == 200
    assert authority.downloads == 1
    assert json.loads(file.read_bytes())["data"], "the cache is replaced"


def test_an_outdated_cache_is_replaced(apiv3_settings, authority, send, no_backoff, tmp_path):
    file = tmp_path / "certificates.json"
    with Client(**apiv3_settings, certificate_cache=file) as client:
        send(client.v3.x, "get")
    authority.rotate()
    with Client(**apiv3_settings, certificate_cache=file) as client:
        assert send(client.v3.x, "get").status_code == 200
    assert authority.downloads == 2


def test_a_cache_does_not_keep_a_withdrawn_certificate(
    apiv3_settings, authority, send, no_backoff, tmp_path, monkeypatch
):
    file = tmp_path / "certificates.json"
    with Client(**apiv3_settings, certificate_cache=file) as client:
        send(client.v3.x, "get")
        old, old_key = authority.signer, authority.key
        authority.rotate()
        authority.listed = [authority.signer]
        now = time.monotonic()
        monkeypatch.setattr(refresh.time, "monotonic", lambda: now + 13 * 3600)
        send(client.v3.x, "get")
        assert authority.downloads == 2
        authority.signer, authority.key = old, old_key
        with pytest.raises(SignatureError):
            send(client.v3.x, "get")
    with Client(**apiv3_settings, certificate_cache=file) as client:
        authority.signer, authority.key = authority.listed[0], authority.key
        assert client._config.keyring.preferred is None


def test_a_list_that_the_caller_fetches_is_used(apiv3_settings, authority, send, no_backoff):
    with Client(**apiv3_settings) as client:
        send(client.v3.x, "get")
        authority.rotate()
        send(client.v3.certificates, "get")
        assert authority.downloads == 2
        send(client.v3.x, "get")
    assert authority.downloads == 2


def test_a_list_signed_with_the_public_key_is_used(service, wire, authority, send, caplog):
    """The call names the public key, so the service signs the list with it."""
    authority.fault = lambda authority: service.signed(authority.listing())
    given = any_certificate(new_key())
    certs = {PUBLIC_KEY_ID: public_pem(service.public_key), f"{given.serial_number:040X}": given}
    with Client(**{**service.settings(wire.base_url), "certs": certs, "apiv3_key": APIV3_KEY}) as client:
        assert send(client.v3.certificates, "get").json()["data"]
        assert send(client.v3.x, "get").json() == {"a": 1}, "signed by a certificate of that list"
    assert authority.downloads == 1
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_cache_that_fails_does_not_fail_the_call(apiv3_settings, authority, send, tmp_path):
    class Broken:
        def load(self) -> bytes | None:
            raise KeyError("load")

        def save(self, content: bytes) -> None:
            raise KeyError("save")

    for cache in (Broken(), tmp_path / "no" / "folder", tmp_path):
        with Client(**apiv3_settings, certificate_cache=cache) as client:
            assert send(client.v3.x, "post", json={}).status_code == 200


def test_a_cache_of_the_user_is_used(apiv3_settings, authority, send):
    class MemoryCache:
        content: bytes | None = None

        def load(self) -> bytes | None:
            return self.content

        def save(self, content: bytes) -> None:
            self.content = content

    cache = MemoryCache()
    for _ in range(2):
        with Client(**apiv3_settings, certificate_cache=cache) as client:
            send(client.v3.x, "get")
    assert authority.downloads == 1
    with pytest.raises(ConfigurationError, match="certificate_cache"):
        Client(**apiv3_settings, certificate_cache=object())


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(
                    ["data", "serial_no", "encrypt_certificate", "algorithm", "nonce", "ciphertext", "associated_data"]
                ),
                inner,
                max_size=6,
            )
        ),
    )
)
@settings(max_examples=150)
def test_any_list_raises_only_our_errors(service, value):
    reader = CertificateList(APIV3_KEY.encode(), (), ("", None))
    with pytest.raises(WeChatPayError):
        reader.read(json.dumps({"data": [value]}).encode())


def run_command(sandbox, folder, monkeypatch, *more, apiv3_key=None, **options) -> int:
    """Runs `wechatpay-chain certificates` with the sandbox's credentials, and returns its exit status."""
    credentials = sandbox.credentials
    (folder / "key.pem").write_text(credentials["private_key"])
    arguments = {
        "mchid": credentials["mchid"],
        "serial": credentials["serial"],
        "private-key": folder / "key.pem",
        "output": folder / "out",
    }
    arguments |= {"base-url": credentials["base_url"], **options}
    monkeypatch.setenv("WECHATPAY_APIV3_KEY", credentials["apiv3_key"] if apiv3_key is None else apiv3_key)
    monkeypatch.setenv("NO_PROXY", "*")
    options = [part for name, value in arguments.items() for part in (f"--{name}", str(value))]
    return main(["certificates", *options, *more])


def test_the_command_writes_certificates_and_reports_errors(tmp_path, monkeypatch, capsys):
    with Sandbox() as sandbox:
        _, (serial, pem) = sandbox.credentials["certs"].items()
        assert run_command(sandbox, tmp_path, monkeypatch) == 0
        output = capsys.readouterr().out
        assert (tmp_path / "out" / f"{serial}.pem").read_text() == pem
        assert output.startswith(f"{serial} valid from 2")
        for invalid in (
            {"apiv3_key": "x" * 32},
            {"apiv3_key": ""},
            {"serial": "A" * 40},
            {"private-key": tmp_path / "no.pem"},
            {"output": tmp_path / "key.pem"},
        ):
            assert run_command(sandbox, tmp_path, monkeypatch, **invalid) in (1, 2)
            error = capsys.readouterr().err
            assert error.startswith("wechatpay-chain: ")
            assert error.count("\n") == 1
            assert sandbox.credentials["apiv3_key"] not in error
        (tmp_path / "other.pem").write_text(certificate_pem(any_certificate(new_key())))
        assert run_command(sandbox, tmp_path, monkeypatch, "--trust-anchor", str(tmp_path / "other.pem")) == 2


def test_a_client_of_the_sandbox_may_fetch_its_certificates(send):
    with Sandbox() as sandbox, sandbox.client(certs={}) as client:
        assert send(client.v3.security.echo, "post", json={"echo_message": "x"}).status_code == 200
        assert send(client.v3.security.echo, "post", json={"echo_message": "x"}).status_code == 200


def test_a_client_needs_certs_or_an_apiv3_key(service):
    with pytest.raises(ConfigurationError, match="certs: none came, and no apiv3_key"):
        Client(mchid=MCHID, serial=SERIAL, private_key=service.merchant)


def test_a_download_within_a_call_is_signed_once(apiv3_settings, authority, send, no_backoff):
    """It passes through a layer of the user once, too."""
    seen = []

    def record(request):
        seen.append(request.target)
        response = yield request
        return response

    with Client(**apiv3_settings) as client:
        client.middleware.insert_after("sign", "record", record)
        send(client.v3.x, "get")
        authority.rotate()
        seen.clear()
        send(client.v3.x, "get")
    assert seen == ["/v3/x", "/v3/certificates"]


def test_certificates_can_be_replaced_while_the_preferred_key_is_read(service):
    """Another thread may replace all certificates between any two steps."""
    old, new = (
        Keyring({f"{certificate.serial_number:040X}": certificate})
        for certificate in (new_certificate(new_key()) for _ in range(2))
    )
    ring = Keyring({})
    ring.adopt(old)
    stop = threading.Event()

    def adopt():
        while not stop.is_set():
            ring.adopt(new)
            ring.adopt(old)

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=adopt)
    thread.start()
    try:
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            assert ring.preferred is not None
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(switch)


def test_a_notification_does_not_retry_its_download(apiv3_settings, authority, send):
    """WeChat Pay waits only a few seconds for the reply, so the download is not retried."""
    authority.fault = authority.service.signed(b"{}", 503)
    with Client(**apiv3_settings) as client:
        headers = authority.service.signature(b"{}") | {"Wechatpay-Serial": "A" * 40}
        began = time.monotonic()
        with pytest.raises(SignatureError):
            client.notifications.parse(headers, b"{}")
        assert time.monotonic() - began < 1
    assert authority.downloads == 1

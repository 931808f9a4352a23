"""Platform certificates that are fetched by themselves: checked, once for many, and never at the cost of a call."""

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
    """What a service does that rotates its certificates; each can be told to err."""

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
            sealed = crypto.aes_gcm_encrypt(certificate_pem(certificate), APIV3_KEY.encode(), nonce, "certificate")
            entries.append(
                {
                    "serial_no": f"{certificate.serial_number:040X}",
                    "effective_time": "2018-06-08T10:34:56+08:00",
                    "expire_time": "2028-12-08T10:34:56+08:00",
                    "encrypt_certificate": {
                        "algorithm": "AEAD_AES_256_GCM",
                        "nonce": nonce,
                        "associated_data": "certificate",
                        "ciphertext": sealed,
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
def alone(service, wire, authority):
    """Settings of a client that has the APIv3 key and nothing else to verify with."""
    return {**service.settings(wire.base_url), "certs": {}, "apiv3_key": APIV3_KEY}


@pytest.fixture
def no_pause(monkeypatch):
    """As if a minute passed between any two downloads."""
    monkeypatch.setattr(refresh, "BACKOFF", 0)


def test_the_first_need_fetches(alone, wire, authority, send):
    with Client(**alone) as client:
        assert not wire.received, "not in the constructor"
        assert send(client.v3.x, "post", json={}).json() == {"a": 1}
        assert send(client.v3.y, "post", json={}).json() == {"a": 1}
    # Before the call, whose answer nothing could prove otherwise.
    assert [received.target for received in wire.received] == ["/v3/certificates", "/v3/x", "/v3/y"]
    download, first, second = wire.received
    assert first.header("Wechatpay-Serial") is None
    assert download.header("Wechatpay-Serial") is None, "so that a certificate signs the answer"
    assert download.body == b""
    assert second.header("Wechatpay-Serial") == authority.serial


def test_an_explicit_download_is_not_made_twice(alone, wire, authority, send):
    with Client(**alone) as client:
        assert send(client.v3.certificates, "get").json()["data"]
    assert authority.downloads == 1


def test_a_rotation_refreshes_once(alone, authority, send, no_pause):
    with Client(**alone) as client:
        send(client.v3.x, "get")
        authority.rotate()
        assert send(client.v3.x, "get").json() == {"a": 1}
        assert send(client.v3.x, "get").json() == {"a": 1}
    assert authority.downloads == 2


def test_certificates_given_are_refreshed_too(service, wire, authority, send):
    given = any_certificate(new_key())
    certs = {f"{given.serial_number:040X}": given}
    with Client(**{**service.settings(wire.base_url), "certs": certs, "apiv3_key": APIV3_KEY}) as client:
        assert send(client.v3.x, "get").json() == {"a": 1}
    assert authority.downloads == 1


def test_certificates_given_are_believed_at_first(service, wire, authority, send):
    certs = {authority.serial: authority.signer}
    with Client(**{**service.settings(wire.base_url), "certs": certs, "apiv3_key": APIV3_KEY}) as client:
        assert send(client.v3.x, "get").json() == {"a": 1}
    assert authority.downloads == 0


def test_public_keys_alone_fetch_only_what_a_response_asks_for(service, wire, authority, send):
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


def test_public_keys_alone_are_never_refreshed(service, wire, authority, send, monkeypatch):
    """To go on asking for certificates would keep a merchant from ever being done with them."""
    certs = {PUBLIC_KEY_ID: public_pem(service.public_key)}
    wire.respond = lambda received: service.signed()
    with Client(**{**service.settings(wire.base_url), "certs": certs, "apiv3_key": APIV3_KEY}) as client:
        send(client.v3.x, "get")
        later = time.monotonic() + 2 * refresh.REFRESH_EVERY
        monkeypatch.setattr(refresh.time, "monotonic", lambda: later)
        send(client.v3.x, "get")
    assert {received.target for received in wire.received} == {"/v3/x"}


def test_certificates_are_never_fetched_where_a_setting_says_so(service, wire, authority, send):
    certs = {PUBLIC_KEY_ID: public_pem(service.public_key)}
    settings = {**service.settings(wire.base_url), "certs": certs, "apiv3_key": APIV3_KEY, "fetch_certificates": False}
    with Client(**settings) as client, pytest.raises(SignatureError):
        send(client.v3.x, "get")
    assert authority.downloads == 0
    with pytest.raises(ConfigurationError, match="fetch_certificates is False"):
        Client(**{**settings, "certs": {}})
    with pytest.raises(ConfigurationError, match="fetch_certificates: came 0"):
        Client(**{**settings, "fetch_certificates": 0})


def test_a_key_of_the_other_kind_is_not_downloaded(alone, wire, service, authority, send):
    with Client(**alone) as client:
        send(client.v3.x, "get")
        wire.respond = lambda received: service.signed(b"{}", serial="PUB_KEY_ID_99")
        with pytest.raises(SignatureError):
            send(client.v3.x, "get")
    assert authority.downloads == 1


def test_32_threads_make_one_download(alone, authority):
    with Client(**alone) as client, ThreadPoolExecutor(32) as threads:
        barrier = threading.Barrier(32)

        def call(_: int) -> int:
            barrier.wait()
            return client.v3.x.get().status_code

        assert list(threads.map(call, range(32))) == [200] * 32
    assert authority.downloads == 1


def test_32_tasks_make_one_download(alone, authority):
    async def main() -> list[int]:
        async with Client(**alone) as client:
            answers = await asyncio.gather(*(client.v3.x.get_async() for _ in range(32)))
        return [answer.status_code for answer in answers]

    assert asyncio.run(main()) == [200] * 32
    assert authority.downloads == 1


def slow_first(authority, asked: threading.Event, release: threading.Event):
    """A service whose first download takes its time, and whose others do not."""

    def listing(authority):
        if authority.downloads == 1:
            asked.set()
            release.wait(10)
        return authority.service.signed(authority.listing(), key=authority.key, serial=authority.serial)

    authority.fault = listing


def test_a_cancelled_download_is_taken_over_by_one_who_waits(alone, authority):
    asked, release = threading.Event(), threading.Event()
    slow_first(authority, asked, release)

    async def main() -> None:
        async with Client(**alone) as client:
            first = asyncio.create_task(client.v3.x.get_async())
            await asyncio.to_thread(asked.wait, 5)
            waiting = [asyncio.create_task(client.v3.x.get_async()) for _ in range(5)]
            await asyncio.sleep(0.1)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            answers = await asyncio.wait_for(asyncio.gather(*waiting), 5)
            assert [answer.status_code for answer in answers] == [200] * 5
        release.set()

    asyncio.run(main())
    assert authority.downloads == 2


def test_a_blocking_call_inside_a_loop_does_not_wait_for_that_loop(alone, authority):
    """A task of this very loop is at the download; to wait for it would stop it."""
    asked, release = threading.Event(), threading.Event()
    slow_first(authority, asked, release)

    async def main() -> None:
        async with Client(**alone) as client:
            task = asyncio.create_task(client.v3.x.get_async())
            await asyncio.to_thread(asked.wait, 5)
            began = time.monotonic()
            assert client.v3.x.get().status_code == 200
            assert time.monotonic() - began < 3
            release.set()
            assert (await task).status_code == 200

    asyncio.run(main())


def test_a_download_that_nobody_will_end_is_given_up(monkeypatch):
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
    assert isinstance(next(second), Request), "somebody else downloads"
    assert waiting.future.done(), "whoever waits goes on"
    abandoned.close()
    assert isinstance(next(refreshing.refresh("*", call)), Wait), "the end of the first is not that of the second"


def test_a_download_has_the_clients_time_not_the_calls(alone, authority, send):
    authority.fault = lambda authority: (
        time.sleep(0.4),
        authority.service.signed(authority.listing(), key=authority.key, serial=authority.serial),
    )[1]
    with Client(**alone) as client:
        assert send(client.v3.x, "get", timeout=(1, 0.2)).status_code == 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_does_not_wait_for_its_parents_download(alone, authority, no_pause):
    asked, release = threading.Event(), threading.Event()
    slow_first(authority, asked, release)
    with Client(**alone) as client, ThreadPoolExecutor(1) as threads:
        parents = threads.submit(client.v3.x.get)
        assert asked.wait(5)
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
        assert parents.result(5).status_code == 200


def test_a_client_goes_when_nobody_holds_it(service):
    client = Client(**service.settings("http://127.0.0.1:9/"))
    gone = weakref.ref(client)
    gc.disable()
    try:
        del client
        assert gone() is None
    finally:
        gc.enable()


def test_twenty_forged_serials_make_one_download(alone, wire, service, authority, send):
    with Client(**alone) as client:
        send(client.v3.x, "get")
        known = wire.respond
        for number in range(20):
            forged = service.signed(b"{}", serial=f"{number:040X}")
            wire.respond = lambda received, forged=forged: (
                known(received) if "certificates" in received.target else forged
            )
            with pytest.raises(SignatureError):
                send(client.v3.x, "get")
        wire.respond = known
        assert send(client.v3.x, "get").status_code == 200
    assert authority.downloads == 1


FAULTS = {
    "404": Reply(404, {}, json_body({"code": "RESOURCE_NOT_EXISTS", "message": "无可用的平台证书"})),
    "500": Reply(500, {}, b"<html>"),
    "dropped": lambda authority: None,
    "unsigned": lambda authority: Reply(200, {}, authority.listing()),
    "signed by a stranger": lambda authority: authority.service.signed(
        authority.listing(), key=authority.service.merchant, serial=authority.serial
    ),
    "old": lambda authority: authority.service.signed(
        authority.listing(), key=authority.key, serial=authority.serial, timestamp=int(time.time()) - 400
    ),
    "altered": lambda authority: authority.service.signed(
        authority.listing().replace(b'"ciphertext": "', b'"ciphertext": "AAAA'),
        key=authority.key,
        serial=authority.serial,
    ),
    "empty": lambda authority: authority.service.signed(b'{"data":[]}', key=authority.key, serial=authority.serial),
    "no list": lambda authority: authority.service.signed(b"[1]", key=authority.key, serial=authority.serial),
    "no JSON": lambda authority: authority.service.signed(b"\xff", key=authority.key, serial=authority.serial),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_download_that_fails_leaves_the_old_set_and_does_not_repeat_the_call(
    alone, wire, authority, send, no_pause, fault
):
    with Client(**alone) as client:
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


def bad_listing(service, wire, authority, send, alone, **settings) -> str:
    with Client(**{**alone, **settings}) as client, pytest.raises(ConfigurationError) as caught:
        send(client.v3.x, "get")
    assert caught.value.sent is False
    assert authority.downloads == 1
    assert {received.target for received in wire.received} == {"/v3/certificates"}
    return str(caught.value)


def test_each_certificate_is_checked(service, wire, authority, send, alone):
    key, good = service.platform, authority.listed
    authority.listed = [any_certificate(key)]
    assert "Tenpay.com Root CA" in bad_listing(service, wire, authority, send, alone)
    authority.downloads, authority.listed = 0, [new_certificate(key, age=90, days=-1)]
    assert "not valid yet" in bad_listing(service, wire, authority, send, alone)
    authority.downloads, authority.listed = 0, [new_certificate(key, age=-1, days=9)]
    assert "not valid yet" in bad_listing(service, wire, authority, send, alone)
    authority.downloads, authority.listed = 0, good
    assert "apiv3_key: the platform certificates cannot be decrypted with it" in bad_listing(
        service, wire, authority, send, alone, apiv3_key="x" * 32
    )
    listing = authority.listing().replace(authority.serial.encode(), b"A" * 40)
    authority.downloads = 0
    authority.fault = service.signed(listing, key=key, serial=authority.serial)
    assert "another serial number than its entry says" in bad_listing(service, wire, authority, send, alone)
    authority.downloads = 0
    authority.fault = service.signed(authority.listing().replace(b"AES_256", b"SM4_"), key=key, serial=authority.serial)
    assert "not encrypted with AEAD_AES_256_GCM" in bad_listing(service, wire, authority, send, alone)
    authority.downloads, authority.fault = 0, None
    authority.listed = [new_certificate(service.merchant)]
    authority.key, authority.signer = service.merchant, authority.listed[0]
    assert "the merchant's own" in bad_listing(service, wire, authority, send, alone)


def test_what_was_sealed_for_a_notification_is_no_certificate(service, alone):
    reader = CertificateList(APIV3_KEY.encode(), (), ("", None))
    certificate = new_certificate(service.platform)
    serial, pem = f"{certificate.serial_number:040X}", certificate_pem(certificate)
    for text, data in ((pem, "transaction"), (json.dumps({"attach": pem}), "certificate")):
        sealed = {
            "algorithm": "AEAD_AES_256_GCM",
            "nonce": "0123456789ab",
            "associated_data": data,
            "ciphertext": crypto.aes_gcm_encrypt(text, APIV3_KEY.encode(), "0123456789ab", data),
        }
        with pytest.raises(ConfigurationError, match="certificate"):
            reader.read(json_body({"data": [{"serial_no": serial, "encrypt_certificate": sealed}]}))


def test_trust_anchors(service, wire, authority, send, alone):
    root_key = new_key()
    root = new_certificate(root_key)
    with pytest.raises(ConfigurationError, match="trust_anchors"):
        Client(**alone, trust_anchors=[public_pem(root_key)])
    for wrong in ("root.pem", 5, ["nothing"]):
        with pytest.raises(ConfigurationError, match="trust_anchors"):
            Client(**alone, trust_anchors=wrong)
    assert "trust_anchors" in bad_listing(service, wire, authority, send, alone, trust_anchors=[certificate_pem(root)])
    root = any_certificate(root_key, subject="Tenpay.com Root CA", issuer="Tenpay.com Root CA")
    issued = new_certificate(service.platform, issuer_key=root_key)
    authority.listed, authority.signer, authority.downloads = [issued], issued, 0
    with Client(**alone, trust_anchors=[certificate_pem(root)]) as client:
        assert send(client.v3.x, "get").status_code == 200


def test_every_twelve_hours_in_use(alone, authority, send, no_pause, monkeypatch):
    with Client(**alone) as client:
        send(client.v3.x, "get")
        send(client.v3.x, "get")
        assert authority.downloads == 1
        now = time.monotonic()
        monkeypatch.setattr(refresh.time, "monotonic", lambda: now + 12 * 3600 + 1)
        send(client.v3.x, "get")
        send(client.v3.x, "get")
    assert authority.downloads == 2


def test_before_a_certificate_ends(alone, service, authority, send, no_pause):
    authority.listed = [new_certificate(service.platform, age=300, days=0.5)]
    authority.signer = authority.listed[0]
    with Client(**alone) as client:
        send(client.v3.x, "get")
        send(client.v3.x, "get")
    assert authority.downloads == 3, "before the first call, and after each answer"


def test_nothing_is_sent_whose_answer_nothing_could_prove(alone, wire, service, send, monkeypatch):
    """An outage of the certificates must not make orders that are then reported as forged."""
    from wechatpay_chain import Retry, TransportError

    wire.respond = lambda received: Reply(503) if received.target == "/v3/certificates" else service.signed()
    with Client(**{**alone, "retry": Retry(backoff=0.01)}) as client:
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


def test_a_cache_that_takes_its_time_holds_up_no_loop(alone, authority):
    class Slow:
        def load(self):
            time.sleep(0.2)

        def save(self, answer):
            time.sleep(0.2)

    async def main() -> int:
        async with Client(**alone, certificate_cache=Slow()) as client:
            return await wakeups_during(client.v3.x.get_async())

    assert asyncio.run(main()) > 20


def test_a_cache_spares_the_next_process_the_download(alone, wire, authority, send, tmp_path):
    file = tmp_path / "certificates.json"
    with Client(**alone, certificate_cache=file) as client:
        send(client.v3.x, "get")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["certificates.json"]
    assert b"BEGIN" not in file.read_bytes()
    with Client(**alone, certificate_cache=str(file)) as client:
        assert send(client.v3.x, "get").status_code == 200
    assert authority.downloads == 1


@pytest.mark.parametrize("content", [b"", b"nothing", b"{}", b'{"data":[{}]}', b"\xff", b"[" * 9000])
def test_a_cache_that_lies_is_not_believed(alone, authority, send, tmp_path, content):
    file = tmp_path / "certificates.json"
    file.write_bytes(content)
    with Client(**alone, certificate_cache=file) as client:
        assert send(client.v3.x, "get").status_code == 200
    assert authority.downloads == 1
    assert json.loads(file.read_bytes())["data"], "and is replaced"


def test_a_cache_that_is_out_of_date_is_replaced(alone, authority, send, no_pause, tmp_path):
    file = tmp_path / "certificates.json"
    with Client(**alone, certificate_cache=file) as client:
        send(client.v3.x, "get")
    authority.rotate()
    with Client(**alone, certificate_cache=file) as client:
        assert send(client.v3.x, "get").status_code == 200
    assert authority.downloads == 2


def test_a_cache_does_not_keep_a_withdrawn_certificate(alone, authority, send, no_pause, tmp_path, monkeypatch):
    file = tmp_path / "certificates.json"
    with Client(**alone, certificate_cache=file) as client:
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
    with Client(**alone, certificate_cache=file) as client:
        authority.signer, authority.key = authority.listed[0], authority.key
        assert client._config.keyring.preferred is None


def test_a_list_that_somebody_asked_for_is_taken(alone, authority, send, no_pause):
    with Client(**alone) as client:
        send(client.v3.x, "get")
        authority.rotate()
        send(client.v3.certificates, "get")
        assert authority.downloads == 2
        send(client.v3.x, "get")
    assert authority.downloads == 2


def test_a_list_signed_by_a_key_that_is_known_already_is_taken(service, wire, authority, send, caplog):
    """A call names the public key, so that the public key signs the list."""
    authority.fault = lambda authority: service.signed(authority.listing())
    given = any_certificate(new_key())
    certs = {PUBLIC_KEY_ID: public_pem(service.public_key), f"{given.serial_number:040X}": given}
    with Client(**{**service.settings(wire.base_url), "certs": certs, "apiv3_key": APIV3_KEY}) as client:
        assert send(client.v3.certificates, "get").json()["data"]
        assert send(client.v3.x, "get").json() == {"a": 1}, "signed by a certificate of that list"
    assert authority.downloads == 1
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_cache_that_fails_costs_no_call(alone, authority, send, tmp_path):
    class Broken:
        def load(self) -> bytes | None:
            raise KeyError("load")

        def save(self, answer: bytes) -> None:
            raise KeyError("save")

    for cache in (Broken(), tmp_path / "no" / "folder", tmp_path):
        with Client(**alone, certificate_cache=cache) as client:
            assert send(client.v3.x, "post", json={}).status_code == 200


def test_a_cache_of_ones_own(alone, authority, send):
    class Shelf:
        kept: bytes | None = None

        def load(self) -> bytes | None:
            return self.kept

        def save(self, answer: bytes) -> None:
            self.kept = answer

    shelf = Shelf()
    for _ in range(2):
        with Client(**alone, certificate_cache=shelf) as client:
            send(client.v3.x, "get")
    assert authority.downloads == 1
    with pytest.raises(ConfigurationError, match="certificate_cache"):
        Client(**alone, certificate_cache=object())


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
def test_whatever_the_list_holds_only_our_errors_go(service, value):
    reader = CertificateList(APIV3_KEY.encode(), (), ("", None))
    with pytest.raises(WeChatPayError):
        reader.read(json.dumps({"data": [value]}).encode())


def certificates(sandbox, folder, monkeypatch, *more, apiv3_key=None, **options) -> int:
    known = sandbox.credentials
    (folder / "key.pem").write_text(known["private_key"])
    given = {
        "mchid": known["mchid"],
        "serial": known["serial"],
        "private-key": folder / "key.pem",
        "output": folder / "out",
    }
    given |= {"base-url": known["base_url"], **options}
    monkeypatch.setenv("WECHATPAY_APIV3_KEY", known["apiv3_key"] if apiv3_key is None else apiv3_key)
    monkeypatch.setenv("NO_PROXY", "*")
    return main(["certificates", *(part for name, value in given.items() for part in (f"--{name}", str(value))), *more])


def test_the_command(tmp_path, monkeypatch, capsys):
    with Sandbox() as sandbox:
        _, (serial, pem) = sandbox.credentials["certs"].items()
        assert certificates(sandbox, tmp_path, monkeypatch) == 0
        said = capsys.readouterr().out
        assert (tmp_path / "out" / f"{serial}.pem").read_text() == pem
        assert said.startswith(f"{serial} valid from 2")
        for wrong in ({"apiv3_key": "x" * 32}, {"apiv3_key": ""}, {"serial": "A" * 40}, {"private-key": tmp_path / "no.pem"},
                      {"output": tmp_path / "key.pem"}):  # fmt: skip
            assert certificates(sandbox, tmp_path, monkeypatch, **wrong) == 1
            error = capsys.readouterr().err
            assert error.startswith("certificates: ")
            assert sandbox.credentials["apiv3_key"] not in error
        (tmp_path / "other.pem").write_text(certificate_pem(any_certificate(new_key())))
        assert certificates(sandbox, tmp_path, monkeypatch, "--trust-anchor", str(tmp_path / "other.pem")) == 1


def test_the_sandbox_gives_certificates_to_whoever_has_the_key(send):
    with Sandbox() as sandbox, sandbox.client(certs={}) as client:
        assert send(client.v3.security.echo, "post", json={"echo_message": "x"}).status_code == 200
        assert send(client.v3.security.echo, "post", json={"echo_message": "x"}).status_code == 200


def test_neither_a_key_nor_a_way_to_one(service):
    with pytest.raises(ConfigurationError, match="certs: none came, and no apiv3_key"):
        Client(mchid=MCHID, serial=SERIAL, private_key=service.merchant)


def test_a_download_within_a_call_is_signed_once(alone, authority, send, no_pause):
    """And passes once through what a user has put inside."""
    seen = []

    def count(request):
        seen.append(request.target)
        response = yield request
        return response

    with Client(**alone) as client:
        client.middleware.insert_after("sign", "count", count)
        send(client.v3.x, "get")
        authority.rotate()
        seen.clear()
        send(client.v3.x, "get")
    assert seen == ["/v3/x", "/v3/certificates"]


def test_a_set_that_is_adopted_while_the_preferred_key_is_read(service):
    """Another thread may replace all certificates between any two steps."""
    old, new = (Keyring({f"{one.serial_number:040X}": one}) for one in (new_certificate(new_key()) for _ in range(2)))
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


def test_a_notification_fetches_once(alone, authority, send):
    """WeChat Pay waits only some seconds for the reply."""
    authority.fault = authority.service.signed(b"{}", 503)
    with Client(**alone) as client:
        headers = authority.service.signature(b"{}") | {"Wechatpay-Serial": "A" * 40}
        began = time.monotonic()
        with pytest.raises(SignatureError):
            client.notifications.parse(headers, b"{}")
        assert time.monotonic() - began < 1
    assert authority.downloads == 1

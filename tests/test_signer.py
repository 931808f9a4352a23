"""Signers and verifiers of the user replace the private key and the keys of WeChat Pay."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from tests.service import PUBLIC_KEY_ID, Reply, rsa_sign, rsa_verifies, wakeups_during
from wechatpay_chain import (
    Client,
    ConfigurationError,
    Notifications,
    Reason,
    Retry,
    Sensitive,
    SignatureError,
    TransportError,
)


class Signer:
    """Signs like an HSM, which may fail some times first."""

    def __init__(self, key, failures=0):
        self.key, self.failures, self.threads = key, failures, []

    def sign(self, message: bytes) -> str:
        self.threads.append(threading.current_thread())
        if self.failures:
            self.failures -= 1
            raise OSError("the token ab12cd is not valid")
        return rsa_sign(self.key, message)


class AwaitedSigner(Signer):
    async def sign(self, message: bytes) -> str:
        await asyncio.sleep(0.01)
        return super().sign(message)


class Verifier:
    def __init__(self, key, verdict=None):
        self.key, self.verdict, self.serials = key, verdict, []

    def verify(self, message: bytes, signature: str, serial: str) -> bool:
        self.serials.append(serial)
        return rsa_verifies(self.key, signature, message) if self.verdict is None else self.verdict


class AwaitedVerifier(Verifier):
    async def verify(self, message: bytes, signature: str, serial: str) -> bool:
        await asyncio.sleep(0.01)
        return super().verify(message, signature, serial)


def without(settings, *names):
    return {name: value for name, value in settings.items() if name not in names}


@pytest.fixture
def settings_without_key(service, wire):
    return without(service.settings(wire.base_url), "private_key")


@pytest.mark.parametrize("kind", [Signer, AwaitedSigner])
def test_a_signer_needs_no_private_key(service, wire, settings_without_key, send, kind):
    with Client(**settings_without_key, signer=kind(service.merchant)) as client:
        assert send(client.v3.x, "post", json={"a": "中"}).status_code == 200
        assert wire.received[-1].is_signed_by(service.merchant)
        paid = client.payment.jsapi("wx", "wx2014")
        message = f"wx\n{paid['timeStamp']}\n{paid['nonceStr']}\n{paid['package']}\n"
        assert rsa_verifies(service.merchant, paid["paySign"], message.encode())
        with pytest.raises(
            ConfigurationError, match="private_key: it is missing; expected the private key, to decrypt"
        ):
            client.decrypt("abc")


def test_a_slow_signer_does_not_block_the_loop(service, settings_without_key):
    class Slow(Signer):
        def sign(self, message):
            time.sleep(0.3)
            return super().sign(message)

    async def main() -> int:
        async with Client(**settings_without_key, signer=Slow(service.merchant)) as client:
            return await wakeups_during(client.v3.x.get_async())

    assert asyncio.run(main()) > 10


def test_an_awaited_signer_works_in_a_blocking_call_inside_a_loop(service, settings_without_key):
    async def main() -> int:
        with Client(**settings_without_key, signer=AwaitedSigner(service.merchant)) as client:
            return client.v3.x.get().status_code

    assert asyncio.run(main()) == 200


@pytest.mark.parametrize("kind", [Signer, AwaitedSigner])
def test_a_call_is_not_sent_if_its_signer_fails(service, wire, settings_without_key, send, kind):
    with Client(**settings_without_key, signer=kind(service.merchant, failures=1)) as client:
        with pytest.raises(TransportError) as caught:
            send(client.v3.x, "post", json={})
    assert caught.value.sent is False
    assert "the signer raised OSError" in str(caught.value)
    assert "ab12cd" not in str(caught.value)
    assert not wire.received
    settings = {**settings_without_key, "retry": Retry(backoff=0.01)}
    with Client(**settings, signer=kind(service.merchant, failures=2)) as client:
        assert send(client.v3.x, "post", json={}).status_code == 200
    assert len(wire.received) == 1


@pytest.mark.parametrize("signed", [None, b"abc", "", "not base64!", 'a"b', "a\r\nX: y"])
def test_an_invalid_signature_is_not_sent(wire, settings_without_key, send, signed):
    class WrongSigner:
        def sign(self, message):
            return signed

    with (
        Client(**settings_without_key, signer=WrongSigner()) as client,
        pytest.raises(ConfigurationError, match=r"signer: its sign\(\)"),
    ):
        send(client.v3.x, "get")
    assert not wire.received


@pytest.mark.parametrize("kind", [Verifier, AwaitedVerifier])
def test_a_verifier_needs_no_certificates(service, wire, send, kind):
    settings = without(service.settings(wire.base_url), "certs")
    verifier = kind(service.public_key)
    with Client(**settings, verifier=verifier) as client:
        assert send(client.v3.x, "get").status_code == 200
        assert verifier.serials == [PUBLIC_KEY_ID]
        wire.respond = lambda received: service.signed().having(Wechatpay_Nonce="another")
        with pytest.raises(SignatureError) as caught:
            send(client.v3.x, "get")
        assert caught.value.reason is Reason.BAD_SIGNATURE
        with pytest.raises(ConfigurationError, match="needs a key of WeChat Pay, and there is none"):
            send(client.v3.x, "post", json={"name": Sensitive("张三")})


def test_a_verifier_is_not_called_for_invalid_headers(service, wire, send):
    settings = without(service.settings(wire.base_url), "certs")
    for fault in (
        service.signed().without("Wechatpay-Nonce"),
        service.signed(timestamp=int(time.time()) - 301),
        service.signed().having(Wechatpay_Nonce="a b"),
        service.signed().having(Wechatpay_Timestamp="1e9"),
    ):
        verifier = Verifier(service.public_key, verdict=True)
        wire.respond = lambda received, fault=fault: fault
        with Client(**settings, verifier=verifier) as client, pytest.raises(SignatureError):
            send(client.v3.x, "get")
        assert not verifier.serials


@pytest.mark.parametrize(
    "verdict", [False, None, 1, "true", object()], ids=lambda value: str(value).partition(" at ")[0]
)
def test_only_true_verifies(service, wire, send, verdict):
    class WrongVerifier:
        def verify(self, message, signature, serial):
            return verdict

    settings = without(service.settings(wire.base_url), "certs")
    with Client(**settings, verifier=WrongVerifier()) as client, pytest.raises(SignatureError) as caught:
        send(client.v3.x, "get")
    assert caught.value.reason is Reason.BAD_SIGNATURE


def test_a_response_is_refused_if_the_verifier_fails(service, wire, send):
    class Broken:
        def verify(self, message, signature, serial):
            raise ConnectionError("token ab12cd")

    settings = {**without(service.settings(wire.base_url), "certs"), "retry": Retry()}
    with Client(**settings, verifier=Broken()) as client, pytest.raises(SignatureError) as caught:
        send(client.v3.x, "get")
    assert caught.value.reason is Reason.VERIFIER_FAILED
    assert "ab12cd" not in str(caught.value)
    assert len(wire.received) == 1


def test_a_client_with_a_verifier_fetches_certificates_only_to_encrypt(service, wire, send):
    """The APIv3 key may be for notifications only, and must not make the client depend on certificates."""
    settings = without(service.settings(wire.base_url), "certs")
    with Client(**settings, verifier=Verifier(service.public_key), apiv3_key="k" * 32) as client:
        send(client.v3.x, "get")
        assert [received.target for received in wire.received] == ["/v3/x"]
        wire.respond = lambda received: Reply(404)
        with pytest.raises(ConfigurationError, match="give WeChat Pay's public key") as caught:
            send(client.v3.x, "post", json={"name": Sensitive("张三")})
        assert caught.value.sent is False
        assert [received.target for received in wire.received[1:]] == ["/v3/certificates"]


def test_a_client_that_only_reads_notifications_needs_no_private_key(service, wire, send):
    settings = without(service.settings(wire.base_url), "certs", "private_key")
    with Client(**settings, verifier=Verifier(service.public_key), apiv3_key="k" * 32) as client:
        with pytest.raises(ConfigurationError, match="private_key: it is missing, and so is signer="):
            send(client.v3.x, "get")
        with pytest.raises(SignatureError):
            client.notifications.parse({}, b"{}")
    assert not wire.received


@pytest.mark.parametrize(
    "value", [True, 3, "sign", Signer, object()], ids=lambda value: str(value).partition(" at ")[0]
)
@pytest.mark.parametrize("setting", ["signer", "verifier"])
def test_a_value_that_is_no_signer_or_verifier_is_refused(service, setting, value):
    with pytest.raises(ConfigurationError, match=f"{setting}: came a "):
        Client(**service.settings("http://127.0.0.1:9/"), **{setting: value})


def test_a_signed_reply_can_be_verified(service, client, wire):
    reader = Client(**service.settings(wire.base_url), apiv3_key="k" * 32).notifications
    body = {"code": "SUCCESS", "message": "", "acq_tid": "202507150000000000011008013780", "mch_id": "9527"}
    for reply in (reader.signed_reply(body), asyncio.run(reader.signed_reply_async(body))):
        assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
        scheme, _, items = reply.headers["Authorization"].partition(" ")
        credentials = {name: value.strip('"') for name, _, value in (item.partition("=") for item in items.split(","))}
        assert scheme == "WECHATPAY2-SHA256-RSA2048"
        assert set(credentials) == {"mchid", "nonce_str", "signature", "timestamp", "serial_no"}
        message = f"{credentials['timestamp']}\n{credentials['nonce_str']}\n".encode() + reply.body + b"\n"
        assert rsa_verifies(service.merchant, credentials["signature"], message)
    with pytest.raises(ConfigurationError, match="credentials: they are missing"):
        Notifications(service.certs, "k" * 32).signed_reply(body)


def test_a_stop_iteration_of_a_signer_or_verifier_is_an_error_of_the_call(service, wire, settings_without_key, send):
    class RaisesStopIteration:
        def sign(self, message):
            return next(iter(()))

        def verify(self, message, signature, serial):
            return next(iter(()))

    with Client(**settings_without_key, signer=RaisesStopIteration()) as client, pytest.raises(TransportError):
        send(client.v3.x, "get")
    with (
        Client(**service.settings(wire.base_url), verifier=RaisesStopIteration()) as client,
        pytest.raises(SignatureError),
    ):
        send(client.v3.x, "get")


def test_an_awaited_signer_does_not_change_the_loop_of_the_thread(service, settings_without_key):
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        with Client(**settings_without_key, signer=AwaitedSigner(service.merchant)) as client:
            client.v3.x.get()
        assert asyncio.get_event_loop_policy().get_event_loop() is loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_the_message_of_a_failed_verifier_is_not_logged(service, wire, send, caplog):
    class Broken:
        def verify(self, message, signature, serial):
            raise OSError("https://user:hunter2@hsm.internal/")

    with Client(**service.settings(wire.base_url), verifier=Broken()) as client, pytest.raises(SignatureError):
        send(client.v3.x, "get")
    assert "the verifier raised OSError" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_context_variable_reaches_every_signer(service, settings_without_key, send):
    import contextvars

    tenant = contextvars.ContextVar("tenant", default="nobody")
    seen = []

    class SyncSigner(Signer):
        def sign(self, message):
            seen.append(tenant.get())
            return super().sign(message)

    class CoroutineSigner(Signer):
        async def sign(self, message):
            seen.append(tenant.get())
            return super().sign(message)

    token = tenant.set("acme")
    try:
        for kind in (SyncSigner, CoroutineSigner):
            with Client(**settings_without_key, signer=kind(service.merchant)) as client:
                send(client.v3.x, "get")
    finally:
        tenant.reset(token)
    assert seen == ["acme", "acme"]


def test_an_awaited_signer_signs_payments_on_the_loop_of_its_client(service, settings_without_key):
    async def main() -> dict[str, str]:
        loop = asyncio.get_running_loop()

        class BoundToLoop(Signer):
            async def sign(self, message):
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01), loop))
                assert asyncio.get_running_loop() is loop
                return super().sign(message)

        payment = Client(**settings_without_key, signer=BoundToLoop(service.merchant)).payment
        await payment.mini_program_async("wx", "wx2014")
        await payment.app_async("wx", "wx2014")
        return await payment.jsapi_async("wx", "wx2014")

    paid = asyncio.run(main())
    message = f"wx\n{paid['timeStamp']}\n{paid['nonceStr']}\n{paid['package']}\n"
    assert rsa_verifies(service.merchant, paid["paySign"], message.encode())

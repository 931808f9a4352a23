"""Signing and verifying elsewhere."""

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
    """An HSM on a bad day can fail some times first."""

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
        self.key, self.verdict, self.asked = key, verdict, []

    def verify(self, message: bytes, signature: str, serial: str) -> bool:
        self.asked.append(serial)
        return rsa_verifies(self.key, signature, message) if self.verdict is None else self.verdict


class AwaitedVerifier(Verifier):
    async def verify(self, message: bytes, signature: str, serial: str) -> bool:
        await asyncio.sleep(0.01)
        return super().verify(message, signature, serial)


def without(settings, *names):
    return {name: value for name, value in settings.items() if name not in names}


@pytest.fixture
def keyless(service, wire):
    return without(service.settings(wire.base_url), "private_key")


@pytest.mark.parametrize("kind", [Signer, AwaitedSigner])
def test_a_signer_needs_no_private_key(service, wire, keyless, send, kind):
    with Client(**keyless, signer=kind(service.merchant)) as client:
        assert send(client.v3.x, "post", json={"a": "中"}).status_code == 200
        assert wire.received[-1].is_signed_by(service.merchant)
        paid = client.payment.jsapi("wx", "wx2014")
        message = f"wx\n{paid['timeStamp']}\n{paid['nonceStr']}\n{paid['package']}\n"
        assert rsa_verifies(service.merchant, paid["paySign"], message.encode())
        with pytest.raises(
            ConfigurationError, match="private_key: it is missing; expected the private key, to decrypt"
        ):
            client.decrypt("abc")


def test_a_signer_that_blocks_does_not_hold_up_the_loop(service, keyless):
    class Slow(Signer):
        def sign(self, message):
            time.sleep(0.3)
            return super().sign(message)

    async def main() -> int:
        async with Client(**keyless, signer=Slow(service.merchant)) as client:
            return await wakeups_during(client.v3.x.get_async())

    assert asyncio.run(main()) > 10


def test_an_awaited_signer_in_a_blocking_call_inside_a_loop(service, keyless):
    async def main() -> int:
        with Client(**keyless, signer=AwaitedSigner(service.merchant)) as client:
            return client.v3.x.get().status_code

    assert asyncio.run(main()) == 200


@pytest.mark.parametrize("kind", [Signer, AwaitedSigner])
def test_a_signer_that_fails_sends_nothing(service, wire, keyless, send, kind):
    with Client(**keyless, signer=kind(service.merchant, failures=1)) as client:
        with pytest.raises(TransportError) as caught:
            send(client.v3.x, "post", json={})
    assert caught.value.sent is False
    assert "the signer raised OSError" in str(caught.value)
    assert "ab12cd" not in str(caught.value)
    assert not wire.received
    retrying = {**keyless, "retry": Retry(backoff=0.01)}
    with Client(**retrying, signer=kind(service.merchant, failures=2)) as client:
        assert send(client.v3.x, "post", json={}).status_code == 200
    assert len(wire.received) == 1


@pytest.mark.parametrize("signed", [None, b"abc", "", "not base64!", 'a"b', "a\r\nX: y"])
def test_what_is_no_signature_is_not_sent(wire, keyless, send, signed):
    class Odd:
        def sign(self, message):
            return signed

    with Client(**keyless, signer=Odd()) as client, pytest.raises(ConfigurationError, match=r"signer: its sign\(\)"):
        send(client.v3.x, "get")
    assert not wire.received


@pytest.mark.parametrize("kind", [Verifier, AwaitedVerifier])
def test_a_verifier_needs_no_certificates(service, wire, send, kind):
    settings = without(service.settings(wire.base_url), "certs")
    verifier = kind(service.public_key)
    with Client(**settings, verifier=verifier) as client:
        assert send(client.v3.x, "get").status_code == 200
        assert verifier.asked == [PUBLIC_KEY_ID]
        wire.respond = lambda received: service.signed().having(Wechatpay_Nonce="another")
        with pytest.raises(SignatureError) as caught:
            send(client.v3.x, "get")
        assert caught.value.reason is Reason.BAD_SIGNATURE
        with pytest.raises(ConfigurationError, match="needs a key of WeChat Pay, and there is none"):
            send(client.v3.x, "post", json={"name": Sensitive("张三")})


def test_what_a_verifier_is_not_asked(service, wire, send):
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
        assert not verifier.asked


@pytest.mark.parametrize(
    "verdict", [False, None, 1, "true", object()], ids=lambda value: str(value).partition(" at ")[0]
)
def test_nothing_but_true_is_a_yes(service, wire, send, verdict):
    class Answering:
        def verify(self, message, signature, serial):
            return verdict

    settings = without(service.settings(wire.base_url), "certs")
    with Client(**settings, verifier=Answering()) as client, pytest.raises(SignatureError) as caught:
        send(client.v3.x, "get")
    assert caught.value.reason is Reason.BAD_SIGNATURE


def test_a_verifier_that_fails_proves_nothing(service, wire, send):
    class Broken:
        def verify(self, message, signature, serial):
            raise ConnectionError("token ab12cd")

    settings = {**without(service.settings(wire.base_url), "certs"), "retry": Retry()}
    with Client(**settings, verifier=Broken()) as client, pytest.raises(SignatureError) as caught:
        send(client.v3.x, "get")
    assert caught.value.reason is Reason.VERIFIER_FAILED
    assert "ab12cd" not in str(caught.value)
    assert len(wire.received) == 1


def test_a_verifier_fetches_certificates_to_encrypt_only(service, wire, send):
    """A merchant that gives an APIv3 key for notifications must not be kept on certificates by it."""
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
def test_what_is_no_signer(service, setting, value):
    with pytest.raises(ConfigurationError, match=f"{setting}: came a "):
        Client(**service.settings("http://127.0.0.1:9/"), **{setting: value})


def test_a_reply_is_signed_as_answers_are(service, client, wire):
    reading = Client(**service.settings(wire.base_url), apiv3_key="k" * 32).notifications
    answer = {"code": "SUCCESS", "message": "", "acq_tid": "202507150000000000011008013780", "mch_id": "9527"}
    for reply in (reading.signed_reply(answer), asyncio.run(reading.signed_reply_async(answer))):
        assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
        scheme, _, items = reply.headers["Authorization"].partition(" ")
        said = {name: value.strip('"') for name, _, value in (item.partition("=") for item in items.split(","))}
        assert scheme == "WECHATPAY2-SHA256-RSA2048"
        assert set(said) == {"mchid", "nonce_str", "signature", "timestamp", "serial_no"}
        message = f"{said['timestamp']}\n{said['nonce_str']}\n".encode() + reply.body + b"\n"
        assert rsa_verifies(service.merchant, said["signature"], message)
    with pytest.raises(ConfigurationError, match="credentials: they are missing"):
        Notifications(service.certs, "k" * 32).signed_reply(answer)


def test_a_stop_iteration_ends_nothing_but_the_call(service, wire, keyless, send):
    class Stopping:
        def sign(self, message):
            return next(iter(()))

        def verify(self, message, signature, serial):
            return next(iter(()))

    with Client(**keyless, signer=Stopping()) as client, pytest.raises(TransportError):
        send(client.v3.x, "get")
    with Client(**service.settings(wire.base_url), verifier=Stopping()) as client, pytest.raises(SignatureError):
        send(client.v3.x, "get")


def test_an_awaited_signer_leaves_the_loop_of_the_thread_alone(service, keyless):
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        with Client(**keyless, signer=AwaitedSigner(service.merchant)) as client:
            client.v3.x.get()
        assert asyncio.get_event_loop_policy().get_event_loop() is loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_what_a_verifier_says_when_it_fails_is_in_no_log(service, wire, send, caplog):
    class Broken:
        def verify(self, message, signature, serial):
            raise OSError("https://user:hunter2@hsm.internal/")

    with Client(**service.settings(wire.base_url), verifier=Broken()) as client, pytest.raises(SignatureError):
        send(client.v3.x, "get")
    assert "the verifier raised OSError" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_context_variable_reaches_every_signer(service, keyless, send):
    import contextvars

    tenant = contextvars.ContextVar("tenant", default="nobody")
    seen = []

    class Plain(Signer):
        def sign(self, message):
            seen.append(tenant.get())
            return super().sign(message)

    class Awaited(Signer):
        async def sign(self, message):
            seen.append(tenant.get())
            return super().sign(message)

    token = tenant.set("acme")
    try:
        for kind in (Plain, Awaited):
            with Client(**keyless, signer=kind(service.merchant)) as client:
                send(client.v3.x, "get")
    finally:
        tenant.reset(token)
    assert seen == ["acme", "acme"]


def test_an_awaited_signer_on_the_loop_of_its_client_signs_payments(service, keyless):
    async def main() -> dict[str, str]:
        loop = asyncio.get_running_loop()

        class Bound(Signer):
            async def sign(self, message):
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01), loop))
                assert asyncio.get_running_loop() is loop
                return super().sign(message)

        payment = Client(**keyless, signer=Bound(service.merchant)).payment
        await payment.mini_program_async("wx", "wx2014")
        await payment.app_async("wx", "wx2014")
        return await payment.jsapi_async("wx", "wx2014")

    paid = asyncio.run(main())
    message = f"wx\n{paid['timeStamp']}\n{paid['nonceStr']}\n{paid['package']}\n"
    assert rsa_verifies(service.merchant, paid["paySign"], message.encode())

"""What WeChat Pay posts: believed when it is proven, over the raw bytes, however a framework hands it over."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.service import PUBLIC_KEY_ID, Wire, json_body, new_key
from tests.test_rotation import APIV3_KEY, Authority
from wechatpay_chain import (
    Client,
    ConfigurationError,
    DecryptionError,
    Notifications,
    Reason,
    Reply,
    SeenNonces,
    SignatureError,
    WeChatPayError,
    crypto,
)

RESOURCE = {"out_trade_no": "1217752501201407033233368018", "payer": {"openid": "oh-394z"}, "name": "张三"}


def envelope(resource=RESOURCE, **members) -> bytes:
    nonce = crypto.nonce(12)
    data = members.pop("associated_data", "transaction")
    sealed = {
        "original_type": "transaction",
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": crypto.aes_gcm_encrypt(json_body(resource), APIV3_KEY.encode(), nonce, data or ""),
        "associated_data": data,
        "nonce": nonce,
        **members.pop("sealed", {}),
    }
    return json_body(
        {
            "id": "EV-2018022511223320873",
            "create_time": "2015-05-20T13:29:35+08:00",
            "resource_type": "encrypt-resource",
            "event_type": "TRANSACTION.SUCCESS",
            "summary": "支付成功",
            "resource": {name: value for name, value in sealed.items() if value is not ...},
            **members,
        }
    )


@pytest.fixture
def notifications(service) -> Notifications:
    return Notifications(certs=service.certs, apiv3_key=APIV3_KEY)


def test_a_notification(service, notifications):
    body = envelope()
    found = notifications.parse(service.signature(body), body)
    assert (found.id, found.event_type, found.original_type) == (
        "EV-2018022511223320873",
        "TRANSACTION.SUCCESS",
        "transaction",
    )
    assert (found.create_time, found.summary) == ("2015-05-20T13:29:35+08:00", "支付成功")
    assert found.resource == RESOURCE
    assert found.raw == body
    assert "张三" not in repr(found)
    assert "oh-394z" not in repr(found)
    with pytest.raises(AttributeError):
        found.id = "x"
    assert asyncio.run(notifications.parse_async(service.signature(body), body)) == found


@pytest.mark.parametrize("data", ["transaction", "", None, ...])
def test_associated_data_may_be_empty_or_absent(service, notifications, data):
    body = envelope(associated_data=None if data is ... else data, sealed={"associated_data": data})
    assert notifications.parse(service.signature(body), body).resource == RESOURCE


def test_an_event_of_tomorrow(service, notifications):
    body = envelope(event_type="TOMORROW.NEW", sealed={"original_type": "profitsharing"})
    found = notifications.parse(service.signature(body), body)
    assert (found.event_type, found.original_type) == ("TOMORROW.NEW", "profitsharing")


SPELLINGS = {
    "as sent": lambda headers: headers,
    "lower case": lambda headers: {name.lower(): value for name, value in headers.items()},
    "upper case": lambda headers: {name.upper(): value for name, value in headers.items()},
    "WSGI": lambda headers: {
        "wsgi.input": object(), "CONTENT_LENGTH": "3", **{f"HTTP_{n.upper().replace('-', '_')}": v for n, v in headers.items()}
    },
    "ASGI": lambda headers: [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    "pairs": lambda headers: list(headers.items()),
    "generator": lambda headers: ((name, value) for name, value in headers.items()),
    "twice the same": lambda headers: [*headers.items(), *headers.items()],
}  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_headers_of_every_framework(service, notifications, spelling):
    body = envelope()
    for signer in ({}, {"key": service.platform, "serial": service.platform_serial}):
        headers = SPELLINGS[spelling](service.signature(body, **signer))
        assert notifications.parse(headers, body).resource == RESOURCE


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_bytes_of_every_kind(service, notifications, kind):
    body = envelope()
    assert notifications.parse(service.signature(body), kind(body)).resource == RESOURCE


@pytest.mark.parametrize("body", ["{}", {}, None, 5, [1]])
def test_a_body_that_is_not_raw(service, notifications, body):
    with pytest.raises(TypeError, match="raw bytes"):
        notifications.parse(service.signature(b"{}"), body)
    with pytest.raises(TypeError, match="raw bytes"):
        asyncio.run(notifications.parse_async(service.signature(b"{}"), body))


@pytest.mark.parametrize("headers", [None, 5, ["a"], [(1, 2, 3)]])
def test_headers_that_are_none(notifications, headers):
    with pytest.raises(TypeError, match="headers"):
        notifications.parse(headers, b"{}")


def test_a_nonce_of_any_octets(service, notifications):
    body = envelope()
    assert (
        refused(notifications, {**service.signature(body), "Wechatpay-Nonce": "\udcff"}, body) is Reason.BAD_SIGNATURE
    )


def refused(notifications, headers, body) -> Reason:
    with pytest.raises(SignatureError) as caught:
        notifications.parse(headers, body)
    assert caught.value.response is None
    return caught.value.reason


def test_what_is_not_proven(service, notifications):
    body = envelope()
    good = service.signature(body)
    for name in good:
        assert refused(notifications, {n: v for n, v in good.items() if n != name}, body) is Reason.MISSING_HEADER
        assert refused(notifications, {**good, name: ""}, body) is Reason.MISSING_HEADER
        assert refused(notifications, [*good.items(), (name, "another")], body) is Reason.MISSING_HEADER
    for days in (-30, 30):
        old = service.signature(body, timestamp=int(time.time()) + days * 86400)
        assert refused(notifications, old, body) is Reason.CLOCK_SKEW
    assert refused(notifications, service.signature(body, serial="A" * 40), body) is Reason.UNKNOWN_SERIAL
    probe = {**good, "Wechatpay-Signature": f"WECHATPAY/SIGNTEST/{good['Wechatpay-Signature']}"}
    for headers, octets in ((good, body + b" "), (good, json_body(json.loads(body))[:-1]), (probe, body)):
        assert refused(notifications, headers, octets) is Reason.BAD_SIGNATURE
    assert refused(notifications, service.signature(body, key=new_key()), body) is Reason.BAD_SIGNATURE
    assert refused(notifications, {}, body) is Reason.MISSING_HEADER


WRONG = {
    "another APIv3 key": envelope().replace(b'"nonce": "', b'"nonce": "0'),
    "another algorithm": envelope(sealed={"algorithm": "AEAD_SM4_GCM"}),
    "no resource": json_body({"id": "1", "event_type": "x"}),
    "no JSON": b"<xml/>",
    "no object": b"[]",
    "no UTF-8": b"\xff",
    "nothing": b"",
    "deep": b"[" * 100_000,
    "no text": envelope(id=5),
    "no id": envelope(id=""),
    "altered": envelope(sealed={"associated_data": "other"}),
    "plain": envelope(sealed={"ciphertext": "{}"}),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_proven_and_no_notification(service, notifications, wrong):
    with pytest.raises(DecryptionError):
        notifications.parse(service.signature(WRONG[wrong]), WRONG[wrong])


def test_a_resource_that_is_no_json(service, notifications):
    nonce = crypto.nonce(12)
    body = envelope(
        sealed={
            "nonce": nonce,
            "ciphertext": crypto.aes_gcm_encrypt("<xml/>", APIV3_KEY.encode(), nonce, "transaction"),
        }
    )
    with pytest.raises(DecryptionError):
        notifications.parse(service.signature(body), body)


@given(
    st.dictionaries(st.text() | st.binary(), st.text() | st.binary() | st.integers(), max_size=4),
    st.binary(max_size=60),
)
@settings(max_examples=150)
def test_whatever_comes_only_our_errors_go(service, notifications, headers, body):
    for source in (headers, {**service.signature(body), **headers}):
        with pytest.raises(WeChatPayError):
            notifications.parse(source, body)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "id",
                        "event_type",
                        "resource",
                        "algorithm",
                        "ciphertext",
                        "nonce",
                        "associated_data",
                        "original_type",
                    ]
                ),
                inner,
                max_size=6,
            )
        ),
    )
)
@settings(max_examples=150)
def test_whatever_is_signed_only_our_errors_go(service, notifications, value):
    body = json_body(value)
    with pytest.raises(DecryptionError):
        notifications.parse(service.signature(body), body)


def test_a_replay_inside_the_window(service):
    notifications = Notifications(certs=service.certs, apiv3_key=APIV3_KEY, seen=SeenNonces())
    body = envelope()
    headers = service.signature(body)
    for _ in range(2):
        assert refused(notifications, {**headers, "Wechatpay-Signature": "AAAA"}, body) is Reason.BAD_SIGNATURE
    notifications.parse(headers, body)
    assert refused(notifications, headers, body) is Reason.REPLAYED
    assert notifications.parse(service.signature(body), body).resource == RESOURCE, (
        "a repetition by the service has a new nonce"
    )


def test_a_memory_of_bounded_size(monkeypatch):
    seen = SeenNonces(size=2)
    assert [seen.add(nonce, 60) for nonce in "aabcab"] == [True, False, True, True, True, True]
    assert repr(seen) == "<SeenNonces 2 of 2>"
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)
    assert seen.add("b", 60) is True


def test_replies():
    assert (Reply.ok().status, Reply.ok().body) == (204, b"")
    failed = Reply.fail("订单不存在")
    assert failed.status == 500
    assert json.loads(failed.body) == {"code": "FAIL", "message": "订单不存在"}
    assert failed.headers["Content-Type"] == "application/json"


def test_settings_that_are_none(service):
    for key in ("short", b"x" * 31, None, 5):
        with pytest.raises(ConfigurationError, match="apiv3_key"):
            Notifications(certs=service.certs, apiv3_key=key)
    with pytest.raises(ConfigurationError, match="certs"):
        Notifications(certs={}, apiv3_key=APIV3_KEY)
    with pytest.raises(ConfigurationError, match="apiv3_key: it is missing"):
        Client(**service.settings("http://127.0.0.1:9/")).notifications  # noqa: B018


def test_a_client_fetches_the_certificate_that_a_notification_needs(service):
    authority = Authority(service)

    def parse(client, headers, body, mode):
        if mode == "sync":
            return client.notifications.parse(headers, body)
        return asyncio.run(client.notifications.parse_async(headers, body))

    for mode in ("sync", "async"):
        authority.downloads = 0
        with Wire(authority) as wire:
            settings = {**service.settings(wire.base_url), "certs": {}, "apiv3_key": APIV3_KEY}
            with Client(**settings, seen=SeenNonces()) as client:
                body = envelope()
                headers = service.signature(body, key=authority.key, serial=authority.serial)
                assert parse(client, headers, body, mode).resource == RESOURCE
                assert refused(client.notifications, headers, body) is Reason.REPLAYED
                for number in range(20):
                    forged = service.signature(body, serial=f"{number:040X}")
                    assert refused(client.notifications, forged, body) is Reason.UNKNOWN_SERIAL
        assert authority.downloads == 1


def test_a_service_that_is_away_empties_nothing(service, wire):
    settings = {**service.settings(wire.base_url), "apiv3_key": APIV3_KEY}
    wire.answer = lambda received: None
    with Client(**settings) as client:
        body = envelope()
        assert refused(client.notifications, service.signature(body, serial="A" * 40), body) is Reason.UNKNOWN_SERIAL
        known = service.signature(body, key=service.platform, serial=service.platform_serial)
        assert client.notifications.parse(known, body).resource == RESOURCE
        assert client.notifications.parse(service.signature(body, serial=PUBLIC_KEY_ID), body).resource == RESOURCE


def test_a_memory_of_nonces_may_be_awaited(service, send):
    """An `async def add` must not be taken for a yes."""

    class Remote:
        def __init__(self):
            self.known = set()

        async def add(self, nonce, seconds):
            is_new = nonce not in self.known
            self.known.add(nonce)
            return is_new

    body = envelope()
    headers = service.signature(body)
    reading = Notifications(service.certs, APIV3_KEY, seen=Remote())
    asyncio.run(reading.parse_async(headers, body))
    for read in (lambda: asyncio.run(reading.parse_async(headers, body)), lambda: reading.parse(headers, body)):
        with pytest.raises(SignatureError) as caught:
            read()
        assert caught.value.reason is Reason.REPLAYED


@pytest.mark.parametrize("seen", [True, set, {}, "x"], ids=str)
def test_what_is_no_memory(service, seen):
    with pytest.raises(ConfigurationError, match="seen: came a"):
        Client(**service.settings("http://127.0.0.1:9/"), apiv3_key=APIV3_KEY, seen=seen)

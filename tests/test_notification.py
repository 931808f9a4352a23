"""Notifications are verified over the raw bytes, decrypted and parsed; a refusal leaves one line in the log."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.service import PUBLIC_KEY_ID, Wire, json_body, new_key
from tests.service import Reply as ServiceReply
from tests.test_rotation import APIV3_KEY, Authority
from wechatpay_chain import (
    ArgumentError,
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
from wechatpay_chain.sandbox import Sandbox

RESOURCE = {"out_trade_no": "1217752501201407033233368018", "payer": {"openid": "oh-394z"}, "name": "张三"}


def envelope(resource=RESOURCE, **members) -> bytes:
    nonce = crypto.nonce(12)
    data = members.pop("associated_data", "transaction")
    encrypted = {
        "original_type": "transaction",
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": crypto.aes_gcm_encrypt(json_body(resource), APIV3_KEY.encode(), nonce, data or ""),
        "associated_data": data,
        "nonce": nonce,
        **members.pop("encrypted", {}),
    }
    return json_body(
        {
            "id": "EV-2018022511223320873",
            "create_time": "2015-05-20T13:29:35+08:00",
            "resource_type": "encrypt-resource",
            "event_type": "TRANSACTION.SUCCESS",
            "summary": "支付成功",
            "resource": {name: value for name, value in encrypted.items() if value is not ...},
            **members,
        }
    )


@pytest.fixture
def notifications(service) -> Notifications:
    return Notifications(certs=service.certs, apiv3_key=APIV3_KEY)


def test_a_notification_is_parsed_and_shows_no_personal_data(service, notifications):
    body = envelope()
    parsed = notifications.parse(service.signature(body), body)
    assert (parsed.id, parsed.event_type, parsed.original_type) == (
        "EV-2018022511223320873",
        "TRANSACTION.SUCCESS",
        "transaction",
    )
    assert (parsed.create_time, parsed.summary) == ("2015-05-20T13:29:35+08:00", "支付成功")
    assert parsed.resource == RESOURCE
    assert parsed.raw == body
    assert "张三" not in repr(parsed)
    assert "oh-394z" not in repr(parsed)
    with pytest.raises(AttributeError):
        parsed.id = "x"
    assert asyncio.run(notifications.parse_async(service.signature(body), body)) == parsed


@pytest.mark.parametrize("data", ["transaction", "", None, ...])
def test_associated_data_may_be_empty_or_absent(service, notifications, data):
    body = envelope(associated_data=None if data is ... else data, encrypted={"associated_data": data})
    assert notifications.parse(service.signature(body), body).resource == RESOURCE


def test_an_unknown_event_type_is_parsed(service, notifications):
    body = envelope(event_type="TOMORROW.NEW", encrypted={"original_type": "profitsharing"})
    parsed = notifications.parse(service.signature(body), body)
    assert (parsed.event_type, parsed.original_type) == ("TOMORROW.NEW", "profitsharing")


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_a_body_may_be_any_kind_of_bytes(service, notifications, kind):
    body = envelope()
    assert notifications.parse(service.signature(body), kind(body)).resource == RESOURCE


@pytest.mark.parametrize("body", ["{}", {}, None, 5, [1]])
def test_a_body_that_is_no_bytes_is_refused(service, notifications, body):
    with pytest.raises(TypeError, match="raw bytes"):
        notifications.parse(service.signature(b"{}"), body)
    with pytest.raises(TypeError, match="raw bytes"):
        asyncio.run(notifications.parse_async(service.signature(b"{}"), body))


def test_a_nonce_that_is_not_ascii_is_refused(service, notifications):
    body = envelope()
    assert (
        refusal_reason(notifications, {**service.signature(body), "Wechatpay-Nonce": "\udcff"}, body)
        is Reason.BAD_SIGNATURE
    )


def refusal_reason(notifications, headers, body) -> Reason:
    with pytest.raises(SignatureError) as caught:
        notifications.parse(headers, body)
    assert caught.value.response is None
    return caught.value.reason


def test_an_unverified_notification_is_refused(service, notifications):
    body = envelope()
    good = service.signature(body)
    for name in good:
        assert (
            refusal_reason(notifications, {n: v for n, v in good.items() if n != name}, body) is Reason.MISSING_HEADER
        )
        assert refusal_reason(notifications, {**good, name: ""}, body) is Reason.MISSING_HEADER
        assert refusal_reason(notifications, [*good.items(), (name, "another")], body) is Reason.MISSING_HEADER
    for days in (-30, 30):
        old = service.signature(body, timestamp=int(time.time()) + days * 86400)
        assert refusal_reason(notifications, old, body) is Reason.CLOCK_SKEW
    assert refusal_reason(notifications, service.signature(body, serial="A" * 40), body) is Reason.UNKNOWN_SERIAL
    probe = {**good, "Wechatpay-Signature": f"WECHATPAY/SIGNTEST/{good['Wechatpay-Signature']}"}
    for headers, octets in ((good, body + b" "), (good, json_body(json.loads(body))[:-1]), (probe, body)):
        assert refusal_reason(notifications, headers, octets) is Reason.BAD_SIGNATURE
    assert refusal_reason(notifications, service.signature(body, key=new_key()), body) is Reason.BAD_SIGNATURE
    assert refusal_reason(notifications, {}, body) is Reason.MISSING_HEADER


MALFORMED = {
    "another APIv3 key": envelope().replace(b'"nonce": "', b'"nonce": "0'),
    "another algorithm": envelope(encrypted={"algorithm": "AEAD_SM4_GCM"}),
    "no resource": json_body({"id": "1", "event_type": "x"}),
    "no JSON": b"<xml/>",
    "no object": b"[]",
    "no UTF-8": b"\xff",
    "an empty body": b"",
    "nested too deeply": b"[" * 100_000,
    "an id that is no text": envelope(id=5),
    "an empty id": envelope(id=""),
    "another associated data": envelope(encrypted={"associated_data": "other"}),
    "plaintext": envelope(encrypted={"ciphertext": "{}"}),
}


@pytest.mark.parametrize("malformed", MALFORMED)
def test_a_verified_body_that_is_no_notification_is_refused(service, notifications, malformed):
    with pytest.raises(DecryptionError):
        notifications.parse(service.signature(MALFORMED[malformed]), MALFORMED[malformed])


def test_a_resource_that_is_no_json_is_refused(service, notifications):
    nonce = crypto.nonce(12)
    body = envelope(
        encrypted={
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
def test_any_headers_and_body_raise_only_our_errors(service, notifications, headers, body):
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
def test_any_verified_json_raises_only_our_errors(service, notifications, value):
    body = json_body(value)
    with pytest.raises(DecryptionError):
        notifications.parse(service.signature(body), body)


def test_a_replay_within_the_window_is_refused(service):
    notifications = Notifications(certs=service.certs, apiv3_key=APIV3_KEY, seen=SeenNonces())
    body = envelope()
    headers = service.signature(body)
    for _ in range(2):
        assert refusal_reason(notifications, {**headers, "Wechatpay-Signature": "AAAA"}, body) is Reason.BAD_SIGNATURE
    notifications.parse(headers, body)
    assert refusal_reason(notifications, headers, body) is Reason.REPLAYED
    assert notifications.parse(service.signature(body), body).resource == RESOURCE, (
        "the service signs each retry with a new nonce"
    )


def test_replies_are_what_the_service_expects():
    assert (Reply.ok().status, Reply.ok().body) == (204, b"")
    failed = Reply.fail("订单不存在")
    assert failed.status == 500
    assert json.loads(failed.body) == {"code": "FAIL", "message": "订单不存在"}
    assert failed.headers["Content-Type"] == "application/json"


def test_wrong_settings_are_refused(service):
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
                assert refusal_reason(client.notifications, headers, body) is Reason.REPLAYED
                for number in range(20):
                    forged = service.signature(body, serial=f"{number:040X}")
                    assert refusal_reason(client.notifications, forged, body) is Reason.UNKNOWN_SERIAL
        assert authority.downloads == 1


def test_keys_are_kept_while_the_service_is_unreachable(service, wire):
    settings = {**service.settings(wire.base_url), "apiv3_key": APIV3_KEY}
    wire.respond = lambda received: None
    with Client(**settings) as client:
        body = envelope()
        assert (
            refusal_reason(client.notifications, service.signature(body, serial="A" * 40), body)
            is Reason.UNKNOWN_SERIAL
        )
        known = service.signature(body, key=service.platform, serial=service.platform_serial)
        assert client.notifications.parse(known, body).resource == RESOURCE
        assert client.notifications.parse(service.signature(body, serial=PUBLIC_KEY_ID), body).resource == RESOURCE


def test_a_nonce_store_may_be_async(service, send):
    """The coroutine that `async def add` returns must not count as True."""

    class Remote:
        def __init__(self):
            self.stored = set()

        async def add(self, nonce, seconds):
            is_new = nonce not in self.stored
            self.stored.add(nonce)
            return is_new

    body = envelope()
    headers = service.signature(body)
    reader = Notifications(service.certs, APIV3_KEY, seen=Remote())
    asyncio.run(reader.parse_async(headers, body))
    for parse in (lambda: asyncio.run(reader.parse_async(headers, body)), lambda: reader.parse(headers, body)):
        with pytest.raises(SignatureError) as caught:
            parse()
        assert caught.value.reason is Reason.REPLAYED


@pytest.mark.parametrize("seen", [True, set, {}, "x"], ids=str)
def test_a_setting_that_is_no_nonce_store_is_refused(service, seen):
    with pytest.raises(ConfigurationError, match="seen: came a"):
        Client(**service.settings("http://127.0.0.1:9/"), apiv3_key=APIV3_KEY, seen=seen)


def read(notifications, mode, headers, body, **arguments):
    if mode == "sync":
        return notifications.parse(headers, body, **arguments)
    return asyncio.run(notifications.parse_async(headers, body, **arguments))


MODES = pytest.mark.parametrize("mode", ["sync", "async"])


@MODES
def test_the_error_of_an_empty_body_says_that_other_code_has_read_it(service, notifications, mode):
    for headers in (service.signature(envelope()), service.signature(b""), {}):
        with pytest.raises(
            WeChatPayError, match=r"body is empty: other code has read it before.*request\.get_data\(\)"
        ):
            read(notifications, mode, headers, b"")


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system's time zone cannot be changed")
def test_the_sandbox_writes_times_as_the_service_does(wire, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    wire.respond = lambda received: ServiceReply(204)
    try:
        with Sandbox() as sandbox:
            assert sandbox.notify("TRANSACTION.SUCCESS", RESOURCE, wire.base_url).is_received
            reader = Notifications(sandbox.credentials["certs"], sandbox.credentials["apiv3_key"])
            [received] = wire.received
            parsed = reader.parse(received.headers, received.body)
    finally:
        monkeypatch.undo()
        time.tzset()
    created = datetime.strptime(parsed.create_time, "%Y-%m-%dT%H:%M:%S%z")
    assert parsed.create_time.endswith("+08:00")
    assert abs(created - datetime.now(timezone.utc)) < timedelta(minutes=1)


# A stored request, verified later


def ago(**how) -> datetime:
    return datetime.now(timezone.utc) - timedelta(**how)


@MODES
@pytest.mark.parametrize("hours", [1, 100])
def test_a_stored_notification_is_compared_with_the_time_of_receipt(service, notifications, mode, hours):
    body = envelope()
    received_at = ago(hours=hours)
    headers = service.signature(body, timestamp=int(received_at.timestamp()) - 3)
    assert read(notifications, mode, headers, body, received_at=received_at).resource == RESOURCE
    in_beijing = received_at.astimezone(timezone(timedelta(hours=8)))
    assert read(notifications, mode, headers, body, received_at=in_beijing).resource == RESOURCE
    with pytest.raises(SignatureError, match=r"this machine's clock.*received_at="):
        read(notifications, mode, headers, body)
    for minutes in (-6, 6):
        with pytest.raises(SignatureError, match="seconds off received_at") as caught:
            read(notifications, mode, headers, body, received_at=received_at + timedelta(minutes=minutes))
        assert caught.value.reason is Reason.CLOCK_SKEW


@MODES
def test_the_signature_of_a_stored_notification_is_verified(service, notifications, mode):
    body = envelope()
    received_at = ago(hours=1)
    headers = service.signature(body, timestamp=int(received_at.timestamp()))
    with pytest.raises(SignatureError) as caught:
        read(notifications, mode, headers, body + b" ", received_at=received_at)
    assert caught.value.reason is Reason.BAD_SIGNATURE


@MODES
@pytest.mark.parametrize(
    ("received_at", "error", "words"),
    [
        (datetime(2026, 1, 1), ArgumentError, "without a time zone"),  # noqa: DTZ001
        (lambda: ago(seconds=-60), ArgumentError, "in the future"),
        (ago(days=-4000), ArgumentError, "in the future"),
        (1767225600.0, TypeError, "came a float"),
        ("2026-01-01T00:00:00+08:00", TypeError, "came a str"),
        (datetime(2026, 1, 1).date(), TypeError, "came a date"),  # noqa: DTZ001
    ],
    ids=["naive", "a minute ahead", "years ahead", "a number", "a text", "a date"],
)
def test_a_wrong_received_at_is_refused(service, notifications, mode, received_at, error, words):
    received_at = received_at() if callable(received_at) else received_at  # now, as collection may be minutes ago
    body = envelope()
    with pytest.raises(error, match=f"received_at: .*{words}"):
        read(notifications, mode, service.signature(body), body, received_at=received_at)


@MODES
def test_a_queue_may_deliver_a_stored_notification_twice(service, mode):
    notifications = Notifications(service.certs, APIV3_KEY, seen=SeenNonces())
    body = envelope()
    headers = service.signature(body)
    for _ in range(2):
        assert read(notifications, mode, headers, body, received_at=ago(seconds=0)).resource == RESOURCE
    read(notifications, mode, headers, body)
    with pytest.raises(SignatureError, match="is a replay"):
        read(notifications, mode, headers, body)


# The log


class Broken:
    def add(self, nonce, seconds):
        raise ConnectionError("redis://:hunter2@10.0.0.1")

    def verify(self, message, signature, serial):
        raise OSError("hunter2")


def refusals(service):
    body, other = envelope(), json_body({"id": 1})
    good = {**service.signature(body), "Request-ID": "08E2-0"}
    reader = Notifications(service.certs, APIV3_KEY)
    return {
        "missing header": (reader, {"Request-ID": "08E2-0"}, body),
        "bad signature": (reader, good, body + b" "),
        "unknown serial": (reader, {**good, **service.signature(body, serial="A" * 40)}, body),
        "clock skew": (reader, {**good, **service.signature(body, timestamp=1)}, body),
        "apiv3_key may be wrong": (Notifications(service.certs, "k" * 32), good, body),
        "is malformed": (reader, {**good, **service.signature(other)}, other),
        "verifier failed": (Notifications({}, APIV3_KEY, verifier=Broken()), good, body),
        "ConnectionError": (Notifications(service.certs, APIV3_KEY, seen=Broken()), good, body),
        "came a str": (reader, good, "{}"),
        "came a list of str": (reader, ["08E2-0"], body),
    }


@MODES
def test_each_refusal_leaves_one_warning(service, mode, caplog):
    for reason, (reader, headers, body) in refusals(service).items():
        caplog.clear()
        with pytest.raises(Exception) as caught, caplog.at_level(logging.DEBUG):
            read(reader, mode, headers, body)
        [record] = [record for record in caplog.records if record.name != "asyncio"]
        assert (record.name, record.levelname) == ("wechatpay_chain", "WARNING")
        text = record.getMessage()
        assert reason in text
        if isinstance(headers, dict):
            assert "08E2-0" in text
            assert headers.get("Wechatpay-Serial", "key -") in text
        assert "hunter2" not in text + (str(caught.value) if isinstance(caught.value, WeChatPayError) else "")
        assert "hunter2" not in str(record.exc_info)
        for secret in (APIV3_KEY, "ciphertext", headers["Wechatpay-Signature"] if len(headers) > 3 else APIV3_KEY):
            assert secret not in text


@MODES
def test_an_accepted_notification_leaves_no_line_in_the_log(service, notifications, mode, caplog):
    body = envelope()
    with caplog.at_level(logging.DEBUG):
        read(notifications, mode, service.signature(body), body)
    assert not [record for record in caplog.records if record.name == "wechatpay_chain"]


@MODES
def test_a_line_of_the_log_is_one_line_of_bounded_length(service, notifications, mode, caplog):
    body = envelope()
    hostile = "\r\n\x1b[31m\u202e\x85\u2028" + "x" * 100_000
    headers = {**service.signature(body), "Wechatpay-Serial": hostile, "Request-ID": hostile}
    with pytest.raises(SignatureError) as caught:
        read(notifications, mode, headers, body)
    for text in (caplog.records[-1].getMessage(), str(caught.value)):
        assert text.isprintable()
        assert len(text) < 2000


# The local variables of tracebacks


def safe_repr(value: object) -> str:
    try:
        return repr(value)
    except AttributeError:  # its __init__ has not finished
        return ""


def local_values(error: BaseException, seen=None):
    """Yields the repr of every local variable in the frames of an error, its causes and its contexts."""
    seen = set() if seen is None else seen
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    traceback = error.__traceback__
    while traceback is not None:
        if "wechatpay_chain" in traceback.tb_frame.f_code.co_filename:
            yield from map(safe_repr, traceback.tb_frame.f_locals.values())
        traceback = traceback.tb_next
    yield from local_values(error.__cause__, seen)
    yield from local_values(error.__context__, seen)


KEYS = ["s3cret" + "k" * 26, b"s3cret" + b"k" * 26]


@pytest.mark.parametrize("key", KEYS, ids=["text", "bytes"])
@MODES
def test_no_frame_holds_the_key_when_a_notification_is_refused(service, mode, key):
    reader = Notifications(service.certs, key)
    plain = rb'{"id": "1", "resource": {"algorithm": "AEAD_AES_256_GCM", "ciphertext": "", "nonce": "\ud800"}}'
    no_nonce, no_text = envelope(encrypted={"nonce": ""}), envelope(encrypted={"ciphertext": 5})
    for body in (envelope(), b"", b"[]", plain, no_nonce, no_text):
        with pytest.raises(DecryptionError) as caught:
            read(reader, mode, service.signature(body), body)
        values = list(local_values(caught.value))
        assert values
        assert not [text for text in values if "s3cret" in text]
        for error in (caught.value.__cause__, caught.value.__context__):
            assert error is None


@pytest.mark.parametrize("key", ["s3cret", "s3cret" * 9, b"s3cret", bytearray(b"s3cret" * 9), {"s3cret": 1}], ids=repr)
def test_no_frame_holds_a_key_that_is_refused(service, key):
    with pytest.raises(ConfigurationError, match="apiv3_key") as caught:
        Notifications(service.certs, key)
    values = list(local_values(caught.value))
    assert values
    assert not [text for text in values if "s3cret" in text]


def test_no_frame_holds_the_key_when_another_setting_is_wrong():
    with pytest.raises(ConfigurationError, match="certs") as caught:
        Notifications({}, KEYS[0])
    assert not [text for text in local_values(caught.value) if "s3cret" in text]

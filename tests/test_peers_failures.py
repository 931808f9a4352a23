"""Failures of other SDKs, which ours must not have; one test for each.

The peers: wpv3 is wechatpayv3 2.0.4, axios is wechatpay-axios-plugin 0.9.6, node-v3 is wechatpay-node-v3 2.2.1, Go and
Java are the official wechatpay-go 0.2.21 and wechatpay-java 0.2.17. Others are named by their CVE only.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import math
import random
import socket
import socketserver
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.service import MCHID, PUBLIC_KEY_ID, Received, Reply, Wire, json_body, new_key, rsa_verifies
from tests.service import new_certificate as any_certificate
from tests.test_notification import RESOURCE, envelope
from tests.test_rotation import APIV3_KEY, Authority, new_certificate
from wechatpay_chain import (
    APIError,
    Client,
    ConfigurationError,
    DecryptionError,
    PathVariableError,
    Reason,
    Retry,
    SignatureError,
    TransportError,
)

DAY = 86400
PAID = b'{"trade_state":"SUCCESS"}'


@pytest.fixture
def client(service, wire) -> Iterator[Client]:
    """A client that has a public key, a certificate, and the APIv3 key."""
    with Client(**service.settings(wire.base_url), apiv3_key=APIV3_KEY) as client:
        yield client


@pytest.fixture
def authority(service, wire) -> Authority:
    wire.respond = Authority(service)
    return wire.respond


@pytest.fixture
def fetching(service, wire, authority) -> Iterator[Client]:
    """A client that has only the APIv3 key, and fetches the certificates that it verifies with."""
    with Client(**{**service.settings(wire.base_url), "certs": {}}, apiv3_key=APIV3_KEY) as client:
        yield client


@pytest.fixture(params=["sync", "async"])
def parse(request):
    """Parses a notification in either mode: parse(client, headers, body)."""

    def blocking(client, headers, body):
        return client.notifications.parse(headers, body)

    def awaiting(client, headers, body):
        return asyncio.run(client.notifications.parse_async(headers, body))

    return blocking if request.param == "sync" else awaiting


@pytest.fixture
def a_minute_later(monkeypatch) -> Callable[[], None]:
    """Moves the clock by a minute when it is called, so that certificates may be fetched again."""
    clock = time.monotonic
    return lambda: monkeypatch.setattr(time, "monotonic", lambda: clock() + 61)


def refusal_reason(call, *arguments, **options) -> Reason:
    with pytest.raises(SignatureError) as caught:
        call(*arguments, **options)
    return caught.value.reason


# Clocks


def test_a_response_24_hours_old_is_refused(client, wire, service, send):
    """wpv3 accepts it."""
    wire.respond = lambda received: service.signed(PAID)
    assert send(client.v3.x, "get").content == PAID
    wire.respond = lambda received: service.signed(PAID, timestamp=int(time.time()) - DAY)
    assert refusal_reason(send, client.v3.x, "get") is Reason.CLOCK_SKEW


def test_a_notification_30_days_old_is_refused(client, service, parse):
    """wpv3 accepts it."""
    body = envelope()
    assert parse(client, service.signature(body), body).resource == RESOURCE
    old = service.signature(body, timestamp=int(time.time()) - 30 * DAY)
    assert refusal_reason(parse, client, old, body) is Reason.CLOCK_SKEW


# The signed path is the sent path


def close_order(client, wire, service, send, number: str) -> str:
    """Closes an order, and returns the path that arrived, which must be the signed one."""
    order = client.v3.pay.transactions.out_trade_no._out_trade_no_
    send(order.close, "post", out_trade_no=number, json={"mchid": MCHID})
    (received,) = wire.received
    assert received.is_signed_by(service.merchant)
    return received.target


def test_a_space_in_an_order_number_is_signed_as_it_is_sent(client, wire, service, send):
    """wpv3 signs the bare space and sends %20; the response is 401."""
    assert close_order(client, wire, service, send, "no 7") == "/v3/pay/transactions/out-trade-no/no%207/close"


def test_a_bar_in_an_order_number_is_signed_as_it_is_sent(client, wire, service, send):
    """wpv3 signs `|` and sends %7C; the response is 401."""
    assert close_order(client, wire, service, send, "no|7") == "/v3/pay/transactions/out-trade-no/no%7C7/close"


def test_chinese_in_an_order_number_is_signed_as_it_is_sent(client, wire, service, send):
    """wpv3 signs the characters and sends them percent-encoded; the response is 401."""
    assert close_order(client, wire, service, send, "单7") == "/v3/pay/transactions/out-trade-no/%E5%8D%957/close"


def test_a_slash_in_a_value_does_not_split_the_path(client, wire, service, send):
    """axios puts `a/b` into the path unescaped, which changes the URL."""
    assert close_order(client, wire, service, send, "a/b") == "/v3/pay/transactions/out-trade-no/a%2Fb/close"


def test_a_question_mark_in_a_value_does_not_begin_a_query(client, wire, service, send):
    """axios puts `a?b` into the path unescaped, which changes the URL."""
    assert close_order(client, wire, service, send, "a?b") == "/v3/pay/transactions/out-trade-no/a%3Fb/close"


def test_a_call_with_a_missing_variable_is_not_sent(client, wire, send):
    """axios sends `%7Bid%7D`."""
    for given in ({}, {"other": "7"}):
        with pytest.raises(PathVariableError, match="transaction_id is missing"):
            send(client.v3.pay.transactions.id._transaction_id_, "get", **given)
    assert not wire.received


# The signed body is the sent body


def test_an_empty_object_is_signed_as_it_is_sent(client, wire, service, send):
    """wpv3 sends `{}` and signs the empty string."""
    send(client.v3.x, "post", json={})
    (received,) = wire.received
    assert received.body == b"{}"
    assert received.is_signed_by(service.merchant)


def test_json_is_signed_with_the_spaces_that_are_sent(client, wire, service, send):
    """wpv3 on httpx 0.28 signs `{"a": 1}` and sends `{"a":1}`."""
    order = {"description": "公仔 Q, Q: 1", "amount": {"total": 1, "currency": "CNY"}, "list": [1, {"a": None}]}
    send(client.v3.x, "post", json=order)
    (received,) = wire.received
    assert json.loads(received.body) == order
    assert received.is_signed_by(service.merchant)


# Downloads of certificates


FORGED = [f"{number:040X}" for number in range(1, 21)]


def test_twenty_forged_serials_in_responses_cause_at_most_one_download(client, wire, service, authority, send):
    """wpv3 makes twenty downloads."""
    for serial in FORGED:
        forged = service.signed(PAID, key=service.merchant, serial=serial)
        wire.respond = lambda received, forged=forged: authority(received) if "cert" in received.target else forged
        assert refusal_reason(send, client.v3.x, "get") is Reason.UNKNOWN_SERIAL
    assert authority.downloads <= 1
    wire.respond = lambda received: service.signed(PAID)
    assert send(client.v3.x, "get").content == PAID


def test_twenty_forged_serials_in_notifications_cause_at_most_one_download(client, wire, service, authority, parse):
    """wpv3 makes twenty downloads."""
    body = envelope()
    for serial in FORGED:
        headers = service.signature(body, key=service.merchant, serial=serial)
        assert refusal_reason(parse, client, headers, body) is Reason.UNKNOWN_SERIAL
    assert authority.downloads <= 1
    assert parse(client, service.signature(body), body).resource == RESOURCE


def test_a_forged_notification_while_the_network_is_down_removes_no_certificate(
    fetching, wire, service, authority, parse, a_minute_later
):
    """wpv3 clears its list of certificates before it fetches another."""
    body = envelope()
    genuine = service.signature(body, key=authority.key, serial=authority.serial)
    assert parse(fetching, genuine, body).resource == RESOURCE
    a_minute_later()
    wire.respond = lambda received: None
    forged = service.signature(body, key=service.merchant, serial=FORGED[0])
    assert refusal_reason(parse, fetching, forged, body) is Reason.UNKNOWN_SERIAL
    assert [received.target for received in wire.received] == ["/v3/certificates"] * 2, "the second one failed"
    assert parse(fetching, genuine, body).resource == RESOURCE


@pytest.fixture
def rotated(fetching, service, authority, a_minute_later) -> Client:
    """A client that has the certificate from before a rotation, and whose next download is slow."""

    def slow(authority: Authority) -> Reply:
        time.sleep(0.2)
        return service.signed(authority.listing(), key=authority.key, serial=authority.serial)

    assert fetching.v3.x.get().json() == {"a": 1}
    assert authority.downloads == 1
    a_minute_later()
    authority.rotate()
    authority.fault = slow
    return fetching


def test_32_threads_after_a_rotation_make_one_download(rotated, authority):
    """wpv3 makes one download in each of them."""
    barrier = threading.Barrier(32)

    def call(_: int) -> object:
        barrier.wait()
        return rotated.v3.x.get().json()

    with ThreadPoolExecutor(32) as threads:
        assert list(threads.map(call, range(32))) == [{"a": 1}] * 32
    assert authority.downloads == 1 + 1


def test_32_tasks_after_a_rotation_make_one_download(rotated, authority):
    """wpv3 makes one download in each of them."""

    async def main() -> list[object]:
        responses = await asyncio.gather(*(rotated.v3.x.get_async() for _ in range(32)))
        return [response.json() for response in responses]

    assert asyncio.run(main()) == [{"a": 1}] * 32
    assert authority.downloads == 1 + 1


# Key ids


def test_the_id_of_a_public_key_is_not_parsed_as_a_number(client, fetching, wire, service, authority, send, parse):
    """wpv3, if it has certificates, parses PUB_KEY_ID_… as a number and raises ValueError."""
    body = envelope()
    headers = service.signature(body, serial=PUBLIC_KEY_ID)
    assert parse(client, headers, body).resource == RESOURCE
    send(fetching.v3.x, "get")
    assert refusal_reason(parse, fetching, headers, body) is Reason.UNKNOWN_SERIAL
    wire.respond = lambda received: service.signed(PAID, serial=PUBLIC_KEY_ID)
    assert send(client.v3.x, "get").content == PAID
    assert refusal_reason(send, fetching.v3.x, "get") is Reason.UNKNOWN_SERIAL
    assert authority.downloads == 1, "the list of certificates has no public keys"


NUMBER = 0x00ABCDEF0123456789ABCDEF0123456789ABCDEF
ZEROS_KEPT = "00ABCDEF0123456789ABCDEF0123456789ABCDEF"


@pytest.mark.parametrize("source", ["given", "fetched"])
def test_the_leading_zeros_of_a_platform_serial_are_kept(service, wire, authority, send, source):
    """Java and wpv3 write serials without them."""
    authority.signer = new_certificate(service.platform, serial=NUMBER)
    authority.listed = [authority.signer]
    certs = {f"{NUMBER:x}": authority.signer} if source == "given" else {}
    with Client(**{**service.settings(wire.base_url), "certs": certs}, apiv3_key=APIV3_KEY) as client:
        for _ in range(2):
            assert send(client.v3.x, "get").json() == {"a": 1}
    assert wire.received[-1].header("Wechatpay-Serial") == ZEROS_KEPT


@pytest.mark.parametrize("serial", [NUMBER, ZEROS_KEPT, f"{NUMBER:x}"])
def test_the_leading_zeros_of_the_merchants_serial_are_kept(service, wire, send, serial):
    """Java and wpv3 write serials without them."""
    with Client(**{**service.settings(wire.base_url), "serial": serial}) as client:
        send(client.v3.x, "get")
    assert wire.received[0].credentials["serial_no"] == ZEROS_KEPT


# Signatures and decryption


def test_a_wrong_signature_raises_an_error(client, wire, service, send, parse):
    """wpv3 returns None for the notification, which looks like one without content."""
    body = envelope()
    wrong = service.signature(body, key=service.merchant)
    assert refusal_reason(parse, client, wrong, body) is Reason.BAD_SIGNATURE
    wire.respond = lambda received: Reply(200, wrong, body)
    assert refusal_reason(send, client.v3.x, "get") is Reason.BAD_SIGNATURE


def test_the_signature_type_header_is_not_required(client, wire, service, send, parse):
    """wpv3 raises if it is absent, which is allowed."""
    body = envelope()
    headers = service.signature(body)
    assert "Wechatpay-Signature-Type" not in headers
    assert parse(client, headers, body).resource == RESOURCE
    wire.respond = lambda received: Reply(200, headers, body)
    assert send(client.v3.x, "get").content == body


def test_a_damaged_ciphertext_is_not_decrypted(client, service, parse):
    """node-v3 does not check the tag of AES-GCM."""
    notice = json.loads(envelope())
    ciphertext = base64.b64decode(notice["resource"]["ciphertext"])
    damaged = [ciphertext[:at] + bytes([ciphertext[at] ^ 1]) + ciphertext[at + 1 :] for at in range(len(ciphertext))]
    for octets in (*damaged, ciphertext[:-16], ciphertext[:-1], ciphertext):
        notice["resource"]["ciphertext"] = base64.b64encode(octets).decode()
        body = json_body(notice)
        headers = service.signature(body)
        if octets == ciphertext:
            assert parse(client, headers, body).resource == RESOURCE
        else:
            with pytest.raises(DecryptionError):
                parse(client, headers, body)


def test_responses_are_verified(client, wire, service, send):
    """node-v3 never verifies a response."""
    good = service.signed(PAID)
    for verb in ("get", "post"):
        for reply, reason in (
            (Reply(200, {}, PAID), Reason.MISSING_HEADER),
            (service.signed(PAID, key=service.merchant), Reason.BAD_SIGNATURE),
            (Reply(200, good.headers, b'{"trade_state":"REFUND!"}'), Reason.BAD_SIGNATURE),
        ):
            wire.respond = lambda received, reply=reply: reply
            assert refusal_reason(send, client.v3.x, verb) is reason


# Threads


def test_threads_do_not_share_headers(client, wire, service, send):
    """wpv3 has mutable default headers, so that a thread may send the signature of another."""
    shared = {"Accept-Language": "zh-CN"}
    barrier = threading.Barrier(8)

    def call(thread: int) -> None:
        barrier.wait()
        for number in range(thread * 10, thread * 10 + 10):
            headers = {"Idempotency-Key": str(number)} if number % 2 else shared
            send(client.v3.orders._n_, "post", n=number, json={"n": number}, headers=headers)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(call, range(8)))
    assert len(wire.received) == 80
    for received in wire.received:
        number = json.loads(received.body)["n"]
        assert received.is_signed_by(service.merchant)
        assert received.target == f"/v3/orders/{number}"
        assert received.header("Idempotency-Key") == (str(number) if number % 2 else None)
        assert received.header("Accept-Language") == (None if number % 2 else "zh-CN")
    assert shared == {"Accept-Language": "zh-CN"}


def test_threads_do_not_mix_their_signatures(client, service, parse):
    """Java has one Signature object for all threads, which mixes their messages."""
    body = envelope()
    genuine = [service.signature(body) for _ in range(8)]
    forged = [service.signature(body, key=service.merchant) for _ in range(8)]
    barrier = threading.Barrier(16)

    def work(thread: int) -> bool:
        barrier.wait()
        for number in range(10):
            if thread % 2:
                assert parse(client, genuine[thread // 2], body).resource == RESOURCE
            else:
                assert refusal_reason(parse, client, forged[thread // 2], body) is Reason.BAD_SIGNATURE
            signed = client.payment.jsapi("wx1", f"{thread}-{number}")
            lines = (signed["appId"], signed["timeStamp"], signed["nonceStr"], f"prepay_id={thread}-{number}")
            message = "".join(f"{line}\n" for line in lines).encode()
            assert rsa_verifies(service.merchant, signed["paySign"], message)
        return True

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(work, range(16)))


# The second domain


def respond_too_late(received: Received) -> None:
    time.sleep(1.5)


LOST = {
    "the connection is dropped": lambda received: None,
    "half a response comes": lambda received: b"HTTP/1.1 200 X\r\nContent-Length: 99\r\n\r\n{",
    "no response comes in time": respond_too_late,
}


@pytest.mark.parametrize("lost", LOST)
def test_a_call_that_was_sent_is_not_sent_to_the_second_domain(service, wire, send, lost):
    """Java sends a request again after any I/O error."""
    wire.respond = LOST[lost]
    with Wire(lambda received: service.signed()) as second:
        policy = Retry(backoff=0.01, second_url=second.base_url)
        with Client(**{**service.settings(wire.base_url), "retry": policy}) as client:
            with pytest.raises(TransportError) as caught:
                send(client.v3.refund.domestic.refunds, "post", json={"out_refund_no": "1"}, timeout=(5, 0.5))
        assert caught.value.sent is True
        assert len(wire.received) == 1
        assert not second.received


def test_a_call_that_was_not_sent_is_sent_to_the_second_domain_once(service, wire, send):
    """Java sends it there, too; this may be done."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed_url = f"http://127.0.0.1:{free.getsockname()[1]}/"
        policy = Retry(backoff=0.01, second_url=wire.base_url)
        with Client(**{**service.settings(closed_url), "retry": policy}) as client:
            assert send(client.v3.refund.domestic.refunds, "post", json={"out_refund_no": "1"}).status_code == 200
    assert len(wire.received) == 1


# The first download of certificates


def listing_of(authority: Authority, certificate) -> Reply:
    """Returns a signed list with this certificate instead of the right one."""
    other = Authority(authority.service)
    other.listed = [certificate]
    return authority.service.signed(other.listing(), key=authority.key, serial=authority.serial)


def signed_list(authority: Authority, **how) -> Reply:
    return authority.service.signed(authority.listing(), **{"key": authority.key, "serial": authority.serial, **how})


UNTRUSTED = {
    "unsigned": lambda authority: Reply(200, {}, authority.listing()),
    "signed with another key": lambda authority: signed_list(authority, key=authority.service.merchant),
    "24 hours old": lambda authority: signed_list(authority, timestamp=int(time.time()) - DAY),
    "issued by another authority": lambda authority: listing_of(
        authority, any_certificate(authority.key, serial=authority.signer.serial_number)
    ),
    "expired": lambda authority: listing_of(
        authority, new_certificate(authority.key, serial=authority.signer.serial_number, age=90, days=-1)
    ),
}


@pytest.mark.parametrize("untrusted", UNTRUSTED)
def test_the_first_certificates_are_checked_before_they_are_trusted(
    fetching, authority, send, a_minute_later, untrusted
):
    """wpv3, Go and Java trust every list that they can decrypt."""
    authority.fault = UNTRUSTED[untrusted]
    for _ in range(2):
        with pytest.raises((TransportError, ConfigurationError)) as caught:
            send(fetching.v3.x, "get")
        assert caught.value.sent is False
    assert authority.downloads == 1
    authority.fault = None
    a_minute_later()
    assert send(fetching.v3.x, "get").json() == {"a": 1}


def test_the_first_certificates_must_be_issued_by_a_trust_anchor(service, wire, authority, send, a_minute_later):
    """wpv3, Go and Java check nothing. Here, another authority of the same name issued the certificate."""
    root_key = new_key()
    root = new_certificate(root_key, subject="Tenpay.com Root CA")
    settings = {**service.settings(wire.base_url), "certs": {}, "apiv3_key": APIV3_KEY}
    with Client(**settings, trust_anchors=[root]) as client:
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="trust_anchors") as caught:
                send(client.v3.x, "get")
            assert caught.value.sent is False
        authority.signer = new_certificate(service.platform, issuer_key=root_key)
        authority.listed = [authority.signer]
        a_minute_later()
        assert send(client.v3.x, "get").json() == {"a": 1}


# Notifications


@pytest.mark.parametrize(
    "host",
    [{"Host": "localhost"}, {"host": "127.0.0.1:80"}, {"HTTP_HOST": "localhost", "SERVER_NAME": "localhost"},
     {"Host": "pay.example", "X-Forwarded-Host": "localhost", "X-Forwarded-For": "127.0.0.1"}],
    ids=str,
)  # fmt: skip
def test_a_host_header_does_not_turn_verification_off(client, service, parse, host):
    """CVE-2026-33661: a PHP library skipped verification for `Host: localhost`."""
    body = envelope()
    assert parse(client, {**host, **service.signature(body)}, body).resource == RESOURCE
    assert refusal_reason(parse, client, host, body) is Reason.MISSING_HEADER
    wrong = {**host, **service.signature(body, key=service.merchant)}
    assert refusal_reason(parse, client, wrong, body) is Reason.BAD_SIGNATURE


def test_a_response_of_localhost_is_verified(service, wire, send):
    """CVE-2026-33661, in a response."""
    wire.respond = lambda received: Reply(200, {"Host": "localhost"}, PAID)
    with Client(**service.settings(wire.base_url.replace("127.0.0.1", "localhost"))) as client:
        assert refusal_reason(send, client.v3.x, "get") is Reason.MISSING_HEADER
    assert wire.received[0].header("Host").startswith("localhost")


class Listener(socketserver.TCPServer):
    """Counts connections, and closes each at once."""

    connections = 0

    def verify_request(self, request: object, client_address: object) -> bool:
        self.connections += 1
        return False


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener(("127.0.0.1", 0), socketserver.BaseRequestHandler) as listener:
        threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True).start()
        yield listener
        listener.shutdown()


@pytest.fixture
def check_that_xml_is_refused(client, wire, service, parse, listener, tmp_path):
    """Checks that XML is refused, signed or not, and that its `FILE` or `URL` is neither read nor fetched."""
    secret = random.randbytes(12).hex()
    (tmp_path / "passwd").write_text(secret)
    port = listener.server_address[1]

    def check(notice: str) -> None:
        body = (
            notice.replace("FILE", (tmp_path / "passwd").as_uri()).replace("URL", f"http://127.0.0.1:{port}/x").encode()
        )
        signed = service.signature(body, key=service.platform, serial=service.platform_serial)
        for headers, kind in (({}, SignatureError), (signed, DecryptionError)):
            with pytest.raises(kind) as caught:
                parse(client, headers, body)
            assert secret not in "".join(traceback.format_exception(caught.value))
        assert listener.connections == 0
        assert not wire.received
        with socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
            assert probe.recv(1) == b""
        assert listener.connections == 1, "a connection would have been counted"

    return check


def test_an_entity_of_an_xml_notification_is_not_read_from_a_file(check_that_xml_is_refused):
    """CVE-2018-13439: XXE in an XML notification."""
    check_that_xml_is_refused(
        '<?xml version="1.0"?><!DOCTYPE xml [<!ENTITY x SYSTEM "FILE">]><xml><return_code>&x;</return_code></xml>'
    )


def test_an_entity_of_an_xml_notification_is_not_fetched(check_that_xml_is_refused):
    """CVE-2018-20318: XXE in an XML notification."""
    check_that_xml_is_refused(
        '<?xml version="1.0"?><!DOCTYPE xml [<!ENTITY x SYSTEM "URL">]><xml><return_code>&x;</return_code></xml>'
    )


def test_the_declarations_of_an_xml_notification_are_not_fetched(check_that_xml_is_refused):
    """CVE-2018-25082: XXE in an XML notification."""
    check_that_xml_is_refused('<?xml version="1.0"?><!DOCTYPE xml [<!ENTITY % x SYSTEM "URL"> %x;]><xml></xml>')


def test_a_call_of_version_2_without_its_key_is_refused_and_not_sent(client, wire, send):
    """Nothing is signed with a key that is not there."""
    for node in (client.v2.pay.unifiedorder, client["/v2/pay/micropay"], client.v2["mmpaymkttransfers/sendredpack"]):
        for verb in ("get", "post"):
            with pytest.raises(ConfigurationError, match="apiv2_key"):
                send(node, verb)
    assert not wire.received


def test_a_notification_without_a_signature_is_refused(client, service, parse):
    """A peer verified a notification only if it had a `sign`."""
    for body in (b"<xml><return_code>SUCCESS</return_code></xml>", b'{"return_code":"SUCCESS"}', envelope()):
        assert refusal_reason(parse, client, {}, body) is Reason.MISSING_HEADER
    good = service.signature(body)
    for name in good:
        assert (
            refusal_reason(parse, client, {n: v for n, v in good.items() if n != name}, body) is Reason.MISSING_HEADER
        )
        assert refusal_reason(parse, client, {**good, name: ""}, body) is Reason.MISSING_HEADER
    assert parse(client, good, body).resource == RESOURCE


# Nonces


@pytest.fixture
def nonces(client, wire, send) -> Callable[[int], list[str]]:
    """Makes some calls and as many payments, and returns their nonces: nonces(calls)."""

    def draw(calls: int) -> list[str]:
        for _ in range(calls):
            send(client.v3.x, "get")
        sent = [received.credentials["nonce_str"] for received in wire.received[-calls:]]
        return sent + [client.payment.jsapi("wx1", "1")["nonceStr"] for _ in range(calls)]

    return draw


def test_nonces_do_not_depend_on_a_seed(nonces):
    """Peers draw nonces from `mt_rand`, whose seed determines all of them."""
    state = random.getstate()
    try:
        random.seed(7)
        first = nonces(3)
        random.seed(7)
        assert len({*first, *nonces(3)}) == 12
    finally:
        random.setstate(state)


def test_nonces_do_not_depend_on_the_clock(nonces, monkeypatch):
    """Peers make nonces with `uniqid`, which is the time."""
    now, now_ns = time.time(), time.time_ns()
    monkeypatch.setattr(time, "time", lambda: now)
    monkeypatch.setattr(time, "time_ns", lambda: now_ns)
    drawn = nonces(5)
    assert len(set(drawn)) == 10
    assert len({nonce[:8] for nonce in drawn}) == 10


def test_a_nonce_has_more_bits_than_a_float(nonces):
    """Peers draw nonces from `Math.random`, which has 52 bits."""
    drawn = nonces(20)
    assert {len(nonce) for nonce in drawn} == {32}
    assert sum(math.log2(len(set(column))) for column in zip(*drawn, strict=True)) > 100


# Logs


OPENID = "oUpF8uMuAJO-of-one-user"


@pytest.fixture
def logged(service, wire, send, caplog) -> str:
    """The log of calls with an openid that end in every possible way."""
    echo = json_body({"openid": OPENID})
    wrong = service.signed(echo, key=service.merchant)
    refusal = Reply(400, {}, json_body({"code": "PARAM_ERROR", "message": OPENID, "detail": {"value": OPENID}}))
    replies = [service.signed(echo), service.signed(echo, serial=FORGED[0]), wrong, refusal, Reply(500, {}, echo), None]
    settings = {**service.settings(wire.base_url), "retry": Retry(attempts=2, backoff=0.01)}
    outcomes = []
    with caplog.at_level(logging.DEBUG, "wechatpay_chain"), Client(**settings, apiv3_key=APIV3_KEY) as client:
        for reply in replies:
            wire.respond = lambda received, reply=reply: reply
            try:
                outcome = send(
                    client.v3.payscore.users._openid_, "post", openid=OPENID, params={"openid": OPENID},
                    json={"payer": {"openid": OPENID}}, headers={"X-Openid": OPENID}, idempotent=True,
                )  # fmt: skip
            except (APIError, SignatureError, TransportError) as error:
                outcome = error
            outcomes.append(type(outcome).__name__)
        body = envelope({"payer": {"openid": OPENID}})
        assert OPENID in str(client.notifications.parse(service.signature(body), body).resource)
    signature, *others = "SignatureError", "BadRequestError", "ServerError", "TransportError"
    assert outcomes == ["Response", signature, signature, *others]
    assert caplog.text.count("POST v3/payscore/users/{openid}") >= len(replies)
    return caplog.text


def test_the_log_holds_no_authorization(logged, wire):
    """wpv3 logs the headers of each request."""
    assert len(wire.received) > 6
    for received in wire.received:
        for name in ("signature", "nonce_str"):
            assert received.credentials[name] not in logged
    assert "WECHATPAY2-SHA256" not in logged
    assert "Authorization" not in logged


def test_the_log_holds_no_openid(logged):
    """wpv3 logs the URL and the body of each request, each response, and each notification."""
    assert OPENID not in logged

"""A response is accepted only if WeChat Pay's signature of it is verified, in both modes."""

from __future__ import annotations

import base64
import gzip
import hashlib
import inspect
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.service import PUBLIC_KEY_ID, SERIAL, Reply, new_certificate, new_key, public_pem
from wechatpay_chain import (
    Client,
    ConfigurationError,
    PathVariableError,
    Response,
    SignatureError,
    TransportError,
)
from wechatpay_chain._keys import verification
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain.errors import Reason

BODY = '{"code_url":"weixin://wxpay/中"}'.encode()


def refusal_reason(
    client, wire, send, reply: Reply, verb: str = "post", path: str = "v3/pay/transactions/native"
) -> Reason:
    wire.respond = lambda received: reply
    with pytest.raises(SignatureError) as caught:
        send(client[path], verb)
    error = caught.value
    assert error.response.content == reply.body
    assert error.response.status_code == reply.status
    signature = reply.headers.get("Wechatpay-Signature", "")
    assert not signature or signature not in f"{error!s}{error!r}"
    return error.reason


def test_a_verified_response_is_returned(client, wire, service, send):
    wire.respond = lambda received: service.signed(BODY)
    response = send(client.v3.x, "get")
    assert response.json() == {"code_url": "weixin://wxpay/中"}
    assert response.content == BODY
    assert response.text == BODY.decode()
    assert response.request_id == "08E2-0"
    assert response.headers["wechatpay-SERIAL"] == PUBLIC_KEY_ID
    assert response.headers["Wechatpay-Serial"] == PUBLIC_KEY_ID
    assert "x-unknown" not in response.headers
    assert response.request.method == "GET"
    assert response.request.target == "/v3/x"
    assert response.request.url == f"{wire.base_url}v3/x"


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff\xfe", b"a\n", b" {} "])
def test_any_body_is_verified_as_raw_bytes(client, wire, service, send, body):
    wire.respond = lambda received: service.signed(body)
    assert send(client.v3.x, "get").content == body


def test_a_response_without_content_is_verified(client, wire, service, send):
    wire.respond = lambda received: service.signed(b"", 204)
    response = send(client.v3.x, "post", json={})
    assert (response.status_code, response.content) == (204, b"")
    assert response.json() is None


def test_202_is_verified_too(client, wire, service, send):
    wire.respond = lambda received: service.signed(b"{}", 202)
    assert send(client.v3.x, "post").status_code == 202
    assert refusal_reason(client, wire, send, Reply(202, {}, b"{}")) is Reason.MISSING_HEADER


def test_a_certificate_verifies_as_well(client, wire, service, send):
    for serial in (service.platform_serial, service.platform_serial.lower()):
        wire.respond = lambda received, serial=serial: service.signed(BODY, key=service.platform, serial=serial)
        assert send(client.v3.x, "get").content == BODY


@pytest.mark.parametrize("name", ["Timestamp", "Nonce", "Signature", "Serial"])
def test_a_missing_or_empty_header_is_refused(client, wire, service, send, name):
    reply = service.signed(BODY)
    assert refusal_reason(client, wire, send, reply.without(f"Wechatpay-{name}")) is Reason.MISSING_HEADER
    assert refusal_reason(client, wire, send, reply.having(**{f"Wechatpay_{name}": ""})) is Reason.MISSING_HEADER
    assert refusal_reason(client, wire, send, reply.having(**{f"Wechatpay_{name}": "  "})) is Reason.MISSING_HEADER


def test_an_unsigned_response_is_refused(client, wire, send):
    assert refusal_reason(client, wire, send, Reply(200, {}, BODY)) is Reason.MISSING_HEADER


@pytest.mark.parametrize("offset", [-86400, -310, -301, 301, 310, 86400, -30 * 86400])
def test_a_timestamp_outside_the_window_is_refused(client, wire, service, send, offset):
    assert (
        refusal_reason(client, wire, send, service.signed(BODY, timestamp=int(time.time()) + offset))
        is Reason.CLOCK_SKEW
    )


@pytest.mark.parametrize("offset", [-295, 0, 295])
def test_a_timestamp_within_the_window_is_accepted(client, wire, service, send, offset):
    wire.respond = lambda received: service.signed(BODY, timestamp=int(time.time()) + offset)
    assert send(client.v3.x, "get").content == BODY


@pytest.mark.parametrize("offset", [-300, 300])
def test_a_timestamp_at_the_limit_of_the_window_is_refused(client, wire, service, send, offset, monkeypatch):
    frozen = int(time.time())
    monkeypatch.setattr(verification.time, "time", lambda: frozen + 0.5)
    assert refusal_reason(client, wire, send, service.signed(BODY, timestamp=frozen + offset)) is Reason.CLOCK_SKEW
    wire.respond = lambda received: service.signed(BODY, timestamp=frozen + offset - offset // abs(offset))
    assert send(client.v3.x, "get").content == BODY


@pytest.mark.parametrize("stamp", ["now", "1e9", "+{}", "-{}", "{}.0", "0x65", "{}_0", "{}{}", "{},{}"])
def test_a_malformed_timestamp_is_refused(client, wire, service, send, stamp):
    now = int(time.time())
    reply = service.signed(BODY, timestamp=stamp.format(now, now))
    assert refusal_reason(client, wire, send, reply) is Reason.BAD_TIMESTAMP


@pytest.mark.parametrize("serial", ["PUB_KEY_ID_01", "0" * 40, SERIAL, "x", "%s "])
def test_an_unknown_serial_is_refused(client, wire, service, send, serial):
    reply = service.signed(BODY, key=service.merchant, serial=serial)
    assert refusal_reason(client, wire, send, reply) is Reason.UNKNOWN_SERIAL


def test_a_signature_with_another_key_is_refused(client, wire, service, send):
    for key, serial in (
        (service.platform, PUBLIC_KEY_ID),
        (service.public_key, service.platform_serial),
        (new_key(), PUBLIC_KEY_ID),
    ):
        assert refusal_reason(client, wire, send, service.signed(BODY, key=key, serial=serial)) is Reason.BAD_SIGNATURE


def test_an_altered_response_is_refused(client, wire, service, send):
    reply = service.signed(BODY)
    signature = reply.headers["Wechatpay-Signature"]
    for altered in (
        Reply(200, reply.headers, BODY + b" "),
        Reply(200, reply.headers, BODY.replace(b"weixin", b"weIxin")),
        Reply(200, reply.headers, b""),
        reply.having(Wechatpay_Nonce="0" * 32),
        reply.having(Wechatpay_Timestamp=str(int(time.time()) - 9)),
        reply.having(Wechatpay_Signature=f"WECHATPAY/SIGNTEST/{signature}"),
        reply.having(Wechatpay_Signature="WECHATPAY/SIGNTEST/AAAA"),
        reply.having(Wechatpay_Signature=signature.replace("=", "")),
        reply.having(Wechatpay_Signature=signature[:-4]),
        reply.having(Wechatpay_Signature=f"{signature}, {signature}"),
        reply.having(Wechatpay_Signature="x"),
    ):
        assert refusal_reason(client, wire, send, altered) is Reason.BAD_SIGNATURE


def test_two_signatures_are_refused(client, wire, service, send):
    octets = service.signed(BODY).octets
    forged = octets.replace(b"Wechatpay-Signature: ", b"Wechatpay-Signature: AAAA\r\nWechatpay-Signature: ")
    wire.respond = lambda received: forged
    with pytest.raises(SignatureError):
        send(client.v3.x, "get")


def test_the_signature_type_header_is_ignored(client, wire, service, send):
    wire.respond = lambda received: service.signed(BODY).having(Wechatpay_Signature_Type="WECHATPAY2-SHA256-RSA2048")
    assert send(client.v3.x, "get").content == BODY
    reply = Reply(200, {**service.signature(BODY), "Wechatpay-Signature": "", "Wechatpay-Signature-Type": "none"}, BODY)
    assert refusal_reason(client, wire, send, reply) is Reason.MISSING_HEADER


UNSIGNED = [
    "v3/billdownload/file",
    "v3/merchant-service/images/ChsyMDAw%2FMjYyNA==",
    "v3/global/merchant-service/images/{media_id}",
    "v3/transferdownload/elecvoucherfile",
    "v3/transferdownload/signfile",
    "v3/new-tax-control-fapiao/download",
]


@pytest.mark.parametrize("path", UNSIGNED)
def test_downloads_that_the_service_does_not_sign_are_accepted(client, wire, send, path):
    wire.respond = lambda received: Reply(200, {"Content-Type": "text/plain"}, b"\x1f\x8b file")
    variables = {"media_id": "a/b"} if "{" in path else {}
    assert send(client[path], "get", params={"token": "x"}, **variables).content == b"\x1f\x8b file"
    assert (
        refusal_reason(client, wire, send, Reply(200, {}, b"x"), verb="post", path=path.replace("{media_id}", "a"))
        is Reason.MISSING_HEADER
    )


@pytest.mark.parametrize(
    "path",
    [
        "v3/merchant-service/images/..%2F..%2Fpay%2Ftransactions",
        "v3/merchant-service/images/upload/x", "v3/merchant-service/images/", "v3/merchant-service/images/a/b",
        "v3/billdownload/file/", "v3/billdownload/files", "v3/BillDownload/file", "x/v3/billdownload/file",
        "v3/x?/v3/billdownload/file", "v3/billdownload%2Ffile", "hk/v3/billdownload/file", "v3/billdownload",
        "v3/merchant-service/images", "v3/global/billdownload/file", "v3/statements",
    ],
)  # fmt: skip
def test_paths_that_only_look_like_downloads_must_be_signed(client, wire, send, path):
    assert refusal_reason(client, wire, send, Reply(200, {}, b"x"), verb="get", path=path) is Reason.MISSING_HEADER


def test_a_path_variable_cannot_turn_a_call_into_a_download(client, wire, send):
    wire.respond = lambda received: Reply(200, {}, b"{}")
    for value in ("billdownload/file", "../billdownload/file", "billdownload/file?x="):
        with pytest.raises(SignatureError):
            send(client["v3/{x}"], "get", x=value)


STATEMENT_TEXT = "“日期”,`1\r\n".encode()


def statement(service, text=STATEMENT_TEXT, digest=None, **how) -> Reply:
    digest = digest or hashlib.sha1(text).hexdigest()
    signed = service.signature(b'{"sha1":"%s"}' % digest.encode(), **how)
    return Reply(200, {**signed, "Wechatpay-Statement-Sha1": digest}, text)


@pytest.mark.parametrize("path", ["hk/v3/statements", "v3/global/statements"])
def test_statements_are_verified_by_their_digest(client, wire, service, send, path):
    wire.respond = lambda received: statement(service)
    assert send(client[path], "get", params={"date": "2026-01-01"}).content == STATEMENT_TEXT
    compressed = Reply(200, {**statement(service).headers, "Content-Encoding": "gzip"}, gzip.compress(STATEMENT_TEXT))
    wire.respond = lambda received: compressed
    assert send(client[path], "get", headers={"Accept-Encoding": "gzip"}).content == STATEMENT_TEXT
    wire.respond = lambda received: service.signed(STATEMENT_TEXT)  # without the digest header, the body is signed
    assert send(client[path], "get").content == STATEMENT_TEXT
    reply = statement(service)
    altered = Reply(200, reply.headers, STATEMENT_TEXT.replace(b"1", b"9"))
    assert refusal_reason(client, wire, send, altered, "get", path) is Reason.DIGEST_MISMATCH
    other = statement(service).having(Wechatpay_Statement_Sha1=hashlib.sha1(b"x").hexdigest())
    assert refusal_reason(client, wire, send, other, "get", path) is Reason.BAD_SIGNATURE
    assert (
        refusal_reason(client, wire, send, reply.without("Wechatpay-Signature"), "get", path) is Reason.MISSING_HEADER
    )
    assert refusal_reason(client, wire, send, Reply(200, {}, STATEMENT_TEXT), "get", path) is Reason.MISSING_HEADER
    assert refusal_reason(client, wire, send, statement(service, digest="x"), "get", path) is Reason.DIGEST_MISMATCH
    old = statement(service, timestamp=int(time.time()) - 400)
    assert refusal_reason(client, wire, send, old, "get", path) is Reason.CLOCK_SKEW


def test_a_digest_verifies_no_other_operation(client, wire, service, send):
    assert refusal_reason(client, wire, send, statement(service), "get", "v3/statements") is Reason.BAD_SIGNATURE
    assert (
        refusal_reason(client, wire, send, statement(service), "post", "v3/global/statements") is Reason.BAD_SIGNATURE
    )


def test_nothing_turns_verification_off(service, wire, send, monkeypatch):
    """CVE-2026-33661: a library skipped verification for responses that claimed to come from localhost."""
    for name in ("PYTHONHTTPSVERIFY", "WECHATPAY_VERIFY", "DEBUG"):
        monkeypatch.setenv(name, "0")
    wire.respond = lambda received: Reply(200, {"Host": "localhost", "X-Skip-Verify": "1"}, BODY)
    for host in ("127.0.0.1", "localhost"):
        with (
            Client(**service.settings(wire.base_url.replace("127.0.0.1", host))) as client,
            pytest.raises(SignatureError),
        ):
            send(client.v3.x, "get", headers={"X-Skip-Verify": "true"})
    parameters = set(inspect.signature(Client).parameters) - {"verifier"}
    for verifier in (False, True, 0, "", object()):
        with pytest.raises(ConfigurationError, match="verifier: came a"):
            Client(**service.settings(wire.base_url), verifier=verifier)
    assert not [name for name in parameters if "verif" in name or "skip" in name or "insecure" in name]


HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)


@given(HEADER, HEADER, HEADER, HEADER, st.binary(max_size=40))
@settings(max_examples=60)
def test_any_headers_and_body_raise_only_our_errors(client, wire, send, timestamp, nonce, signature, serial, body):
    headers = {
        "Wechatpay-Timestamp": timestamp, "Wechatpay-Nonce": nonce, "Wechatpay-Signature": signature,
        "Wechatpay-Serial": serial,
    }  # fmt: skip
    wire.respond = lambda received: Reply(200, headers, body)
    with pytest.raises(SignatureError):
        send(client.v3.x, "get")


@given(st.data())
@settings(max_examples=60)
def test_a_response_with_one_flipped_bit_is_refused(client, wire, service, send, data):
    reply = service.signed(BODY, timestamp=int(time.time()))
    place = data.draw(st.sampled_from(["body", "Wechatpay-Signature", "Wechatpay-Nonce"]))
    if place == "body":
        octets = bytearray(BODY)
        position = data.draw(st.integers(0, len(octets) * 8 - 1))
        octets[position // 8] ^= 1 << position % 8
        reply = Reply(200, reply.headers, bytes(octets))
    elif place == "Wechatpay-Signature":
        raw = bytearray(base64.b64decode(reply.headers[place]))
        position = data.draw(st.integers(0, len(raw) * 8 - 1))
        raw[position // 8] ^= 1 << position % 8
        reply = reply.having(Wechatpay_Signature=base64.b64encode(raw).decode())
    else:
        value = reply.headers[place]
        position = data.draw(st.integers(0, len(value) - 1))
        reply = reply.having(Wechatpay_Nonce=value[:position] + "g" + value[position + 1 :])
    assert refusal_reason(client, wire, send, reply) is Reason.BAD_SIGNATURE


def test_a_certificate_whose_serial_lost_its_zeros_verifies(service, wire, send):
    certificate = new_certificate(service.platform, serial=0xABC)
    settings = {**service.settings(wire.base_url), "certs": {"abc": certificate}}
    wire.respond = lambda received: service.signed(BODY, key=service.platform, serial=f"{0xABC:040X}")
    with Client(**settings) as client:
        assert send(client.v3.x, "get").content == BODY
    assert wire.received[0].header("Wechatpay-Serial") == f"{0xABC:040X}"


def test_a_public_key_is_preferred_and_after_it_the_newest_certificate(service, wire, send):
    newer, older = new_certificate(service.platform, serial=8), new_certificate(new_key(), serial=7, age=900)
    wire.respond = lambda received: service.signed(BODY, key=service.platform, serial=f"{8:040}")
    for certs in ({8: newer, 7: older}, {7: older, 8: newer}):
        with Client(**{**service.settings(wire.base_url), "certs": certs}) as client:
            send(client.v3.x, "get")
        assert wire.received[-1].header("Wechatpay-Serial") == f"{8:040}"
    certs = {8: newer, PUBLIC_KEY_ID: public_pem(service.public_key)}
    with Client(**{**service.settings(wire.base_url), "certs": certs}) as client:
        send(client.v3.x, "get")
    assert wire.received[-1].header("Wechatpay-Serial") == PUBLIC_KEY_ID


def test_a_folded_nonce_cannot_take_a_line_of_the_body(client, wire, service, send):
    """A folded nonce could contain the first line of the body; http.client keeps the line break in it."""
    signed = b' note\n{"state":"SUCCESS"}'
    head, _, _ = service.signed(signed).octets.partition(b"\r\n\r\n")
    nonce = next(line for line in head.split(b"\r\n") if line.startswith(b"Wechatpay-Nonce"))
    body = b'{"state":"SUCCESS"}'
    for fold in (b"\n note", b"\r\n note", b"\r\n\tnote"):
        forged = head.replace(nonce, nonce + fold).replace(
            b"Content-Length: %d" % len(signed), b"Content-Length: %d" % len(body)
        )
        wire.respond = lambda received, forged=forged: forged + b"\r\n\r\n" + body
        with pytest.raises((SignatureError, TransportError)):
            send(client.v3.x, "get")


def test_a_line_break_in_a_nonce_is_refused_with_any_transport(service):
    reply = service.signed(b'moved\n{"state":"SUCCESS"}', nonce="n")
    headers = Headers({**reply.headers, "Wechatpay-Nonce": "n\nmoved"})

    class Forger:
        def send(self, request):
            return Response(200, headers, b'{"state":"SUCCESS"}', request)

    client = Client(**service.settings("https://a.example"), transport=Forger())
    with pytest.raises(SignatureError):
        client.v3.x.get()


@given(
    st.binary(min_size=1, max_size=20), st.sampled_from(["Timestamp", "Nonce", "Signature", "Serial", "Statement-Sha1"])
)
@settings(max_examples=80)
def test_any_octets_in_a_header_raise_only_our_errors(client, wire, service, send, octets, name):
    octets = octets.replace(b"\r", b"").replace(b"\n", b"") + b"\xff"
    reply = service.signed(BODY).having(**{f"Wechatpay_{name.replace('-', '_')}": "PLACE"})
    wire.respond = lambda received: reply.octets.replace(b"PLACE", octets)
    with pytest.raises((SignatureError, TransportError)):
        send(client.v3["global/statements"], "get")


def test_an_expired_or_future_certificate_verifies_nothing(service, wire, send):
    past = new_certificate(service.platform, serial=5, age=400, days=-5)
    future = new_certificate(service.platform, serial=6, age=-5, days=30)
    for certificate in (past, future):
        serial = f"{certificate.serial_number:040X}"
        certs = {serial: certificate, PUBLIC_KEY_ID: public_pem(service.public_key)}
        with Client(**{**service.settings(wire.base_url), "certs": certs}) as client:
            reply = service.signed(BODY, key=service.platform, serial=serial)
            assert refusal_reason(client, wire, send, reply) is Reason.UNKNOWN_SERIAL
        with pytest.raises(ConfigurationError, match="expired"):
            Client(**{**service.settings(wire.base_url), "certs": {serial: certificate}})


@pytest.mark.parametrize("media_id", ["%2e%2e%2fpay", ".%2e", "%2E.", "a%2f%2e%2e%2fb"])
def test_a_path_that_leads_up_from_an_unsigned_download_must_be_signed(client, wire, send, media_id):
    wire.respond = lambda received: Reply(200, {}, BODY)
    with pytest.raises((SignatureError, PathVariableError)):
        send(client[f"v3/merchant-service/images/{media_id}"], "get")
    assert send(client["v3/merchant-service/images/a%2Fb"], "get").content == BODY

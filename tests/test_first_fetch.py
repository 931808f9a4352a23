"""When the first fetch of platform certificates fails, nothing of the call was sent and the error says what to do."""

from __future__ import annotations

import logging
import time
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from tests.service import Reply, json_body, new_certificate, new_key
from tests.test_rotation import APIV3_KEY, Authority
from wechatpay_chain import AuthenticationError, Client, ConfigurationError, Sensitive, TransportError, TransportTimeout
from wechatpay_chain._keys import refresh

ISSUER = "Tenpay.com Root CA"


@pytest.fixture
def settings(service, wire):
    return {**service.settings(wire.base_url), "certs": {}, "apiv3_key": APIV3_KEY}


def assert_fails(client, send, wire, kind, json=None) -> str:
    with pytest.raises(kind) as caught:
        send(client.v3.pay, "post", json={"out_trade_no": "1"} if json is None else json)
    assert caught.value.sent is False
    assert caught.value.request.template == "v3/pay"
    assert {received.target for received in wire.received} <= {"/v3/certificates"}
    assert "Nothing was sent of POST v3/pay" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("status", [403, 404])
def test_a_merchant_without_platform_certificates_is_told_to_use_the_public_key(settings, wire, send, status):
    problem = json_body(
        {"code": "RESOURCE_NOT_EXISTS", "message": "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥"}
    )
    wire.respond = lambda received: Reply(status, {}, problem)
    with Client(**settings) as client:
        for _ in range(2):
            message = assert_fails(client, send, wire, ConfigurationError)
            assert "certs={'PUB_KEY_ID_…'" in message
            assert f"{status} 'RESOURCE_NOT_EXISTS'" in message
            assert "fetched again after 60 s" in message or "after 59 s" in message
        assert_fails(client, send, wire, ConfigurationError, {"name": Sensitive("张三")})
    assert len(wire.received) == 1


def test_a_refused_signature_raises_an_authentication_error(settings, wire, send):
    wire.respond = lambda received: Reply(401, {}, json_body({"code": "SIGN_ERROR", "message": "签名错误"}))
    with Client(**settings) as client:
        for _ in range(2):
            message = assert_fails(client, send, wire, AuthenticationError)
            assert "SIGN_ERROR" in message
            assert "we signed" in message
    assert len(wire.received) == 1


def test_a_service_that_does_not_respond_raises_a_transport_error(settings, wire, send):
    wire.respond = lambda received: None
    with Client(**settings) as client:
        assert_fails(client, send, wire, TransportError)
    wire.respond = lambda received: time.sleep(0.5)
    with Client(**settings, timeout=(1, 0.2)) as client:
        with pytest.raises(TransportTimeout) as caught:
            send(client.v3.pay, "post", json={"out_trade_no": "1"})
        assert (caught.value.sent, caught.value.seconds, caught.value.setting) == (False, 0.2, "read")


def test_a_wrong_apiv3_key_raises_a_configuration_error(settings, service, wire, send):
    wire.respond = Authority(service)
    with Client(**{**settings, "apiv3_key": "y" * 32}) as client:
        assert "apiv3_key: the platform certificates cannot be decrypted with it" in assert_fails(
            client, send, wire, ConfigurationError
        )


def test_a_list_that_cannot_be_verified_raises_a_transport_error(settings, service, wire, send):
    authority = wire.respond = Authority(service)
    authority.key = new_key()
    with Client(**settings) as client:
        assert "could not be verified" in assert_fails(client, send, wire, TransportError)


def test_after_the_clock_is_corrected_the_list_is_fetched_at_once(settings, service, wire, send, monkeypatch):
    wire.respond = Authority(service)
    real_time = time.time
    monkeypatch.setattr(
        "tests.service.time", SimpleNamespace(time=real_time, sleep=time.sleep)
    )  # the service's clock is right
    with Client(**settings) as client:
        monkeypatch.setattr(time, "time", lambda: real_time() + 1000)
        for _ in range(2):
            assert "clock" in assert_fails(client, send, wire, TransportError)
        assert len(wire.received) == 1
        monkeypatch.setattr(time, "time", real_time)
        assert send(client.v3.pay, "post", json={}).json() == {"a": 1}


def build_unusable_certificates():
    """Returns certificates whose keys are of a kind that cannot be used."""
    certificates = []
    for key in (ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()):
        template = new_certificate(new_key(), issuer=ISSUER)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, ISSUER)])
        certificates.append(
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(template.serial_number)
            .not_valid_before(template.not_valid_before_utc)
            .not_valid_after(template.not_valid_after_utc)
            .sign(new_key(), hashes.SHA256())
        )
    # cryptography can read SM2 and not use it: here, SM2 replaces the name of the curve of a P-256 key.
    from cryptography.hazmat.primitives.serialization import Encoding

    octets = certificates[0].public_bytes(Encoding.DER)
    p256, sm2 = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a811ccf5501822d")
    assert octets.count(p256) == 1
    certificates.append(x509.load_der_x509_certificate(octets.replace(p256, sm2)))
    return certificates


def test_unusable_certificates_are_skipped(settings, service, wire, send, caplog):
    authority = wire.respond = Authority(service)
    authority.listed = [
        *build_unusable_certificates(),
        *authority.listed,
        new_certificate(service.platform, age=90, days=-1),
    ]
    with caplog.at_level(logging.WARNING, "wechatpay_chain"), Client(**settings) as client:
        assert send(client.v3.pay, "post", json={}).json() == {"a": 1}
        client.platform_certificates()
        assert list(client.platform_certificates()) == [authority.serial]
    warnings = [record.getMessage() for record in caplog.records if "skipped" in record.getMessage()]
    assert len(warnings) == 4, "once each"


def test_a_list_of_unusable_certificates_alone_raises_a_configuration_error(settings, service, wire, send):
    authority = wire.respond = Authority(service)
    authority.listed = build_unusable_certificates()
    with Client(**settings) as client:
        assert_fails(client, send, wire, ConfigurationError)


def test_a_rotation_works_with_unusable_certificates_in_the_list(settings, service, wire, send, monkeypatch):
    """The response to a POST names a new certificate, and the list contains one of SM2 beside it."""
    authority = wire.respond = Authority(service)
    with Client(**settings) as client:
        send(client.v3.pay, "get")
        authority.rotate()
        authority.listed = [*build_unusable_certificates(), *authority.listed]
        later = time.monotonic() + refresh.BACKOFF
        monkeypatch.setattr(refresh.time, "monotonic", lambda: later)
        assert send(client.v3.pay, "post", json={}).json() == {"a": 1}

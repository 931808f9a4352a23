"""Personal data is encrypted once, with the key that the header names, and is shown nowhere."""

from __future__ import annotations

import json
import logging
import pickle
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.service import PUBLIC_KEY_ID, Received, json_body, new_key, private_pem, public_pem
from tests.test_rotation import APIV3_KEY, Authority
from wechatpay_chain import (
    ArgumentError,
    Client,
    ConfigurationError,
    DecryptionError,
    NotFoundError,
    PathVariableError,
    Response,
    Sensitive,
    crypto,
)
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._schemes import rsa
from wechatpay_chain.sandbox import Sandbox

BODY = {
    "name": Sensitive("张三"),
    "cards": [{"number": Sensitive("6222000000000000")}, Sensitive("x"), "plain"],
    "pair": (Sensitive("y"), 1),
    "amount": 100,
}


def decrypt_body(received: Received, key) -> dict:
    body = json.loads(received.body)
    return {
        "name": crypto.decrypt(body["name"], key),
        "cards": [
            crypto.decrypt(body["cards"][0]["number"], key),
            crypto.decrypt(body["cards"][1], key),
            body["cards"][2],
        ],
        "pair": [crypto.decrypt(body["pair"][0], key), body["pair"][1]],
        "amount": body["amount"],
    }


PLAINTEXT = {"name": "张三", "cards": ["6222000000000000", "x", "plain"], "pair": ["y", 1], "amount": 100}


def test_sensitive_values_are_encrypted_at_any_depth(client, wire, service, send):
    send(client.v3.x, "post", json=BODY, params={"name": Sensitive("李四"), "list": [Sensitive("z"), "a"], "b": "c"})
    (received,) = wire.received
    assert received.header("Wechatpay-Serial") == PUBLIC_KEY_ID
    assert decrypt_body(received, service.public_key) == PLAINTEXT
    (_, name), (_, first), *rest = parse_qsl(received.target.partition("?")[2])
    assert crypto.decrypt(name, service.public_key) == "李四"
    assert crypto.decrypt(first, service.public_key) == "z"
    assert rest == [("list", "a"), ("b", "c")]
    assert received.is_signed_by(service.merchant)
    assert repr(BODY["name"]) == "Sensitive(…)", "the caller's value is not changed"


@pytest.mark.parametrize("kind", [list, iter, lambda pairs: dict(pairs).items()])
def test_sensitive_values_in_pairs_of_params_are_encrypted(client, wire, service, send, kind):
    send(client.v3.x, "post", json={"n": Sensitive("P")}, params=kind([("name", Sensitive("李四")), ("a", 1)]))
    (_, name), rest = parse_qsl(wire.received[0].target.partition("?")[2])
    assert crypto.decrypt(name, service.public_key) == "李四"
    assert rest == ("a", "1")


def test_a_rotation_during_encryption_does_not_separate_key_and_header(client, wire, service, monkeypatch):
    """A rotation happens after the key is chosen and before the header is written."""
    encrypt = rsa.encrypt

    def rotate_and_encrypt(text, key):
        monkeypatch.setattr(type(client._config.keyring), "preferred", property(lambda ring: ("PUB_KEY_ID_99", key)))
        return encrypt(text, key)

    monkeypatch.setattr(rsa, "encrypt", rotate_and_encrypt)
    client.v3.x.post(json={"name": Sensitive("张三")})
    assert wire.received[0].header("Wechatpay-Serial") == PUBLIC_KEY_ID
    assert crypto.decrypt(json.loads(wire.received[0].body)["name"], service.public_key) == "张三"


def test_a_failed_download_is_not_repeated_for_each_call(service, wire, send):
    authority = wire.respond = Authority(service)
    authority.fault = authority.service.signed(b"{}", 404)
    with Client(**{**service.settings(wire.base_url), "certs": {}, "apiv3_key": APIV3_KEY}) as client:
        for _ in range(5):
            with pytest.raises(ConfigurationError):
                send(client.v3.x, "post", json=BODY)
    assert [received.target for received in wire.received] == ["/v3/certificates"]


def test_json_that_is_nested_too_deeply_is_refused_before_it_is_sent(client, wire, send):
    for depth in (100, 5000):
        wire.received.clear()
        deep: object = Sensitive("x")
        for _ in range(depth):
            deep = [deep]
        try:
            send(client.v3.x, "post", json=deep)
        except ArgumentError:
            assert not wire.received


def test_a_certificate_encrypts_if_there_is_no_public_key(service, wire, send):
    certs = {service.platform_serial: service.certificate}
    wire.respond = lambda received: service.signed(key=service.platform, serial=service.platform_serial)
    with Client(**{**service.settings(wire.base_url), "certs": certs}) as client:
        send(client.v3.x, "post", json=BODY)
    assert wire.received[0].header("Wechatpay-Serial") == service.platform_serial
    assert decrypt_body(wire.received[0], service.platform) == PLAINTEXT


def test_a_certificate_is_fetched_before_encryption_if_there_is_none(service, wire, send):
    authority = wire.respond = Authority(service)
    settings = {**service.settings(wire.base_url), "certs": {}, "apiv3_key": APIV3_KEY}
    with Client(**settings) as client:
        send(client.v3.x, "post", json=BODY)
        send(client.v3.x, "post", json=BODY)
    assert [received.target for received in wire.received] == ["/v3/certificates", "/v3/x", "/v3/x"]
    assert wire.received[1].header("Wechatpay-Serial") == authority.serial
    assert decrypt_body(wire.received[1], service.platform) == PLAINTEXT
    wire.received.clear()
    authority.fault = authority.service.signed(b"{}", 404)
    with Client(**settings) as client, pytest.raises(ConfigurationError, match="GET v3/certificates: 404"):
        send(client.v3.x, "post", json=BODY)
    assert [received.target for received in wire.received] == ["/v3/certificates"], "nothing sensitive was sent"


def test_a_header_that_names_another_key_is_refused(client, wire, service, send):
    send(client.v3.x, "post", json=BODY, headers={"wechatpay-serial": PUBLIC_KEY_ID})
    for other in (service.platform_serial, "PUB_KEY_ID_99"):
        with pytest.raises(ArgumentError, match="Wechatpay-Serial"):
            send(client.v3.x, "post", json=BODY, headers={"Wechatpay-Serial": other})
    assert len(wire.received) == 1


def test_a_plaintext_that_is_too_long_is_refused(client, wire, send):
    send(client.v3.x, "post", json={"name": Sensitive("a" * 214)})
    for text in ("a" * 215, "长" * 72, "\ud800"):
        with pytest.raises(ArgumentError, match="plaintext") as caught:
            send(client.v3.x, "post", json={"name": Sensitive(text)})
        assert "aaa" not in str(caught.value)
    assert len(wire.received) == 1


def test_other_errors_are_raised_before_encryption(client, wire, send):
    with pytest.raises(PathVariableError):
        send(client.v3.x._a_, "post", json=BODY)
    with pytest.raises(ArgumentError):
        send(client.v3.x, "post", json={**BODY, "bad": float("nan")})
    assert not wire.received


def test_a_sensitive_value_is_shown_nowhere(client, wire, send, caplog):
    with caplog.at_level(logging.DEBUG, "wechatpay_chain"):
        response = send(client.v3.x, "post", json=BODY)
    secret = Sensitive("张三")
    shown = f"{secret} {secret!r} {[secret]} {secret!s:>20} {response!r} {response.request!r} {caplog.text} {BODY}"
    assert "张三" not in shown
    assert "6222000000" not in shown
    for value in (None, 5, b"x", secret):
        with pytest.raises(TypeError, match="Sensitive"):
            Sensitive(value)
    with pytest.raises(TypeError):
        json.dumps(secret)


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=50))
@settings(max_examples=30)
def test_any_text_can_be_encrypted(client, wire, service, send, text):
    wire.received.clear()
    send(client.v3.x, "post", json={"a": Sensitive(text)})
    assert crypto.decrypt(json.loads(wire.received[0].body)["a"], service.public_key) == text


def respond_with(service, value) -> object:
    return lambda received: service.signed(json_body(value))


def encrypt_for_merchant(service, text: str) -> str:
    return crypto.encrypt(text, service.merchant.public_key())


def test_encrypted_fields_of_a_response_are_decrypted_by_path(client, wire, service, send):
    encrypt = lambda text: encrypt_for_merchant(service, text)  # noqa: E731
    wire.respond = respond_with(
        service,
        {
            "payer": {"name": encrypt("张三"), "id": encrypt("1")},
            "data": [{"name": encrypt("a")}, {"name": encrypt("b"), "n": 1}],
            "tags": [encrypt("t")],
            "none": [],
        },
    )
    response = send(client.v3.x, "get")
    assert response.decrypt("payer.name", "data.name", "tags") == {
        **response.json(),
        "payer": {"name": "张三", "id": response.json()["payer"]["id"]},
        "data": [{"name": "a"}, {"name": "b", "n": 1}],
        "tags": ["t"],
    }
    assert response.decrypt() == response.json()
    assert response.decrypt("none.name")["none"] == []
    assert client.decrypt(response.json()["payer"]["name"]) == "张三"
    for path in ("nothing", "payer.nothing", "payer.name.first", ""):
        with pytest.raises((ArgumentError, DecryptionError)):
            response.decrypt(path)
    for value in ("plain", 5, None):
        wire.respond = respond_with(service, {"a": value})
        with pytest.raises(DecryptionError):
            send(client.v3.x, "get").decrypt("a")
    assert "张三" not in repr(response)


def test_former_private_keys_decrypt(service, wire, send):
    former = new_key()
    wire.respond = respond_with(
        service, {"old": crypto.encrypt("a", former.public_key()), "new": encrypt_for_merchant(service, "b")}
    )
    settings = {**service.settings(wire.base_url), "former_private_keys": [private_pem(former)]}
    with Client(**settings) as client:
        response = send(client.v3.x, "get")
        assert response.decrypt("old", "new") == {"old": "a", "new": "b"}
        with pytest.raises(DecryptionError):
            client.decrypt(crypto.encrypt("c", service.platform.public_key()))
    assert wire.received[0].is_signed_by(service.merchant), "the newest key signs"


def test_a_response_made_by_hand_cannot_be_decrypted(client, service):
    body = json_body({"a": encrypt_for_merchant(service, "x")})
    response = Response(200, Headers({}), body, client.v3)  # type: ignore[arg-type]
    with pytest.raises(DecryptionError, match="client"):
        response.decrypt("a")


def test_the_sandbox_decrypts_and_encrypts(send):
    with Sandbox() as sandbox, sandbox.client() as client:
        body = {"echo_message": "hello", "encrypted_echo_message": Sensitive("张三")}
        assert send(client.v3.security.echo, "post", json=body).decrypt("encrypted_echo_message") == {
            "echo_message": "hello",
            "encrypted_echo_message": "张三",
        }


def test_a_response_is_pickled_without_the_keys(client, send):
    response = send(client.v3.x, "get")
    unpickled = pickle.loads(pickle.dumps(response))
    assert (unpickled.status_code, unpickled.headers, unpickled.content) == (200, response.headers, response.content)
    assert unpickled.request.url == response.request.url
    assert unpickled._decrypt is None


def test_an_error_of_a_sensitive_request_can_be_pickled(client, wire, service):
    wire.respond = lambda received: service.signed(b'{"code":"X","message":"y"}', 404)
    with pytest.raises(NotFoundError) as caught:
        client.v3.x.post(json={"a": Sensitive("张三")})
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_former_private_keys_must_be_private_keys(service):
    with pytest.raises(ValueError, match="private_key"):
        Client(**service.settings("http://127.0.0.1:9/"), former_private_keys=[public_pem(service.merchant)])

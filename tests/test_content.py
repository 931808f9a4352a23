"""The content of a response is JSON, or an error says what came; a request asks for the right type."""

from __future__ import annotations

import json

import pytest

from tests.service import Reply, json_body
from wechatpay_chain import ArgumentError, ContentError, DecryptionError, NotFoundError, Response, crypto
from wechatpay_chain._messages.headers import Headers

SECRET = "oh-394z-secret"

FILE_PATHS = ["v3/billdownload/file?token=t", "v3/bill/downloadurl", "v3/merchant-service/images/abc",
         "v3/global/merchant-service/images/abc", "v3/transferdownload/elecvoucherfile",
         "v3/transferdownload/signfile", "v3/new-tax-control-fapiao/download", "hk/v3/statements",
         "v3/global/statements"]  # fmt: skip


@pytest.mark.parametrize("path", FILE_PATHS)
def test_a_file_is_requested_as_any_type(client, wire, send, path):
    send(client[path], "get")
    send(client[path], "get", headers={"accept": "image/png"})
    send(client[path], "post", json={})
    assert [received.header("Accept") for received in wire.received] == ["*/*", "image/png", "application/json"]


@pytest.mark.parametrize("path", ["v3/x", "v3/bill/tradebill", "v3/merchant-service/images/a/b", "v3/certificates/x"])
def test_everything_else_is_requested_as_json(client, wire, send, path):
    send(client[path], "get", params={"a": "/v3/billdownload/file"})
    assert wire.received[0].header("Accept") == "application/json"


@pytest.mark.parametrize("status", [200, 202, 204])
def test_an_empty_body_is_none(client, wire, service, send, status):
    wire.respond = lambda received: service.signed(b"", status)
    response = send(client.v3.x, "post", json={})
    assert response.json() is None
    assert response.decrypt() is None


DEEP = b"[" * 100_000 + b"]" * 100_000
NOT_JSON = [b"<html>", b"{", b"\xff\xfe\xff", b" ", b"\x89PNG\r\n", DEEP, b"[" * 100_000, b"1" * 10_000,
           b'{"a":' + b"9" * 10_000 + b"}", SECRET.encode()]  # fmt: skip


@pytest.mark.parametrize("body", NOT_JSON, ids=lambda body: repr(body[:8]))
def test_the_error_for_a_body_that_is_not_json_says_what_came(client, wire, service, send, body):
    wire.respond = lambda received: service.signed(body)
    response = send(client["v3/users/{openid}"], "get", openid=SECRET)
    for read in (response.json, lambda: response.decrypt("a")):
        with pytest.raises(ContentError) as caught:
            read()
        message = str(caught.value)
        assert message.startswith("GET v3/users/{openid}: the content of the response 200 ")
        assert f"{len(body)} bytes of application/json" in message
        assert SECRET not in message
        assert (caught.value.sent, caught.value.request) == (True, response.request)
        assert isinstance(caught.value, ValueError)
        assert caught.value.__context__ is None or SECRET not in str(caught.value.__context__)
    assert response.text
    assert response.ok


@pytest.mark.parametrize(
    ("content_type", "shown"),
    [
        ("image/png", "image/png"),
        ("application/pdf; x=y", "application/pdf"),
        ("a\x85\x1b b" + "c" * 500, r"a\x85\x1b\x20bccc"),
        ("", "no Content-Type"),
    ],
)
def test_the_error_for_a_file_names_content_and_download(content_type, shown, client, wire, send):
    wire.respond = lambda received: Reply(200, {"Content-Type": "text/plain"}, b"\x89PNG")
    response = send(client["v3/merchant-service/images/{id}"], "get", id=SECRET)
    response = Response(200, Headers({"Content-Type": content_type}), response.content, response.request)
    with pytest.raises(ContentError) as caught:
        response.json()
    message = str(caught.value)
    assert shown in message
    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 500
    assert ".content" in message
    assert "client.download" in message


def test_an_error_response_without_a_body_is_not_json(client, wire, send):
    wire.respond = lambda received: Reply(404, {}, b"")
    with pytest.raises(NotFoundError) as caught:
        send(client.v3.x, "get")
    with pytest.raises(ContentError, match="response 404 is not JSON: came 0 bytes of no Content-Type"):
        caught.value.response.json()


def test_an_error_of_decrypt_has_its_request(client, wire, service, send):
    other = crypto.encrypt("x", service.platform.public_key())
    wire.respond = lambda received: service.signed(json_body({"name": other, "n": 1}))
    response = send(client.v3.x, "get")
    for path, kind in (
        ("nothing", ArgumentError),
        ("name", DecryptionError),
        ("n", DecryptionError),
        (5, ArgumentError),
    ):
        with pytest.raises(kind) as caught:
            response.decrypt(path)
        assert (caught.value.sent, caught.value.request) == (True, response.request)


def test_duplicate_names_are_read_as_python_reads_them(client, wire, service, send):
    wire.respond = lambda received: service.signed(b'{"a":1,"a":2,"b":NaN}')
    assert send(client.v3.x, "get").json()["a"] == json.loads('{"a":1,"a":2}')["a"]


def test_an_announcement_that_is_not_json_leaves_no_file(client, wire, service, tmp_path):
    wire.respond = lambda received: service.signed(b"<html>")
    bill = client.v3.bill.tradebill.get()
    with pytest.raises(ContentError):
        client.download(bill, tmp_path / "bill.csv")
    assert list(tmp_path.iterdir()) == []


def test_decrypt_of_a_deeply_nested_body_raises_an_error_of_the_package(service):
    from wechatpay_chain._messages.request import Request

    request = Request("GET", "v3/x", "http://127.0.0.1:9", "/v3/x", Headers({}), b"", (1.0, 1.0))
    for depth in (500, 900, 3000):
        body = b"[" * depth + b'{"a":"x"}' + b"]" * depth
        with pytest.raises((ContentError, DecryptionError)) as caught:
            Response(200, Headers({}), body, request).decrypt("a")
        assert caught.value.sent is True

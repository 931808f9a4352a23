"""Transports of the user replace HTTP, sync and async."""

from __future__ import annotations

import asyncio
import hashlib
import time

import pytest
import requests

from tests.service import PUBLIC_KEY_ID, json_body, private_pem
from wechatpay_chain import (
    ArgumentError,
    Client,
    ConfigurationError,
    Response,
    Retry,
    Sensitive,
    TransportError,
    WeChatPayError,
    crypto,
)

HOST = "https://service.example/"


class SigningTransport:
    """Responds with the body that a function returns for each request, signed as by WeChat Pay."""

    def __init__(self, service, respond):
        self.service, self.respond, self.sent = service, respond, []

    def send(self, request):
        self.sent.append(request)
        body = self.respond(request)
        reply = self.service.signed(body)
        return Response(200, reply.headers, body, request)


class AsyncSigningTransport(SigningTransport):
    async def send(self, request):
        await asyncio.sleep(0)
        return super().send(request)


@pytest.fixture
def make_client(service, send):
    """Makes a client whose transports respond with a function: client, sent = make_client(respond)."""

    def make(respond):
        sync, non_blocking = SigningTransport(service, respond), AsyncSigningTransport(service, respond)
        client = Client(**service.settings(HOST), transport=sync, async_transport=non_blocking)
        return client, lambda: [*sync.sent, *non_blocking.sent]

    return make


def test_a_transport_gets_the_signed_request(make_client, service, send):
    client, sent = make_client(
        lambda request: json_body({"url": request.url, "body": b"".join(request.stream()).decode()})
    )
    assert send(client.v3.pay, "post", json={"a": 1}).json() == {"url": f"{HOST}v3/pay", "body": '{"a":1}'}
    (request,) = sent()
    assert request.content_length == 7
    assert request.headers["Authorization"].startswith("WECHATPAY2-SHA256-RSA2048 ")
    assert request.headers["Wechatpay-Serial"] == PUBLIC_KEY_ID
    assert request.headers["User-Agent"].startswith("wechatpay-chain/")
    assert not request.headers["User-Agent"].endswith(" ")


def test_a_short_transport_can_sign_responses(service):
    """The example of docs/en/testing.md."""
    key = crypto.load_private_key(private_pem(service.public_key))

    class Canned:
        def send(self, request):
            timestamp, nonce, body = str(int(time.time())), crypto.nonce(), b'{"code_url": "weixin://"}'
            signature = crypto.sign(f"{timestamp}\n{nonce}\n{body.decode()}\n".encode(), key)
            headers = {"Timestamp": timestamp, "Nonce": nonce, "Signature": signature, "Serial": PUBLIC_KEY_ID}
            return Response(200, {f"Wechatpay-{name}": value for name, value in headers.items()}, body, request)

    with Client(**service.settings(HOST), transport=Canned()) as client:
        assert client.v3.pay.transactions.native.post(json={}).json() == {"code_url": "weixin://"}


def test_an_upload_is_streamed_by_a_transport(make_client, send):
    received = []
    client, _ = make_client(lambda request: received.append(b"".join(request.stream())) or b"{}")
    send(client.v3.merchant.media.upload, "post", files={"file": ("a.png", b"picture")})
    assert b"picture" in received[0]
    assert hashlib.sha256(b"picture").hexdigest().encode() in received[0]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_download_is_written_by_a_transport(make_client, mode, tmp_path):
    client, sent = make_client(lambda request: b"a,b\n")
    source = {
        "download_url": f"{HOST}v3/billdownload/file?token=x",
        "hash_type": "SHA1",
        "hash_value": hashlib.sha1(b"a,b\n").hexdigest(),
    }
    if mode == "sync":
        response = client.download(source, tmp_path / "bill.csv")
    else:
        response = asyncio.run(client.download_async(source, tmp_path / "bill.csv"))
    assert (tmp_path / "bill.csv").read_bytes() == b"a,b\n"
    assert response.content == b""
    assert len(sent()) == 1


def test_a_transport_error_is_retried_only_if_nothing_was_sent(service):
    class Down:
        def __init__(self, error):
            self.error, self.count = error, 0

        def send(self, request):
            self.count += 1
            raise self.error

    for sent, attempts in ((False, 3), (True, 1)):
        down = Down(TransportError("no route", sent=sent))
        settings = {**service.settings(HOST), "retry": Retry(backoff=0)}
        with Client(**settings, transport=down) as client, pytest.raises(TransportError) as caught:
            client.v3.pay.post(json={})
        assert (caught.value.sent, len(caught.value.attempts), down.count) == (sent, attempts, attempts)


def test_a_transport_that_returns_nothing_is_an_error(service):
    class ReturnsNothing:
        def send(self, request):
            return None

    with Client(**service.settings(HOST), transport=ReturnsNothing()) as client:
        with pytest.raises(TransportError, match="the transport returned a NoneType; expected a Response") as caught:
            client.v3.pay.post(json={})
    assert caught.value.sent is True


def test_wrong_transports_are_refused(service):
    class SyncTransport:
        def send(self, request):
            return None

    class AsyncTransport:
        async def send(self, request):
            return None

    for settings in (
        {"transport": object()},
        {"transport": SyncTransport},
        {"transport": AsyncTransport()},
        {"async_transport": SyncTransport()},
        {"transport": SyncTransport(), "session": requests.Session()},
    ):
        with pytest.raises(ConfigurationError, match="transport"):
            Client(**service.settings(HOST), **settings)


def test_a_client_does_not_close_a_transport_of_the_user(service):
    class Closing:
        closed = False

        def send(self, request):
            raise AssertionError

        def close(self):
            self.closed = True

    transport = Closing()
    with Client(**service.settings(HOST), transport=transport):
        pass
    assert not transport.closed


def test_a_call_with_sensitive_values_is_encoded_once(make_client, service, send):
    """The JSON is encoded once; the file is read once for the digest and once to be sent."""

    class Counting(dict):
        reads = 0

        def items(self):
            Counting.reads += 1
            return super().items()

    class File:
        name, content, position, passes = "a.png", b"picture", 0, 0

        def seekable(self):
            return True

        def tell(self):
            return self.position

        def seek(self, offset, whence=0):
            self.position = offset + (len(self.content) if whence == 2 else 0)
            return self.position

        def read(self, size=-1):
            if size == 0:
                return b""
            File.passes += self.position == 0
            chunk = self.content[self.position :]
            self.position += len(chunk)
            return chunk

    client, _ = make_client(lambda request: b"".join(request.stream()) and b"{}")
    send(client.v3.pay, "post", json=Counting(name=Sensitive("张三")))
    assert Counting.reads == 1
    send(
        client.v3.marketing.shopping_receipt.shoppingreceipts,
        "post",
        files={"file": File()},
        json={"p": Sensitive("1")},
    )
    assert File.passes == 2


@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset"), TimeoutError("late")])
def test_an_oserror_of_a_transport_counts_as_sent(service, error):
    """The call may have been sent, so it is not retried."""

    class Broken:
        count = 0

        def send(self, request):
            self.count += 1
            raise error

    broken = Broken()
    with Client(**service.settings(HOST), transport=broken) as client, pytest.raises(TransportError) as caught:
        client.v3.pay.post(json={})
    assert (caught.value.sent, broken.count) == (True, 1)
    assert caught.value.__cause__ is error


def test_a_header_that_cannot_be_sent_does_not_reach_the_transport(make_client, send):
    client, sent = make_client(lambda request: b"{}")

    def add_header(request):
        response = yield request.with_headers({"X-A": "a\r\nHost: evil"})
        return response

    client.middleware.insert_after("sign", "add_header", add_header)
    with pytest.raises(ArgumentError, match="has a character that cannot be sent"):
        send(client.v3.pay, "post", json={})
    assert not sent()


@pytest.mark.parametrize("response", [("200", True), (500, False)])
def test_a_response_with_a_status_that_is_no_int_is_an_error(service, response):
    status, is_transport_error = response

    class WrongStatus:
        def send(self, request):
            return Response(status, {}, b"{}", None)

    with Client(**service.settings(HOST), transport=WrongStatus()) as client, pytest.raises(WeChatPayError) as caught:
        client.v3.pay.post(json={})
    assert isinstance(caught.value, TransportError) is is_transport_error
    assert caught.value.sent is True

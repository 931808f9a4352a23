"""Errors that the service reports, and errors of the connection."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import pickle
import socket
import socketserver
import threading
import time
import traceback
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.service import MCHID, Reply, Tunnel, Wire, json_body
from wechatpay_chain import APIError, Client, TransportError, WeChatPayError, errors

OPENID = "-".join(["oh", "394z"])  # in two parts, because a traceback shows lines of this file

STATUSES = {
    400: "BadRequestError", 401: "AuthenticationError", 403: "ForbiddenError", 404: "NotFoundError", 409: "ClientError",
    429: "RateLimitError", 500: "ServerError", 502: "ServerError", 503: "ServerError", 304: "RedirectionError",
}  # fmt: skip


@pytest.mark.parametrize(("status", "kind"), STATUSES.items())
@pytest.mark.parametrize("signed", [True, False])
def test_an_error_response_raises_the_class_of_its_status(client, wire, service, send, status, kind, signed):
    detail = {"field": "/amount/currency", "value": "XYZ", "issue": "Currency code is invalid", "location": "body"}
    body = json_body({"code": "PARAM_ERROR", "message": "参数错误", "detail": detail})
    reply = Reply(
        status, {"Request-ID": "08E2-1", **(service.signature(body) if signed else {})}, b"" if status == 304 else body
    )
    wire.respond = lambda received: reply
    with pytest.raises(APIError) as caught:
        send(client["v3/users/{openid}"], "post", openid=OPENID)
    error = caught.value
    assert type(error).__name__ == kind
    assert error.status_code == status
    assert error.request_id == "08E2-1"
    assert error.response.content == reply.body
    assert "v3/users/{openid}" in str(error)
    assert "08E2-1" in str(error)
    assert OPENID not in f"{error}{error!r}"
    if status != 304:
        assert (error.code, error.message, error.detail) == ("PARAM_ERROR", "参数错误", detail)
        assert "参数错误" in str(error)
        assert "/amount/currency" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502</html>",
        b"null",
        b"[1]",
        b'"x"',
        b"{",
        b'{"code":1,"message":null}',
        b"\xff",
        b"[" * 100_000,
        b'{"detail":"x"}',
    ],
)
@pytest.mark.parametrize("status", [401, 404, 502])
def test_an_error_response_may_have_any_body(client, wire, send, body, status):
    wire.respond = lambda received: Reply(status, {"Content-Type": "text/html"}, body)
    with pytest.raises(APIError) as caught:
        send(client.v3.x, "get")
    assert (caught.value.status_code, caught.value.code, caught.value.message) == (status, "", "")
    assert caught.value.request_id == ""


@given(st.binary(max_size=200), st.sampled_from([400, 401, 404, 500]))
@settings(max_examples=60)
def test_an_error_response_with_a_random_body_raises_an_api_error(client, wire, send, body, status):
    wire.respond = lambda received: Reply(status, {}, body)
    with pytest.raises(APIError):
        send(client.v3.x, "get")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "code",
                    "message",
                    "detail",
                    "sign_information",
                    "truncated_sign_message",
                    "sign_message_length",
                    "field",
                    "issue",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
)


@given(JSON)
@settings(max_examples=100)
def test_a_refused_signature_with_random_details_raises_an_authentication_error(client, wire, send, value):
    wire.respond = lambda received: Reply(401, {}, json.dumps({"code": "SIGN_ERROR", "detail": value}).encode())
    with pytest.raises(errors.AuthenticationError):
        send(client.v3.x, "post", json={})


def test_the_error_of_a_refused_signature_shows_both_signed_messages(client, wire, send):
    def respond(received):
        ours = f"POST\n{received.target}\n{received.credentials['timestamp']}\n{received.credentials['nonce_str']}\n"
        information = {
            "method": "POST",
            "url": "/v3/other",
            "truncated_sign_message": ours.replace("/v3/x", "/v3/other") + '{"card\n',
            "sign_message_length": 157,
        }
        detail = {
            "field": "signature",
            "issue": "sign not match",
            "location": "authorization",
            "sign_information": information,
        }
        return Reply(401, {}, json_body({"code": "SIGN_ERROR", "message": "错误的签名，验签失败", "detail": detail}))

    wire.respond = respond
    with pytest.raises(errors.AuthenticationError) as caught:
        send(client.v3.x, "post", json={"card": "6222000000000000", "name": "张三"})
    message = str(caught.value)
    received = wire.received[0]
    length = (
        len(
            f"POST\n/v3/x\n{received.credentials['timestamp']}\n{received.credentials['nonce_str']}\n".encode()
            + received.body
        )
        + 1
    )
    assert f"we signed, {length} bytes: 'POST\\n/v3/x\\n{received.credentials['timestamp']}" in message
    assert "they verified, 157 bytes: 'POST\\n/v3/other\\n" in message
    assert received.credentials["signature"] not in message
    assert "6222000000" not in message
    wire.respond = lambda received: Reply(
        401, {}, json_body({"detail": {"sign_information": {"truncated_sign_message": "A" * 5000}}})
    )
    with pytest.raises(errors.AuthenticationError) as caught:
        send(client.v3.x, "post", json={"card": "6222000000000000", "name": "张三"})
    assert "6222000000" not in str(caught.value)
    assert len(str(caught.value)) < 2000
    assert "张三" not in message


def test_the_error_of_a_refused_signature_without_details_shows_our_message(client, wire, send):
    wire.respond = lambda received: Reply(
        401, {}, json_body({"code": "SIGN_ERROR", "message": "签名错误", "detail": {}})
    )
    with pytest.raises(errors.AuthenticationError) as caught:
        send(client.v3.x, "post", json={"name": "secret-name"})
    assert "we signed" in str(caught.value)
    assert "secret-name" not in str(caught.value)


def test_text_of_the_service_cannot_forge_a_line_in_a_log(client, wire, send):
    problem = json.dumps({"code": "A\nERROR root", "message": "\x1b[31m\ud800"}).encode()
    wire.respond = lambda received: Reply(400, {"Request-ID": "1"}, problem)
    with pytest.raises(APIError) as caught:
        send(client.v3.x, "get")
    assert str(caught.value).isprintable()
    str(caught.value).encode()


def test_the_class_hierarchy():
    bases = {
        "ConfigurationError": "WeChatPayError", "PathVariableError": "WeChatPayError", "ArgumentError": "WeChatPayError",
        "UnsupportedError": "WeChatPayError",
        "TransportError": "WeChatPayError", "TransportTimeout": "TransportError", "ContentError": "WeChatPayError",
        "BillError": "WeChatPayError", "RateExceededError": "WeChatPayError", "SignatureError": "WeChatPayError", "DecryptionError": "WeChatPayError",
        "APIError": "WeChatPayError", "RedirectionError": "APIError", "ClientError": "APIError", "ServerError": "APIError",
        "BadRequestError": "ClientError", "AuthenticationError": "ClientError", "ForbiddenError": "ClientError",
        "NotFoundError": "ClientError", "RateLimitError": "ClientError", "WeChatPayError": "Exception",
    }  # fmt: skip
    exported = {name: getattr(errors, name) for name in errors.__all__ if name not in ("Attempt", "Reason")}
    assert {name: kind.__bases__[0].__name__ for name, kind in exported.items()} == bases
    for name in bases:
        assert name in errors.__doc__


def test_errors_can_be_pickled_and_copied(client, wire, service):
    for fault in (Reply(404, {}, json_body({"code": "X", "message": "y"})), Reply(200, {}, b"")):
        wire.respond = lambda received, fault=fault: fault
        with pytest.raises(WeChatPayError) as caught:
            client.v3.x.get()
        for copied in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):
            assert str(copied) == str(caught.value)
            assert copied.response.status_code == fault.status
    copied = pickle.loads(pickle.dumps(TransportError("x", True)))
    assert (str(copied), copied.sent) == ("x", True)


# Errors of the connection: `sent` is False only where the service cannot have received the whole request.


def catch_error(service, send, base_url, verb="post", **settings) -> TransportError:
    with Client(**{**service.settings(base_url), "timeout": (0.5, 0.5), **settings}) as client:
        arguments = {"json": {"a": 1}} if verb == "post" else {}
        with pytest.raises(TransportError) as caught:
            send(client["v3/users/{openid}"], verb, openid=OPENID, **arguments)
    error = caught.value
    assert "v3/users/{openid}" in str(error)
    assert OPENID not in "".join(traceback.format_exception(error))
    return error


def find_free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.parametrize("verb", ["get", "post", "delete"])
def test_sent_is_false_after_a_refused_connection(service, send, verb):
    assert catch_error(service, send, f"http://127.0.0.1:{find_free_port()}/", verb).sent is False


@pytest.mark.parametrize("verb", ["get", "post"])
def test_sent_is_false_after_a_name_that_does_not_resolve(service, send, verb):
    assert catch_error(service, send, "https://name.invalid/", verb, proxies={}).sent is False


@pytest.mark.parametrize("verb", ["get", "post"])
def test_sent_is_false_after_a_proxy_that_refuses(service, send, verb):
    proxy = f"http://127.0.0.1:{find_free_port()}"
    assert catch_error(service, send, "https://name.invalid/", verb, proxies={"https": proxy}).sent is False
    with Wire(lambda received: Reply(403, {}, b"")) as wire:
        assert catch_error(service, send, "https://name.invalid/", verb, proxies={"https": wire.base_url}).sent is False
        assert wire.received[0].method == "CONNECT"


@pytest.mark.parametrize("verb", ["get", "post"])
def test_sent_is_false_after_a_server_without_tls(service, send, verb):
    class Plain(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"HTTP/1.1 400 plain\r\n\r\n")
            self.request.recv(65536)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Plain) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        error = catch_error(service, send, f"https://127.0.0.1:{server.server_address[1]}/", verb)
        server.shutdown()
    assert error.sent is False
    assert "SSL" in str(error)


def test_sent_is_false_after_a_connection_that_nobody_accepts(service, send):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        for _ in range(4):  # until the queue is full, so that no handshake ends
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        time.sleep(0.05)
        try:
            assert catch_error(service, send, f"http://127.0.0.1:{port}/").sent is False
        finally:
            for filler in fillers:
                filler.close()


@pytest.mark.parametrize("verb", ["get", "post", "delete"])
def test_sent_is_true_after_a_dropped_connection(service, send, wire, verb):
    wire.respond = lambda received: None
    assert catch_error(service, send, wire.base_url, verb).sent is True
    assert len(wire.received) == 1


@pytest.mark.parametrize("verb", ["get", "post"])
def test_sent_is_true_after_a_timeout_without_a_response(service, send, wire, verb):
    release = threading.Event()
    wire.respond = lambda received: release.wait(5) and None
    began = time.monotonic()
    assert catch_error(service, send, wire.base_url, verb).sent is True
    assert time.monotonic() - began < 3
    release.set()


@pytest.mark.parametrize(
    "octets",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Encoding: gzip\r\n\r\nabc",
        b"HTTP/1.1 2",
    ],
)
def test_sent_is_true_after_a_broken_response(service, send, wire, octets):
    wire.respond = lambda received: octets
    assert catch_error(service, send, wire.base_url).sent is True


@pytest.mark.parametrize("verb", ["put", "delete", "post", "get"])
def test_a_request_is_not_repeated_when_a_pooled_connection_breaks(service, wire, verb):
    """A session of aiohttp would repeat a PUT or a DELETE."""
    drop = []
    wire.respond = lambda received: None if drop else service.signed()

    async def break_second_call(client):
        await client.v3.first.get_async()
        drop.append(True)
        with pytest.raises(TransportError) as caught:
            await getattr(client.v3.second, f"{verb}_async")()
        return caught.value

    with Client(**service.settings(wire.base_url)) as client:
        error = asyncio.run(break_second_call(client))
        assert error.sent is True
        assert [received.target for received in wire.received] == ["/v3/first", "/v3/second"]
        drop.clear()
        wire.received.clear()
        client.v3.first.get()
        drop.append(True)
        with pytest.raises(TransportError) as caught:
            getattr(client.v3.second, verb)()
        assert caught.value.sent is True
        assert [received.target for received in wire.received] == ["/v3/first", "/v3/second"]


@pytest.mark.parametrize("verb", ["get", "post", "delete"])
@pytest.mark.parametrize("tunnel", [False, True])
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # asyncio of Python 3.10 leaves the transport under a TLS tunnel
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_sent_is_true_after_a_connection_dropped_behind_a_proxy(service, send, verb, tunnel, authority):
    """urllib3 reports it as a proxy that cannot be reached."""
    with Wire(lambda received: None, authority[0] if tunnel else None) as wire, Tunnel(wire.port) as proxy:
        settings = {"proxies": {"all": proxy.url if tunnel else wire.base_url}, "ca_bundle": authority[1]}
        with Client(**service.settings("https://localhost/" if tunnel else "http://localhost/"), **settings) as client:
            for arguments in ({}, {"json": {"a": 1}}):
                wire.received.clear()
                with pytest.raises(TransportError) as caught:
                    send(client.v3.x, verb, **arguments)
                assert len(wire.received) == 1
                assert caught.value.sent is True
    del caught
    gc.collect()


@pytest.mark.parametrize("status", [101, 102, 103, 199])
def test_an_interim_response_is_not_taken_for_the_response(client, wire, service, status):
    """The final response comes later, on a connection that must not be reused."""
    first = service.signed(b'{"to":"first"}')
    wire.respond = lambda received: Reply(status, {}, b"") if received.target == "/v3/first" else first
    with pytest.raises(TransportError) as caught:
        client.v3.first.get()
    assert caught.value.sent is True
    client.v3.second.get()
    assert len({received.peer for received in wire.received}) == 2


@pytest.mark.parametrize(
    "octets", [b"GET /v3/users/oh-394z HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab"]
)
@pytest.mark.parametrize("port", ["", ":80"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # urllib3 leaves such a response to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_invalid_response_that_repeats_the_request_is_not_shown(service, send, octets, port):
    with Wire(lambda received: octets) as wire:
        proxies = {"http": wire.base_url}
        error = catch_error(service, send, f"http://localhost{port}/", "get", proxies=proxies)
    assert error.sent is True
    del error
    gc.collect()


def test_the_password_of_a_proxy_is_not_shown(service, send):
    with Wire(lambda received: Reply(407, {}, b"")) as wire:
        proxy = wire.base_url.replace("http://", "http://user:open-sesame@")
        error = catch_error(service, send, "https://name.invalid/", proxies={"https": proxy})
        client = Client(**service.settings("https://name.invalid/"), proxies={"https": proxy})
    assert "sesame" not in "".join(traceback.format_exception(error))
    assert "sesame" not in repr(client._dispatch.transports._route)


def test_an_error_is_freed_once_it_is_handled(client, wire):
    wire.respond = lambda received: Reply(400, {}, b"{}")

    async def main() -> None:
        for call in (client.v3.x.get, client.v3.x.get_async):
            try:
                result = call()
                await result  # type: ignore[misc]
            except APIError as error:
                reference = weakref.ref(error)
            assert reference() is None

    gc.collect()
    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()


def test_a_call_can_have_its_own_timeout(client, wire, send):
    release = threading.Event()
    wire.respond = lambda received: release.wait(5) and None
    began = time.monotonic()
    with pytest.raises(TransportError):
        send(client.v3.x, "get", timeout=0.2)
    assert time.monotonic() - began < 2
    release.set()
    for timeout in (0, -1, True, "1", float("nan"), float("inf"), 1e7, 10**400, (1,), (1, 0), (1, 2, 0), (1, 2, 3, 4)):
        with pytest.raises(errors.ArgumentError, match="timeout"):
            send(client.v3.x, "get", timeout=timeout)


def test_a_cancelled_call_ends_at_once(client, wire):
    release = threading.Event()
    wire.respond = lambda received: release.wait(5) and None

    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.v3.x.get_async(), 0.2)

    began = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - began < 2
    release.set()


def test_apiv2_is_not_signed_as_apiv3(client, wire, send):
    with pytest.raises(errors.ConfigurationError, match="apiv2_key"):
        send(client.v2.pay.unifiedorder, "post", json={"mch_id": MCHID})
    with pytest.raises(errors.ArgumentError, match="v2"):
        send(client["pay/unifiedorder"], "post", json={"mch_id": MCHID})
    assert not wire.received

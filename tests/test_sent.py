"""The value of `sent` is the one in docs/en/errors.md, row by row, and both modes use the same error messages."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from pathlib import Path

import pytest
import requests

import wechatpay_chain
from tests.service import Reply, Tunnel, Wire
from tests.test_endings import pieces, scripted
from wechatpay_chain import Client, Retry, Sensitive, TransportError, TransportTimeout, WeChatPayError, bills
from wechatpay_chain.rates import RateLimits

PAGE = Path(__file__).parent.parent / "docs" / "en" / "errors.md"


def rows() -> set[tuple[str, bool]]:
    """Returns the pairs of an error and its `sent` in the table of the page."""
    pairs = set()
    for names, sent in re.findall(
        r"^\| (`\w+Error`.*?|`\w+Timeout`) \| `(True|False)` \|", PAGE.read_text("utf-8"), re.MULTILINE
    ):
        pairs |= {(name, sent == "True") for name in re.findall(r"`(\w+)`", names)}
    return pairs


def respond_with(reply):
    def scenario(service, wire, send):
        wire.respond = lambda received: reply(service) if callable(reply) else reply
        with Client(**service.settings(wire.base_url), timeout=(1, 0.3)) as client:
            send(client.v3.pay, "post", json={})

    return scenario


def call(verb="post", *, url=None, **arguments):
    def scenario(service, wire, send):
        node = arguments.get("node", "v3/pay")
        given = {key: value for key, value in arguments.items() if key not in ("node", "settings")}
        with Client(**{**service.settings(url or wire.base_url), **arguments.get("settings", {})}) as client:
            send(client[node], verb, **given)

    return scenario


def unreachable_url() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def fetch_first(status):
    def scenario(service, wire, send):
        wire.respond = lambda received: Reply(status)
        with Client(**{**service.settings(wire.base_url), "certs": {}, "apiv3_key": "k" * 32}) as client:
            send(client.v3.pay, "post", json={})

    return scenario


def no_connection_in_time(service, _wire, send):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        time.sleep(0.05)
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            with Client(**service.settings(url), timeout=(0.3, 1)) as client:
                send(client.v3.pay, "post", json={})
        finally:
            for filler in fillers:
                filler.close()


def decrypt_response(service, wire, send):
    wire.respond = lambda received: service.signed(b'{"name": "eA=="}')
    with Client(**service.settings(wire.base_url)) as client:
        send(client.v3.pay, "post", json={}).decrypt("name")


def decrypt_by_client(service, wire, _send):
    Client(**service.settings(wire.base_url)).decrypt("eA==")


def exceed(attempts):
    """Calls with a rate limit that is used up after some attempts, each of which is answered with 500."""

    def scenario(service, wire, send):
        wire.respond = lambda received: Reply(500)
        with Client(**{**service.settings(wire.base_url), "retry": Retry(attempts=2, backoff=0)}) as client:
            limits = RateLimits({"GET /v3/pay": "1/hour"}, wait=0)
            limits.install(client)
            if not attempts:
                with pytest.raises(WeChatPayError):
                    send(client.v3.pay, "get")
            send(client.v3.pay, "get")

    return scenario


SCENARIOS = {
    ("ConfigurationError", False): [
        lambda service, wire, send: Client(),
        fetch_first(404),
        call(
            json={"a": Sensitive("x")},
            settings={"verifier": type("V", (), {"verify": lambda *_: True})(), "certs": {}},
        ),
    ],
    ("PathVariableError", False): [call(node="v3/{a}"), call(node="v3/{a}", a=".."), call(node="https://x/y?z=1")],
    ("ArgumentError", False): [call(json="a"), call(json={"a": object()}), call(params=5), call(timeout=0)],
    ("UnsupportedError", False): [call(node="brand/stores"), call("get", node="brand/stores")],
    ("TransportError", False): [call(url=unreachable_url()), call("get", url=unreachable_url()), fetch_first(503)],
    ("TransportError", True): [
        respond_with(None),
        respond_with(b"nonsense"),
        respond_with(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
    ],
    ("TransportTimeout", False): [no_connection_in_time],
    ("TransportTimeout", True): [respond_with(lambda service: time.sleep(0.6))],
    ("ContentError", True): [
        call(settings={"max_response_bytes": 1}),
        lambda service, wire, send: get_response(service, wire, send, b"\x89PNG").json(),
    ],
    ("SignatureError", True): [
        respond_with(Reply(200, {}, b"{}")),
        respond_with(lambda service: service.signed(key=service.merchant)),
    ],
    ("BadRequestError", True): [respond_with(Reply(400))],
    ("ForbiddenError", True): [respond_with(Reply(403))],
    ("ClientError", True): [respond_with(Reply(409)), respond_with(Reply(418))],
    ("AuthenticationError", True): [respond_with(Reply(401))],
    ("AuthenticationError", False): [fetch_first(401)],
    ("NotFoundError", True): [respond_with(Reply(404))],
    ("RateLimitError", True): [respond_with(Reply(429))],
    ("ServerError", True): [respond_with(Reply(500)), respond_with(Reply(503))],
    ("RedirectionError", True): [respond_with(Reply(302, {"Location": "/"}))],
    ("RateExceededError", False): [exceed(attempts=0)],
    ("RateExceededError", True): [exceed(attempts=1)],
    ("BillError", False): [lambda service, wire, send: bills.read(b"{}")],
    ("DecryptionError", False): [decrypt_by_client],
    ("DecryptionError", True): [decrypt_response],
}  # fmt: skip


def get_response(service, wire, send, body):
    wire.respond = lambda received: service.signed(body)
    with Client(**service.settings(wire.base_url)) as client:
        return send(client.v3.pay, "post", json={})


def test_the_page_and_the_scenarios_have_the_same_rows():
    assert rows() == set(SCENARIOS)


def test_the_page_has_every_error():
    named = {name for name, _ in rows()}
    errors = {name for name in wechatpay_chain.__all__ if name.endswith(("Error", "Timeout"))}
    assert named == errors - {"WeChatPayError", "APIError"}


@pytest.mark.parametrize(
    ("row", "number"), [(row, number) for row, scenarios in SCENARIOS.items() for number in range(len(scenarios))]
)
def test_sent_is_what_the_page_says(service, wire, send, row, number):
    name, sent = row
    with pytest.raises(WeChatPayError) as caught:
        SCENARIOS[row][number](service, wire, send)
    assert type(caught.value).__name__ == name
    assert caught.value.sent is sent
    if sent:
        assert caught.value.request.template == "v3/pay"


def raise_in_both_modes(service, base_url, verb="post", **settings) -> tuple[WeChatPayError, WeChatPayError]:
    """Makes the same call in both modes, and returns the two errors."""
    arguments = {"json": {}} if verb == "post" else {}
    with Client(**{**service.settings(base_url), "timeout": (0.4, 0.4), **settings}) as client:
        with pytest.raises(TransportError) as blocking:
            getattr(client.v3.pay, verb)(**arguments)
        with pytest.raises(TransportError) as awaited:
            asyncio.run(getattr(client.v3.pay, f"{verb}_async")(**arguments))
    return blocking.value, awaited.value


def message_in_both_modes(service, base_url, verb="post", **settings) -> str:
    """Checks that the error of a call is the same in both modes, and returns its message."""
    blocking, awaited = raise_in_both_modes(service, base_url, verb, **settings)
    assert str(blocking) == str(awaited)
    assert type(blocking) is type(awaited)
    assert blocking.sent is awaited.sent
    return str(blocking)


@pytest.mark.parametrize("verb", ["get", "post"])
def test_both_modes_use_the_same_messages(service, wire, verb):
    url = unreachable_url()
    assert (
        message_in_both_modes(service, url, verb)
        == f"{verb.upper()} v3/pay: no connection to {url.rstrip('/')}: Connection refused"
    )
    assert "name is not found" in message_in_both_modes(service, "https://name.invalid/", verb, proxies={})
    host = wire.base_url.rstrip("/")
    for reply in (None, b"nonsense", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"):
        wire.respond = lambda received, reply=reply: reply
        assert host in message_in_both_modes(service, wire.base_url, verb)
    wire.respond = lambda received: time.sleep(1)
    message = message_in_both_modes(service, wire.base_url, verb)
    assert message == f"{verb.upper()} v3/pay: nothing came from {host} for 0.4 s (timeout=, read)"


def test_both_modes_use_the_same_messages_for_tls(service, authority, tmp_path, monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    with Wire(lambda received: service.signed(), authority[0]) as wire:
        assert "CERTIFICATE_VERIFY_FAILED" in message_in_both_modes(service, wire.base_url)
    with scripted(lambda accepted: accepted.sendall(b"HTTP/1.1 400 plain\r\n\r\n"), head_first=False) as url:
        assert "SSL: WRONG_VERSION_NUMBER" in message_in_both_modes(service, url.replace("http:", "https:"))


@pytest.mark.parametrize("status", [407, 403, 502])
def test_the_error_of_a_proxy_that_refuses_names_the_proxy(service, status):
    with Wire(lambda received: Reply(status)) as wire:
        proxy = wire.base_url.replace("http://", "http://user:secret@")
        message = message_in_both_modes(service, "https://name.invalid/", proxies={"https": proxy})
    assert f"the proxy refused to connect to https://name.invalid with status {status}" in message
    assert f"through the proxy {wire.base_url.rstrip('/')} (set in proxies=)" in message
    assert "secret" not in message
    assert ("USER:PASSWORD" in message) is (status == 407)


def test_the_error_of_an_unreachable_proxy_says_where_it_is_set(service, monkeypatch):
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", unreachable_url().replace("http://", "http://user:secret@"))
    message = message_in_both_modes(service, "https://name.invalid/")
    assert "(set in the environment variable HTTPS_PROXY)" in message
    assert "Connection refused" in message
    assert "secret" not in message


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_reached_without_a_proxy(service, wire, send, monkeypatch, host):
    monkeypatch.setenv("http_proxy", unreachable_url())
    monkeypatch.setenv("all_proxy", unreachable_url())
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Client(**service.settings(wire.base_url.replace("127.0.0.1", host))) as client:
        assert send(client.v3.pay, "get").status_code == 200


def test_the_read_timeout_of_a_service_behind_a_proxy_names_the_proxy(service, authority):
    """The read timeout is that of the service, but the message also names the proxy."""
    context, ca_bundle = authority
    with Wire(lambda received: time.sleep(1), context) as wire, Tunnel(wire.port) as tunnel:
        message = message_in_both_modes(
            service, "https://localhost/", proxies={"https": tunnel.url}, ca_bundle=ca_bundle
        )
    assert message.endswith(f"through the proxy {tunnel.url} (set in proxies=) (timeout=, read)")


def test_a_get_that_waits_for_tls_was_not_sent(service):
    """Nothing is sent before the handshake has ended."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        message = message_in_both_modes(service, f"https://127.0.0.1:{server.getsockname()[1]}/", "get")
    assert "(timeout=, connect" in message


def test_the_traceback_of_an_error_has_two_frames_of_the_package(client, wire, send):
    wire.respond = lambda received: Reply(404)
    with pytest.raises(WeChatPayError) as caught:
        client.v3.pay.get()
    frames, traceback = [], caught.value.__traceback__
    while traceback:
        frames.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    assert frames[1:] == ["get", "send"]
    assert caught.value.__cause__ is caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_session_of_the_user_knows_what_was_sent(service):
    """A GET has no body that would show that it was sent; the connection shows it."""
    session = requests.Session()
    with Client(**service.settings(unreachable_url()), session=session) as client:
        with pytest.raises(TransportError) as caught:
            client.v3.x.get()
    assert caught.value.sent is False
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"https://127.0.0.1:{server.getsockname()[1]}/"
        with Client(**service.settings(url), session=session, timeout=(0.3, 0.3)) as client:
            with pytest.raises(TransportTimeout) as timed_out:
                client.v3.x.get()
    assert (timed_out.value.sent, timed_out.value.setting) == (False, "connect")


ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
BEHIND_A_PROXY = {
    "a proxy that is silent": lambda accepted: None,
    "a proxy that closes the connection": lambda accepted: "close",
    "a proxy that sends nonsense": lambda accepted: accepted.sendall(b"nonsense\r\n\r\n"),
    "a silent TLS server behind it": lambda accepted: accepted.sendall(ESTABLISHED),
    "a TLS server behind it that closes the connection": lambda accepted: accepted.sendall(ESTABLISHED) or "close",
    "a server without TLS behind it": pieces(ESTABLISHED, b"HTTP/1.1 400 plain\r\n\r\n"),
}


@pytest.mark.parametrize("verb", ["get", "post"])
@pytest.mark.parametrize("kind", BEHIND_A_PROXY)
def test_a_call_that_fails_before_the_tunnel_is_ready_was_not_sent(service, kind, verb):
    with scripted(BEHIND_A_PROXY[kind]) as url:
        blocking, awaited = raise_in_both_modes(
            service, "https://name.invalid/", verb, proxies={"https": url}, timeout=(0.4, 2, 3)
        )
    for error in (blocking, awaited):
        assert error.sent is False
        assert f"through the proxy {url.rstrip('/')} (set in proxies=)" in str(error)
        assert isinstance(error, TransportTimeout) is ("silent" in kind)
    if "silent" in kind:
        assert str(blocking) == str(awaited)
        assert blocking.setting == "connect"

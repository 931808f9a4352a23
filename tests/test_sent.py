"""What docs/en/errors.md says of `sent`, row by row, and that both modes say what went wrong in the same words."""

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
from wechatpay_chain import Client, Sensitive, TransportError, TransportTimeout, WeChatPayError

PAGE = Path(__file__).parent.parent / "docs" / "en" / "errors.md"


def rows() -> set[tuple[str, bool]]:
    """The pairs of an error and what its `sent` is."""
    found = set()
    for names, sent in re.findall(
        r"^\| (`\w+Error`.*?|`\w+Timeout`) \| `(True|False)` \|", PAGE.read_text("utf-8"), re.MULTILINE
    ):
        found |= {(name, sent == "True") for name in re.findall(r"`(\w+)`", names)}
    return found


def answering(reply):
    def scenario(service, wire, send):
        wire.respond = lambda received: reply(service) if callable(reply) else reply
        with Client(**service.settings(wire.base_url), timeout=(1, 0.3)) as client:
            send(client.v3.pay, "post", json={})

    return scenario


def calling(verb="post", *, url=None, **arguments):
    def scenario(service, wire, send):
        node = arguments.get("node", "v3/pay")
        given = {key: value for key, value in arguments.items() if key not in ("node", "settings")}
        with Client(**{**service.settings(url or wire.base_url), **arguments.get("settings", {})}) as client:
            send(client[node], verb, **given)

    return scenario


def unreachable() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def first_fetch(status):
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


def decrypting(service, wire, send):
    wire.respond = lambda received: service.signed(b'{"name": "eA=="}')
    with Client(**service.settings(wire.base_url)) as client:
        send(client.v3.pay, "post", json={}).decrypt("name")


def decrypting_alone(service, wire, _send):
    Client(**service.settings(wire.base_url)).decrypt("eA==")


SCENARIOS = {
    ("ConfigurationError", False): [
        lambda service, wire, send: Client(),
        first_fetch(404),
        calling(json={"a": Sensitive("x")}, settings={"verifier": type("V", (), {"verify": lambda *_: True})(), "certs": {}}),
    ],
    ("PathVariableError", False): [calling(node="v3/{a}"), calling(node="v3/{a}", a=".."), calling(node="https://x/y?z=1")],
    ("ArgumentError", False): [calling(json="a"), calling(json={"a": object()}), calling(params=5), calling(timeout=0)],
    ("UnsupportedError", False): [calling(node="v2/pay/unifiedorder"), calling(node="pay/unifiedorder")],
    ("TransportError", False): [calling(url=unreachable()), calling("get", url=unreachable()), first_fetch(503)],
    ("TransportError", True): [answering(None), answering(b"nonsense"), answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")],
    ("TransportTimeout", False): [no_connection_in_time],
    ("TransportTimeout", True): [answering(lambda service: time.sleep(0.6))],
    ("ContentError", True): [
        calling(settings={"max_response_bytes": 1}),
        lambda service, wire, send: answer_of(service, wire, send, b"\x89PNG").json(),
    ],
    ("SignatureError", True): [answering(Reply(200, {}, b"{}")), answering(lambda service: service.signed(key=service.merchant))],
    ("BadRequestError", True): [answering(Reply(400))],
    ("ForbiddenError", True): [answering(Reply(403))],
    ("ClientError", True): [answering(Reply(409)), answering(Reply(418))],
    ("AuthenticationError", True): [answering(Reply(401))],
    ("AuthenticationError", False): [first_fetch(401)],
    ("NotFoundError", True): [answering(Reply(404))],
    ("RateLimitError", True): [answering(Reply(429))],
    ("ServerError", True): [answering(Reply(500)), answering(Reply(503))],
    ("RedirectionError", True): [answering(Reply(302, {"Location": "/"}))],
    ("DecryptionError", False): [decrypting_alone],
    ("DecryptionError", True): [decrypting],
}  # fmt: skip


def answer_of(service, wire, send, body):
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
    ("row", "number"), [(row, number) for row, all_ in SCENARIOS.items() for number in range(len(all_))]
)
def test_sent_is_what_the_page_says(service, wire, send, row, number):
    name, sent = row
    with pytest.raises(WeChatPayError) as caught:
        SCENARIOS[row][number](service, wire, send)
    assert type(caught.value).__name__ == name
    assert caught.value.sent is sent
    if sent:
        assert caught.value.request.template == "v3/pay"


def both(service, base_url, verb="post", **settings) -> tuple[WeChatPayError, WeChatPayError]:
    """The errors of the same call in both modes."""
    arguments = {"json": {}} if verb == "post" else {}
    with Client(**{**service.settings(base_url), "timeout": (0.4, 0.4), **settings}) as client:
        with pytest.raises(TransportError) as blocking:
            getattr(client.v3.pay, verb)(**arguments)
        with pytest.raises(TransportError) as awaited:
            asyncio.run(getattr(client.v3.pay, f"{verb}_async")(**arguments))
    return blocking.value, awaited.value


def same(service, base_url, verb="post", **settings) -> str:
    blocking, awaited = both(service, base_url, verb, **settings)
    assert str(blocking) == str(awaited)
    assert type(blocking) is type(awaited)
    assert blocking.sent is awaited.sent
    return str(blocking)


@pytest.mark.parametrize("verb", ["get", "post"])
def test_both_modes_use_the_same_words(service, wire, verb):
    url = unreachable()
    assert same(service, url, verb) == f"{verb.upper()} v3/pay: no connection to {url.rstrip('/')}: Connection refused"
    assert "name is not found" in same(service, "https://name.invalid/", verb, proxies={})
    host = wire.base_url.rstrip("/")
    for answer in (None, b"nonsense", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"):
        wire.respond = lambda received, answer=answer: answer
        assert host in same(service, wire.base_url, verb)
    wire.respond = lambda received: time.sleep(1)
    said = same(service, wire.base_url, verb)
    assert said == f"{verb.upper()} v3/pay: nothing came from {host} for 0.4 s (timeout=, read)"


def test_both_modes_use_the_same_words_for_tls(service, authority, tmp_path, monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    with Wire(lambda received: service.signed(), authority[0]) as wire:
        assert "CERTIFICATE_VERIFY_FAILED" in same(service, wire.base_url)
    with scripted(lambda accepted: accepted.sendall(b"HTTP/1.1 400 plain\r\n\r\n"), head_first=False) as url:
        assert "SSL: WRONG_VERSION_NUMBER" in same(service, url.replace("http:", "https:"))


@pytest.mark.parametrize("status", [407, 403, 502])
def test_a_proxy_that_refuses_says_that_it_is_one(service, status):
    with Wire(lambda received: Reply(status)) as wire:
        proxy = wire.base_url.replace("http://", "http://user:secret@")
        said = same(service, "https://name.invalid/", proxies={"https": proxy})
    assert f"the proxy refused to connect to https://name.invalid with status {status}" in said
    assert f"through the proxy {wire.base_url.rstrip('/')} (set in proxies=)" in said
    assert "secret" not in said
    assert ("USER:PASSWORD" in said) is (status == 407)


def test_a_proxy_that_is_away_says_where_its_setting_came_from(service, monkeypatch):
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", unreachable().replace("http://", "http://user:secret@"))
    said = same(service, "https://name.invalid/")
    assert "(set in the environment variable HTTPS_PROXY)" in said
    assert "Connection refused" in said
    assert "secret" not in said


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_reached_directly(service, wire, send, monkeypatch, host):
    monkeypatch.setenv("http_proxy", unreachable())
    monkeypatch.setenv("all_proxy", unreachable())
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Client(**service.settings(wire.base_url.replace("127.0.0.1", host))) as client:
        assert send(client.v3.x, "get").status_code == 200


def test_a_service_behind_a_proxy_that_stays_silent(service, authority):
    """The time that is over is that of the service, and the message names the proxy all the same."""
    context, ca_bundle = authority
    with Wire(lambda received: time.sleep(1), context) as wire, Tunnel(wire.port) as tunnel:
        said = same(service, "https://localhost/", proxies={"https": tunnel.url}, ca_bundle=ca_bundle)
    assert said.endswith(f"through the proxy {tunnel.url} (set in proxies=) (timeout=, read)")


def test_a_get_that_waits_for_tls_was_not_sent(service):
    """Nothing of it is on the way before the handshake is over."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        said = same(service, f"https://127.0.0.1:{server.getsockname()[1]}/", "get")
    assert "(timeout=, connect" in said


def test_an_error_is_raised_where_the_verb_was_called(client, wire, send):
    wire.respond = lambda received: Reply(404)
    with pytest.raises(WeChatPayError) as caught:
        client.v3.pay.get()
    frames, traceback = [], caught.value.__traceback__
    while traceback:
        frames.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    assert frames[1:] == ["get", "send"]
    assert caught.value.__cause__ is caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_session_of_ones_own_knows_what_was_sent(service):
    """A GET has no body that could tell; the connection tells."""
    session = requests.Session()
    with Client(**service.settings(unreachable()), session=session) as client:
        with pytest.raises(TransportError) as caught:
            client.v3.x.get()
    assert caught.value.sent is False
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"https://127.0.0.1:{server.getsockname()[1]}/"
        with Client(**service.settings(url), session=session, timeout=(0.3, 0.3)) as client:
            with pytest.raises(TransportTimeout) as late:
                client.v3.x.get()
    assert (late.value.sent, late.value.setting) == (False, "connect")


ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
BEHIND_A_PROXY = {
    "a proxy that is silent": lambda accepted: None,
    "a proxy that ends": lambda accepted: "close",
    "a proxy that speaks another language": lambda accepted: accepted.sendall(b"nonsense\r\n\r\n"),
    "TLS behind it that is silent": lambda accepted: accepted.sendall(ESTABLISHED),
    "TLS behind it that ends": lambda accepted: accepted.sendall(ESTABLISHED) or "close",
    "no TLS behind it": pieces(ESTABLISHED, b"HTTP/1.1 400 plain\r\n\r\n"),
}


@pytest.mark.parametrize("verb", ["get", "post"])
@pytest.mark.parametrize("kind", BEHIND_A_PROXY)
def test_what_fails_before_the_tunnel_stands_was_not_sent(service, kind, verb):
    with scripted(BEHIND_A_PROXY[kind]) as url:
        blocking, awaited = both(service, "https://name.invalid/", verb, proxies={"https": url}, timeout=(0.4, 2, 3))
    for error in (blocking, awaited):
        assert error.sent is False
        assert f"through the proxy {url.rstrip('/')} (set in proxies=)" in str(error)
        assert isinstance(error, TransportTimeout) is ("silent" in kind)
    if "silent" in kind:
        assert str(blocking) == str(awaited)
        assert blocking.setting == "connect"

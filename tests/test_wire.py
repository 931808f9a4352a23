"""The request that arrives at the socket is the one that was signed, in both modes."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl, unquote

import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.service import (
    MCHID,
    PUBLIC_KEY_ID,
    SERIAL,
    Kept,
    Reply,
    Wire,
    json_body,
)
from wechatpay_chain import APIError, ArgumentError, Client, ConfigurationError, SignatureError, TransportError

SPECIAL_CHARACTERS = " |%+~*';,:@!$&()=[]{}<>\"^`\\/?#.-_中文😀éÄ"
TEXTS = st.text(
    alphabet=st.one_of(
        st.sampled_from(SPECIAL_CHARACTERS), st.characters(exclude_categories=("Cs",), exclude_characters="\0\r\n")
    )
)
PATH_TEXTS = TEXTS.filter(lambda text: text not in ("", ".", ".."))
ESCAPES = [
    "%2F",
    "%2f",
    "%41",
    "%7E",
    "%2C%3A",
    "a/../b",
    "..a",
    "a b",
    "a|b",
    "a+b",
    "100%",
    "中",
    "😀",
    "~*';,:@",
    "%",
]


def examples(test):
    for text in ESCAPES:
        test = example(text)(test)
    return test


@examples
@given(PATH_TEXTS)
@settings(max_examples=60)
def test_a_path_variable_arrives_whole_and_is_signed(client, wire, service, send, value):
    wire.received.clear()
    send(client["v3/orders/{number}/close"], "post", number=value)
    (received,) = wire.received
    prefix, _, rest = received.target.partition("/v3/orders/")
    segment, _, suffix = rest.partition("/")
    assert (prefix, suffix) == ("", "close")
    assert unquote(segment, errors="strict") == value
    assert received.is_signed_by(service.merchant)


@examples
@given(TEXTS)
@settings(max_examples=60)
def test_query_values_arrive_whole_and_are_signed(client, wire, service, send, value):
    wire.received.clear()
    params = [("a", [value, value]), (value, "x"), ("none", None), ("n", 7), ("yes", True), ("object", {"k": value})]
    send(client.v3.list, "get", params=params)
    (received,) = wire.received
    expected = [("a", value), ("a", value), (value, "x"), ("n", "7"), ("yes", "true")]
    *pairs, (key, text) = parse_qsl(received.target.partition("?")[2], keep_blank_values=True, errors="strict")
    assert pairs == expected
    assert (key, json.loads(text)) == ("object", {"k": value})
    assert received.is_signed_by(service.merchant)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=3) | st.dictionaries(TEXTS, JSON, max_size=3))
@settings(max_examples=60)
def test_json_arrives_as_compact_utf8_and_is_signed(client, wire, service, send, value):
    wire.received.clear()
    send(client.v3.x, "post", json=value)
    (received,) = wire.received
    assert json.loads(received.body) == value
    assert received.body == json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    assert received.header("Content-Length") == str(len(received.body))
    assert received.is_signed_by(service.merchant)


@given(PATH_TEXTS, TEXTS)
@settings(max_examples=25)
def test_a_proxy_gets_the_same_target(client, wire, service, send, value, query):
    wire.received.clear()
    proxied = Client(
        **{**service.settings("http://shop.example:81/"), "allow_http": True, "proxies": {"http": wire.base_url}}
    )
    with proxied:
        send(proxied["v3/{x}"], "get", x=value, params={"q": query})
        send(client["v3/{x}"], "get", x=value, params={"q": query})
    via_proxy, direct = wire.received
    assert via_proxy.target == f"http://shop.example:81{direct.target}"


@pytest.mark.parametrize(
    ("template", "target"),
    [
        ("v3/a%2fb%7e%41", "/v3/a%2Fb%7E%41"),
        ("/v3/applyment4sub/applyment/", "/v3/applyment4sub/applyment/"),
        ("v3/merchant/media/video_upload", "/v3/merchant/media/video_upload"),
        ("v3/download?token=a%2Cb,c:d&tartype=gzip", "/v3/download?token=a%2Cb,c:d&tartype=gzip"),
        ("v3/中 文|", "/v3/%E4%B8%AD%20%E6%96%87%7C"),
        ("v3/a//b;c=1", "/v3/a//b;c=1"),
        ("//evil.example/v3", "/evil.example/v3"),
        ("v3/a?", "/v3/a"),
        ("v3/a;", "/v3/a%3B"),
        ("v3/a;b;?c=;", "/v3/a;b%3B?c=;"),
    ],
)
def test_a_path_is_sent_as_written(client, wire, service, send, template, target):
    send(client[template], "get")
    assert wire.received[0].target == target
    assert wire.received[0].is_signed_by(service.merchant)


@pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete"])
def test_every_verb_may_have_a_body_or_none(client, wire, service, send, verb):
    send(client.v3.x, verb)
    send(client.v3.x, verb, json={})
    bare, empty_object = wire.received
    assert bare.method == empty_object.method == verb.upper()
    assert bare.body == b""
    assert empty_object.body == b"{}"
    assert bare.header("Transfer-Encoding") is empty_object.header("Transfer-Encoding") is None
    assert bare.is_signed_by(service.merchant)
    assert empty_object.is_signed_by(service.merchant)


def test_a_request_has_the_required_headers(client, wire, send):
    send(client.v3.x, "post", json={"a": 1})
    (received,) = wire.received
    assert received.header("Accept") == "application/json"
    assert received.header("Content-Type") == "application/json"
    assert received.header("Wechatpay-Serial") == PUBLIC_KEY_ID
    assert received.header("Cookie") is None
    user_agent = received.header("User-Agent")
    assert user_agent.startswith("wechatpay-chain/")
    assert "Python/" in user_agent
    assert "requests/" in user_agent or "aiohttp/" in user_agent
    assert received.credentials["mchid"] == MCHID
    assert received.credentials["serial_no"] == SERIAL
    assert len(received.credentials["nonce_str"]) == 32
    assert received.credentials["nonce_str"].isalnum()


def test_headers_of_a_call_are_added_or_replace_others(client, wire, service, send):
    send(
        client.v3.x,
        "get",
        headers={"wechatpay-serial": service.platform_serial, "Idempotency-Key": "k", "Accept-Language": "zh-CN"},
    )
    (received,) = wire.received
    assert received.header("Wechatpay-Serial") == service.platform_serial
    assert received.header("Idempotency-Key") == "k"
    assert received.header("Accept-Language") == "zh-CN"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Basic eA=="},
        {"host": "localhost"},
        {"Content-Length": "3"},
        {"X": "a\r\nY: b"},
        {"X\n": "a"},
        {"X": "中"},
        {"X": None},
        {"": "a"},
        {"Expect": "100-continue"},
        {"Content-Encoding": "gzip"},
        "X: y",
        [("X", "y")],
        5,
    ],
)
def test_headers_that_cannot_be_set_are_refused(client, wire, send, headers):
    with pytest.raises(ArgumentError, match="headers"):
        send(client.v3.x, "get", headers=headers)
    assert not wire.received


@pytest.mark.parametrize(
    ("json", "match"),
    [
        ({"a": float("nan")}, "JSON"),
        ({"a": float("-inf")}, "JSON"),
        ({"a": "\ud800"}, "surrogate"),
        ({"\udfff": 1}, "surrogate"),
        ({"a": object()}, "object"),
        ({"a": {1, 2}}, "set"),
    ],
)
def test_json_that_cannot_be_encoded_is_refused(client, wire, send, json, match):
    with pytest.raises(ArgumentError, match=match):
        send(client.v3.x, "post", json=json)
    assert not wire.received


def test_json_that_contains_itself_is_refused(client, wire, send):
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(ArgumentError):
        send(client.v3.x, "post", json=loop)
    assert not wire.received


@pytest.mark.parametrize(
    "params",
    [
        {"a": "\ud800"},
        {"a": object()},
        {"a": [[1]]},
        {"a": float("nan")},
        [("a", b"bytes")],
        "a=b",
        b"a",
        5,
        ["abc"],
        [("a", 1, 2)],
        {"a": 10**5000},
    ],
)
def test_params_that_cannot_be_encoded_are_refused(client, wire, send, params):
    with pytest.raises(ArgumentError):
        send(client.v3.x, "get", params=params)
    assert not wire.received


def test_params_may_be_pairs_or_empty(client, wire, send):
    send(client.v3.x, "get", params=[("b", 1), ("a", ""), ("b", 0.5)])
    send(client.v3.x, "get", params={"a": None})
    send(client.v3.x, "get", params={})
    assert [received.target for received in wire.received] == ["/v3/x?b=1&a=&b=0.5", "/v3/x", "/v3/x"]


def test_a_large_body_is_signed(client, wire, service, send):
    send(client.v3.x, "post", json={"a": "x" * 3_000_000})
    assert wire.received[0].is_signed_by(service.merchant)
    assert wire.received[0].header("Content-Length") == str(len(wire.received[0].body))


def test_a_netrc_entry_does_not_replace_the_signature(client, wire, service, send, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password secret\nmachine localhost login user password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert requests.utils.get_netrc_auth(wire.base_url) == ("user", "secret"), "requests finds the entry"
    send(client.v3.x, "get")
    assert wire.received[0].is_signed_by(service.merchant)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(client, wire, service, send, status):
    wire.respond = lambda received: Reply(status, {"Location": f"{wire.base_url}v3/elsewhere"})
    with pytest.raises(APIError) as caught:
        send(client.v3.x, "post", json={})
    assert type(caught.value).__name__ == "RedirectionError"
    assert caught.value.status_code == status
    assert len(wire.received) == 1


def test_cookies_are_not_kept(client, wire, service):
    wire.respond = lambda received: service.signed().having(Set_Cookie="a=b; Path=/")
    client.v3.x.get()
    client.v3.x.get()

    async def twice():
        await client.v3.x.get_async()
        await client.v3.x.get_async()

    asyncio.run(twice())
    assert [received.header("Cookie") for received in wire.received] == [None] * 4


def test_connections_are_reused(client, wire):
    client.v3.x.get()
    client.v3.x.post(json={})
    assert len({received.peer for received in wire.received}) == 1

    async def twice():
        await client.v3.x.get_async()
        await client.v3.x.post_async(json={})

    wire.received.clear()
    asyncio.run(twice())
    assert len({received.peer for received in wire.received}) == 1


def test_connections_are_kept_for_a_shorter_time_than_by_the_service(service):
    """The service closes them after about 8 seconds; a client that keeps them longer would lose calls."""
    from wechatpay_chain._transport import aiohttp_pool
    from wechatpay_chain._transport.route import POOL_SIZE

    assert 5 < aiohttp_pool.KEEPALIVE < 8
    assert POOL_SIZE >= 32


def test_a_pool_has_connections_for_many_threads(client, wire, service, caplog):
    """urllib3 logs a warning for each connection that does not fit into its pool."""
    together = threading.Barrier(20)

    def respond(received):
        if received.target == "/v3/together":
            together.wait(10)
        return service.signed()

    wire.respond = respond
    with ThreadPoolExecutor(20) as threads:
        list(threads.map(lambda _: client.v3.together.get(), range(20)))
    assert not [record for record in caplog.records if "pool is full" in record.getMessage()]


def test_an_idle_connection_is_closed_after_the_keepalive_time(client, wire, monkeypatch):
    from wechatpay_chain._transport import aiohttp_pool

    monkeypatch.setattr(aiohttp_pool, "KEEPALIVE", 0.05)

    async def main():
        await client.v3.x.get_async()
        await asyncio.sleep(0.2)
        await client.v3.x.get_async()

    asyncio.run(main())
    assert len({received.peer for received in wire.received}) == 2


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_proxies_of_the_environment_are_used(wire, service, send, monkeypatch, name):
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, wire.base_url)
    settings = {**service.settings("http://shop.example/"), "allow_http": True}
    with Client(**settings) as client:
        send(client.v3.x, "get")
    assert wire.received[0].target == "http://shop.example/v3/x"
    monkeypatch.setenv("no_proxy", "shop.example")
    with Client(**settings, timeout=2) as client, pytest.raises(TransportError):
        send(client.v3.x, "get")
    monkeypatch.setenv("no_proxy", "")
    with Client(**settings, proxies={}, timeout=2) as client, pytest.raises(TransportError):
        send(client.v3.x, "get")
    assert len(wire.received) == 1


def test_the_password_of_a_proxy_is_sent(wire, service, send):
    proxy = wire.base_url.replace("http://", "http://user:p%40ss@").removesuffix("/")
    with Client(
        **{**service.settings("http://shop.example/"), "allow_http": True, "proxies": {"all": proxy}}
    ) as client:
        send(client.v3.x, "get")
    assert wire.received[0].header("Proxy-Authorization") == "Basic dXNlcjpwQHNz"


@pytest.fixture
def tls_wire(authority, service):
    with Wire(lambda received: service.signed(), authority[0]) as wire:
        yield wire


def unset_ca_bundles(monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


def test_tls_is_verified(tls_wire, service, send, monkeypatch):
    unset_ca_bundles(monkeypatch)
    with Client(**service.settings(tls_wire.base_url)) as client, pytest.raises(TransportError) as caught:
        send(client.v3.x, "post", json={})
    assert caught.value.sent is False
    assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value)
    assert not tls_wire.received


def test_a_certificate_authority_of_the_user_is_trusted(tls_wire, service, authority, send, monkeypatch):
    unset_ca_bundles(monkeypatch)
    with Client(**service.settings(tls_wire.base_url), ca_bundle=authority[1]) as client:
        assert send(client.v3.x, "get").status_code == 200
    with Client(
        **service.settings(tls_wire.base_url.replace("127.0.0.1", "localhost")), ca_bundle=str(authority[1])
    ) as client:
        assert send(client.v3.x, "get").status_code == 200


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_certificate_authority_of_the_environment_is_trusted(tls_wire, service, authority, send, monkeypatch, name):
    unset_ca_bundles(monkeypatch)
    monkeypatch.setenv(name, str(authority[1]))
    with Client(**service.settings(tls_wire.base_url)) as client:
        assert send(client.v3.x, "get").status_code == 200
    monkeypatch.setenv(name, "/nowhere/ca.pem")
    with pytest.raises(ConfigurationError, match=name):
        Client(**service.settings(tls_wire.base_url))


def test_a_wrong_ca_bundle_is_refused(tls_wire, service, tmp_path, send):
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    for bundle in (tmp_path / "none.pem", empty, "", 5, True, b"x", "a\0b"):
        with pytest.raises(ConfigurationError, match="ca_bundle"):
            Client(**service.settings(tls_wire.base_url), ca_bundle=bundle)
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")
    with Client(**service.settings(tls_wire.base_url), ca_bundle=broken) as client:
        with pytest.raises((ConfigurationError, TransportError)):
            send(client.v3.x, "get")
    assert not tls_wire.received


def test_a_ca_bundle_may_be_a_folder(tls_wire, service, tmp_path, send):
    with (
        Client(**service.settings(tls_wire.base_url), ca_bundle=tmp_path) as client,
        pytest.raises(TransportError) as caught,
    ):
        send(client.v3.x, "get")
    assert caught.value.sent is False


def test_a_compressed_response_is_verified_after_decompression(client, wire, service, send):
    import gzip

    body = '{"a":"中"}'.encode()
    compressed = gzip.compress(body)
    wire.respond = lambda received: Reply(200, {**service.signature(body), "Content-Encoding": "gzip"}, compressed)
    assert send(client.v3.x, "get", headers={"Accept-Encoding": "gzip"}).json() == {"a": "中"}
    assert wire.received[0].header("Accept-Encoding") == "gzip"
    wire.respond = lambda received: Reply(
        200, {**service.signature(compressed), "Content-Encoding": "gzip"}, compressed
    )
    with pytest.raises(SignatureError):
        send(client.v3.x, "get")
    assert wire.received[1].header("Accept-Encoding") == "identity"


@pytest.mark.parametrize("surplus", ["response", "interim", "timeout"])
def test_a_surplus_response_is_not_taken_for_the_next(service, wire, surplus):
    """A signature does not name its request, so a kept connection must have no unread response."""

    surplus_responses = {
        "response": service.signed(b'{"target":"surplus"}').octets,
        "timeout": b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n",
    }

    def respond(received):
        genuine = service.signed(json_body({"target": received.target})).octets
        if received.target != "/v3/first":
            return Kept(genuine)
        if surplus == "interim":
            return Kept(b"HTTP/1.1 101 Switching\r\n\r\n").then(genuine)
        return Kept(genuine).then(surplus_responses[surplus])

    wire.respond = respond

    async def main() -> None:
        async with Client(**service.settings(wire.base_url)) as client:
            try:
                first = await client.v3.first.post_async(json={})
                assert first.json() == {"target": "/v3/first"}
            except TransportError:
                assert surplus == "interim"
            assert await asyncio.to_thread(wire.followed.wait, 10)
            await asyncio.sleep(0.05)
            for name in ("second", "third"):
                node = client.v3[name]
                assert (await node.post_async(json={})).json() == {"target": f"/v3/{name}"}

    asyncio.run(main())
    assert [received.target for received in wire.received] == ["/v3/first", "/v3/second", "/v3/third"]

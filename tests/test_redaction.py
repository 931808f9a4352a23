"""Logs, errors, reprs and pickles show no values of queries and path variables, and no signature."""

from __future__ import annotations

import concurrent.futures
import copy
import io
import logging
import multiprocessing
import pickle
import time
import traceback

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.service import Reply, json_body
from wechatpay_chain import (
    APIError,
    AuthenticationError,
    Client,
    PathVariableError,
    SignatureError,
    TransportError,
    WeChatPayError,
)
from wechatpay_chain._chain.call import Call
from wechatpay_chain._messages.redaction import escape, quote

TOKEN = "dG9rZW4tb2YtYS1maWxl"
OPENID = "-".join(["oh", "394z", "w7Qx2"])  # joined here, because a traceback shows the lines of this file

TEMPLATES_WITH_A_TOKEN = [
    f"https://api.mch.weixin.qq.com/v3/billdownload/file?token={TOKEN}",
    f"HTTP://user:{TOKEN}@host/x?{TOKEN}",
    f"v3/https://host/x?token={TOKEN}",
    f"v3/x?token={TOKEN}",
    f"v3/x?a=1&token={TOKEN}&b",
    f"v3/x?{TOKEN}",
    f"v3/x?{TOKEN}=",
    f"v3/x?{TOKEN}==",
    f"v3/x?token={TOKEN}}}",
    f"v3/x?token={TOKEN}{{",
    f"v3/{{x?token={TOKEN}",
    f"v3/x?token={TOKEN}\n",
    f"v3/x?token={TOKEN}%zz",
    f"v3/x?token={TOKEN}#{TOKEN}",
    f"v3/x#{TOKEN}",
    f"v3/x{{?a}}&token={TOKEN}{{&b}}",
    f"v3/x?r={{+path}}{TOKEN}",
    f"v3/{{json}}?token={TOKEN}",
    f"v3/{{openid}}?token={TOKEN}",
    f"v3/../x?token={TOKEN}",
    f"pay/unifiedorder?token={TOKEN}",
]


@pytest.mark.parametrize("template", TEMPLATES_WITH_A_TOKEN)
def test_a_token_in_a_template_is_not_shown(client, wire, send, caplog, template):
    node = client[template]
    shown = [repr(node), repr(Call("GET", str(node)))]
    wire.respond = lambda received: Reply(404, {}, b"")
    with caplog.at_level(logging.DEBUG, "wechatpay_chain"):
        try:
            send(node, "get")
        except WeChatPayError as error:
            shown += [f"{error}{error!r}", *map(str, traceback.format_exception(error))]
            shown.append(repr(error.request))
    with pytest.raises(TypeError) as called:
        node()
    with pytest.raises(AttributeError) as changed:
        node.x = 1
    shown += [str(called.value), str(changed.value), caplog.text]
    assert TOKEN not in "".join(shown)
    assert str(node) == template.lstrip("/"), "the node itself keeps the template whole"


def test_names_of_query_parameters_are_shown(client):
    path = "v3/billdownload/file"
    assert repr(client[f"{path}?token={TOKEN}&type=gzip"]) == f"<Node {path}?token=…&type=…>"
    assert repr(client["v3/x{?a,b}"]) == "<Node v3/x{?a,b}>"
    assert repr(client["v3/x?ref={+path}{&b}"]) == "<Node v3/x?ref={+path}{&b}>"
    assert repr(client.v3.x._openid_) == "<Node v3/x/{openid}>"


def test_the_error_of_a_full_url_points_to_download(client, wire, send):
    with pytest.raises(PathVariableError) as caught:
        send(client[f"https://api.mch.weixin.qq.com/v3/billdownload/file?token={TOKEN}"], "get")
    message = str(caught.value)
    assert "/v3/billdownload/file?token=…" in message
    assert "a full URL came" in message
    assert "client.download(url, to)" in message
    assert not wire.received


def refuse_signature(received, message: str) -> Reply:
    information = {"truncated_sign_message": message, "sign_message_length": len(message)}
    detail = {"field": "signature", "issue": "sign not match", "sign_information": information}
    return Reply(401, {}, json_body({"code": "SIGN_ERROR", "message": "错误的签名", "detail": detail}))


def message_to_verify(received) -> str:
    credentials = received.credentials
    return f"{received.method}\n{received.target}\n{credentials['timestamp']}\n{credentials['nonce_str']}\n\n"


FORMS = {
    "verbatim": lambda text: text,
    "escaped": lambda text: text.replace("\n", "\\n"),
    "with spaces": lambda text: text.replace("\n", " "),
    "with CRLF": lambda text: text.replace("\n", "\r\n"),
    "cut inside the value": lambda text: text[: text.index(TOKEN) + 12],
    "cut inside the name": lambda text: text[: text.index("token=") + 3],
    "with another path": lambda text: text.replace("/v3/", "/other/v3/"),
    "with the full URL": lambda text: text.replace("/v3/", "https://host/v3/"),
    "in quotes": lambda text: repr(text),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_error_of_a_refused_signature_shows_no_values(client, wire, send, form):
    wire.respond = lambda received: refuse_signature(received, FORMS[form](message_to_verify(received)))
    with pytest.raises(AuthenticationError) as caught:
        send(client["v3/users/{openid}"], "get", openid=OPENID, params={"appid": "wx8888", "token": TOKEN})
    text = str(caught.value)
    credentials = wire.received[0].credentials
    assert "we signed, " in text
    assert f"'GET\\n/v3/users/{{openid}}?appid=…&token=…\\n{credentials['timestamp']}\\n" in text
    assert "they verified, " in text
    for secret in (TOKEN, OPENID):
        assert not any(secret[at : at + 5] in text for at in range(len(secret) - 4))
    assert "wx8888" not in text


def test_the_error_of_a_refused_signature_shows_both_messages(client, wire, send):
    wire.respond = lambda received: refuse_signature(received, message_to_verify(received))
    with pytest.raises(AuthenticationError) as caught:
        send(client["v3/users/{openid}"], "get", openid=OPENID, params={"token": TOKEN})
    ours, theirs = (line.partition(" bytes: ")[2] for line in str(caught.value).splitlines()[1:3])
    assert ours == theirs
    assert "private_key= is not the key of the certificate" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [("token=", "token=9", "path or query"), ("/v3", "/V3", "path or query"), ("GET", "get", "method")],
)
def test_the_error_names_a_difference_in_hidden_values(client, wire, send, old, new, name):
    wire.respond = lambda received: refuse_signature(received, message_to_verify(received).replace(old, new))
    with pytest.raises(AuthenticationError, match=f"They differ in the {name}") as caught:
        send(client["v3/users/{openid}"], "get", openid=OPENID, params={"token": TOKEN})
    assert TOKEN not in str(caught.value)
    assert "the private key is not" not in str(caught.value)


def test_a_long_message_is_redacted_within_a_second(client, wire, send):
    wire.respond = lambda received: Reply(500, {}, json_body({"code": "X", "message": "a1b2" * 250_000}))
    began = time.monotonic()
    with pytest.raises(APIError):
        send(client.v3.x, "get", params={"token": "a1b2c3" * 1000})
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("length", ["x\n\x1b", [1] * 5000, {"a": TOKEN}, 10**30, -1, True, None])
def test_a_reported_length_that_is_no_number_is_unknown(client, wire, send, length):
    body = {"detail": {"sign_information": {"truncated_sign_message": "GET", "sign_message_length": length}}}
    wire.respond = lambda received: Reply(401, {}, json_body(body))
    with pytest.raises(AuthenticationError, match="they verified, unknown bytes"):
        send(client.v3.x, "get")


def test_values_that_the_service_repeats_are_hidden(client, wire, send):
    problem = {
        "code": "X",
        "message": f"用户{OPENID}不存在",
        "detail": {"issue": f"GET /v3/x?token={TOKEN} is unknown"},
    }
    wire.respond = lambda received: Reply(404, {}, json_body(problem))
    with pytest.raises(APIError) as caught:
        send(client["v3/users/{openid}"], "get", openid=OPENID, params={"token": TOKEN})
    assert OPENID not in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert "用户…不存在" in str(caught.value)
    assert caught.value.message == problem["message"]


HOSTILE = "\x1b[31m\x85\u2028 x" + "A" * 5000


def test_text_of_the_service_is_escaped_and_cut(client, wire, send, caplog):
    foreign = HOSTILE.encode("latin-1", "ignore").decode("latin-1")
    problem = {"code": HOSTILE, "message": HOSTILE, "detail": {"field": HOSTILE, "issue": HOSTILE}}
    for reply in (Reply(404, {"Request-ID": foreign}, json_body(problem)), Reply(200, {"Request-ID": foreign}, b"{}")):
        wire.respond = lambda received, reply=reply: reply
        caplog.clear()
        with caplog.at_level(logging.DEBUG, "wechatpay_chain"), pytest.raises(WeChatPayError) as caught:
            send(client.v3.x, "get")
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 2000
        (record,) = [record for record in caplog.records if record.name == "wechatpay_chain"]
        line = record.getMessage()
        assert line.isascii()
        assert line.isprintable()
        assert len(line) < 250
        assert len(line.split(" ")[-3]) == 128, "one word of 128 characters"


@given(st.text(max_size=300))
@example("\ud800" * 200)
@example("\U0010ffff" * 200)
def test_any_text_becomes_one_word_of_bounded_length(text):
    word = escape(text)
    assert word.isascii()
    assert word.isprintable()
    assert " " not in word
    assert len(word) <= 128
    quoted = quote(text, 60)
    assert quoted.isprintable()
    assert len(quoted) <= 62
    quoted.encode()


def test_an_identifier_is_not_changed():
    assert escape("08E2-0_a.b/c:+=") == "08E2-0_a.b/c:+="
    assert quote("参数错误, 100%") == "'参数错误, 100%'"


# Copies and pickles


def failing_replies(service):
    return {
        "refused": Reply(404, {"Request-ID": "1"}, json_body({"code": "X", "message": "y"})),
        "unsigned": Reply(200, {}, b"{}"),
        "broken": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
    }


def fail(client: Client, wire, service, kind: str) -> WeChatPayError:
    wire.respond = lambda received: failing_replies(service)[kind]
    with pytest.raises(WeChatPayError) as caught:
        client.v3.x.post(files={"file": ("a.jpg", b"x")}, json={"sha256": None}, params={"a": "b"})
    return caught.value


def requests_of(value) -> list:
    response = getattr(value, "response", None)
    return [request for request in (value.request, response and response.request) if request is not None]


@pytest.mark.parametrize("kind", ["refused", "unsigned", "broken"])
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_error_has_no_signature(client, wire, service, kind, protocol):
    error = fail(client, wire, service, kind)
    signature = wire.received[0].credentials["signature"]
    pickled = pickle.dumps(error, protocol)
    assert signature.encode() not in pickled
    assert b"WECHATPAY2" not in pickled
    unpickled = pickle.loads(pickled)
    assert (type(unpickled), str(unpickled), unpickled.sent) == (type(error), str(error), True)
    assert unpickled.attempts == error.attempts
    assert isinstance(unpickled, (APIError, SignatureError, TransportError))
    for request in requests_of(unpickled):
        assert request.target == "/v3/x?a=b"
        assert "Authorization" not in request.headers
        assert request.headers["Content-Type"]


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_has_no_signature(client, send, duplicate):
    response = send(client.v3.x, "post", json={"a": 1})
    assert "Authorization" in response.request.headers
    copied = duplicate(response)
    assert (copied.status_code, copied.content, copied.json()) == (200, response.content, {})
    for request in (copied.request, duplicate(response.request)):
        assert "Authorization" not in request.headers
        assert (request.target, request.body, request.timeout) == ("/v3/x", b'{"a":1}', response.request.timeout)


def test_a_layer_may_send_a_copy_of_the_request(client, wire, service):
    def send_copy(request):
        response = yield copy.copy(request)
        return response

    client.middleware.insert_after("log", "copy", send_copy)
    client.v3.x.post(files={"file": ("a.jpg", b"content")})
    assert b"content" in wire.received[0].body


def test_the_response_and_the_error_of_a_download_are_pickled_without_the_file(client, wire, service):
    url = f"{wire.base_url}v3/billdownload/file?token={TOKEN}"
    wire.respond = lambda received: Reply(200, {"Content-Type": "text/csv"}, b"abc")
    response = client.download(url, io.BytesIO())
    with pytest.raises(SignatureError) as caught:
        client.download({"download_url": url, "hash_type": "SHA1", "hash_value": "0" * 40}, io.BytesIO())
    for unpickled in (pickle.loads(pickle.dumps(response)), pickle.loads(pickle.dumps(caught.value)).response):
        assert unpickled.status_code == 200
        assert unpickled.request._carried.sink is None
        assert TOKEN not in repr(unpickled)


def call_in_a_child(settings: dict, base_url: str):
    with Client(**{**settings, "base_url": base_url}) as client:
        return client.v3.x.get()


def test_errors_and_responses_return_from_another_process(wire, service):
    from tests.service import private_pem

    wire.respond = lambda received: Reply(404, {}, json_body({"code": "X", "message": "y"}))
    settings = {**service.settings(""), "private_key": private_pem(service.merchant)}
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as processes:
        with pytest.raises(APIError) as caught:
            processes.submit(call_in_a_child, settings, wire.base_url).result()
        assert caught.value.sent is True
        assert "Authorization" not in caught.value.response.request.headers
        wire.respond = lambda received: service.signed()
        response = processes.submit(call_in_a_child, settings, wire.base_url).result()
    assert response.json() == {}
    assert "Authorization" not in response.request.headers

"""The named stack: what a user puts in, replaces and takes out, once for both modes."""

from __future__ import annotations

import pytest

from tests.service import Reply
from wechatpay_chain import APIError, ArgumentError, ConfigurationError, SignatureError, TransportError
from wechatpay_chain.middleware import invoke, sleep
from wechatpay_chain.middleware import send as sending

NAMES = ["log", "retry", "errors", "verify", "rotate", "sign"]


def test_the_names_outermost_first(client):
    assert list(client.middleware) == NAMES
    assert repr(client.middleware) == f"<Stack {', '.join(NAMES)}>"
    assert "sign" in client.middleware


def test_a_header_is_added_for_both_modes(client, wire, service, send):
    def trace(request):
        response = yield request.with_headers({"X-Trace": "t-1"})
        return response

    client.middleware.insert_before("sign", "trace", trace)
    assert list(client.middleware) == [*NAMES[:-1], "trace", "sign"]
    send(client.v3.x, "post", json={})
    assert wire.received[-1].header("X-Trace") == "t-1"
    assert wire.received[-1].is_signed_by(service.merchant)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Trace", "a\r\nX-Other: b"),
        ("X-Trace", "a\nb"),
        ("X-Trace", "a\rb"),
        ("X-Trace", "中文"),
        ("X-Trace: a", "qqq"),
        ("X-Trace\r\nX-Other", "qqq"),
    ],
)
@pytest.mark.parametrize("verb", ["get", "post"])
def test_a_header_of_a_layer_that_cannot_be_sent(client, wire, send, name, value, verb):
    def trace(request):
        response = yield request.with_headers({name: value})
        return response

    client.middleware.insert_before("sign", "trace", trace)
    with pytest.raises(
        ArgumentError, match="headers: one of them, or the target, has a character that cannot be sent"
    ) as caught:
        send(client.v3.x, verb, json={})
    assert value not in str(caught.value)
    assert caught.value.__cause__ is None
    assert not wire.received


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "Connection"])
def test_a_layer_does_not_frame_the_message(client, wire, send, name):
    def frame(request):
        response = yield request.with_headers({name: "3"})
        return response

    client.middleware.insert_after("sign", "frame", frame)
    with pytest.raises(ArgumentError, match="headers: a layer has set one of connection, content-encoding"):
        send(client.v3.x, "post", json={"a": 1})
    assert not wire.received


def test_a_middleware_sees_what_is_thrown_and_what_comes_back(client, wire, service, send):
    seen = []

    def watch(request):
        try:
            response = yield request
        except APIError as error:
            seen.append(error.status_code)
            raise
        seen.append(response.status_code)
        return response

    client.middleware.insert_after("log", "watch", watch)
    assert list(client.middleware)[:2] == ["log", "watch"]
    send(client.v3.x, "get")
    wire.respond = lambda received: Reply(404)
    with pytest.raises(APIError):
        send(client.v3.x, "get")
    assert seen == [200, 404]


def test_what_is_changed_after_signing_is_refused_by_the_service(sandbox, send):
    def bend(request):
        from dataclasses import replace

        response = yield replace(request, body=request.body.replace(b"hello", b"olleh"))
        return response

    with sandbox.client() as client:
        client.middleware.insert_after("sign", "bend", bend)
        with pytest.raises(APIError) as caught:
            send(client.v3.security.echo, "post", json={"echo_message": "hello"})
    assert caught.value.status_code == 401


def test_an_answer_that_a_middleware_makes_up_inside_is_not_believed(client, send):
    from wechatpay_chain import Response
    from wechatpay_chain._messages.headers import Headers

    def forge(request):
        yield from ()
        return Response(200, Headers({}), b'{"trade_state":"SUCCESS"}', request)

    client.middleware.insert_after("sign", "forge", forge)
    with pytest.raises(SignatureError):
        send(client.v3.x, "get")


def test_replaced_and_removed(client, wire, send):
    lines = []

    def log(request):
        lines.append(request.template)
        response = yield request
        return response

    client.middleware.replace("log", log)
    client.middleware.remove("retry")
    assert list(client.middleware) == ["log", "errors", "verify", "rotate", "sign"]
    send(client.v3.x, "get")
    assert lines == ["v3/x"]
    client.middleware.remove("errors")
    wire.respond = lambda received: Reply(503)
    assert send(client.v3.x, "get").status_code == 503


def test_verification_stays(client):
    def through(request):
        response = yield request
        return response

    with pytest.raises(ConfigurationError, match="'verify' can be neither replaced nor removed"):
        client.middleware.remove("verify")
    with pytest.raises(ConfigurationError, match="'verify' can be neither replaced nor removed"):
        client.middleware.replace("verify", through)
    assert list(client.middleware) == NAMES


def test_names_that_are_wrong(client):
    def through(request):
        response = yield request
        return response

    for change in (
        lambda: client.middleware.insert_before("signer", "a", through),
        lambda: client.middleware.insert_after("signer", "a", through),
        lambda: client.middleware.replace("signer", through),
        lambda: client.middleware.remove("signer"),
    ):
        with pytest.raises(ConfigurationError, match="there is no 'signer'; expected one of log, retry"):
            change()
    for new in ("sign", "", None):
        with pytest.raises(ConfigurationError, match="came the name"):
            client.middleware.insert_before("sign", new, through)


def test_what_is_no_middleware(client, send):
    async def awaited(request):
        return request

    def plain(request):
        return request

    with pytest.raises(ConfigurationError, match="'a' came as an async function"):
        client.middleware.insert_before("sign", "a", awaited)
    with pytest.raises(ConfigurationError, match="'a' came as a int"):
        client.middleware.insert_before("sign", "a", 3)
    client.middleware.insert_before("sign", "a", plain)
    with pytest.raises(ConfigurationError, match="returned a Request; expected a generator function"):
        send(client.v3.x, "get")


def test_a_client_has_a_stack_of_its_own(service, client, wire):
    from wechatpay_chain import Client

    client.middleware.remove("log")
    assert list(Client(**service.settings(wire.base_url)).middleware) == NAMES


def test_a_layer_inside_cannot_make_an_answer_out_to_be_a_download(client, wire, send):
    """What is unsigned is told by what was asked, and not by what a response says of it."""
    from dataclasses import replace

    def cached(request):
        response = yield request
        return replace(response, request=replace(request, method="GET", target="/v3/billdownload/file"))

    client.middleware.insert_after("sign", "cached", cached)
    wire.respond = lambda received: Reply(200, {}, b'{"forged":true}')
    with pytest.raises(SignatureError):
        send(client.v3.pay, "post", json={})


def test_the_stack_cannot_be_put_aside(client):
    from wechatpay_chain._pipeline.stack import Stack

    with pytest.raises(AttributeError):
        client.middleware = Stack(())


def test_what_is_no_effect(client, send):
    def odd(request):
        yield "not an effect"
        response = yield request
        return response

    client.middleware.insert_before("sign", "odd", odd)
    with pytest.raises(ConfigurationError, match="one yielded a str"):
        send(client.v3.x, "get")


def test_an_error_answer_is_not_read_without_end(client, wire, send):
    wire.respond = lambda received: Reply(404, {}, bytes(20 << 20))
    with pytest.raises(APIError) as caught:
        send(client.v3.x, "get")
    assert len(caught.value.response.content) < 2 << 20


def test_answers_of_every_kind_go_to_another_process(client, wire, service, tmp_path):
    import pickle

    from wechatpay_chain import Sensitive

    answers = [
        client.v3.x.post(json={"name": Sensitive("张三")}),
        client.v3.x.post(files={"file": ("a.png", b"abc")}),
    ]
    wire.respond = lambda received: Reply(200, {}, b"a,b")
    answers.append(client.download("https://api.mch.weixin.qq.com/v3/billdownload/file", tmp_path / "a"))
    for answer in answers:
        assert pickle.loads(pickle.dumps(answer)).headers == answer.headers


def test_a_layer_that_forgets_its_response(client, wire, send):
    def forgot(request):
        yield request

    client.middleware.insert_before("log", "forgot", forgot)
    with pytest.raises(TransportError, match=r"it may have been acted on, and then: .*returned no response") as caught:
        send(client.v3.pay, "post", json={})
    assert caught.value.sent is True
    assert len(wire.received) == 1


def test_a_file_on_another_host_passes_the_layers_of_the_user_too(client, wire, tmp_path):
    seen = []

    def count(request):
        seen.append(request.template)
        response = yield request
        return response

    client.middleware.insert_after("log", "count", count)
    client.middleware.remove("retry")
    with pytest.raises(TransportError) as caught:
        client.download("https://127.0.0.1:9/invoice", tmp_path / "a")
    assert seen == ["invoice"]
    assert caught.value.attempts == ()


def test_a_download_that_fails_is_one_that_failed(client, wire, tmp_path, caplog):
    wire.respond = lambda received: Reply(200, {}, b"a,b")
    told = {"download_url": f"{wire.base_url}v3/billdownload/file", "hash_type": "SHA1", "hash_value": "0" * 40}
    with caplog.at_level("DEBUG", "wechatpay_chain"), pytest.raises(SignatureError) as caught:
        client.download(told, tmp_path / "a")
    assert "GET v3/billdownload/file SignatureError 200" in caplog.text
    assert [str(attempt) for attempt in caught.value.attempts] == ["SignatureError 200 sent=True"]


def test_a_layer_that_sends_another_request_of_the_same_path_first(client, wire, service, send):
    """A query before the call is not the call, whatever its path is: nothing of the call was sent."""
    from dataclasses import fields

    from wechatpay_chain.middleware import Request

    def query_first(request):
        values = {
            field.name: getattr(request, field.name) for field in fields(Request) if not field.name.startswith("_")
        }
        yield from sending(Request(**values))
        raise TransportError("no route", sent=False)

    client.middleware.insert_before("sign", "query", query_first)
    with pytest.raises(TransportError) as caught:
        send(client.v3.x, "get")
    assert caught.value.sent is False


@pytest.mark.parametrize("change", [{"template": "v3/renamed"}, {"method": "PUT"}])
def test_a_layer_that_renames_the_call(client, wire, service, send, change):
    """Whatever a layer changes in it, the call remains the call: it was sent, and may have been acted on."""
    from dataclasses import replace

    def rename(request):
        yield from sending(replace(request, **change))
        raise TransportError("no route", sent=False)

    client.middleware.insert_before("sign", "rename", rename)
    with pytest.raises(TransportError) as caught:
        send(client.v3.x, "post", json={})
    assert caught.value.sent is True


def test_a_layer_that_polls(client, wire, service, send):
    def poll(request):
        yield from sending(request)
        yield from sleep(0.01)
        raise TransportError("no route", sent=False)

    client.middleware.insert_before("sign", "poll", poll)
    with pytest.raises(TransportError) as caught:
        send(client.v3.x, "post", json={})
    assert caught.value.sent is True


def test_a_layer_that_invokes(client, wire, send):
    async def awaited():
        return 2

    def ask(request):
        first = yield from invoke(lambda: 1)
        second = yield from invoke(awaited)
        return (yield from sending(request.with_headers({"X-Sum": str(first + second)})))

    client.middleware.insert_before("sign", "ask", ask)
    send(client.v3.x, "post", json={})
    assert wire.received[-1].header("X-Sum") == "3"


@pytest.mark.parametrize("ending", [TransportError("no route", sent=False), ArgumentError("x"), None])
@pytest.mark.parametrize("rebuilt", ["made anew", "pickled"])
def test_a_layer_that_builds_the_call_anew(client, wire, send, ending, rebuilt):
    """It has no identity in common with the call, and must not be sent twice all the same."""
    import pickle
    from dataclasses import fields

    from wechatpay_chain.middleware import Request

    def rebuild(request):
        values = {
            field.name: getattr(request, field.name) for field in fields(Request) if not field.name.startswith("_")
        }
        yield from sending(Request(**values) if rebuilt == "made anew" else pickle.loads(pickle.dumps(request)))
        if ending is not None:
            raise ending

    client.middleware.insert_before("sign", "rebuild", rebuild)
    with pytest.raises(TransportError) as caught:
        send(client.v3.x, "post", json={})
    assert caught.value.sent is True
    assert len(wire.received) == 1

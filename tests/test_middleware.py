"""Users insert, replace and remove layers of the named stack, and a layer works in both modes."""

from __future__ import annotations

import pytest

from tests.service import Reply
from wechatpay_chain import APIError, ArgumentError, ConfigurationError, SignatureError, TransportError
from wechatpay_chain.middleware import invoke, sleep
from wechatpay_chain.middleware import send as sending

NAMES = ["log", "retry", "errors", "verify", "rotate", "sign"]


def test_names_are_listed_outermost_first(client):
    assert list(client.middleware) == NAMES
    assert repr(client.middleware) == f"<Stack {', '.join(NAMES)}>"
    assert "sign" in client.middleware


def test_a_layer_adds_a_header_in_both_modes(client, wire, service, send):
    def add_trace(request):
        response = yield request.with_headers({"X-Trace": "t-1"})
        return response

    client.middleware.insert_before("sign", "trace", add_trace)
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
def test_a_layers_header_that_cannot_be_sent_is_refused(client, wire, send, name, value, verb):
    def add_trace(request):
        response = yield request.with_headers({name: value})
        return response

    client.middleware.insert_before("sign", "trace", add_trace)
    with pytest.raises(
        ArgumentError, match="headers: one of them, or the target, has a character that cannot be sent"
    ) as caught:
        send(client.v3.x, verb, json={})
    assert value not in str(caught.value)
    assert caught.value.__cause__ is None
    assert not wire.received


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "Connection"])
def test_a_layer_may_not_set_headers_that_frame_the_message(client, wire, send, name):
    def set_framing(request):
        response = yield request.with_headers({name: "3"})
        return response

    client.middleware.insert_after("sign", "frame", set_framing)
    with pytest.raises(ArgumentError, match="headers: a layer has set one of connection, content-encoding"):
        send(client.v3.x, "post", json={"a": 1})
    assert not wire.received


def test_a_middleware_sees_errors_and_responses(client, wire, service, send):
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


def test_a_body_changed_after_signing_is_refused_by_the_service(sandbox, send):
    def change_body(request):
        from dataclasses import replace

        response = yield replace(request, body=request.body.replace(b"hello", b"olleh"))
        return response

    with sandbox.client() as client:
        client.middleware.insert_after("sign", "change_body", change_body)
        with pytest.raises(APIError) as caught:
            send(client.v3.security.echo, "post", json={"echo_message": "hello"})
    assert caught.value.status_code == 401


def test_a_response_that_an_inner_layer_makes_up_is_not_verified(client, send):
    from wechatpay_chain import Response
    from wechatpay_chain._messages.headers import Headers

    def forge(request):
        yield from ()
        return Response(200, Headers({}), b'{"trade_state":"SUCCESS"}', request)

    client.middleware.insert_after("sign", "forge", forge)
    with pytest.raises(SignatureError):
        send(client.v3.x, "get")


def test_layers_are_replaced_and_removed(client, wire, send):
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


def test_verification_cannot_be_replaced_or_removed(client):
    def pass_on(request):
        response = yield request
        return response

    with pytest.raises(ConfigurationError, match="'verify' can be neither replaced nor removed"):
        client.middleware.remove("verify")
    with pytest.raises(ConfigurationError, match="'verify' can be neither replaced nor removed"):
        client.middleware.replace("verify", pass_on)
    assert list(client.middleware) == NAMES


def test_unknown_and_used_names_are_refused(client):
    def pass_on(request):
        response = yield request
        return response

    for change in (
        lambda: client.middleware.insert_before("signer", "a", pass_on),
        lambda: client.middleware.insert_after("signer", "a", pass_on),
        lambda: client.middleware.replace("signer", pass_on),
        lambda: client.middleware.remove("signer"),
    ):
        with pytest.raises(ConfigurationError, match="there is no 'signer'; expected one of log, retry"):
            change()
    for new in ("sign", "", None):
        with pytest.raises(ConfigurationError, match="came the name"):
            client.middleware.insert_before("sign", new, pass_on)


def test_a_middleware_that_is_no_generator_function_is_refused(client, send):
    async def coroutine(request):
        return request

    def no_generator(request):
        return request

    with pytest.raises(ConfigurationError, match="'a' came as an async function"):
        client.middleware.insert_before("sign", "a", coroutine)
    with pytest.raises(ConfigurationError, match="'a' came as a int"):
        client.middleware.insert_before("sign", "a", 3)
    client.middleware.insert_before("sign", "a", no_generator)
    with pytest.raises(ConfigurationError, match="returned a Request; expected a generator function"):
        send(client.v3.x, "get")


def test_each_client_has_its_own_stack(service, client, wire):
    from wechatpay_chain import Client

    client.middleware.remove("log")
    assert list(Client(**service.settings(wire.base_url)).middleware) == NAMES


def test_an_inner_layer_cannot_pass_a_response_off_as_a_download(client, wire, send):
    """The request that was sent decides whether a response may be unsigned, and a layer cannot change that."""
    from dataclasses import replace

    def pretend(request):
        response = yield request
        return replace(response, request=replace(request, method="GET", target="/v3/billdownload/file"))

    client.middleware.insert_after("sign", "pretend", pretend)
    wire.respond = lambda received: Reply(200, {}, b'{"forged":true}')
    with pytest.raises(SignatureError):
        send(client.v3.pay, "post", json={})


def test_the_stack_itself_cannot_be_replaced(client):
    from wechatpay_chain._pipeline.stack import Stack

    with pytest.raises(AttributeError):
        client.middleware = Stack(())


def test_a_yielded_value_that_is_no_effect_is_refused(client, send):
    def yield_text(request):
        yield "not an effect"
        response = yield request
        return response

    client.middleware.insert_before("sign", "yield_text", yield_text)
    with pytest.raises(ConfigurationError, match="one yielded a str"):
        send(client.v3.x, "get")


def test_an_error_response_is_read_up_to_a_limit(client, wire, send):
    wire.respond = lambda received: Reply(404, {}, bytes(20 << 20))
    with pytest.raises(APIError) as caught:
        send(client.v3.x, "get")
    assert len(caught.value.response.content) < 2 << 20


def test_responses_of_every_kind_can_be_pickled(client, wire, service, tmp_path):
    import pickle

    from wechatpay_chain import Sensitive

    responses = [
        client.v3.x.post(json={"name": Sensitive("张三")}),
        client.v3.x.post(files={"file": ("a.png", b"abc")}),
    ]
    wire.respond = lambda received: Reply(200, {}, b"a,b")
    responses.append(client.download("https://api.mch.weixin.qq.com/v3/billdownload/file", tmp_path / "a"))
    for response in responses:
        assert pickle.loads(pickle.dumps(response)).headers == response.headers


def test_a_layer_that_returns_no_response_is_an_error_after_sending(client, wire, send):
    def forget(request):
        yield request

    client.middleware.insert_before("log", "forget", forget)
    with pytest.raises(TransportError, match=r"it may have been acted on, and then: .*returned no response") as caught:
        send(client.v3.pay, "post", json={})
    assert caught.value.sent is True
    assert len(wire.received) == 1


def test_a_download_from_another_host_passes_the_users_layers(client, wire, tmp_path):
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


def test_a_failed_download_is_logged_and_counted_as_an_attempt(client, wire, tmp_path, caplog):
    wire.respond = lambda received: Reply(200, {}, b"a,b")
    announcement = {"download_url": f"{wire.base_url}v3/billdownload/file", "hash_type": "SHA1", "hash_value": "0" * 40}
    with caplog.at_level("DEBUG", "wechatpay_chain"), pytest.raises(SignatureError) as caught:
        client.download(announcement, tmp_path / "a")
    assert "GET v3/billdownload/file SignatureError 200" in caplog.text
    assert [str(attempt) for attempt in caught.value.attempts] == ["SignatureError 200 sent=True"]


def test_another_request_to_the_same_path_is_not_the_call(client, wire, service, send):
    """A layer sends a query to the same path and fails: of the call itself, nothing was sent."""
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
def test_a_call_that_a_layer_changes_counts_as_sent(client, wire, service, send, change):
    """A call that a layer changes is still the call: it was sent, and may have been acted on."""
    from dataclasses import replace

    def rename(request):
        yield from sending(replace(request, **change))
        raise TransportError("no route", sent=False)

    client.middleware.insert_before("sign", "rename", rename)
    with pytest.raises(TransportError) as caught:
        send(client.v3.x, "post", json={})
    assert caught.value.sent is True


def test_a_call_that_a_polling_layer_sent_counts_as_sent(client, wire, service, send):
    def poll(request):
        yield from sending(request)
        yield from sleep(0.01)
        raise TransportError("no route", sent=False)

    client.middleware.insert_before("sign", "poll", poll)
    with pytest.raises(TransportError) as caught:
        send(client.v3.x, "post", json={})
    assert caught.value.sent is True


def test_a_layer_invokes_functions_of_both_modes(client, wire, send):
    async def two():
        return 2

    def sum_up(request):
        first = yield from invoke(lambda: 1)
        second = yield from invoke(two)
        return (yield from sending(request.with_headers({"X-Sum": str(first + second)})))

    client.middleware.insert_before("sign", "sum_up", sum_up)
    send(client.v3.x, "post", json={})
    assert wire.received[-1].header("X-Sum") == "3"


@pytest.mark.parametrize("ending", [TransportError("no route", sent=False), ArgumentError("x"), None])
@pytest.mark.parametrize("method", ["constructor", "pickle"])
def test_a_call_that_a_layer_rebuilds_counts_as_sent(client, wire, send, ending, method):
    """The new request is another object than the call, and counts as the call: it is not sent twice."""
    import pickle
    from dataclasses import fields

    from wechatpay_chain.middleware import Request

    def rebuild(request):
        values = {
            field.name: getattr(request, field.name) for field in fields(Request) if not field.name.startswith("_")
        }
        yield from sending(Request(**values) if method == "constructor" else pickle.loads(pickle.dumps(request)))
        if ending is not None:
            raise ending

    client.middleware.insert_before("sign", "rebuild", rebuild)
    with pytest.raises(TransportError) as caught:
        send(client.v3.x, "post", json={})
    assert caught.value.sent is True
    assert len(wire.received) == 1

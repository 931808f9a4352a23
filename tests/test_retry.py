"""Reads and idempotent writes are retried; any other write is retried only if it was not sent."""

from __future__ import annotations

import logging
import socket
import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from tests.service import Received, Reply, Wire, json_body
from wechatpay_chain import (
    APIError,
    Attempt,
    Client,
    ConfigurationError,
    RateLimitError,
    Retry,
    ServerError,
    SignatureError,
    TransportError,
)
from wechatpay_chain._pipeline import retry as retry_module

QUICK = Retry(backoff=0.01)


@pytest.fixture
def closed_url():
    """A URL at which nobody listens, so that a call is never sent."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return f"http://127.0.0.1:{port}/"


@pytest.fixture
def retrying_client(service, wire):
    with Client(**{**service.settings(wire.base_url), "retry": QUICK}) as client:
        yield client


def fail_first(service, times, fault):
    """Returns a function that responds with a fault so many times, and correctly after that."""
    faults = [fault] * times
    return lambda received: faults.pop() if faults else service.signed()


WRITES = ("post", "put", "patch", "delete")


@pytest.mark.parametrize("verb", ["get", *WRITES])
def test_a_call_that_was_not_sent_is_tried_on_the_second_domain(service, wire, closed_url, send, verb):
    policy = Retry(backoff=5, second_url=wire.base_url)
    with Client(**{**service.settings(closed_url), "retry": policy}) as client:
        began = time.monotonic()
        assert send(client.v3.x, verb, json={"n": 1}).status_code == 200
    assert time.monotonic() - began < 3, "there is no backoff before the second domain"
    assert [received.method for received in wire.received] == [verb.upper()]


def test_without_a_second_domain_the_first_is_tried_again(service, closed_url, send):
    with Client(**{**service.settings(closed_url), "retry": QUICK}) as client, pytest.raises(TransportError) as caught:
        send(client.v3.x, "post", json={})
    assert [str(attempt) for attempt in caught.value.attempts] == ["TransportError sent=False"] * 3
    assert {attempt.origin for attempt in caught.value.attempts} == {closed_url.rstrip("/")}
    assert caught.value.sent is False


@pytest.mark.parametrize("verb", WRITES)
def test_a_write_that_was_sent_is_not_sent_again(retrying_client, wire, send, verb):
    wire.respond = lambda received: None
    with pytest.raises(TransportError) as caught:
        send(retrying_client.v3.x, verb, json={})
    assert caught.value.sent is True
    assert len(wire.received) == len(caught.value.attempts) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503])
@pytest.mark.parametrize("verb", WRITES)
def test_a_write_with_an_error_response_is_not_sent_again(retrying_client, wire, send, verb, status):
    wire.respond = lambda received: Reply(status)
    with pytest.raises(APIError):
        send(retrying_client.v3.x, verb, json={})
    assert len(wire.received) == 1


@pytest.mark.parametrize("fault", [None, Reply(429), Reply(500), Reply(502), Reply(503)], ids=str)
@pytest.mark.parametrize("call", [("get", {}), *((verb, {"idempotent": True}) for verb in WRITES)], ids=str)
def test_reads_and_idempotent_writes_are_retried(service, retrying_client, wire, send, fault, call):
    verb, options = call
    wire.respond = fail_first(service, 2, fault)
    assert send(retrying_client.v3.orders, verb, json={"out_trade_no": "1"}, **options).status_code == 200
    assert len(wire.received) == 3
    assert len({received.body for received in wire.received}) == 1, "each attempt sends the same bytes"


def test_each_attempt_has_its_own_signature(service, retrying_client, wire, send):
    wire.respond = fail_first(service, 2, None)
    send(retrying_client.v3.x, "post", json={"a": "中"}, idempotent=True)
    assert all(received.is_signed_by(service.merchant) for received in wire.received)
    assert len({received.credentials["nonce_str"] for received in wire.received}) == 3


def test_sensitive_values_are_encrypted_once_for_all_attempts(service, retrying_client, wire, send):
    from wechatpay_chain import Sensitive

    wire.respond = fail_first(service, 2, None)
    send(retrying_client.v3.x, "post", json={"name": Sensitive("张三")}, idempotent=True)
    assert len({received.body for received in wire.received}) == 1
    assert len(wire.received) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 501, 504])
def test_other_error_responses_are_not_retried(retrying_client, wire, send, status):
    wire.respond = lambda received: Reply(status)
    with pytest.raises(APIError) as caught:
        send(retrying_client.v3.x, "get")
    assert len(wire.received) == 1
    assert [str(attempt) for attempt in caught.value.attempts] == [f"{type(caught.value).__name__} {status} sent=True"]


def test_an_unverified_response_is_never_retried(service, retrying_client, wire, send):
    wire.respond = lambda received: service.signed().having(Wechatpay_Nonce="another")
    for verb, options in (("get", {}), ("post", {"idempotent": True})):
        wire.received.clear()
        with pytest.raises(SignatureError) as caught:
            send(retrying_client.v3.x, verb, **options)
        assert len(wire.received) == len(caught.value.attempts) == 1


def test_a_failed_download_of_certificates_does_not_send_the_call_again(service, wire, send):
    """The call may have been acted on, so only the download is retried."""

    def respond(received: Received):
        return None if received.target == "/v3/certificates" else service.signed(serial="7" * 40)

    wire.respond = respond
    settings = {**service.settings(wire.base_url), "apiv3_key": "k" * 32, "retry": QUICK}
    with Client(**settings) as client, pytest.raises(SignatureError):
        send(client.v3.x, "post", json={}, idempotent=True)
    assert [received.target for received in wire.received] == ["/v3/x", *["/v3/certificates"] * 3]


def test_only_a_broken_connection_moves_to_the_second_domain(service, wire, send):
    with Wire(lambda received: Reply(503)) as other:
        policy = Retry(attempts=4, backoff=0.01, second_url=other.base_url)
        wire.respond = lambda received: None
        with Client(**{**service.settings(wire.base_url), "retry": policy}) as client:
            with pytest.raises(ServerError) as caught:
                send(client.v3.x, "get")
        first, second = wire.base_url.rstrip("/"), other.base_url.rstrip("/")
        assert [attempt.origin for attempt in caught.value.attempts] == [first, second, second, second]


def test_only_the_default_host_has_a_second_domain_by_default():
    from wechatpay_chain._config import parse_origins

    first, second = "https://api.mch.weixin.qq.com", "https://api2.mch.weixin.qq.com"
    assert parse_origins(Retry(), first, False) == (first, second)
    assert parse_origins(Retry(), "https://apihk.mch.weixin.qq.com", False) == ("https://apihk.mch.weixin.qq.com",)
    assert parse_origins(Retry(second_url=f"{first}/"), first, False) == (first,)
    assert parse_origins(Retry(second_url="https://a.example"), "https://b.example", False) == (
        "https://b.example",
        "https://a.example",
    )


@pytest.mark.parametrize("form", ["seconds", "date", "date without zone"])
def test_retry_after_is_honoured(service, retrying_client, wire, send, form):
    moment = datetime.now(timezone.utc) + timedelta(seconds=2)
    retry_after = {
        "seconds": "1",
        "date": format_datetime(moment, usegmt=True),
        "date without zone": moment.strftime("%a, %d %b %Y %H:%M:%S -0000"),
    }[form]
    wire.respond = fail_first(service, 1, Reply(429, {"Retry-After": retry_after}))
    began = time.monotonic()
    assert send(retrying_client.v3.x, "get").status_code == 200
    assert time.monotonic() - began > 0.9


def test_an_invalid_retry_after_is_ignored(service, retrying_client, wire, send):
    for retry_after in ("soon", "-5", "9" * 40, "Wed, 99 Foo 2026"):
        wire.respond = fail_first(service, 1, Reply(503, {"Retry-After": retry_after}))
        assert send(retrying_client.v3.x, "get").status_code == 200


def test_a_retry_after_beyond_the_deadline_ends_the_call(service, retrying_client, wire, send):
    wire.respond = lambda received: Reply(429, {"Retry-After": "3600"})
    began = time.monotonic()
    with pytest.raises(RateLimitError):
        send(retrying_client.v3.x, "get")
    assert time.monotonic() - began < 2
    assert len(wire.received) == 1


def test_attempts_end_at_the_deadline(service, wire, send):
    wire.respond = lambda received: Reply(503)
    policy = Retry(attempts=10, deadline=0.5, backoff=0.2)
    with Client(**{**service.settings(wire.base_url), "retry": policy}) as client, pytest.raises(ServerError) as caught:
        send(client.v3.x, "get")
    assert sum(attempt.seconds for attempt in caught.value.attempts) < 1
    assert 1 < len(caught.value.attempts) < 6


def test_backoff_grows_and_has_jitter():
    policy = Retry(backoff=1.0)
    error = TransportError("", sent=False)
    backoffs = {
        number: [retry_module._wait(policy, number, error, has_moved=False) for _ in range(50)] for number in (1, 2, 3)
    }
    for number, drawn in backoffs.items():
        longest = 2.0 ** (number - 1)
        assert all(longest / 2 <= backoff <= longest for backoff in drawn)
        assert len(set(drawn)) > 40


def test_retry_none_makes_one_attempt(service, wire, send):
    wire.respond = lambda received: Reply(503)
    with Client(**{**service.settings(wire.base_url), "retry": None}) as client, pytest.raises(ServerError) as caught:
        send(client.v3.x, "get")
    assert len(wire.received) == len(caught.value.attempts) == 1


def test_a_read_has_three_attempts_by_default(service, wire):
    settings = service.settings(wire.base_url)
    del settings["retry"]
    wire.respond = lambda received: Reply(503, {}, json_body({"code": "SERVICE_UNAVAILABLE"}))
    with Client(**settings) as client, pytest.raises(ServerError) as caught:
        client.v3.x.get()
    assert len(wire.received) == 3
    assert all(isinstance(attempt, Attempt) and attempt.seconds < 5 for attempt in caught.value.attempts)


def test_attempts_are_logged(service, retrying_client, wire, send, caplog):
    wire.respond = fail_first(service, 1, Reply(503))
    with caplog.at_level(logging.DEBUG, "wechatpay_chain"):
        send(retrying_client.v3.users._openid_, "get", openid="oh-394z-secret", params={"a": "b"})
    attempt, call = [record.getMessage() for record in caplog.records]
    assert attempt.startswith("GET v3/users/{openid}: attempt 1 at http://127.0.0.1:")
    assert "ServerError 503 sent=True; retry in 0.0 s" in attempt
    assert call.startswith("GET v3/users/{openid} 200 ")
    assert "secret" not in attempt


@pytest.mark.parametrize(
    "numbers",
    [{"attempts": 0}, {"attempts": 11}, {"attempts": True}, {"attempts": 2.0}, {"deadline": -1}, {"backoff": "1"},
     {"backoff": float("inf")}, {"deadline": float("nan")}],
    ids=str,
)  # fmt: skip
def test_numbers_out_of_range_are_refused(numbers):
    with pytest.raises(ConfigurationError, match=f"retry: came {next(iter(numbers))}="):
        Retry(**numbers)


def test_wrong_settings_are_refused(service):
    for policy in (3, True, "twice", Retry):
        with pytest.raises(ConfigurationError, match=r"retry: came a \w+; expected Retry"):
            Client(**{**service.settings("http://127.0.0.1:9/"), "retry": policy})
    with pytest.raises(ConfigurationError, match="retry: second_url: came"):
        Client(**{**service.settings("http://127.0.0.1:9/"), "retry": Retry(second_url="ftp://x")})
    with pytest.raises(ConfigurationError, match=r"retry: second_url: .*not encrypted"):
        Client(**{**service.settings("http://127.0.0.1:9/"), "retry": Retry(second_url="http://far.example")})


def test_a_call_can_be_cancelled_during_the_backoff(service, wire):
    import asyncio

    wire.respond = lambda received: Reply(503)

    async def main() -> None:
        settings = {**service.settings(wire.base_url), "retry": Retry(backoff=60, deadline=600)}
        async with Client(**settings) as client:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.v3.x.get_async(), 0.5)

    asyncio.run(main())
    assert len(wire.received) == 1


@pytest.mark.parametrize("fault", [None, Reply(500)], ids=["dropped", "500"])
def test_a_last_attempt_that_was_not_sent_does_not_hide_one_that_was(service, wire, closed_url, send, fault):
    """A caller who reads sent=False would pay again with a new order number."""
    wire.respond = lambda received: fault
    policy = Retry(attempts=2, backoff=0.01, second_url=closed_url)

    def move(request):
        from dataclasses import replace

        response = yield replace(request, origin=closed_url.rstrip("/") if wire.received else request.origin)
        return response

    with Client(**{**service.settings(wire.base_url), "retry": policy}) as client:
        client.middleware.insert_after("retry", "move", move)
        with pytest.raises(TransportError) as caught:
            send(client.v3.x, "post", json={}, idempotent=True)
    assert len(wire.received) == 1
    assert len(caught.value.attempts) == 2
    assert caught.value.attempts[1].error.__name__ == "TransportError"
    assert caught.value.sent is True


def test_a_retry_that_cannot_be_signed_reports_that_the_call_was_sent(service, wire, send):
    class FailingSigner:
        signed = 0

        def sign(self, message):
            from tests.service import rsa_sign

            self.signed += 1
            return rsa_sign(service.merchant, message) if self.signed == 1 else None

    wire.respond = lambda received: None
    settings = {**service.settings(wire.base_url), "retry": QUICK, "signer": FailingSigner()}
    del settings["private_key"]
    with Client(**settings) as client, pytest.raises(TransportError, match="may have been acted on") as caught:
        send(client.v3.x, "post", json={}, idempotent=True)
    assert caught.value.sent is True
    assert [str(attempt) for attempt in caught.value.attempts] == [
        "TransportError sent=True",
        "ConfigurationError sent=False",
    ]


def test_a_second_request_of_a_layer_does_not_send_the_first_again(service, wire, closed_url, send):
    """A layer may fetch something for a response that has arrived, such as certificates."""

    def follow_up(request):
        from dataclasses import replace

        response = yield request
        yield replace(request, method="GET", origin=closed_url.rstrip("/"))
        return response

    with Client(**{**service.settings(wire.base_url), "retry": QUICK}) as client:
        client.middleware.insert_before("sign", "follow_up", follow_up)
        with pytest.raises(TransportError) as caught:
            send(client.v3.transfer, "post", json={"out_no": "1"})
    assert caught.value.sent is True
    assert len(wire.received) == 1


def test_a_download_on_a_blocked_loop_does_not_send_the_call_again(service, wire):
    """A blocking call inside a loop needs certificates, which a task of the same loop is fetching already."""
    import asyncio

    from tests.service import rsa_sign

    class Signer:
        def sign(self, message):
            if message.startswith(b"GET\n/v3/certificates") and self.fails:
                raise OSError
            return rsa_sign(service.merchant, message)

        fails = False

    signer, download_started = Signer(), threading.Event()

    def respond(received: Received):
        if received.target == "/v3/certificates":
            download_started.set()
            time.sleep(0.5)
            return None
        return service.signed(serial="7" * 40)

    wire.respond = respond
    settings = {**service.settings(wire.base_url), "retry": QUICK, "signer": signer, "apiv3_key": "k" * 32}
    with Client(**settings) as client:

        async def main() -> None:
            reading = asyncio.create_task(client.v3.orders.get_async())
            await asyncio.wait_for(asyncio.to_thread(download_started.wait), 5)
            signer.fails = True
            with pytest.raises(SignatureError):
                client.v3.transfer.post(json={"out_no": "1"})
            with pytest.raises(SignatureError):
                await reading
            await client.aclose()

        asyncio.run(main())
    assert [received.target for received in wire.received].count("/v3/transfer") == 1


@pytest.mark.parametrize(
    "retry_after",
    ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "Mon, 01 Jan 2026 00:00:00 +99999999999999999999", "\x00", "1e9"],
)
def test_a_hostile_retry_after_is_ignored(retrying_client, wire, send, retry_after):
    wire.respond = lambda received: Reply(503, {"Retry-After": retry_after})
    for verb in ("get", "post"):
        with pytest.raises((ServerError, TransportError)) as caught:
            send(retrying_client.v3.x, verb)
        assert caught.value.attempts


def test_two_domains_are_tried_with_backoff(service, wire, send):
    with Wire(lambda received: None) as other:
        wire.respond = lambda received: None
        policy = Retry(attempts=4, backoff=0.2, second_url=other.base_url)
        began = time.monotonic()
        with Client(**{**service.settings(wire.base_url), "retry": policy}) as client, pytest.raises(TransportError):
            send(client.v3.x, "get")
    # No backoff before the second domain, then 0.4 s and 0.8 s, of which jitter leaves at least half.
    assert time.monotonic() - began > 0.55


def test_a_session_that_retries_by_itself_is_refused(service, wire):
    import requests
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    session.mount("http://", HTTPAdapter(max_retries=3))
    with pytest.raises(ConfigurationError, match="session: one of its adapters retries by itself"):
        Client(**service.settings(wire.base_url), session=session)


def test_changes_of_outer_layers_are_kept_when_values_are_encrypted(retrying_client, wire, send):
    from wechatpay_chain import Sensitive

    def set_key(request):
        response = yield request.with_headers({"Idempotency-Key": "abc"})
        return response

    retrying_client.middleware.insert_after("log", "key", set_key)
    send(retrying_client.v3.x, "post", json={"a": 1})
    send(retrying_client.v3.x, "post", json={"a": Sensitive("张三")})
    assert [received.header("Idempotency-Key") for received in wire.received] == ["abc", "abc"]


def test_a_layer_that_queries_the_outcome_does_not_send_the_call_again(service, wire, closed_url, send):
    """The query of the layer is not sent, but the call that it asks about may have arrived."""
    from dataclasses import replace

    def query_outcome(request):
        try:
            response = yield request
        except (TransportError, APIError, SignatureError):
            response = yield replace(request, method="GET", template="v3/q", body=b"", origin=closed_url.rstrip("/"))
        return response

    for fault in (None, Reply(500), Reply(200)):
        wire.received.clear()
        wire.respond = lambda received, fault=fault: fault
        with Client(**{**service.settings(wire.base_url), "retry": QUICK}) as client:
            client.middleware.insert_after("retry", "query_outcome", query_outcome)
            with pytest.raises(TransportError) as caught:
                send(client.v3.pay, "post", json={"out_trade_no": "1"})
        assert [received.method for received in wire.received] == ["POST"]
        assert caught.value.sent is True


def test_an_adapter_mounted_later_may_not_retry_either(service, wire):
    import requests
    from requests.adapters import HTTPAdapter

    with requests.Session() as session, Client(**service.settings(wire.base_url), session=session) as client:
        assert client.v3.x.get().status_code == 200
        session.mount("http://", HTTPAdapter(max_retries=3))
        with pytest.raises(ConfigurationError, match="retries by itself"):
            client.v3.x.put(json={})
    assert len(wire.received) == 1


def test_a_later_attempt_waits_only_for_the_rest_of_the_deadline(service, wire, send):
    def respond(received):
        time.sleep(3.5)
        return service.signed()

    wire.respond = respond
    policy = Retry(attempts=2, deadline=2.0, backoff=0.01)
    with Client(**{**service.settings(wire.base_url), "retry": policy}, timeout=(5, 1.6)) as client:
        began = time.monotonic()
        with pytest.raises(TransportError) as caught:
            send(client.v3.x, "get")
    assert len(caught.value.attempts) == 2
    # A second attempt of 1.6 seconds would end after 3.2.
    assert time.monotonic() - began < 3.1

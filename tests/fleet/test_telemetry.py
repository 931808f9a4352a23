"""Spans and metrics follow the conventions, in both modes, and show no value of a call."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import re
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
from opentelemetry import baggage, context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tests.service import Reply
from tests.test_rotation import APIV3_KEY, Authority
from wechatpay_chain import (
    APIError,
    Client,
    ConfigurationError,
    NotFoundError,
    RateExceededError,
    Retry,
    ServerError,
    SignatureError,
    TransportError,
)
from wechatpay_chain._keys import refresh
from wechatpay_chain.rates import RateLimits
from wechatpay_chain.telemetry import Telemetry, hide_values

OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"


class Recorded:
    def __init__(self):
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers, self.meters = TracerProvider(), MeterProvider([self.reader])
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))

    def telemetry(self, **how):
        return Telemetry(self.tracers, self.meters, **how)

    @property
    def spans(self):
        return self.exporter.get_finished_spans()

    def metric(self, name):
        data = self.reader.get_metrics_data()
        metrics = (metric for each in data.resource_metrics for scope in each.scope_metrics for metric in scope.metrics)
        return next((list(metric.data.data_points) for metric in metrics if metric.name == name), [])


@pytest.fixture
def recorded():
    return Recorded()


@pytest.fixture
def traced(service, wire, recorded):
    settings = {**service.settings(wire.base_url), "retry": Retry(attempts=3, backoff=0.01)}
    with Client(**settings) as client:
        recorded.telemetry().install(client)
        yield client


def test_a_call_is_a_span_and_its_attempt_one_inside(traced, wire, service, send, recorded):
    node = traced.v3.marketing.favor.users._openid_.coupons
    send(node, "get", openid=OPENID, params={"appid": "wx1"})
    attempt, call = recorded.spans
    assert call.name == attempt.name == "GET /v3/marketing/favor/users/{openid}/coupons"
    assert (call.kind, attempt.kind) == (SpanKind.INTERNAL, SpanKind.CLIENT)
    assert attempt.parent.span_id == call.context.span_id
    assert dict(call.attributes) == {
        "http.request.method": "GET",
        "url.template": "/v3/marketing/favor/users/{openid}/coupons",
        "wechatpay.mchid": "1900007291",
    }
    assert dict(attempt.attributes) == {
        "http.request.method": "GET",
        "url.template": "/v3/marketing/favor/users/{openid}/coupons",
        "url.scheme": "http",
        "server.address": "127.0.0.1",
        "server.port": wire.port if hasattr(wire, "port") else int(wire.base_url.rstrip("/").rpartition(":")[2]),
        "http.response.status_code": 200,
        "wechatpay.request_id": "08E2-0",
    }
    shown = json.dumps([json.loads(span.to_json()) for span in recorded.spans])
    assert OPENID not in shown
    assert "wx1" not in shown
    assert wire.received[0].header("traceparent") is None, "nothing is sent to the service unless it is asked for"


def test_each_attempt_is_a_span(traced, wire, service, send, recorded):
    answers = [Reply(500, {"Request-ID": "A"}, b'{"code":"SYSTEM_ERROR"}'), None, service.signed(b"{}")]
    wire.respond = lambda received: answers.pop(0)
    send(traced.v3.certificates, "get")
    *attempts, call = recorded.spans
    assert [span.attributes.get("http.request.resend_count") for span in attempts] == [None, 1, 2]
    assert [span.attributes.get("error.type") for span in attempts] == ["500", "TransportError", None]
    assert [span.status.status_code for span in attempts] == [StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET]
    assert attempts[0].attributes["wechatpay.code"] == "SYSTEM_ERROR"
    assert call.status.status_code is StatusCode.UNSET
    (retries,) = recorded.metric("wechatpay.client.retries")
    assert retries.value == 2
    assert {
        point.attributes.get("error.type"): point.count for point in recorded.metric("http.client.request.duration")
    } == {
        "500": 1,
        "TransportError": 1,
        None: 1,
    }
    (duration,) = recorded.metric("wechatpay.client.call.duration")
    assert duration.count == 1
    assert tuple(duration.explicit_bounds)[:3] == (0.005, 0.01, 0.025)


@pytest.mark.parametrize(
    ("answer", "error", "kind", "status"),
    [
        (Reply(404, {}, b'{"code":"ORDER_NOT_EXIST"}'), NotFoundError, "404", 404),
        (Reply(200, {}, b"{}"), SignatureError, "SignatureError", 200),
        (Reply(302, {"Location": "/"}), APIError, "RedirectionError", 302),
    ],
)
def test_an_error_is_noted(traced, wire, send, recorded, answer, error, kind, status):
    wire.respond = lambda received: answer
    with pytest.raises(error):
        send(traced.v3.x, "post", json={})
    attempt, call = recorded.spans
    assert call.attributes["error.type"] == kind
    # That of a client is an error from 400 on: https://opentelemetry.io/docs/specs/semconv/http/http-spans/#status
    assert attempt.attributes.get("error.type") == (kind if status >= 400 else None)
    assert attempt.attributes["http.response.status_code"] == call.attributes["http.response.status_code"] == status
    assert call.status.status_code is StatusCode.ERROR
    assert call.events == attempt.events == (), "an exception can show values"
    refusals = recorded.metric("wechatpay.client.refusals")
    assert [point.attributes["wechatpay.reason"] for point in refusals] == (
        ["missing header"] if kind == "SignatureError" else []
    )


def test_a_call_that_was_not_sent_has_no_attempt(service, recorded, send):
    with Client(**{**service.settings("http://127.0.0.1:9/"), "retry": None}) as client:
        recorded.telemetry().install(client)
        with pytest.raises(TransportError):
            send(client.v3.x, "get")
    attempt, call = recorded.spans
    assert attempt.attributes["error.type"] == call.attributes["error.type"] == "TransportError"
    assert "http.response.status_code" not in attempt.attributes


@pytest.mark.parametrize("first", ["telemetry", "rates"])
def test_an_attempt_is_what_went_to_the_service(service, wire, recorded, send, first):
    """The wait for a rate limit is no part of a request, and a call that the limit refuses is no request."""
    limits = RateLimits({"GET /v3/certificates": "1/second"}, wait=1.5)
    with Client(**service.settings(wire.base_url)) as client:
        for each in (first, "rates" if first == "telemetry" else "telemetry"):
            (recorded.telemetry() if each == "telemetry" else limits).install(client)
        for _ in range(2):
            send(client.v3.certificates, "get")
        client.middleware.replace("rates", refuse)
        with pytest.raises(RateExceededError):
            send(client.v3.certificates, "get")
    attempts = [span for span in recorded.spans if span.kind is SpanKind.CLIENT]
    calls = [span for span in recorded.spans if span.kind is SpanKind.INTERNAL]
    assert [len(attempts), len(calls)] == [len(wire.received), 3] == [2, 3]
    waited = calls[1]
    assert waited.end_time - waited.start_time > 0.5e9
    assert attempts[1].end_time - attempts[1].start_time < 0.5e9
    assert calls[2].attributes["error.type"] == "RateExceededError"
    (durations,) = recorded.metric("http.client.request.duration")
    assert durations.count == 2


def refuse(request):
    raise RateExceededError("used up", 1.0)
    yield request


def test_a_download_of_certificates_is_no_retry(service, wire, recorded, send, monkeypatch):
    monkeypatch.setattr(refresh, "BACKOFF", 0)
    wire.respond = authority = Authority(service)
    settings = {**service.settings(wire.base_url), "certs": {}, "apiv3_key": APIV3_KEY}
    with Client(**settings) as client:
        send(client.v3.x, "get")
        recorded.telemetry().install(client)
        authority.rotate()
        send(client.v3.y, "get")
    assert [span.name for span in recorded.spans] == ["GET /v3/{}", "GET /v3/certificates", "GET /v3/{}"]
    assert not any("http.request.resend_count" in span.attributes for span in recorded.spans)
    assert recorded.metric("wechatpay.client.retries") == []


def test_a_client_that_nobody_uses_is_freed_at_once(service, recorded):
    client = Client(**service.settings("http://127.0.0.1:9/"))
    recorded.telemetry().install(client)
    known = weakref.ref(client)
    gc.disable()
    try:
        del client
        assert known() is None
    finally:
        gc.enable()


def test_the_context_is_sent_if_it_is_asked_for(service, wire, recorded, send):
    with Client(**service.settings(wire.base_url)) as client:
        recorded.telemetry(propagate=True).install(client)
        token = context.attach(baggage.set_baggage("user.phone", "13800000000"))
        send(client.v3.x, "get")
        context.detach(token)
    attempt, _ = recorded.spans
    assert wire.received[0].header("baggage") is None
    version, trace_id, span_id, _ = wire.received[0].header("traceparent").split("-")
    assert (version, int(trace_id, 16), int(span_id, 16)) == ("00", attempt.context.trace_id, attempt.context.span_id)
    assert wire.received[0].is_signed_by(service.merchant)


def test_a_call_is_in_the_span_of_its_caller_and_leaves_the_context_as_it_was(traced, recorded, send):
    from opentelemetry import trace

    tracer = recorded.tracers.get_tracer("shop")
    with tracer.start_as_current_span("checkout") as outer:
        send(traced.v3.x, "get")
        assert trace.get_current_span() is outer
    attempt, call, checkout = recorded.spans
    assert call.parent.span_id == checkout.context.span_id
    assert {attempt.context.trace_id, call.context.trace_id} == {checkout.context.trace_id}


def test_tasks_do_not_mix_their_spans(traced, recorded):
    async def run():
        await asyncio.gather(
            *(traced[f"v3/x/{{name}}/{'abc'[number % 3]}"].get_async(name=str(number)) for number in range(30))
        )
        await traced.aclose()

    asyncio.run(run())
    calls = {span.context.span_id: span for span in recorded.spans if span.kind is SpanKind.INTERNAL}
    attempts = [span for span in recorded.spans if span.kind is SpanKind.CLIENT]
    assert len(calls) == len(attempts) == 30
    assert all(calls[span.parent.span_id].name == span.name for span in attempts)


def test_a_cancelled_call_ends_its_spans(traced, wire, recorded, caplog):
    import threading

    release = threading.Event()
    wire.respond = lambda received: release.wait(5) and None

    async def run():
        task = asyncio.create_task(traced.v3.x.get_async())
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await traced.aclose()

    asyncio.run(run())
    release.set()
    assert [span.attributes["error.type"] for span in recorded.spans] == ["CancelledError"] * 2
    assert [record for record in caplog.records if "opentelemetry" in record.name] == []


@pytest.mark.parametrize(
    ("method", "template", "shown"),
    [
        ("GET", "v3/pay/transactions/id/{transaction_id}", "/v3/pay/transactions/id/{transaction_id}"),
        ("GET", "v3/pay/transactions/id/4200000001202610010000000001", "/v3/pay/transactions/id/{transaction_id}"),
        ("POST", "v3/pay/transactions/out-trade-no/N1/close", "/v3/pay/transactions/out-trade-no/{out_trade_no}/close"),
        ("POST", "v2/pay/unifiedorder", "/v2/pay/unifiedorder"),
        ("GET", "v3/nobody/knows/o123/this", "/v3/{}/{}/{}/{}"),
        ("GET", "v3/pay/transactions/nobody/{openid}/ALICE", "/v3/pay/transactions/{}/{openid}/{}"),
        ("GET", "v3/pay/transactions/out-trade-no/ORDER-ALICE", "/v3/pay/transactions/out-trade-no/{out_trade_no}"),
        (
            "POST",
            "v3/apply4sub/sub_merchants/1900000109/modify-settlement",
            "/v3/apply4sub/sub_merchants/{sub_mchid}/modify-settlement",
        ),
        ("GET", "v3/refund/domestic/refunds", "/v3/refund/domestic/refunds"),
    ],
)
def test_a_value_that_was_written_into_a_path_is_hidden(method, template, shown):
    assert hide_values(method, template) == shown


def test_every_documented_path_is_shown_as_it_is():
    from wechatpay_chain._catalogue.operations import find_operation, list_operations

    for method, path in list_operations():
        template = find_operation(method, path).template
        assert hide_values(method, template) == f"/{template}", template


def test_it_is_installed_once(traced, recorded):
    with pytest.raises(ConfigurationError, match="trace"):
        recorded.telemetry().install(traced)


def test_nothing_is_imported_before_it_is_used_and_what_is_missing_is_named():
    code = "import wechatpay_chain, wechatpay_chain.telemetry, sys; print([m for m in sys.modules if m.startswith('opentelemetry')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    code = (
        "import sys; sys.modules['opentelemetry'] = None; from wechatpay_chain.telemetry import Telemetry; Telemetry()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "telemetry: OpenTelemetry is not installed; pip install 'wechatpay-chain[otel]'" in run.stderr


def test_log_records_have_fields(client, wire, service, send, caplog):
    wire.respond = lambda received: Reply(500, {"Request-ID": "08"}, b'{"code":"SYSTEM_ERROR"}')
    with caplog.at_level(logging.DEBUG, "wechatpay_chain"), pytest.raises(ServerError):
        send(client.v3.pay.transactions.id._transaction_id_, "get", transaction_id="4200000001")
    record = next(
        record for record in caplog.records if record.levelno == logging.DEBUG and hasattr(record, "wechatpay_method")
    )
    fields = {name: value for name, value in vars(record).items() if name.startswith("wechatpay_")}
    assert fields.pop("wechatpay_seconds") > 0
    assert fields == {
        "wechatpay_method": "GET",
        "wechatpay_template": "v3/pay/transactions/id/{transaction_id}",
        "wechatpay_status": 500,
        "wechatpay_request_id": "08",
        "wechatpay_error": "ServerError",
        "wechatpay_code": "SYSTEM_ERROR",
    }
    assert "4200000001" not in str(vars(record))


def test_a_retry_has_fields(service, wire, send, caplog):
    answers = [Reply(503), service.signed(b"{}")]
    wire.respond = lambda received: answers.pop(0)
    with Client(**{**service.settings(wire.base_url), "retry": Retry(backoff=0.01)}) as client:
        send(client.v3.x, "get")
    (record,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert (record.wechatpay_attempt, record.wechatpay_status, record.wechatpay_error) == (1, 503, "ServerError")
    assert record.wechatpay_wait <= 0.01


ROOT = Path(__file__).parents[2]


def test_the_dashboard_asks_for_metrics_that_exist():
    dashboard = json.loads((ROOT / "docs" / "assets" / "grafana.json").read_text())
    asked = {target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())}
    names = {name for expression in asked for name in re.findall(r"\b((?:http|wechatpay)_client\w+)", expression)}
    source = (ROOT / "wechatpay_chain" / "telemetry.py").read_text()
    known = {name.replace(".", "_") for name in re.findall(r'"((?:http|wechatpay)\.client\.[\w.]+)"', source)}
    stems = {re.sub(r"(_seconds)?(_bucket|_sum|_count)$|_total$", "", name) for name in names}
    assert stems == known
    labels = {label for expression in asked for label in re.findall(r"(?:by|,) ?\(?(\w+)[,)]", expression)}
    assert {"url_template"} <= labels
    assert len(asked) >= 8

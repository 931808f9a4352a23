"""Traces and metrics with OpenTelemetry: `pip install "wechatpay-chain[otel]"`.

```python
from wechatpay_chain.telemetry import Telemetry

Telemetry().install(client)
```

Each call is a span, and each attempt of it a span inside, by the conventions for HTTP clients:
https://opentelemetry.io/docs/specs/semconv/http/http-spans/. The span of an attempt covers one HTTP request; that of the call also covers
its waits, and has the outcome. A span has the template of a path, never the path itself: `url.full`, which the conventions ask for, is left
out, because order numbers and openids are in it. No header, no body and no message is in a span.

| metric | unit | of |
|---|---|---|
| `http.client.request.duration` | s | each attempt that was made, without the wait for a rate limit |
| `wechatpay.client.call.duration` | s | each call, with its retries and waits |
| `wechatpay.client.retries` | | the attempts after the first one |
| `wechatpay.client.refusals` | | responses whose signature was not verified, by `wechatpay.reason` |
"""

from __future__ import annotations

import re
import time
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from wechatpay_chain._catalogue.formats import format_of
from wechatpay_chain._catalogue.nearest import find_operation_at, find_path, list_segments
from wechatpay_chain._catalogue.operations import find_operation
from wechatpay_chain._extras import importing
from wechatpay_chain._messages.effects import Flow
from wechatpay_chain._messages.request import Carried, Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain._pipeline.errors import find_error
from wechatpay_chain._pipeline.stack import Layered, find_customer
from wechatpay_chain._version import __version__
from wechatpay_chain.errors import APIError, ConfigurationError, SignatureError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["Telemetry"]

_NAME = "wechatpay_chain"
_ATTEMPTS = "wechatpay_chain.attempts"
"""The key in the context of a call, under which the attempts of each of its requests are counted: it may download certificates, too."""

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Source: https://opentelemetry.io/docs/specs/semconv/http/http-metrics/"""


class Telemetry:
    """Records spans and metrics of the calls of one or more clients.

    Args:
        tracer_provider: makes the spans; None for the global one.
        meter_provider: makes the metrics; None for the global one.
        propagate: whether the context of a trace is sent to WeChat Pay, in the headers `traceparent` and `tracestate`. Baggage is not.

    Raises:
        ConfigurationError: OpenTelemetry is not installed.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        *,
        propagate: bool = False,
    ) -> None:
        with importing("telemetry: OpenTelemetry is not installed; pip install 'wechatpay-chain[otel]'"):
            from opentelemetry import context, metrics, trace
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        self._context, self._trace = context, trace
        # Not what the process has set for its own services: baggage can have anything in it.
        self._inject = TraceContextTextMapPropagator().inject if propagate else None
        self._tracer = trace.get_tracer(_NAME, __version__, tracer_provider)
        meter = metrics.get_meter(_NAME, __version__, meter_provider)
        advice: dict[str, Any] = {"unit": "s", "explicit_bucket_boundaries_advisory": _BUCKETS}
        self._request_duration = meter.create_histogram(
            "http.client.request.duration", description="Duration of HTTP client requests.", **advice
        )
        self._call_duration = meter.create_histogram(
            "wechatpay.client.call.duration", description="Duration of calls, with their retries.", **advice
        )
        self._retries = meter.create_counter("wechatpay.client.retries", description="Attempts after the first one.")
        self._refusals = meter.create_counter(
            "wechatpay.client.refusals", description="Responses whose signature was not verified."
        )

    def install(self, client: Layered) -> None:
        """Records the calls of a client, in two layers: `trace` is the outermost one, and `trace_attempts` the innermost one.

        Raises:
            ConfigurationError: they are installed already.
        """
        if "trace" in client.middleware:
            raise ConfigurationError("telemetry: this client is traced already; install it once")
        name, number = find_customer(client)
        merchant = {f"wechatpay.{name}": number}
        layers = list(client.middleware)
        client.middleware.insert_before(layers[0], "trace", partial(self._call, merchant))
        client.middleware.insert_after(layers[-1], "trace_attempts", self._attempt)

    def _call(self, merchant: Mapping[str, str], request: Request) -> Flow:
        """Records a whole call. A layer."""
        template = hide_values(request.method, request.template)
        attributes: dict[str, Any] = {"http.request.method": request.method, "url.template": template}
        span = self._tracer.start_span(f"{request.method} {template}", attributes={**attributes, **merchant})
        counts: dict[Carried, int] = {}
        token = self._context.attach(self._context.set_value(_ATTEMPTS, counts, self._trace.set_span_in_context(span)))
        began = time.perf_counter()
        try:
            response: Response = yield request
        except BaseException as error:
            failed = error.response if isinstance(error, (APIError, SignatureError)) else None
            if failed is not None:
                _note_response(span, failed)
            attributes["error.type"] = self._note_error(span, error)
            if isinstance(error, SignatureError):
                self._refusals.add(1, {"url.template": template, "wechatpay.reason": error.reason.value})
            raise
        else:
            return response
        finally:
            self._call_duration.record(time.perf_counter() - began, attributes)
            self._context.detach(token)
            span.end()

    def _attempt(self, request: Request) -> Flow:
        """Records one HTTP request. A layer."""
        template = hide_values(request.method, request.template)
        origin = urlsplit(request.origin)
        attributes: dict[str, Any] = {
            "http.request.method": request.method,
            "url.template": template,
            "url.scheme": origin.scheme,
            "server.address": origin.hostname or "",
            "server.port": origin.port or (443 if origin.scheme == "https" else 80),
        }
        resent = self._count(request)
        more = {"http.request.resend_count": resent} if resent else {}
        if resent:
            self._retries.add(1, {"http.request.method": request.method, "url.template": template})
        span = self._tracer.start_span(
            f"{request.method} {template}", kind=self._trace.SpanKind.CLIENT, attributes={**attributes, **more}
        )
        if self._inject is not None:
            carrier: dict[str, str] = {}
            self._inject(carrier, self._trace.set_span_in_context(span))
            request = request.with_headers(carrier)
        began = time.perf_counter()
        try:
            response: Response = yield request
        except BaseException as error:
            attributes["error.type"] = self._note_error(span, error)
            raise
        else:
            attributes["http.response.status_code"] = response.status_code
            _note_response(span, response)
            failure = find_error(response) if response.status_code >= 400 else None
            if failure is not None:
                attributes["error.type"] = self._note_error(span, failure)
            return response
        finally:
            self._request_duration.record(time.perf_counter() - began, attributes)
            span.end()

    def _count(self, request: Request) -> int:
        """Counts an attempt, and returns how many there were of this request before."""
        counts = self._context.get_value(_ATTEMPTS)
        if not isinstance(counts, dict):
            return 0
        before: int = counts.get(request._carried, 0)
        counts[request._carried] = before + 1
        return before

    def _note_error(self, span: Any, error: BaseException) -> str:
        """Notes an error on a span. Returns its type: the status of a response, or else the class."""
        kind = type(error).__name__
        if isinstance(error, APIError):
            kind = str(error.status_code) if error.status_code >= 400 else kind
            if error.code:
                span.set_attribute("wechatpay.code", error.code)
        span.set_attribute("error.type", kind)
        span.set_status(self._trace.StatusCode.ERROR)
        return kind


def _note_response(span: Any, response: Response) -> None:
    span.set_attribute("http.response.status_code", response.status_code)
    if response.request_id:
        span.set_attribute("wechatpay.request_id", response.request_id)


@lru_cache(maxsize=4096)
def hide_values(method: str, template: str) -> str:
    """Returns a path template with a leading slash, in which values that were written into it are variables again.

    Of a path that the catalogue lacks, only segments are shown that it has elsewhere: a value can look like a name.
    """
    path = template.lstrip("/")
    if find_operation(method, format_of(path).to_wire(path)):
        return f"/{path}"
    if known := find_operation_at(method, path) or find_path(path, method):
        return f"/{known.template}"
    named = list_segments()
    segments = (each if each in named or re.fullmatch(r"\{[^{}]*\}", each) else "{}" for each in path.split("/"))
    return f"/{'/'.join(segments)}"

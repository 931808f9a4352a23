"""Traces and metrics with OpenTelemetry: `pip install "wechatpay-chain[otel]"`.

```python
from wechatpay_chain.telemetry import Telemetry

Telemetry().install(client)
```

Each call is a span, and each attempt of it a span inside, by the conventions for HTTP clients:
https://opentelemetry.io/docs/specs/semconv/http/http-spans/. A span has the template of a path, never the path itself: `url.full`, which the
conventions ask for, is left out, because order numbers and openids are in it. No header, no body and no message is in a span.

| metric | unit | of |
|---|---|---|
| `http.client.request.duration` | s | each attempt |
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

from wechatpay_chain._catalogue.nearest import find_path, list_segments
from wechatpay_chain._catalogue.operations import find_operation
from wechatpay_chain._extras import importing
from wechatpay_chain._messages.effects import Flow
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain._pipeline.stack import Layered
from wechatpay_chain._version import __version__
from wechatpay_chain.errors import APIError, ConfigurationError, SignatureError

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["Telemetry"]

_NAME = "wechatpay_chain"
_ATTEMPTS = "wechatpay_chain.attempts"
"""The key in the context of a call, under which its attempts are counted."""

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Source: https://opentelemetry.io/docs/specs/semconv/http/http-metrics/"""


class Telemetry:
    """Records spans and metrics of the calls of one or more clients.

    Args:
        tracer_provider: makes the spans; None for the global one.
        meter_provider: makes the metrics; None for the global one.
        propagate: whether the context of a trace is sent to WeChat Pay in a header (`traceparent`).

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
            from opentelemetry import propagate as propagation
        self._context, self._trace = context, trace
        self._inject = propagation.inject if propagate else None
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
        """Records the calls of a client, in two layers: `trace` is the outermost one, `trace_attempts` is inside `retry`.

        Raises:
            ConfigurationError: they are installed already.
        """
        if "trace" in client.middleware:
            raise ConfigurationError("telemetry: this client is traced already; install it once")
        client.middleware.insert_before(next(iter(client.middleware)), "trace", partial(self._call, client))
        before = "errors" if "errors" in client.middleware else "verify"
        client.middleware.insert_before(before, "trace_attempts", self._attempt)

    def _call(self, client: Layered, request: Request) -> Flow:
        """Records a whole call. A layer."""
        template = hide_values(request.method, request.template)
        attributes: dict[str, Any] = {"http.request.method": request.method, "url.template": template}
        merchant = {"wechatpay.mchid": client.mchid} if client.mchid else {"wechatpay.brand_id": client.brand_id}
        span = self._tracer.start_span(f"{request.method} {template}", attributes={**attributes, **merchant})
        inside = self._context.set_value(_ATTEMPTS, [0], self._trace.set_span_in_context(span))
        token = self._context.attach(inside)
        began = time.perf_counter()
        try:
            response: Response = yield request
        except BaseException as error:
            attributes["error.type"] = _describe(span, error)
            self._set_error(span, attributes["error.type"])
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
        """Records one attempt of a call. A layer."""
        template = hide_values(request.method, request.template)
        origin = urlsplit(request.origin)
        attributes: dict[str, Any] = {
            "http.request.method": request.method,
            "url.template": template,
            "url.scheme": origin.scheme,
            "server.address": origin.hostname or "",
            "server.port": origin.port or (443 if origin.scheme == "https" else 80),
        }
        counted: Any = self._context.get_value(_ATTEMPTS)
        resent = 0
        if isinstance(counted, list):
            resent, counted[0] = counted[0], counted[0] + 1
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
            attributes["http.response.status_code"] = response.status_code
            _note_response(span, response)
        except BaseException as error:
            attributes["error.type"] = _describe(span, error)
            failed = error.response if isinstance(error, (APIError, SignatureError)) else None
            if failed is not None:
                attributes["http.response.status_code"] = failed.status_code
            self._set_error(span, attributes["error.type"])
            raise
        else:
            return response
        finally:
            self._request_duration.record(time.perf_counter() - began, attributes)
            span.end()

    def _set_error(self, span: Any, kind: str) -> None:
        span.set_attribute("error.type", kind)
        span.set_status(self._trace.StatusCode.ERROR)


def _note_response(span: Any, response: Response) -> None:
    span.set_attribute("http.response.status_code", response.status_code)
    if response.request_id:
        span.set_attribute("wechatpay.request_id", response.request_id)


def _describe(span: Any, error: BaseException) -> str:
    """Notes what an error says of the service, and returns its type: the class, or the status of a response."""
    failed = error.response if isinstance(error, (APIError, SignatureError)) else None
    if failed is not None:
        _note_response(span, failed)
    if isinstance(error, APIError):
        if error.code:
            span.set_attribute("wechatpay.code", error.code)
        return str(error.status_code) if error.status_code >= 400 else type(error).__name__
    return type(error).__name__


@lru_cache(maxsize=4096)
def hide_values(method: str, template: str) -> str:
    """Returns a path template with a leading slash, in which values that were written into it are variables again.

    Of a path that the catalogue lacks, only segments are shown that it has elsewhere: a value can look like a name.
    """
    path = template.lstrip("/")
    prefix = "/v2" if path.startswith("v2/") else ""
    if find_operation(method, f"/{path}".removeprefix(prefix)):
        return f"/{path}"
    known = find_path(path, method)
    if known is not None:
        return prefix + (known.methods.get(method) or next(iter(known.methods.values())))
    named = list_segments()
    segments = (each if each in named or re.fullmatch(r"\{[^{}]*\}", each) else "{}" for each in path.split("/"))
    return f"/{'/'.join(segments)}"

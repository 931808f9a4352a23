"""Raises the error of a response with a status other than 2xx."""

from __future__ import annotations

import json
from typing import Any

from wechatpay_chain._messages.effects import Flow
from wechatpay_chain._messages.redaction import LONGEST, escape, hide_values, quote
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain._pipeline.explain import explain_signature, hidden_values
from wechatpay_chain.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ClientError,
    ForbiddenError,
    NotFoundError,
    RateLimitError,
    RedirectionError,
    ServerError,
)

__all__ = ["api_error", "raise_for_status"]

MIN_HIDDEN = 8
"""Characters of the shortest value of a call that is hidden if the message of the service repeats it."""

_BY_STATUS = {
    400: BadRequestError,
    401: AuthenticationError,
    403: ForbiddenError,
    404: NotFoundError,
    429: RateLimitError,  # by status, because the spelling of its code differs between products
}
_BY_FAMILY = {3: RedirectionError, 4: ClientError, 5: ServerError}


def raise_for_status(request: Request) -> Flow:
    """Raises the APIError of a response that is not 2xx, signed or not, whatever its body is."""
    response: Response = yield request
    if response.ok:
        return response
    raise api_error(response)


def api_error(response: Response) -> APIError:
    """Returns the error for a response.

    Its attributes have the words of the service as they came; its text is safe to log.

    Source of the body's shape: https://pay.weixin.qq.com/doc/v3/merchant/4012081709
    """
    request, status = response.request, response.status_code
    kind: type[APIError] = _BY_STATUS.get(status) or _BY_FAMILY.get(status // 100, APIError)
    problem = _object(response.content)
    code, message = _text(problem.get("code")), _text(problem.get("message"))
    detail = problem.get("detail")
    explanation = f"{request.method} {request.template}: {status}"
    if code:
        explanation += f" {quote(code, LONGEST)}"
    if message:
        explanation += f" {_sentence(message, request)}"
    if not problem:
        explanation += f" with {len(response.content)} bytes that are not JSON of the service"
    if isinstance(detail, dict):
        for name in ("field", "issue"):
            if text := _text(detail.get(name)):
                explanation += f", {name} {_sentence(text, request)}"
    explanation += f" (request id '{escape(response.request_id)}')"
    if status == 401:
        information = detail.get("sign_information") if isinstance(detail, dict) else None
        explanation += explain_signature(request, information)
    return kind(explanation, code, message, detail, response)


def _sentence(text: str, request: Request) -> str:
    """Quotes a message of the service, with the values of the call hidden."""
    return quote(hide_values(text, hidden_values(request), MIN_HIDDEN))


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""

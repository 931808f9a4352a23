"""Makes the error of a response with a status other than 2xx."""

from __future__ import annotations

import json
from typing import Any

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

__all__ = ["class_of_status", "explain", "find_error"]

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


def find_error(response: Response) -> APIError | None:
    """Returns the error of a response with a status other than 2xx, signed or not, whatever its body is; None for 2xx."""
    return None if response.ok else _api_error(response)


def class_of_status(status: int) -> type[APIError]:
    """Returns the class of the error of a status."""
    return _BY_STATUS.get(status) or _BY_FAMILY.get(status // 100, APIError)


def explain(response: Response, code: str, message: str, more: str = "", hidden: frozenset[str] = frozenset()) -> str:
    """Returns the text of an error, which is safe to log: the values of the call are hidden in the words of the service.

    Args:
        response: the response.
        code: the code of the service; empty if there is none.
        message: the message of the service; empty if there is none.
        more: what else there is to say, with a space or a comma before it.
        hidden: values of the body that are hidden too.
    """
    request = response.request
    said = f" {quote(code, LONGEST)}" if code else ""
    said += f" {_hide_call(message, request, hidden)}" if message else ""
    request_id = escape(response.request_id)
    return f"{request.method} {request.template}: {response.status_code}{said}{more} (request id '{request_id}')"


def _hide_call(text: str, request: Request, hidden: frozenset[str] = frozenset()) -> str:
    """Quotes a text of the service, with the values of the call hidden."""
    return quote(hide_values(text, hidden_values(request) | hidden, MIN_HIDDEN))


def _api_error(response: Response) -> APIError:
    """Returns the error for a response.

    Its attributes have the words of the service as they came; its text is safe to log.

    Source of the body's shape: https://pay.weixin.qq.com/doc/v3/merchant/4012081709
    """
    request, status = response.request, response.status_code
    problem = _object(response.content)
    code, message = _text(problem.get("code")), _text(problem.get("message"))
    detail = problem.get("detail")
    more = "" if problem else f" with {len(response.content)} bytes that are not JSON of the service"
    if isinstance(detail, dict):
        for name in ("field", "issue"):
            if text := _text(detail.get(name)):
                more += f", {name} {_hide_call(text, request)}"
    explanation = explain(response, code, message, more)
    if status == 401:
        information = detail.get("sign_information") if isinstance(detail, dict) else None
        explanation += explain_signature(request, information)
    return class_of_status(status)(explanation, code, message, detail, response)


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""

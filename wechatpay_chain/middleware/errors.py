"""Turns an answer with a status other than 2xx into the error of its family."""

from __future__ import annotations

import json
from typing import Any

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
from wechatpay_chain.http import Flow, Request, Response, parse_authorization, request_message

__all__ = ["api_error", "raise_for_status"]

SHOWN_OF_BODY = 8
"""Bytes of a body that a message may repeat, which is about what the service repeats."""

_BY_STATUS = {
    400: BadRequestError,
    401: AuthenticationError,
    403: ForbiddenError,
    404: NotFoundError,
    429: RateLimitError,  # by status, for the spelling of its code varies by product
}
_BY_FAMILY = {3: RedirectionError, 4: ClientError, 5: ServerError}


def raise_for_status(request: Request) -> Flow:
    """Raises the APIError of an answer that is not 2xx, signed or not, whatever its body holds."""
    response: Response = yield request
    if response.ok:
        return response
    raise api_error(response)


def api_error(response: Response) -> APIError:
    """The error that an answer stands for.

    Source of the body's shape: https://pay.weixin.qq.com/doc/v3/merchant/4012081709
    """
    status = response.status_code
    kind: type[APIError] = _BY_STATUS.get(status) or _BY_FAMILY.get(status // 100, APIError)
    problem = _object(response.content)
    code, message = _text(problem.get("code")), _text(problem.get("message"))
    detail = problem.get("detail")
    # What the other side wrote is quoted, so that it cannot forge lines of a log.
    explanation = " ".join((str(status), *(repr(part) for part in (code, message) if part)))
    if not problem:
        explanation += f" with {len(response.content)} bytes that are not the service's JSON"
    if isinstance(detail, dict):
        explanation += "".join(f", {name} {detail[name]!r}" for name in ("field", "issue") if _text(detail.get(name)))
    explanation += f" (request id {response.request_id!r})"
    if status == 401:
        information = detail.get("sign_information") if isinstance(detail, dict) else None
        explanation += _signed_messages(response.request, information)
    template = f"{response.request.method} {response.request.template}"
    return kind(f"{template}: {explanation}", code, message, detail, response)


def _signed_messages(request: Request, reported: object) -> str:
    """What we signed beside what the service says it verified, so that the difference can be seen.

    Of our body no more is shown than the service itself shows: https://pay.weixin.qq.com/doc/v3/merchant/4012072670
    """
    credentials = parse_authorization(request.headers.get("Authorization", ""))
    timestamp, nonce = credentials.get("timestamp", ""), credentials.get("nonce_str", "")
    # The query of a download holds a token that opens the file.
    target = request.target if request.sink is None else request.target.partition("?")[0] + "?…"
    ours = request_message(request.method, target, timestamp, nonce, request.body)
    report = reported if isinstance(reported, dict) else {}
    theirs = _text(report.get("truncated_sign_message"))
    head = len(ours) - len(request.body) - 1
    of_body = min(max(len(theirs.encode(errors="replace")) - head - 1, 0), SHOWN_OF_BODY)
    shown = ours[:head] + request.body[:of_body] + b"\n"
    we_signed = f"\n  we signed, {len(ours)} bytes: {shown.decode(errors='replace')!r}"
    if not theirs:
        return we_signed
    return (
        f"{we_signed}\n  they verified, {report.get('sign_message_length', 'unknown')} bytes: {theirs[: len(ours)]!r}"
        "\n  Where both are the same, the private key is not that of the certificate whose serial= was given."
    )


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""

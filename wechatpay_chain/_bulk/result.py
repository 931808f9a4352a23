"""What became of a line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from wechatpay_chain._messages.response import Response
from wechatpay_chain.errors import (
    APIError,
    ArgumentError,
    AuthenticationError,
    PathVariableError,
    RateExceededError,
    RateLimitError,
    ServerError,
    SignatureError,
    TransportError,
    UnsupportedError,
    WeChatPayError,
)

__all__ = ["Result", "judge_error", "judge_response", "may_earlier_attempts_be_done"]

_NOT_KNOWN_YET = ("PROCESSING", "SEND_FAILED", "BIZERR_NEED_RETRY")
"""Failures of APIv2 after which the outcome must be queried: https://pay.weixin.qq.com/doc/v2/merchant/4011974053"""

Outcome = Literal["done", "refused", "unknown", "unsent"]


@dataclass(frozen=True)
class Result:
    """The result of a line of a bulk job.

    Attributes:
        line: its number, from 1.
        outcome: `done`; `refused`, for good; `unknown`, it may have been acted on; or `unsent`, it was not.
        status: the HTTP status; 0 without a response.
        code: the error code of the service, or the class of another error; empty if it is done.
        message: the error in words.
        request_id: the Request-ID, which WeChat Pay's support asks for.
        attempts: how many calls were made for it; the client may have retried inside each.
        response: the JSON of a response that means success, or the fields of APIv2; None without one.
        digest: of the line, in hexadecimal digits.
    """

    line: int
    outcome: Outcome
    status: int = 0
    code: str = ""
    message: str = ""
    request_id: str = ""
    attempts: int = 1
    response: Any = None
    digest: str = ""

    def to_json(self) -> bytes:
        """Returns the line of the file with the results."""
        # A response can have an unpaired surrogate, which is written as the escape that JSON has for it.
        return json.dumps(asdict(self), ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def judge_response(line: int, response: Response) -> Result:
    """Returns the result of a call that succeeded."""
    is_xml = response.content[:1] == b"<"
    body = response.xml() if is_xml else response.json() if response.content else None
    return Result(line, "done", response.status_code, request_id=response.request_id, response=body)


def judge_error(line: int, error: WeChatPayError) -> tuple[Result, bool]:
    """Returns the result of a call that failed, and True if it may be made again in this run.

    A response that is not verified is not asked for again at once: a forger must not get another try. A refusal without a code is
    perhaps not of the service, but of a proxy.
    """
    if isinstance(error, (ArgumentError, PathVariableError, UnsupportedError)):
        return Result(line, "refused", code=type(error).__name__, message=str(error), attempts=0), False
    is_temporary = isinstance(error, (TransportError, ServerError, RateLimitError, RateExceededError))
    code = error.code if isinstance(error, APIError) else ""
    outcome: Outcome = "refused" if code and code not in _NOT_KNOWN_YET and not is_temporary else "unknown"
    if isinstance(error, AuthenticationError) or not error.sent:
        outcome = "unsent"
    response = error.response if isinstance(error, (APIError, SignatureError)) else None
    status, request_id = (response.status_code, response.request_id) if response else (0, "")
    return Result(line, outcome, status, code or type(error).__name__, str(error), request_id), is_temporary


def may_earlier_attempts_be_done(error: WeChatPayError) -> bool:
    """Tells whether an attempt before the last one, which the client has repeated by itself, may have been acted on."""
    return any(
        each.sent and (each.status is None or each.status >= 500 or each.status == 429) for each in error.attempts[:-1]
    )

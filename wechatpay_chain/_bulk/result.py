"""What became of a line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from wechatpay_chain._messages.response import Response
from wechatpay_chain.errors import (
    APIError,
    ArgumentError,
    PathVariableError,
    RateExceededError,
    RateLimitError,
    ServerError,
    SignatureError,
    TransportError,
    UnsupportedError,
    WeChatPayError,
)

__all__ = ["Result", "judge_error", "judge_response"]

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
        attempts: how often it was sent.
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
        return json.dumps(asdict(self), ensure_ascii=False).encode() + b"\n"


def judge_response(line: int, response: Response) -> Result:
    """Returns the result of a call that succeeded."""
    is_xml = response.content[:1] == b"<"
    body = response.xml() if is_xml else response.json() if response.content else None
    return Result(line, "done", response.status_code, request_id=response.request_id, response=body)


def judge_error(line: int, error: WeChatPayError) -> tuple[Result, bool]:
    """Returns the result of a call that failed, and True if it may be made again in this run.

    A response that is not verified is not asked for again at once: a forger must not get another try.
    """
    if isinstance(error, (ArgumentError, PathVariableError, UnsupportedError)):
        return Result(line, "refused", code=type(error).__name__, message=str(error), attempts=0), False
    is_temporary = isinstance(error, (TransportError, ServerError, RateLimitError, RateExceededError))
    outcome: Outcome = "refused"
    if isinstance(error, (TransportError, RateExceededError)) and not error.sent:
        outcome = "unsent"
    elif is_temporary or isinstance(error, SignatureError) or (error.sent and not isinstance(error, APIError)):
        outcome = "unknown"
    code = error.code if isinstance(error, APIError) and error.code else type(error).__name__
    response = error.response if isinstance(error, (APIError, SignatureError)) else None
    status, request_id = (response.status_code, response.request_id) if response else (0, "")
    return Result(line, outcome, status, code, str(error), request_id), is_temporary

"""Logs one line for each call, at DEBUG, on the logger `wechatpay_chain`: never the filled path, a header or a body."""

from __future__ import annotations

import logging
import time

from wechatpay_chain._messages.effects import Flow
from wechatpay_chain._messages.log_fields import log_fields
from wechatpay_chain._messages.redaction import escape
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain.errors import APIError, SignatureError

__all__ = ["log"]

logger = logging.getLogger("wechatpay_chain")


def log(request: Request) -> Flow:
    """Logs method, template, status, request id and milliseconds of a call, or the class of its error.

    The same, and the code of an error, is in the fields of the record: wechatpay_method, wechatpay_template, and so on.
    """
    began = time.perf_counter()
    try:
        response: Response = yield request
    except BaseException as error:
        failed = error.response if isinstance(error, (APIError, SignatureError)) else None
        outcome = f"{type(error).__name__} {failed.status_code}" if failed else type(error).__name__
        _line(request, outcome, failed, began, error)
        raise
    if logger.isEnabledFor(logging.DEBUG):  # making the line takes half the time of this layer
        _line(request, str(response.status_code), response, began)
    return response


def _line(
    request: Request, outcome: str, response: Response | None, began: float, error: BaseException | None = None
) -> None:
    request_id = escape(response.request_id if response else "")
    seconds = time.perf_counter() - began
    fields = log_fields(
        method=request.method,
        template=request.template,
        status=response.status_code if response else None,
        request_id=request_id or None,
        seconds=round(seconds, 6),
        error=type(error).__name__ if error is not None else None,
        code=error.code if isinstance(error, APIError) else None,
    )
    logger.debug(
        "%s %s %s %s %.1f ms",
        request.method,
        request.template,
        outcome,
        request_id or "-",
        seconds * 1000,
        extra=fields,
    )

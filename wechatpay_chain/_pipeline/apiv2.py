"""APIv2: the signature is a field of the message, which is XML, or the query of a GET.

A response is judged in this order: the HTTP status, `return_code`, the signature, `result_code`. A response whose `return_code` is
not SUCCESS is unsigned. Source: https://pay.weixin.qq.com/doc/v2/merchant/4011985891
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from wechatpay_chain._catalogue.v2_rule import V2Rule
from wechatpay_chain._catalogue.v2_rules import RULES
from wechatpay_chain._messages.effects import Steps
from wechatpay_chain._messages.redaction import escape
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain._messages.xml_body import MalformedXMLError, encode_xml, find_first_byte, parse_xml
from wechatpay_chain._pipeline.errors import class_of_status, explain
from wechatpay_chain._schemes.apiv2 import MD5, V2Keys
from wechatpay_chain._schemes.nonce import nonce as new_nonce
from wechatpay_chain.errors import (
    APIError,
    ArgumentError,
    AuthenticationError,
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    RateLimitError,
    Reason,
    ServerError,
    SignatureError,
)

__all__ = ["UNKNOWN", "ApiV2", "find_rule"]

UNKNOWN = V2Rule(merchant="", nonce=False)
"""The rule of an operation that is not in the table: nothing but the signature is added, and a response has to be signed."""

_SUCCESS = "SUCCESS"
_FIELDS = ("return_code", "result_code", "err_code", "err_code_des")
_BY_CODE: Mapping[str, type[APIError]] = {
    # The outcome is unknown: https://pay.weixin.qq.com/doc/v2/merchant/4011937125
    **dict.fromkeys(("SYSTEMERROR", "BANKERROR", "USERPAYING"), ServerError),
    **dict.fromkeys(("FREQ_LIMIT", "FREQUENCY_LIMITED", "RATELIMIT_EXCEEDED"), RateLimitError),
    **dict.fromkeys(("ORDERNOTEXIST", "REFUNDNOTEXIST", "NOT_FOUND", "RESOURCE_NOT_EXISTS"), NotFoundError),
    **dict.fromkeys(("NOAUTH", "NO_AUTH"), ForbiddenError),
    **dict.fromkeys(("SIGNERROR", "SIGN_ERROR"), AuthenticationError),
}


def find_rule(method: str, path: str) -> V2Rule:
    """Returns the rule of an operation.

    Args:
        method: the verb in upper case.
        path: the path, with its leading slash.
    """
    return RULES.get(f"{method} {path}", UNKNOWN)


def _rule_of(request: Request) -> V2Rule:
    return find_rule(request.method, request.target.partition("?")[0])


class ApiV2(NamedTuple):
    """Signs and judges the calls of APIv2; `layers.Api` says what each method does.

    Attributes:
        keys: what signs and verifies.
        when_refused: called if a response means an error; None for nothing.
    """

    keys: V2Keys
    when_refused: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return "<ApiV2>"

    def sign(self, request: Request) -> Steps[Request]:
        """Adds the nonce and the signature. The form of an upload is signed where it is written: it has neither a nonce nor a time."""
        yield from ()
        if request._carried.upload:
            return request
        rule, query = _rule_of(request), request.target.partition("?")[2]
        if request.method == "GET":
            fields = self.add_signature(dict(parse_qsl(query, keep_blank_values=True)), rule)
            return request.with_query(fields)
        try:
            fields = parse_xml(request.body)
        except MalformedXMLError as error:
            raise ArgumentError(f"{request.template}: a layer has changed the body, which {error}") from None
        return request.with_message(request.target, encode_xml(self.add_signature(fields, rule)))

    def add_signature(self, fields: dict[str, Any], rule: V2Rule) -> dict[str, Any]:
        """Returns fields with a nonce and their signatures, as far as the operation has them."""
        if rule.nonce:
            fields.setdefault("nonce_str", new_nonce())
        if rule.workwx and self.keys.has_workwx_secret and "workwx_sign" not in fields:
            named = {name: fields.get(name, "") for name in rule.workwx}
            fields["workwx_sign"] = self.keys.sign_workwx(named)
        if not rule.signs:
            return fields
        return {**fields, "sign": self.keys.sign(fields, fields.get("sign_type", MD5))}

    def renew_keys(self, request: Request, response: Response) -> Steps[None]:  # noqa: ARG002 -- there are no certificates
        """Does nothing: the keys of APIv2 are settings."""
        yield from ()

    def verify(self, request: Request, response: Response) -> Steps[Response]:
        """Verifies the signature of a response that means success or a business error. A file and JSON have none."""
        yield from ()
        rule = _rule_of(request)
        if not response.ok or not _is_message(response, rule):
            return response
        fields = response._fields()
        if fields.get("return_code") != _SUCCESS or (not rule.signed and "sign" not in fields):
            return response
        if self.keys.verify(fields):
            return response
        reason, why = (
            (Reason.BAD_SIGNATURE, "its sign does not match its fields; is apiv2_key= the key of this merchant?")
            if fields.get("sign")
            else (Reason.MISSING_SIGNATURE, "it has no sign.")
        )
        raise SignatureError(
            f"{request.method} {request.template}: the signature of the response {response.status_code} is not verified: {why} "
            f"It is unknown what the request did (request id '{escape(response.request_id)}')",
            reason,
            response,
        )

    def find_error(self, response: Response) -> APIError | None:
        """Returns the error of a status other than 2xx, or of a return_code or result_code that is not SUCCESS."""
        rule = _rule_of(response.request)
        if not response.ok:
            text = explain(response, "", "", f" with {len(response.content)} bytes")
            error: APIError | None = class_of_status(response.status_code)(text, "", "", None, response)
        elif _is_message(response, rule):
            # What was encrypted is in no field of the request, so the message cannot be searched for it.
            sent = _sent_values(response.request) if self.when_refused is None else None
            fields = response._fields()
            if (
                not rule.signed
                and rule.result
                and fields.get("return_code") == _SUCCESS
                and "result_code" not in fields
            ):
                raise response._content_error("has no result_code, although this operation has one")
            error = _find_error_of(response, fields, sent)
        else:
            error = _find_json_error(response) if rule.content == "json" else None
        if error is not None and self.when_refused is not None:
            self.when_refused()
        return error


def _is_message(response: Response, rule: V2Rule) -> bool:
    """Tells whether a response is read as XML: any but a file or JSON of an operation that returns one.

    What is not XML then is an error. Otherwise an empty response, or the text of a proxy, would pass for a red packet that was sent.
    """
    first = find_first_byte(response.content)
    if response.request._carried.sink is not None:
        return first == b"<"  # the file has been taken out
    if rule.content == "file":
        return first in (b"", b"<", b"{")
    return rule.content == "xml" or first != b"{"


def _find_error_of(response: Response, fields: Mapping[str, Any], sent: frozenset[str] | None) -> APIError | None:
    """Returns the error of a message, whose text shows none of the values that were sent; no message if they are not known."""
    return_code, result_code = fields.get("return_code"), fields.get("result_code", _SUCCESS)
    if return_code == result_code == _SUCCESS:
        return None
    texts = {name: value for name, value in fields.items() if isinstance(value, str)}
    code = texts.get("err_code") or texts.get("error_code") or texts.get("return_code", "")
    message = (
        texts.get("err_code_des")
        or texts.get("error_code_des")
        or texts.get("result_msg")
        or texts.get("return_msg", "")
    )
    kind = _BY_CODE.get(code)
    if kind is None and return_code != _SUCCESS and "签名" in message:
        kind = AuthenticationError
    detail = {name: texts.get(name, "") for name in _FIELDS}
    shown = explain(response, code, "" if sent is None else message, "", sent or frozenset())
    return (kind or BadRequestError)(shown, code, message, detail, response)


def _sent_values(request: Request) -> frozenset[str] | None:
    """Returns the values of a call, which an error must not show: openids, names, numbers. None if they are not known.

    Those of a query are hidden in every error.
    """
    try:
        return frozenset(parse_xml(request.body).values()) if request.body else frozenset()
    except MalformedXMLError:  # a layer of the user has written another body
        return None


def _find_json_error(response: Response) -> APIError | None:
    """Returns the error of a response of the one operation that returns JSON."""
    try:
        known = json.loads(response.content)
    except (ValueError, RecursionError):
        raise response._content_error("is not JSON") from None
    if not isinstance(known, dict) or "retcode" not in known:
        raise response._content_error("has no retcode, although this operation has one")
    code, message = str(known["retcode"]), str(known.get("retmsg", ""))
    return None if code == "0" else BadRequestError(explain(response, code, message), code, message, known, response)

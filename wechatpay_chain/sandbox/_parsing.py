"""Parses the content of a request and checks it; an error is refused with the service's status, code and detail."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from wechatpay_chain._messages.json_body import encode_json
from wechatpay_chain.sandbox._http import SandboxRequest
from wechatpay_chain.sandbox._multipart import Part, parse_multipart
from wechatpay_chain.sandbox._operations.account import Refusal
from wechatpay_chain.sandbox._schema import InvalidField, Schema, check

__all__ = ["check_fields", "is_upload", "make_param_error", "parse_json", "parse_json_body", "parse_upload"]


def parse_upload(request: SandboxRequest) -> list[Part]:
    """Returns the meta and the file of an upload, in this order.

    Args:
        request: the request of an upload.

    Raises:
        Refusal: the body is not multipart/form-data with these two parts.
    """
    parts = parse_multipart(request.headers.get("Content-Type", ""), request.body)
    if not is_upload(parts):
        raise make_param_error(
            InvalidField("", None, "must be multipart/form-data with two parts, of which the first is meta"), "body"
        )
    return parts


def is_upload(parts: list[Part]) -> bool:
    """Tells whether the parts are those of an upload: the meta and a file.

    Args:
        parts: the parts of a body.
    """
    return [part.name == "meta" for part in parts] == [True, False]


def parse_json_body(request: SandboxRequest) -> Any:
    """Returns the JSON body of a request.

    Args:
        request: the request.

    Raises:
        Refusal: the Content-Type is not application/json, or the body is refused by `parse_json`.
    """
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise make_param_error(InvalidField("Content-Type", content_type, "must be application/json"), "header")
    return parse_json(request.body)


def parse_json(text: bytes) -> Any:
    """Returns the value of a JSON text.

    Args:
        text: the text, in UTF-8.

    Raises:
        Refusal: it is not JSON in UTF-8, or contains a character that takes four bytes in UTF-8.
    """
    try:
        value = json.loads(text.decode())
        # Python's parser accepts what is not JSON, such as NaN. The package's writer refuses it.
        written = encode_json(value).decode()
    except (ValueError, RecursionError):
        raise make_param_error(InvalidField("", None, "is not JSON in UTF-8"), "body") from None
    if max(written) > "\uffff":
        issue = "contains a character that takes four bytes in UTF-8, such as an emoji"
        raise make_param_error(InvalidField("", None, issue), "body")
    return value


def check_fields(value: Any, schema: Schema, decrypt: Callable[[str], str | None], location: str) -> Any:
    """Checks a value against its schema and returns it with its encrypted fields decrypted.

    Args:
        value: the value.
        schema: its schema.
        decrypt: decrypts one field, or returns None if that fails.
        location: "body" or "query".

    Raises:
        Refusal: the value does not conform to the schema.
    """
    try:
        return check(value, schema, decrypt)
    except InvalidField as error:
        raise make_param_error(error, location) from None


def make_param_error(error: InvalidField, location: str) -> Refusal:
    """Returns the refusal of a request with an invalid field.

    Args:
        error: the field and the reason.
        location: "body", "query" or "header".
    """
    name = error.field if location == "body" else error.field.removeprefix("/")
    detail = {"field": name, "value": error.value, "issue": error.issue, "location": location}
    return Refusal(400, "PARAM_ERROR", "参数错误", detail)

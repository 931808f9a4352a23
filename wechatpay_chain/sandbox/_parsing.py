"""Parses the content of a request and checks it; an error is refused with the service's status, code and detail."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from wechatpay_chain._messages.json_body import encode_json
from wechatpay_chain.sandbox._http import SandboxRequest
from wechatpay_chain.sandbox._multipart import Part, parse_multipart
from wechatpay_chain.sandbox._operations.account import Refusal
from wechatpay_chain.sandbox._schema import Checker, InvalidField

__all__ = [
    "check_fields",
    "is_upload",
    "make_param_error",
    "parse_json",
    "parse_json_body",
    "parse_query",
    "parse_typed",
    "parse_upload",
]


def parse_upload(request: SandboxRequest) -> list[Part]:
    """Returns the meta and the file of an upload, in this order; they may be sent in any order.

    Args:
        request: the request of an upload.

    Raises:
        Refusal: the body is not multipart/form-data with these two parts; the meta has a file name, or the file has no type.
    """
    parts = parse_multipart(request.headers.get("Content-Type", ""), request.body)
    if not is_upload(parts):
        raise make_param_error(
            InvalidField("", None, "must be multipart/form-data with two parts, of which one is meta"), "body"
        )
    meta, file = sorted(parts, key=lambda part: part.name != "meta")
    if meta.file_name is not None:  # the service takes it for a file, and finds nothing that is signed
        raise Refusal(401, "SIGN_ERROR", "错误的签名，验签失败")
    if not file.content_type:
        raise make_param_error(InvalidField(f"/{file.name}", None, "must have a Content-Type"), "body")
    return [meta, file]


def is_upload(parts: list[Part]) -> bool:
    """Tells whether the parts are those of an upload: the meta and a file, in any order.

    Args:
        parts: the parts of a body.
    """
    return len(parts) == 2 and sorted(part.name == "meta" for part in parts) == [False, True]


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


def parse_query(target: str, checker: Checker | None) -> dict[str, Any]:
    """Returns the query parameters of a request target, each of the type that its schema has.

    Args:
        target: the request target in origin form.
        checker: checks them; None if the operation has none.
    """
    query: dict[str, Any] = {}
    for name, value in parse_qsl(target.partition("?")[2], keep_blank_values=True):
        kind = checker.type_of(name) if checker else "string"
        if kind == "array":
            query.setdefault(name, []).append(value)
        else:
            query[name] = parse_typed(value, kind)
    return query


def parse_typed(text: str, kind: str) -> str | int | bool:
    """Returns a text as a value of a type; one that does not have the form of the type stays a text.

    Args:
        text: the text.
        kind: the type that its schema has.
    """
    if kind == "integer" and re.fullmatch("-?[0-9]{1,18}", text):
        return int(text)
    return text == "true" if kind == "boolean" and text in ("true", "false") else text


def check_fields(value: Any, checker: Checker, decrypt: Callable[[str], str | None], location: str) -> Any:
    """Checks a value against its schema and returns it with its encrypted fields decrypted.

    Args:
        value: the value.
        checker: checks it.
        decrypt: decrypts one field, or returns None if that fails.
        location: "body" or "query".

    Raises:
        Refusal: the value does not conform to the schema.
    """
    try:
        return checker.check(value, decrypt)
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

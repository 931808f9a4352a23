"""Reads the fields of a request of APIv2, and checks them, the signature and the TLS certificate by the rule of the operation."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from wechatpay_chain import crypto
from wechatpay_chain._catalogue import operations as catalogue
from wechatpay_chain._catalogue.v2_rule import V2Rule
from wechatpay_chain._messages.xml_body import MalformedXMLError, parse_xml
from wechatpay_chain._schemes.apiv2 import HMAC_SHA256, MD5, compute_signature, compute_workwx_signature
from wechatpay_chain.errors import DecryptionError
from wechatpay_chain.sandbox._http import SandboxRequest
from wechatpay_chain.sandbox._keys import Keys
from wechatpay_chain.sandbox._multipart import parse_multipart
from wechatpay_chain.sandbox._operations.account import Refusal
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Operation, UploadedFile
from wechatpay_chain.sandbox._parsing import check_fields, parse_query, parse_typed
from wechatpay_chain.sandbox._schema import Checker

__all__ = ["check_request", "describe_problem", "read_fields"]

_MISSING = "is required and missing"

_CONTRADICTORY = ("/papay/", "/pay/pap", "/pay/partner/pap", "/pay/downloadbill")
"""Operations that have no sign_type by some pages and an optional one by others: it is accepted."""

_TO_USERS = ("/mmpaymkttransfers/", "/mmpaysptrans/")
"""Operations that pay users. Some of them have the appid by another name, or none."""


def read_fields(request: SandboxRequest, operation: Operation) -> tuple[dict[str, str], UploadedFile | None]:
    """Returns the fields of a request that have a value, and the file of an upload.

    Args:
        request: the request.
        operation: its operation.

    Raises:
        Refusal: it cannot be read.
    """
    if request.method == "GET":
        return _drop_empty(dict(parse_qsl(request.target.partition("?")[2], keep_blank_values=True))), None
    if operation.upload:
        return _read_form(request)
    try:
        fields = parse_xml(request.body)
    except MalformedXMLError as error:
        raise Refusal(400, "PARAM_ERROR", f"XML格式错误：{error}") from None
    if any(not isinstance(value, str) for value in fields.values()):
        raise Refusal(400, "PARAM_ERROR", "XML格式错误：has elements within elements")
    if max("".join([*fields, *fields.values()]), default="") > "\uffff":  # a reference can write one too
        raise Refusal(400, "PARAM_ERROR", "XML格式错误：contains a character that takes four bytes in UTF-8")
    return _drop_empty(fields), None


def _read_form(request: SandboxRequest) -> tuple[dict[str, str], UploadedFile]:
    parts = parse_multipart(request.headers.get("Content-Type", ""), request.body)
    files = [part for part in parts if part.file_name is not None]
    if len(files) != 1:
        raise Refusal(400, "PARAM_ERROR", "请求须为multipart/form-data，并包含一个文件")
    fields = {part.name: part.content.decode(errors="replace") for part in parts if part.file_name is None}
    file = files[0]
    return _drop_empty(fields), UploadedFile(file.name, file.file_name or "", file.content)


def _drop_empty(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}


def check_request(
    keys: Keys,
    request: SandboxRequest,
    operation: Operation,
    rule: V2Rule,
    fields: Mapping[str, str],
    file: UploadedFile | None,
    certificate: bytes | None,
) -> CheckedRequest:
    """Returns a request whose fields, signature and TLS certificate have been checked.

    Args:
        keys: the keys of the merchant and of the service.
        request: the request.
        operation: its operation.
        rule: the rule of the operation.
        fields: the fields of the request.
        file: the file of an upload.
        certificate: the TLS certificate that some operations require, in DER; None if the server asks for none.

    Raises:
        Refusal: a field, the signature or the certificate is not valid.
    """
    is_get = request.method == "GET"
    checker = operation.query if is_get else operation.body
    checked = _check_fields(keys, checker, fields) if checker else dict(fields)
    _refuse_unknown(operation, fields)
    if rule.merchant and fields.get(rule.merchant) != keys.number:
        raise Refusal(400, "PARAM_ERROR", f"商户号{rule.merchant}不存在")
    if rule.signs:
        _verify(keys, rule, fields)
    if rule.certificate and certificate is not None and request.certificate != certificate:
        raise Refusal(400, "PARAM_ERROR", "证书验证失败：此接口须使用商户API证书建立双向TLS连接")
    if is_get:
        return CheckedRequest({}, checked, {}, None, request.origin)
    return CheckedRequest({}, parse_query(request.target, operation.query), checked, file, request.origin)


def _check_fields(keys: Keys, checker: Checker, fields: Mapping[str, str]) -> dict[str, Any]:
    key = keys.card_key

    def decrypt(ciphertext: str) -> str:
        try:
            return crypto.decrypt(ciphertext, key)
        except DecryptionError:
            raise Refusal(400, "PARAM_ERROR", "密文无法解密，须用risk/getpublickey返回的公钥加密") from None

    kinds = {name: checker.type_of(name) for name in fields}
    plain = {name: value.lower() if kinds[name] == "boolean" else value for name, value in fields.items()}  # TRUE
    typed = {name: parse_typed(value, kinds[name]) for name, value in plain.items()}
    checked: dict[str, Any] = check_fields(typed, checker, decrypt, "body")
    return checked


def _refuse_unknown(operation: Operation, fields: Mapping[str, str]) -> None:
    """Refuses fields that the operation does not have and that callers add to all: the service takes the signature for wrong."""
    known = catalogue.find_operation(operation.method, operation.path)
    schema = (known.query if known.method == "GET" else known.body or known.form) if known else None
    refused = ("nonce_str", "sign_type", *(("appid",) if operation.path.startswith(_TO_USERS) else ()))
    for name in refused:
        is_accepted = name == "sign_type" and operation.path.startswith(_CONTRADICTORY)
        if schema and name in fields and name not in schema["properties"] and not is_accepted:
            raise Refusal(400, "SIGN_ERROR", f"签名错误：此接口没有参数{name}")


def _verify(keys: Keys, rule: V2Rule, fields: Mapping[str, str]) -> None:
    allowed = rule.sign_types or (MD5, HMAC_SHA256)
    sign_type = fields.get("sign_type", rule.sign_types[0] if rule.sign_types else MD5)
    if sign_type not in allowed:
        raise Refusal(400, "PARAM_ERROR", f"sign_type只能为{'或'.join(allowed)}")
    if rule.workwx:
        named = {name: fields.get(name, "") for name in rule.workwx}
        second = compute_workwx_signature(named, keys.workwx_secret)
        if not hmac.compare_digest(second.encode(), fields.get("workwx_sign", "").encode()):
            raise Refusal(400, "SIGN_ERROR", "企业微信签名错误")
    expected = compute_signature(fields, keys.apiv2_key.encode(), sign_type)
    if not hmac.compare_digest(expected.encode(), fields.get("sign", "").encode()):
        raise Refusal(400, "SIGN_ERROR", "签名错误")


def describe_problem(refusal: Refusal) -> str:
    """Returns the text of an error, which names the field if one is not valid.

    Args:
        refusal: the refusal.
    """
    detail = refusal.body.get("detail", {})
    name, message = str(detail.get("field", "")).removeprefix("/"), str(refusal.body["message"])
    if not name:
        return message
    return f"缺少参数{name}" if detail["issue"] == _MISSING else f"{name}参数格式错误：{detail['issue']}"

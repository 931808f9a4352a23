"""The sandbox's gateway: a request in, the answer out, no I/O.

It is as strict as the service: what is wrong with a request gets the status, the code and the shape of error that the
service gives it. See https://pay.weixin.qq.com/doc/v3/merchant/4012081709 for the rules of requests.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from wechatpay_chain import crypto
from wechatpay_chain.errors import DecryptionError
from wechatpay_chain.http import (
    AUTHORIZATION_SCHEME,
    Headers,
    json_bytes,
    parse_authorization,
    request_message,
    response_message,
)
from wechatpay_chain.sandbox.keys import Keys, Signer
from wechatpay_chain.sandbox.operations import OPERATIONS, Account, Asked, Operation, Refusal
from wechatpay_chain.sandbox.schema import Fault, Schema, check

__all__ = ["Answer", "Call", "Gateway"]

CLOCK_WINDOW = 300
"""Seconds that a merchant's clock may be off."""

REFUSED = 268435457
"""The number at the end of a Request-ID when a call was refused; 0 when it was not."""

SHOWN_OF_BODY = 8
"""Characters of the body that a SIGN_ERROR repeats."""


class Call(NamedTuple):
    """A request as it came over the wire."""

    method: str
    target: str
    headers: Headers
    body: bytes


class Answer(NamedTuple):
    """What goes back over the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Gateway:
    """Answers calls for one merchant.

    Args:
        keys: of both sides.
        sign_with: which key signs; None does as the service does while a merchant moves from the certificate to the
            public key: the key that the call names in Wechatpay-Serial, or the certificate
            (https://pay.weixin.qq.com/doc/v3/merchant/4012154180).
        clock: Unix time in seconds.
    """

    def __init__(self, keys: Keys, sign_with: Signer | None = None, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._sign_with = sign_with
        self._clock = clock
        self._public_key = keys.merchant.public_key()
        self._account = Account(keys)

    def answer(self, call: Call) -> Answer:
        """The answer to a call. Refusals before the merchant is known are not signed, as the service does not."""
        request_id = crypto.nonce(20).upper()
        headers = {"Request-ID": f"{request_id}-{REFUSED}"}
        path = call.target.partition("?")[0]
        routes = {
            operation.method: (operation, found) for operation in OPERATIONS if (found := _match(operation, path))
        }
        if call.method not in routes:
            return Answer(405 if routes else 404, headers, b"")
        operation, found = routes[call.method]
        signed = False
        try:
            self._authenticate(call)
            signed = True
            asked = self._read(call, operation, {name: unquote(value) for name, value in found.groupdict().items()})
            status, result = operation.handle(self._account, asked)
        except Refusal as refusal:
            status, result = refusal.status, refusal.answer
        if status < 300:
            headers["Request-ID"] = f"{request_id}-0"
        body = b"" if result is None else json.dumps(result, ensure_ascii=False).encode(errors="replace")
        if body:
            headers["Content-Type"] = "application/json; charset=utf-8"
        return Answer(status, {**headers, **self._signature(call, body)} if signed else headers, body)

    def _authenticate(self, call: Call) -> None:
        if not call.headers.get("Accept") or not call.headers.get("User-Agent"):
            raise Refusal(400, "INVALID_REQUEST", "Http头缺少Accept或User-Agent")
        header = call.headers.get("Authorization", "")
        if header and not header.startswith(f"{AUTHORIZATION_SCHEME} "):
            raise Refusal(401, "SIGN_ERROR", "Http头Authorization认证类型不正确")
        credentials = parse_authorization(header)
        items = {"mchid", "nonce_str", "signature", "timestamp", "serial_no"}
        if set(credentials) != items or not re.fullmatch("[!-~]+", credentials["nonce_str"]):
            raise Refusal(401, "SIGN_ERROR", "Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》")
        timestamp = credentials["timestamp"]
        if not re.fullmatch("[0-9]{1,12}", timestamp) or abs(int(timestamp) - int(self._clock())) >= CLOCK_WINDOW:
            raise Refusal(401, "SIGN_ERROR", "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟")
        if credentials["mchid"] != self._keys.mchid:
            raise Refusal(401, "SIGN_ERROR", "商户号与商户证书不匹配")
        if credentials["serial_no"] != self._keys.serial:
            raise Refusal(401, "SIGN_ERROR", "商户证书序列号有误。请使用签名私钥匹配的证书序列号")
        message = request_message(call.method, call.target, timestamp, credentials["nonce_str"], call.body)
        if not crypto.verify(message, credentials["signature"], self._public_key):
            raise Refusal(401, "SIGN_ERROR", "错误的签名，验签失败", _sign_information(call, message))

    def _read(self, call: Call, operation: Operation, path: Mapping[str, str]) -> Asked:
        serial = call.headers.get("Wechatpay-Serial")
        signer = self._keys.named(serial) if serial else None
        if serial and signer is None:
            raise _param_error(Fault("Wechatpay-Serial", serial, "names no key of the service"), "header")

        def decrypt(ciphertext: str) -> str | None:
            try:
                return crypto.decrypt(ciphertext, self._keys.private(signer)) if signer else None
            except DecryptionError:
                return None

        query = dict(parse_qsl(call.target.partition("?")[2], keep_blank_values=True))
        body = _json_body(call) if operation.body else {}
        return Asked(
            path,
            _checked(query, operation.query, decrypt, "query"),
            _checked(body, operation.body, decrypt, "body") if operation.body else {},
        )

    def _signature(self, call: Call, body: bytes) -> dict[str, str]:
        signer = self._sign_with or self._keys.named(call.headers.get("Wechatpay-Serial", "")) or Signer.CERTIFICATE
        timestamp, nonce = str(int(self._clock())), crypto.nonce()
        return {
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": self._keys.ids[signer],
            "Wechatpay-Signature": crypto.sign(response_message(timestamp, nonce, body), self._keys.private(signer)),
            "Wechatpay-Signature-Type": AUTHORIZATION_SCHEME,
        }


def _match(operation: Operation, path: str) -> re.Match[str] | None:
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(operation.path))
    return re.fullmatch(pattern, path)


def _sign_information(call: Call, message: bytes) -> dict[str, Any]:
    head = len(message) - len(call.body) - 1
    shown = message[:head] + call.body[:SHOWN_OF_BODY] + b"\n"
    return {
        "field": "signature",
        "issue": "sign not match",
        "location": "authorization",
        "sign_information": {
            "method": call.method,
            "url": call.target,
            "truncated_sign_message": shown.decode(errors="replace"),
            "sign_message_length": len(message),
        },
    }


def _json_body(call: Call) -> Any:
    content_type = call.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise _param_error(Fault("Content-Type", content_type, "must be application/json"), "header")
    try:
        value = json.loads(call.body.decode())
        written = json_bytes(value).decode()  # refuses what JSON has no word for, which Python reads all the same
    except (ValueError, RecursionError):
        raise _param_error(Fault("", None, "is not JSON in UTF-8"), "body") from None
    if max(written) > "\uffff":
        raise _param_error(Fault("", None, "holds a character of four bytes in UTF-8, such as an emoji"), "body")
    return value


def _checked(value: Any, schema: Schema, decrypt: Callable[[str], str | None], location: str) -> Any:
    try:
        return check(value, schema, decrypt)
    except Fault as fault:
        raise _param_error(fault, location) from None


def _param_error(fault: Fault, location: str) -> Refusal:
    named = fault.field if location == "body" else fault.field.removeprefix("/")
    detail = {"field": named, "value": fault.value, "issue": fault.issue, "location": location}
    return Refusal(400, "PARAM_ERROR", "参数错误", detail)

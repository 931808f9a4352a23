"""The gateway of APIv3: takes a request and returns the response, without I/O.

It is as strict as the service: an invalid request gets the status, the code and the form of error that the service returns.
The rules of requests: https://pay.weixin.qq.com/doc/v3/merchant/4012081709.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from wechatpay_chain import crypto
from wechatpay_chain._schemes.by_key import scheme_at
from wechatpay_chain._schemes.canonical import (
    parse_authorization,
    request_message,
    response_message,
)
from wechatpay_chain.errors import DecryptionError
from wechatpay_chain.sandbox._fault_responses import respond_with_fault
from wechatpay_chain.sandbox._faults import Fault
from wechatpay_chain.sandbox._http import (
    ACCEPTED,
    REFUSED,
    SandboxRequest,
    SandboxResponse,
    Verification,
    make_request_id,
)
from wechatpay_chain.sandbox._keys import Keys, Signer
from wechatpay_chain.sandbox._multipart import Part
from wechatpay_chain.sandbox._operations.account import Account, Refusal, StoredFile
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Operation, UploadedFile
from wechatpay_chain.sandbox._parsing import (
    check_fields,
    parse_json,
    parse_json_body,
    parse_query,
    parse_upload,
)
from wechatpay_chain.sandbox._routing import Routes, to_origin_form

__all__ = ["Gateway"]

CLOCK_WINDOW = 300
"""The timestamp of a request must differ from the service's clock by less than this many seconds."""

CLOCK_SKEW = 600
"""Seconds by which the timestamp of a response is off with the faults OLD_CLOCK and FUTURE_CLOCK."""

SHOWN_OF_BODY = 8
"""Bytes of the body that the detail of a SIGN_ERROR repeats."""


class Gateway:
    """Responds to requests of APIv3 as WeChat Pay does, for one merchant and one brand.

    Args:
        keys: the keys of the merchant, and of the service for it.
        find_brand: returns the same of the brand. Its keys are made when they are first asked for.
        sign_with: the key that signs every response. None does as the service does while a merchant moves from the
            certificate to the public key: it signs with the key that the request names in Wechatpay-Serial, or with the
            certificate (https://pay.weixin.qq.com/doc/v3/merchant/4012154180).
        clock: returns the Unix time in seconds for signatures.
        calendar: returns the Unix time in seconds by which orders are placed and bills are made.
        seed: makes the numbers that the service assigns repeatable.
        keep: how many orders, refunds and other things of each kind are remembered.
    """

    def __init__(
        self,
        keys: Keys,
        find_brand: Callable[[], Keys],
        sign_with: Signer | None = None,
        clock: Callable[[], float] = time.time,
        calendar: Callable[[], float] = time.time,
        seed: int = 0,
        keep: int = 10_000,
    ) -> None:
        self._keys, self._find_brand = keys, find_brand
        self.sign_with = sign_with
        self._clock = clock
        self.account = Account(keys, calendar, seed, keep)
        self.routes = Routes()

    def respond(self, request: SandboxRequest, fault: Fault | None = None) -> SandboxResponse:
        """Returns the response to a request.

        Args:
            request: the request as it was received.
            fault: the fault of the response; None for a correct response.
        """
        if fault is Fault.ROTATION:
            self._keys.rotate()
        elif fault is Fault.PUBLIC_KEY:
            self.sign_with = Signer.PUBLIC_KEY
        response = respond_with_fault(fault, lambda: self._respond(request))
        if "Wechatpay-Signature" in response.headers:
            return response._replace(headers=self.break_signature(response.headers, response.body, fault))
        return response

    def break_signature(self, headers: Mapping[str, str], body: bytes, fault: Fault | None) -> Mapping[str, str]:
        """Returns signature headers with a fault.

        Args:
            headers: headers with a valid signature.
            body: the body that is signed.
            fault: the fault; None, or a fault that does not concern the signature, changes nothing.
        """
        match fault:
            case Fault.WRONG_SIGNATURE:
                wrong = self._sign(headers["Wechatpay-Serial"], body + b" ", 0)
                return {**headers, **wrong}
            case Fault.SIGNTEST:
                return {**headers, "Wechatpay-Signature": f"WECHATPAY/SIGNTEST/{crypto.nonce(324)}"}
            case Fault.OLD_CLOCK:
                return {**headers, **self._sign(headers["Wechatpay-Serial"], body, -CLOCK_SKEW)}
            case Fault.FUTURE_CLOCK:
                return {**headers, **self._sign(headers["Wechatpay-Serial"], body, CLOCK_SKEW)}
            case Fault.UNKNOWN_SERIAL:
                return {**headers, "Wechatpay-Serial": crypto.nonce(40).upper()}
            case Fault.MISSING_HEADER:
                # The nonce is random, so each of the four headers is missing in about a quarter of the responses.
                names = ("Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Serial", "Wechatpay-Signature")
                missing = names[int(headers["Wechatpay-Nonce"][-1], 16) % len(names)]
                return {name: value for name, value in headers.items() if name != missing}
        return headers

    def sign(self, keys: Keys, body: bytes, named: str = "") -> dict[str, str]:
        """Returns the headers of a valid signature.

        Args:
            keys: the keys of the customer who gets it.
            body: the body to sign.
            named: the id of the key that the request names; empty if it names none.
        """
        names_public_key = keys.ids[Signer.PUBLIC_KEY] == named
        signer = self.sign_with or (Signer.PUBLIC_KEY if names_public_key else Signer.CERTIFICATE)
        return self._sign(keys.ids.get(signer, keys.ids[Signer.PUBLIC_KEY]), body, 0)

    def _sign(self, key_id: str, body: bytes, skew: float) -> dict[str, str]:
        keys = self._keys if self._keys.has_key(key_id) else self._find_brand()
        key = keys.find_private_key(key_id)
        timestamp, nonce = str(int(self._clock() + skew)), crypto.nonce()
        return {
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": key_id,
            "Wechatpay-Signature": crypto.sign(response_message(timestamp, nonce, body), key),
            "Wechatpay-Signature-Type": keys.scheme.name,
        }

    def _respond(self, request: SandboxRequest) -> SandboxResponse:
        """Returns the correct response. Like the service's, it is signed only if the request's signature has been verified."""
        request = request._replace(target=to_origin_form(request.target))
        operation, variables = self.routes.find_operation(request)
        keys = self._find_brand() if scheme_at(request.target.lstrip("/").partition("/")[0]).root else self._keys
        headers, is_authenticated = {"Request-ID": make_request_id(REFUSED)}, False
        signed, problem = request.body, ""
        try:
            parts = parse_upload(request) if operation.upload else []
            signed = parts[0].content if parts else request.body
            self._authenticate(request, signed, keys)
            is_authenticated = True
            status, result = operation.handle(self.account, self._check(request, operation, variables, parts, keys))
        except Refusal as refusal:
            status, result = refusal.status, refusal.body
            headers.update(refusal.headers)
            problem = "" if is_authenticated else refusal.body["message"]
        verification = Verification(signed, problem)
        if status < 300:
            headers["Request-ID"] = make_request_id(ACCEPTED)
        if isinstance(result, StoredFile):  # files are not signed: https://pay.weixin.qq.com/doc/v3/merchant/4013053420
            headers["Content-Type"] = result.content_type
            return SandboxResponse(status, headers, result.content, verification=verification)
        body = b"" if result is None else json.dumps(result, ensure_ascii=False).encode(errors="replace")
        if body:
            headers["Content-Type"] = "application/json; charset=utf-8"
        if not is_authenticated:
            return SandboxResponse(status, headers, body, verification=verification)
        signature = self.sign(keys, body, request.headers.get("Wechatpay-Serial", ""))
        return SandboxResponse(status, {**headers, **signature}, body, verification=verification)

    def _authenticate(self, request: SandboxRequest, signed: bytes, keys: Keys) -> None:
        """Verifies the signature of a request.

        Args:
            request: the request.
            signed: the bytes that are signed: the body, or the meta of an upload.
            keys: the keys of the customer whose operation it is.

        Raises:
            Refusal: the signature is not valid, or the request lacks a required header.
        """
        if not request.headers.get("Accept") or not request.headers.get("User-Agent"):
            raise Refusal(400, "INVALID_REQUEST", "Http头缺少Accept或User-Agent")
        header, scheme = request.headers.get("Authorization", ""), keys.scheme
        if header and not header.startswith(f"{scheme.name} "):
            raise Refusal(401, "SIGN_ERROR", "Http头Authorization认证类型不正确")
        credentials = parse_authorization(header)
        items = {scheme.identity, "nonce_str", "signature", "timestamp", "serial_no"}
        if set(credentials) != items or not re.fullmatch("[!-~]+", credentials["nonce_str"]):
            raise Refusal(401, "SIGN_ERROR", "Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》")
        timestamp = credentials["timestamp"]
        if not re.fullmatch("[0-9]{1,12}", timestamp) or abs(int(timestamp) - int(self._clock())) >= CLOCK_WINDOW:
            raise Refusal(401, "SIGN_ERROR", "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟")
        if credentials[scheme.identity] != keys.number:
            raise Refusal(401, "SIGN_ERROR", "商户号与商户证书不匹配")
        if credentials["serial_no"] != keys.serial:
            raise Refusal(401, "SIGN_ERROR", "商户证书序列号有误。请使用签名私钥匹配的证书序列号")
        message = request_message(request.method, request.target, timestamp, credentials["nonce_str"], signed)
        if not crypto.verify(message, credentials["signature"], keys.private.public_key()):
            raise Refusal(401, "SIGN_ERROR", "错误的签名，验签失败", _describe_message(request, message, signed))
        if not scheme.has_certificates and not keys.has_key(request.headers.get("Wechatpay-Serial", "")):
            raise Refusal(400, "INVALID_REQUEST", "Http头Wechatpay-Serial须为该品牌的微信支付公钥ID")

    def _check(
        self, request: SandboxRequest, operation: Operation, variables: Mapping[str, str], parts: list[Part], keys: Keys
    ) -> CheckedRequest:
        """Checks the fields of a request and decrypts those that are encrypted.

        Args:
            request: the request.
            operation: its operation.
            variables: its path variables.
            parts: the meta and the file of an upload; empty if it is no upload.
            keys: the keys of the customer whose operation it is.

        Raises:
            Refusal: a field is not valid.
        """
        # An SDK names the merchant's own certificate in every request; that matters only if a field is encrypted.
        serial = request.headers.get("Wechatpay-Serial", "")
        key = keys.find_private_key(serial) if keys.has_key(serial) else None

        def decrypt(ciphertext: str) -> str | None:
            try:
                return crypto.decrypt(ciphertext, key) if key else None
            except DecryptionError:
                return None

        query = parse_query(request.target, operation.query)
        if parts:
            meta, file = parts
            body = parse_json(meta.content)
            uploaded, checked = UploadedFile(file.name, file.file_name or "", file.content), operation.body
        else:
            checked = operation.body if request.body or operation.body_required else None
            body, uploaded = parse_json_body(request) if checked else {}, None
        return CheckedRequest(
            variables,
            check_fields(query, operation.query, decrypt, "query") if operation.query else query,
            check_fields(body, checked, decrypt, "body") if checked else {},
            uploaded,
            request.origin,
        )


def _describe_message(request: SandboxRequest, message: bytes, signed: bytes) -> dict[str, Any]:
    """Returns the detail of a SIGN_ERROR: the message that was verified, its body shortened."""
    head = len(message) - len(signed) - 1
    shown = message[:head] + signed[:SHOWN_OF_BODY] + b"\n"
    return {
        "field": "signature",
        "issue": "sign not match",
        "location": "authorization",
        "sign_information": {
            "method": request.method,
            "url": request.target,
            "truncated_sign_message": shown.decode(errors="replace"),
            "sign_message_length": len(message),
        },
    }

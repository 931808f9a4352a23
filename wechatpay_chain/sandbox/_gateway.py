"""The sandbox's gateway: a request in, the answer out, no I/O.

It is as strict as the service: what is wrong with a request gets the status, the code and the shape of error that the
service gives it. See https://pay.weixin.qq.com/doc/v3/merchant/4012081709 for the rules of requests.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from difflib import SequenceMatcher
from functools import cache
from itertools import zip_longest
from typing import Any, NamedTuple, NoReturn
from urllib.parse import parse_qsl, unquote

from wechatpay_chain import crypto
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.json_body import encode_json
from wechatpay_chain._schemes.canonical import (
    AUTHORIZATION_SCHEME,
    parse_authorization,
    request_message,
    response_message,
)
from wechatpay_chain.errors import DecryptionError
from wechatpay_chain.sandbox._faults import Delivery, Fault
from wechatpay_chain.sandbox._keys import Keys, Signer
from wechatpay_chain.sandbox._multipart import Part, read_multipart
from wechatpay_chain.sandbox._operations import OPERATIONS, Account, Asked, File, Operation, Raw, Refusal
from wechatpay_chain.sandbox._schema import Misfit, Schema, check

__all__ = ["Answer", "Call", "Gateway", "malformed"]

CLOCK_WINDOW = 300
"""Seconds that a merchant's clock may be off."""

REFUSED = 268435457
"""The number at the end of a Request-ID when a call was refused; 0 when it was not."""

SHOWN_OF_BODY = 8
"""Characters of the body that a SIGN_ERROR repeats."""

COMPARED = 256
"""Characters of an unknown path that are compared with those that the sandbox knows, and shown."""


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
    delivery: Delivery = Delivery.WHOLE


class Gateway:
    """Answers calls for one merchant.

    Args:
        keys: of both sides.
        sign_with: which key signs; None does as the service does while a merchant moves from the certificate to the
            public key: the key that the call names in Wechatpay-Serial, or the certificate
            (https://pay.weixin.qq.com/doc/v3/merchant/4012154180).
        clock: Unix time in seconds, which signatures carry.
        calendar: Unix time in seconds, by which orders are placed and bills are made.
    """

    def __init__(
        self,
        keys: Keys,
        sign_with: Signer | None = None,
        clock: Callable[[], float] = time.time,
        calendar: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self.sign_with = sign_with
        self._clock = clock
        self._public_key = keys.merchant.public_key()
        self.account = Account(keys, calendar)

    def answer(self, call: Call, fault: Fault | None = None) -> Answer:
        """The answer to a call, with what is to go wrong with it.

        Args:
            call: as it came.
            fault: what goes wrong; None is nothing.
        """
        if fault is Fault.ROTATION:
            self._keys.rotate()
        elif fault is Fault.PUBLIC_KEY:
            self.sign_with = Signer.PUBLIC_KEY
        if fault is None:
            return self._answer(call)
        if instead := _INSTEAD.get(fault):
            return _identified(instead)
        answer = self._answer(call)
        if after := _AFTER.get(fault):
            return _identified(after)
        answer = answer._replace(delivery=_DELIVERIES.get(fault, Delivery.WHOLE))
        if "Wechatpay-Signature" in answer.headers:
            return answer._replace(headers=self.spoilt(answer.headers, answer.body, fault))
        return answer

    def spoilt(self, headers: Mapping[str, str], body: bytes, fault: Fault | None) -> Mapping[str, str]:
        """The headers of a signature with what goes wrong with them."""
        match fault:
            case Fault.WRONG_SIGNATURE:
                return {**headers, **self.signature(Signer.CERTIFICATE, body + b" "), **_named(headers)}
            case Fault.SIGNTEST:
                return {**headers, "Wechatpay-Signature": f"WECHATPAY/SIGNTEST/{crypto.nonce(324)}"}
            case Fault.OLD_CLOCK:
                return {**headers, **self._signed(headers["Wechatpay-Serial"], body, -FAR)}
            case Fault.FUTURE_CLOCK:
                return {**headers, **self._signed(headers["Wechatpay-Serial"], body, FAR)}
            case Fault.UNKNOWN_SERIAL:
                return {**headers, "Wechatpay-Serial": crypto.nonce(40).upper()}
            case Fault.MISSING_HEADER:
                # Each of the four in turn, by whatever the nonce says.
                names = ("Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Serial", "Wechatpay-Signature")
                missing = names[int(headers["Wechatpay-Nonce"][-1], 16) % len(names)]
                return {name: value for name, value in headers.items() if name != missing}
        return headers

    def _answer(self, call: Call) -> Answer:
        """The right answer. Refusals before the merchant is known are not signed, as the service does not."""
        call = call._replace(target=_origin_form(call.target))
        operation = _find_operation(call)
        headers, signed = {"Request-ID": _request_id(REFUSED)}, False
        try:
            parts = _parts(call) if operation.upload else []
            self._authenticate(call, parts[0].content if parts else call.body)
            signed = True
            status, result = operation.handle(self.account, self._read(call, operation, parts))
        except Refusal as refusal:
            status, result = refusal.status, refusal.answer
            headers.update(refusal.headers)
        if status < 300:
            headers["Request-ID"] = _request_id(0)
        if isinstance(result, Raw):  # files are not signed: https://pay.weixin.qq.com/doc/v3/merchant/4013053420
            return Answer(status, {**headers, "Content-Type": result.content_type}, result.content)
        body = b"" if result is None else json.dumps(result, ensure_ascii=False).encode(errors="replace")
        if body:
            headers["Content-Type"] = "application/json; charset=utf-8"
        if not signed:
            return Answer(status, headers, body)
        named = self._keys.ids[Signer.PUBLIC_KEY] == call.headers.get("Wechatpay-Serial")
        signer = self.sign_with or (Signer.PUBLIC_KEY if named else Signer.CERTIFICATE)
        return Answer(status, {**headers, **self.signature(signer, body)}, body)

    def _authenticate(self, call: Call, signed: bytes) -> None:
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
        message = request_message(call.method, call.target, timestamp, credentials["nonce_str"], signed)
        if not crypto.verify(message, credentials["signature"], self._public_key):
            raise Refusal(401, "SIGN_ERROR", "错误的签名，验签失败", _sign_information(call, message, signed))

    def _read(self, call: Call, operation: Operation, parts: list[Part]) -> Asked:
        serial = call.headers.get("Wechatpay-Serial")
        key = self._keys.private(serial) if serial and self._keys.knows(serial) else None
        if serial and key is None:
            raise _param_error(Misfit("Wechatpay-Serial", serial, "names no key of the service"), "header")

        def decrypt(ciphertext: str) -> str | None:
            try:
                return crypto.decrypt(ciphertext, key) if key else None
            except DecryptionError:
                return None

        query = dict(parse_qsl(call.target.partition("?")[2], keep_blank_values=True))
        if parts:
            meta, file = parts
            body = _json(meta.content)
            asked_file = File(file.name, file.file_name, file.content)
        else:
            body, asked_file = _json_body(call) if operation.body else {}, None
        return Asked(
            _path_values(operation, call.target),
            _checked(query, operation.query, decrypt, "query"),
            _checked(body, operation.body, decrypt, "body") if operation.body else {},
            asked_file,
            call.headers.get("Host", ""),
        )

    def signature(self, signer: Signer, body: bytes) -> dict[str, str]:
        """The headers that prove a body to be the service's.

        Args:
            signer: which key signs.
            body: what is signed.
        """
        return self._signed(self._keys.ids[signer], body, 0)

    def _signed(self, key_id: str, body: bytes, skew: float) -> dict[str, str]:
        key = self._keys.private(key_id)
        timestamp, nonce = str(int(self._clock() + skew)), crypto.nonce()
        return {
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": key_id,
            "Wechatpay-Signature": crypto.sign(response_message(timestamp, nonce, body), key),
            "Wechatpay-Signature-Type": AUTHORIZATION_SCHEME,
        }


FAR = 600
"""Seconds that a wrong clock is off."""


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {"Wechatpay-Serial": headers["Wechatpay-Serial"]}


def _request_id(outcome: int) -> str:
    return f"{crypto.nonce(20).upper()}-{outcome}"


def _identified(answer: Answer) -> Answer:
    return answer._replace(headers={"Request-ID": _request_id(REFUSED), **answer.headers})


def _error(status: int, code: str, message: str, **headers: str) -> Answer:
    body = json.dumps({"code": code, "message": message}, ensure_ascii=False).encode()
    return Answer(status, {"Content-Type": "application/json; charset=utf-8", **headers}, body)


def malformed(status: int) -> Answer:
    """Returns the answer to what is no request of HTTP/1.1.

    Args:
        status: which says what is wrong with it, mostly 400.
    """
    return _identified(_error(status, "INVALID_REQUEST", "This is no request of HTTP/1.1: see RFC 9112."))


# Of these nothing is signed, and so nothing in them is proven; that is what they are for.
_INSTEAD = {
    Fault.UNAUTHORIZED: _error(401, "SIGN_ERROR", "错误的签名，验签失败"),
    Fault.RATE_LIMITED: _error(429, "RATELIMIT_EXCEEDED", "请求过于频繁", **{"Retry-After": "1"}),
    Fault.UNAVAILABLE: _error(503, "SERVICE_UNAVAILABLE", "服务不可用"),
    Fault.HTML: Answer(502, {"Content-Type": "text/html"}, b"<html><h1>502 Bad Gateway</h1></html>"),
    Fault.DROPPED_BEFORE: Answer(200, {}, b"", Delivery.NOTHING),
}
_AFTER = {
    Fault.SYSTEM_ERROR: _error(500, "SYSTEM_ERROR", "系统错误"),
    Fault.BAD_GATEWAY: Answer(502, {}, b""),
}
_DELIVERIES = {
    Fault.DROPPED_AFTER: Delivery.NOTHING,
    Fault.SLOW: Delivery.LATE,
    Fault.CUT_BODY: Delivery.HALF,
}


def _parts(call: Call) -> list[Part]:
    """The meta and the file of an upload, in this order."""
    if not _is_upload(parts := read_multipart(call.headers.get("Content-Type", ""), call.body)):
        raise _param_error(
            Misfit("", None, "must be multipart/form-data of two parts, of which the first is meta"), "body"
        )
    return parts


def _is_upload(parts: list[Part]) -> bool:
    return [part.name == "meta" for part in parts] == [True, False]


def _origin_form(target: str) -> str:
    """Returns the path and the query of a target that may be an absolute URL, as clients send to a proxy.

    Source: https://www.rfc-editor.org/rfc/rfc9112#section-3.2
    """
    rest = re.sub("^https?://[^/?#]*", "", target, flags=re.IGNORECASE)
    return rest if rest and not rest.startswith("?") else f"/{rest}"


def _find_operation(call: Call) -> Operation:
    """Returns the operation that a call asks for; one that refuses the call where the sandbox knows none."""
    path = call.target.partition("?")[0]
    at_path = [operation for operation in OPERATIONS if _pattern(operation.path).fullmatch(path)]
    return next((operation for operation in at_path if operation.method == call.method), None) or _refusing(
        call, path, at_path
    )


def _refusing(call: Call, path: str, at_path: list[Operation]) -> Operation:
    """Returns an operation that refuses its call, and names the nearest one that the sandbox knows.

    Args:
        call: which no operation takes.
        path: of the call.
        at_path: the operations of that path, which take other methods.
    """
    shown = path if len(path) <= COMPARED else f"{path[:COMPARED]}…"

    def likeness(operation: Operation) -> float:
        # What stands in the place of a variable says nothing.
        pairs = zip_longest(shown.split("/"), operation.path.split("/"), fillvalue="")
        asked, known = zip(*(pair for pair in pairs if not pair[1].startswith("{")), strict=True)
        near = f"{operation.method} {'/'.join(known)}"
        return SequenceMatcher(None, f"{call.method} {'/'.join(asked)}", near, autojunk=False).ratio()

    def refuse(_account: Account, _asked: Asked) -> NoReturn:
        nearest = max(at_path or OPERATIONS, key=likeness)
        message = (
            f"This sandbox does not know {call.method} {shown}. The nearest operation that it knows is "
            f"{nearest.method} {nearest.path}."
        )
        if at_path:
            allowed = ", ".join(operation.method for operation in at_path)
            raise Refusal(405, "METHOD_NOT_ALLOWED", message, headers={"Allow": allowed})
        raise Refusal(404, "NOT_FOUND", message)

    # What is signed of an upload is its meta, also where nobody knows the operation.
    parts = read_multipart(call.headers.get("Content-Type", ""), call.body)
    return Operation(call.method, path, refuse, upload=_is_upload(parts))


def _path_values(operation: Operation, target: str) -> dict[str, str]:
    found = _pattern(operation.path).fullmatch(target.partition("?")[0])
    return {name: unquote(value) for name, value in found.groupdict().items()} if found else {}


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(template)))


def _sign_information(call: Call, message: bytes, signed: bytes) -> dict[str, Any]:
    head = len(message) - len(signed) - 1
    shown = message[:head] + signed[:SHOWN_OF_BODY] + b"\n"
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
        raise _param_error(Misfit("Content-Type", content_type, "must be application/json"), "header")
    return _json(call.body)


def _json(text: bytes) -> Any:
    try:
        value = json.loads(text.decode())
        written = encode_json(value).decode()  # refuses what JSON has no word for, which Python reads all the same
    except (ValueError, RecursionError):
        raise _param_error(Misfit("", None, "is not JSON in UTF-8"), "body") from None
    if max(written) > "\uffff":
        raise _param_error(Misfit("", None, "holds a character of four bytes in UTF-8, such as an emoji"), "body")
    return value


def _checked(value: Any, schema: Schema, decrypt: Callable[[str], str | None], location: str) -> Any:
    try:
        return check(value, schema, decrypt)
    except Misfit as misfit:
        raise _param_error(misfit, location) from None


def _param_error(misfit: Misfit, location: str) -> Refusal:
    named = misfit.field if location == "body" else misfit.field.removeprefix("/")
    detail = {"field": named, "value": misfit.value, "issue": misfit.issue, "location": location}
    return Refusal(400, "PARAM_ERROR", "参数错误", detail)

"""The gateway of APIv2: takes a request and returns the response, without I/O.

A request is XML, the query of a GET, or the form of an upload, and its signature is one of its fields. An error has status 200: in
`return_code` if the request is not understood, which is unsigned, else in `result_code`.
Source: https://pay.weixin.qq.com/doc/v2/merchant/4011985891
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from wechatpay_chain import crypto
from wechatpay_chain._catalogue import operations as catalogue
from wechatpay_chain._catalogue.v2_rule import V2Rule
from wechatpay_chain._pipeline.apiv2 import find_rule
from wechatpay_chain._schemes.apiv2 import MD5, compute_signature
from wechatpay_chain.sandbox._checks_v2 import check_request, describe_problem, read_fields
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
from wechatpay_chain.sandbox._operations.account import Account, Refusal, StoredFile
from wechatpay_chain.sandbox._operations.operation import Operation
from wechatpay_chain.sandbox._routing import Routes, to_origin_form
from wechatpay_chain.sandbox._xml import to_texts, write_xml

__all__ = ["GatewayV2"]

_CODES = {
    "ORDER_CLOSED": "ORDERCLOSED",
    "ORDER_NOT_EXIST": "ORDERNOTEXIST",
    "RESOURCE_NOT_EXISTS": "ORDERNOTEXIST",
    "NOT_ENOUGH": "NOTENOUGH",
    "NO_AUTH": "NOAUTH",
    "PAYOUT_NOT_EXIST": "NOT_FOUND",
}
"""The error codes of APIv2 for those of APIv3, where they are others; that of a payment to a user, which is also that of a path."""

_MALFORMED = ("PARAM_ERROR", "SIGN_ERROR", "NOT_FOUND", "METHOD_NOT_ALLOWED")
"""The codes of requests that are not understood."""

_MALFORMED_BILL = "20001"
"""The error_code of a request for a bill that is not understood."""

_SUCCESS = {"return_code": "SUCCESS", "return_msg": "OK", "result_code": "SUCCESS"}
_REPEATED = ("appid", "mch_id", "sub_appid", "sub_mch_id", "device_info")
"""The fields of a request that its response repeats, if it has them."""


class GatewayV2:
    """Responds to requests of APIv2 as WeChat Pay does, for one merchant.

    Args:
        account: the merchant's account, which is the same for APIv3.
        routes: finds the operations.
        asks_certificate: whether the server asks for the TLS certificate of the merchant, which some operations then require.
    """

    def __init__(self, account: Account, routes: Routes, *, asks_certificate: bool) -> None:
        self._account, self._routes = account, routes
        certificate = x509.load_pem_x509_certificate(account.keys.certificate.encode())
        self._certificate = certificate.public_bytes(Encoding.DER) if asks_certificate else None

    def respond(self, request: SandboxRequest, fault: Fault | None = None) -> SandboxResponse:
        """Returns the response to a request.

        Args:
            request: the request as it was received.
            fault: the fault of the response; None for a correct response. Of the faults of signatures, WRONG_SIGNATURE and
                MISSING_HEADER have an effect: the sign is wrong, or missing.
        """
        return respond_with_fault(fault, lambda: self._respond(request, fault))

    def _respond(self, request: SandboxRequest, fault: Fault | None) -> SandboxResponse:
        request = request._replace(target=to_origin_form(request.target))
        operation, _ = self._routes.find_operation(request)
        rule = find_rule(request.method, request.target.partition("?")[0])
        fields: Mapping[str, str] = {}
        problem, outcome, result = "", REFUSED, None
        try:
            fields, file = read_fields(request, operation)
            checked = check_request(self._account.keys, request, operation, rule, fields, file, self._certificate)
            status, result = operation.handle(self._account, checked)
            outcome = ACCEPTED
        except Refusal as refusal:
            code, problem = refusal.body["code"], describe_problem(refusal)
            # An operation that does not exist has the status too.
            status = refusal.status if code in ("NOT_FOUND", "METHOD_NOT_ALLOWED") else 200
            result = _describe_refusal(operation, code, problem)
            problem = problem if code == "SIGN_ERROR" else ""
        headers = {"Request-ID": make_request_id(outcome)}
        verification = Verification(request.body, problem)
        if isinstance(result, StoredFile):
            headers["Content-Type"] = result.content_type
            return SandboxResponse(status, headers, result.content, verification=verification)
        if status == 302:
            headers["Location"] = str(result and result["location"])
            return SandboxResponse(status, headers, b"", verification=verification)
        if _is_json(operation):
            headers["Content-Type"] = "application/json; charset=utf-8"
            body = json.dumps(result, ensure_ascii=False).encode()
        else:
            headers["Content-Type"] = "text/plain"  # as the service has it
            body = write_xml(self._complete(operation, rule, fields, result or {}, fault))
        return SandboxResponse(status, headers, body, verification=verification)

    def _complete(
        self,
        operation: Operation,
        rule: V2Rule,
        fields: Mapping[str, str],
        result: Mapping[str, Any],
        fault: Fault | None,
    ) -> dict[str, Any]:
        """Returns the fields of a response: what every response has, the result, and the signature."""
        if result.get("return_code", "SUCCESS") != "SUCCESS":
            return to_texts(result)
        members = _list_members(operation)
        common = {**_SUCCESS, **{name: fields[name] for name in _REPEATED if name in fields}}
        known = {
            name: value for name, value in common.items() if name in ("return_code", "return_msg") or name in members
        }
        sign_type = fields.get("sign_type") or (rule.sign_types or (MD5,))[0]
        written = {"nonce_str": crypto.nonce(), "sign_type": sign_type}
        completed = to_texts({**known, **result, **{name: value for name, value in written.items() if name in members}})
        if not rule.signed:
            return completed
        key = crypto.nonce() if fault is Fault.WRONG_SIGNATURE else self._account.keys.apiv2_key
        if fault is not Fault.MISSING_HEADER:
            completed["sign"] = compute_signature(completed, key.encode(), sign_type)
        return completed


def _list_members(operation: Operation) -> Mapping[str, Any]:
    """Returns the schemas of the fields of a response; the usual ones if the operation is not documented."""
    known = catalogue.find_operation(operation.method, operation.path)
    if known is None:
        return {name: {} for name in (*_SUCCESS, *_REPEATED, "nonce_str")}
    members: Mapping[str, Any] = known.response.get("properties", {}) if known.response else {}
    return members


def _is_json(operation: Operation) -> bool:
    known = catalogue.find_operation(operation.method, operation.path)
    return known is not None and known.produces == ("application/json",)


def _describe_refusal(operation: Operation, code: str, problem: str) -> dict[str, Any]:
    """Returns the fields of the response to a request that is refused."""
    if _is_json(operation):
        return {"retcode": -1, "retmsg": problem}
    members = _list_members(operation)
    if "result_code" not in members:
        number = {"error_code": code if code.isdecimal() else _MALFORMED_BILL} if "error_code" in members else {}
        return {"return_code": "FAIL", "return_msg": problem, **number}
    if code in _MALFORMED:
        return {"return_code": "FAIL", "return_msg": problem}
    return {"result_code": "FAIL", "err_code": _CODES.get(code, code), "err_code_des": problem}

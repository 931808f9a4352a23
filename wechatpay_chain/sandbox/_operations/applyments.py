"""Applyments of sub-merchants: their states, and the operations that submit, query and revoke them.

Two kinds: those of /v3/applyment4sub, and those of /v3/ecommerce/applyments. Sources:
https://pay.weixin.qq.com/wiki/doc/apiv3/wxpay/tool/applyment4sub/chapter3_2.shtml and
https://pay.weixin.qq.com/docs/partner/apis/ecommerce-merchant-application/applyment/get-state-by-out-request-no.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from wechatpay_chain.errors import ConfigurationError
from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result

__all__ = ["APPLYMENT_HANDLERS", "Applyment"]


class Process(NamedTuple):
    """The states that one kind of applyment goes through.

    Attributes:
        first: the state after it was submitted.
        names: the states, with their descriptions.
        next: the states that may follow each, without those that follow a new submission.
        editable: the states in which it can be submitted anew with the same number.
        delays: how long a state lasts at most, and the state that follows by itself.
    """

    first: str
    names: Mapping[str, str]
    next: Mapping[str, tuple[str, ...]]
    editable: tuple[str, ...]
    delays: Mapping[str, tuple[timedelta, str]]


_SUB_MERCHANT = Process(
    "AUDITING",
    {
        "EDITTING": "编辑中",
        "AUDITING": "审核中",
        "REJECTED": "已驳回",
        "TO_BE_CONFIRMED": "待账户验证",
        "TO_BE_SIGNED": "待签约",
        "SIGNING": "开通权限中",
        "FINISHED": "已完成",
        "CANCELED": "已作废",
    },
    {
        "AUDITING": ("EDITTING", "REJECTED", "TO_BE_CONFIRMED", "TO_BE_SIGNED"),
        "TO_BE_CONFIRMED": ("TO_BE_SIGNED", "REJECTED"),
        "TO_BE_SIGNED": ("SIGNING", "CANCELED"),
        "SIGNING": ("FINISHED",),
    },
    ("EDITTING", "REJECTED"),
    {
        "TO_BE_CONFIRMED": (timedelta(days=10), "REJECTED"),
        "TO_BE_SIGNED": (timedelta(days=30), "CANCELED"),
        "SIGNING": (timedelta(minutes=30), "FINISHED"),
    },
)
_ECOMMERCE = Process(
    "CHECKING",
    {
        "CHECKING": "资料校验中",
        "ACCOUNT_NEED_VERIFY": "待账户验证",
        "AUDITING": "审核中",
        "REJECTED": "已驳回",
        "NEED_SIGN": "待签约",
        "FINISH": "完成",
        "FROZEN": "已冻结",
        "CANCELED": "已作废",
    },
    {
        "CHECKING": ("ACCOUNT_NEED_VERIFY", "AUDITING", "REJECTED", "FROZEN", "CANCELED"),
        "ACCOUNT_NEED_VERIFY": ("AUDITING", "REJECTED", "FROZEN", "CANCELED"),
        "AUDITING": ("NEED_SIGN", "REJECTED", "FROZEN", "CANCELED"),
        "NEED_SIGN": ("FINISH", "FROZEN", "CANCELED"),
        "REJECTED": ("CANCELED",),
    },
    ("REJECTED",),
    {},
)


@dataclass
class Applyment:
    """An applyment of a sub-merchant. WeChat Pay and the sub-merchant move it from state to state.

    Attributes:
        number: its business_code or out_request_no.
        applyment_id: the number that the service assigned.
        submitted: the body of the last submission, decrypted.
        sub_mchid: the merchant number that the sub-merchant gets.
        reject_field: the member that the audit objects to.
        reject_reason: why it does; empty if it does not.
    """

    number: str
    applyment_id: int
    submitted: dict[str, Any] = field(repr=False)
    sub_mchid: str
    _process: Process = field(repr=False, compare=False)
    _account: Account = field(repr=False, compare=False)
    _state: str
    _since: datetime
    reject_field: str = ""
    reject_reason: str = ""

    @property
    def state(self) -> str:
        """The state, in /v3/applyment4sub without APPLYMENT_STATE_.

        There, some states end by themselves on the sandbox's clock: TO_BE_CONFIRMED is REJECTED after 10 days, TO_BE_SIGNED is
        CANCELED after 30 days, and SIGNING is FINISHED after 30 minutes.
        """
        length, following = self._process.delays.get(self._state, (timedelta.max, ""))
        return following if self._account.now() - self._since >= length else self._state

    def move(self, state: str, *, reason: str = "资料不清晰，请重新上传", field: str = "id_card_copy") -> None:
        """Moves it to another state, as the audit or the sub-merchant does.

        Args:
            state: the new state, in /v3/applyment4sub without APPLYMENT_STATE_.
            reason: why it is REJECTED or FROZEN.
            field: the member of the body that is the reason.

        Raises:
            ConfigurationError: this state cannot follow the present one.
        """
        with self._account.lock:
            following = self._process.next.get(self.state, ())
            if state not in following:
                expected = f"one of {', '.join(following)}" if following else "none"
                raise ConfigurationError(f"state: came {state!r}; after {self.state} expected {expected}")
            self._enter(state)
            if state in ("REJECTED", "FROZEN"):
                self.reject_field, self.reject_reason = field, reason

    def _enter(self, state: str) -> None:
        self._state, self._since = state, self._account.now()
        self.reject_field = self.reject_reason = ""

    @property
    def _refusal(self) -> tuple[str, str] | None:
        """The member that the audit objects to, and the reason; None if it does not."""
        if self.state not in ("REJECTED", "FROZEN"):
            return None
        return (self.reject_field, self.reject_reason) if self.reject_reason else ("bank_account_info", "账户验证超时")


def _submit(account: Account, number: str, process: Process, body: Mapping[str, Any]) -> Applyment:
    """Returns the applyment of a number, which is submitted anew if its state allows that.

    Raises:
        Refusal: the number is that of another applyment that is in progress or has ended.
    """
    known = account.book(Applyment).get(number)
    if known is None:
        known = account.book(Applyment)[number] = Applyment(
            number,
            int(f"2000{account.number('applyment', number, digits=12)}"),
            dict(body),
            f"1{account.number('sub_mchid', number, digits=9)}",
            process,
            account,
            process.first,
            account.now(),
        )
    elif known._process is process and known.state in process.editable:
        known.submitted = dict(body)
        known._enter(process.first)
    elif known._process is not process or known.submitted != body:
        raise Refusal(400, "RESOURCE_ALREADY_EXISTS", "存在流程进行中的申请单，请检查是否重入")
    return known


def _find(account: Account, request: CheckedRequest, process: Process) -> Applyment:
    """Returns the applyment of a request, by the merchant's number or the service's.

    Raises:
        Refusal: there is no such applyment.
    """
    ((_, number),) = request.path.items()
    for known in list(account.book(Applyment).values()):
        if known._process is process and number in (known.number, str(known.applyment_id)):
            return known
    raise Refusal(404, "RESOURCE_NOT_EXISTS", "申请单不存在")


def _sign_url(applyment: Applyment) -> str:
    return f"https://pay.weixin.qq.com/public/apply4ec_sign/s?applymentId={applyment.applyment_id}"


def _submit_sub_merchant(account: Account, request: CheckedRequest) -> Result:
    applyment = _submit(account, request.body["business_code"], _SUB_MERCHANT, request.body)
    return 200, {"applyment_id": applyment.applyment_id}


def _query_sub_merchant(account: Account, request: CheckedRequest) -> Result:
    applyment = _find(account, request, _SUB_MERCHANT)
    state = applyment.state
    body: dict[str, Any] = {
        "business_code": applyment.number,
        "applyment_id": applyment.applyment_id,
        "applyment_state": f"APPLYMENT_STATE_{state}",
        "applyment_state_msg": _SUB_MERCHANT.names[state],
    }
    if state in ("TO_BE_CONFIRMED", "TO_BE_SIGNED"):
        body["sign_url"] = _sign_url(applyment)
    if state in ("TO_BE_SIGNED", "SIGNING", "FINISHED"):
        body["sub_mchid"] = applyment.sub_mchid
    if refusal := applyment._refusal:
        name, reason = refusal
        body["audit_detail"] = [{"field": name, "field_name": name, "reject_reason": reason}]
    return 200, body


def _submit_ecommerce(account: Account, request: CheckedRequest) -> Result:
    return 200, _describe_numbers(_submit(account, request.body["out_request_no"], _ECOMMERCE, request.body))


def _describe_numbers(applyment: Applyment) -> dict[str, Any]:
    return {"applyment_id": applyment.applyment_id, "out_request_no": applyment.number}


def _query_ecommerce(account: Account, request: CheckedRequest) -> Result:
    applyment = _find(account, request, _ECOMMERCE)
    state = applyment.state
    body: dict[str, Any] = {
        **_describe_numbers(applyment),
        "applyment_state": state,
        "applyment_state_desc": _ECOMMERCE.names[state],
        "sign_state": {"NEED_SIGN": "UNSIGNED", "FINISH": "SIGNED"}.get(state, "NOT_SIGNABLE"),
        "audit_detail": [],
    }
    if state == "ACCOUNT_NEED_VERIFY":
        body |= _describe_verification(account, applyment)
    if state == "NEED_SIGN":
        body["sign_url"] = _sign_url(applyment)
    if state in ("NEED_SIGN", "FINISH"):
        body["sub_mchid"] = applyment.sub_mchid
    if refusal := applyment._refusal:
        name, reason = refusal
        body["audit_detail"] = [{"param_name": name, "reject_reason": reason}]
    return 200, body


_BUSINESS_ACCOUNT = "74"
"""The bank_account_type of a company's account, which is verified by a transfer; others by the legal representative."""


def _describe_verification(account: Account, applyment: Applyment) -> dict[str, Any]:
    """Returns the member that says how the bank account is to be verified."""
    info = applyment.submitted["account_info"]
    if info.get("bank_account_type") != _BUSINESS_ACCOUNT:
        return {"legal_validation_url": _sign_url(applyment)}
    encrypt = account.keys.encrypt
    deadline = applyment._since + timedelta(days=10)
    validation = {
        "account_name": encrypt(info.get("account_name", "")),
        "account_no": encrypt(info.get("account_number", "")),
        "pay_amount": 1 + applyment.applyment_id % 200,
        "destination_account_number": "7222223333322332",
        "destination_account_name": "财付通支付科技有限公司",
        "destination_account_bank": "招商银行威盛大厦支行",
        "city": "深圳",
        "remark": "入驻账户验证",
        "deadline": f"{deadline:%Y-%m-%d %H:%M:%S}",
    }
    return {"account_validation": validation}


def _revoke_ecommerce(account: Account, request: CheckedRequest) -> Result:
    applyment = _find(account, request, _ECOMMERCE)
    if applyment.state != "CANCELED":
        if "CANCELED" not in _ECOMMERCE.next.get(applyment.state, ()):
            raise Refusal(400, "INVALID_REQUEST", "申请单当前状态不允许撤销")
        applyment.move("CANCELED")
    return 200, _describe_numbers(applyment)


_SUB = "/v3/applyment4sub/applyment"
_SHOP = "/v3/ecommerce/applyments"

APPLYMENT_HANDLERS: dict[tuple[str, str], Handler] = {
    ("POST", f"{_SUB}/"): _submit_sub_merchant,
    ("GET", f"{_SUB}/business_code/{{business_code}}"): _query_sub_merchant,
    ("GET", f"{_SUB}/applyment_id/{{applyment_id}}"): _query_sub_merchant,
    ("POST", f"{_SHOP}/"): _submit_ecommerce,
    ("GET", f"{_SHOP}/{{applyment_id}}"): _query_ecommerce,
    ("GET", f"{_SHOP}/out-request-no/{{out_request_no}}"): _query_ecommerce,
    ("POST", f"{_SHOP}/{{applyment_id}}/revoke"): _revoke_ecommerce,
    ("POST", f"{_SHOP}/out-request-no/{{out_request_no}}/revoke"): _revoke_ecommerce,
}

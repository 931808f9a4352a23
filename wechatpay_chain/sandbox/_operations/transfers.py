"""The operations that transfer money to a user, who confirms it: of a merchant, of a partner, and of a platform.

Source: https://pay.weixin.qq.com/doc/v3/merchant/4012711988
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from wechatpay_chain._catalogue.operations import Schema, find_event
from wechatpay_chain.errors import ConfigurationError
from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.acts import act_on, require_act
from wechatpay_chain.sandbox._operations.balances import Balances
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result
from wechatpay_chain.sandbox._operations.responses import respond, select_resource

if TYPE_CHECKING:
    from wechatpay_chain.sandbox._notifier import Notice

__all__ = ["TRANSFER_HANDLERS", "Transfer"]

CONFIRMATION_TIME = timedelta(hours=24)
"""How long the user may confirm a transfer."""

PROCESSING_TIME = timedelta(seconds=30)
"""How long a payout or a cancellation takes, unless `Transfer.finish` ends it before."""

NAMED_FROM = 200_000
"""The amount in fen from which a transfer needs the name of the user."""

_EVENT = "MCHTRANSFER.BILL.FINISHED"


class _Entered(NamedTuple):
    """A state, when it was entered, and the reason if it is a failure."""

    state: str
    time: datetime
    fail_reason: str = ""


# For each state that is not final: how long it lasts, the state that follows, and its reason.
_NEXT = {
    "WAIT_USER_CONFIRM": (CONFIRMATION_TIME, "FAIL", "OVERDUE_CLOSE"),
    "TRANSFERING": (PROCESSING_TIME, "SUCCESS", ""),
    "CANCELING": (PROCESSING_TIME, "CANCELLED", "MCH_CANCEL"),
}


@dataclass
class Transfer:
    """A transfer to a user. Its methods play the user and the service.

    It waits for the user for 24 hours, and is then closed. A payout or a cancellation is done after 30 seconds on the
    sandbox's clock. Each end is notified, if the request had a notify_url.

    Attributes:
        account: the merchant's account.
        placed: the parameters of the request, decrypted.
        transfer_bill_no: the number that the service has assigned.
        create_time: when it was requested.
    """

    account: Account = field(repr=False)
    placed: Mapping[str, Any] = field(repr=False)
    transfer_bill_no: str
    create_time: datetime
    _entered: _Entered

    @property
    def state(self) -> str:
        """The state at the time of the sandbox's clock, such as WAIT_USER_CONFIRM."""
        self.settle()
        return self._entered.state

    @property
    def fail_reason(self) -> str:
        """The reason of a failure or a cancellation, such as OVERDUE_CLOSE; empty if there is none."""
        self.settle()
        return self._entered.fail_reason

    @property
    def payer(self) -> str:
        """The number of the merchant who pays."""
        return str(self.placed.get("sub_mchid", self.account.keys.number))

    @property
    def package_info(self) -> str:
        """What the user's program opens the page of the confirmation with."""
        number = self.account.number("package_info", self.placed["out_bill_no"], digits=40)
        return base64.b64encode(number.encode()).decode()

    def confirm(self) -> None:
        """Plays the user who confirms: the money is being paid out, in the state TRANSFERING.

        Raises:
            ConfigurationError: the state is not WAIT_USER_CONFIRM.
        """
        with self.account.lock:
            self._require("WAIT_USER_CONFIRM")
            self._enter(_Entered("TRANSFERING", self.account.now()))

    def finish(self, fail_reason: str = "") -> Notice | None:
        """Ends a payout with SUCCESS or FAIL, or a cancellation with CANCELLED.

        Args:
            fail_reason: why the payout fails, such as NAME_NOT_CORRECT; empty if it succeeds.

        Returns:
            The notification; None if the request had no notify_url.

        Raises:
            ConfigurationError: the state is neither TRANSFERING nor CANCELING, there is no such reason, or a cancellation is
                to fail.
        """
        reasons = _event_schema()["properties"]["fail_reason"]["enum"]
        if fail_reason and fail_reason not in reasons:
            raise ConfigurationError(f"fail_reason: came {fail_reason!r}; expected one of {', '.join(reasons)}")
        with self.account.lock:
            self._require("TRANSFERING", *([] if fail_reason else ["CANCELING"]))
            _, state, reason = _NEXT[self._entered.state]
            ended = _Entered("FAIL", self.account.now(), fail_reason) if fail_reason else None
            return self._enter(ended or _Entered(state, self.account.now(), reason))

    def cancel(self) -> None:
        """Cancels the transfer, as the merchant may until the user has confirmed it.

        Raises:
            ConfigurationError: the user has confirmed it, or it has been closed.
        """
        with act_on(f"transfer {self.placed['out_bill_no']}", self.state, "WAIT_USER_CONFIRM"):
            _cancel_transfer(self)

    def settle(self) -> None:
        """Enters the state that time has brought about, and announces it if it is the end."""
        with self.account.lock:
            state, since, _ = self._entered
            if state in _NEXT:
                lasts, following, reason = _NEXT[state]
                if self.account.now() >= since + lasts:
                    self._enter(_Entered(following, since + lasts, reason))

    def describe(self) -> dict[str, Any]:
        """Returns all that the responses and the notification may contain, with the name of the user encrypted."""
        self.settle()
        state, time, fail_reason = self._entered
        names = ("out_bill_no", "appid", "openid", "transfer_amount", "transfer_remark", "transfer_scene_id")
        known = {name: self.placed[name] for name in names}
        if "sub_mchid" in self.placed:
            known |= {"mchid": self.account.keys.number, "sub_mchid": self.placed["sub_mchid"]}
        else:
            known["mch_id"] = self.account.keys.number
        if "user_name" in self.placed:
            known["user_name"] = self.account.keys.encrypt(self.placed["user_name"])
        if fail_reason:
            known["fail_reason"] = fail_reason
        if state == "WAIT_USER_CONFIRM":
            known["package_info"] = self.package_info
        return {
            **known,
            "transfer_bill_no": self.transfer_bill_no,
            "state": state,
            "create_time": self.create_time.isoformat(timespec="seconds"),
            "update_time": time.isoformat(timespec="seconds"),
        }

    def _require(self, *states: str) -> None:
        require_act(self.state in states, f"transfer {self.placed['out_bill_no']}", self.state, " or ".join(states))

    def _enter(self, entered: _Entered) -> Notice | None:
        self._entered = entered
        if entered.state in ("FAIL", "CANCELLED"):
            self.account.part(Balances).add(self.payer, self.placed["transfer_amount"])
        url = self.placed.get("notify_url")
        if entered.state in _NEXT or not url:
            return None
        resource = select_resource(_EVENT, self.describe())
        return self.account.announce(_EVENT, resource, url, "mch_payment", "商家转账单据终态通知")


def _event_schema() -> Schema:
    event = find_event(_EVENT)
    assert event is not None
    assert event.resources[0].schema is not None
    return event.resources[0].schema


def _place_transfer(account: Account, body: Mapping[str, Any]) -> Transfer:
    """Returns the transfer of that number, which is new if the number is.

    Raises:
        Refusal: the name of the user is missing, the number was used with other parameters, or the balance does not suffice.
    """
    number = body["out_bill_no"]
    known = account.book(Transfer).get(number)
    if known is not None:
        if known.placed != body:
            raise Refusal(400, "INVALID_REQUEST", "商户单号已存在，且请求参数与原单据不一致")
        return known
    if body["transfer_amount"] >= NAMED_FROM and not body.get("user_name"):
        raise Refusal(400, "PARAM_ERROR", "转账金额大于等于2000元时，收款用户姓名必填")
    bill_no, now = f"1330{account.number('transfer_bill_no', number, digits=36)}", account.now()
    transfer = Transfer(account, body, bill_no, now, _Entered("WAIT_USER_CONFIRM", now))
    account.part(Balances).take(transfer.payer, body["transfer_amount"])
    account.book(Transfer)[number] = transfer
    return transfer


def _cancel_transfer(transfer: Transfer) -> None:
    """Cancels a transfer. One that is cancelled, or is being cancelled, stays so.

    Raises:
        Refusal: the user has confirmed it, or it has been closed.
    """
    with transfer.account.lock:
        if transfer.state == "WAIT_USER_CONFIRM":
            transfer._enter(_Entered("CANCELING", transfer.account.now()))
        elif transfer.state not in ("CANCELING", "CANCELLED"):
            raise Refusal(400, "INVALID_REQUEST", "当前转账单状态不支持撤销")


def _find_transfer(account: Account, request: CheckedRequest) -> Transfer:
    """Returns the transfer that the path and the sub_mchid name.

    Raises:
        Refusal: there is no such transfer.
    """
    if "out_bill_no" in request.path:
        transfer = account.book(Transfer).get(request.path["out_bill_no"])
    else:
        number, known = request.path["transfer_bill_no"], list(account.book(Transfer).values())
        transfer = next((each for each in known if each.transfer_bill_no == number), None)
    sub_mchid = request.query.get("sub_mchid", request.body.get("sub_mchid"))
    if transfer is None or transfer.placed.get("sub_mchid") != sub_mchid:
        raise Refusal(404, "NOT_FOUND", "记录不存在")
    return transfer


def _make_handlers(base: str) -> dict[tuple[str, str], Handler]:
    """Returns the handlers of the operations below a path. Their responses differ in their members only.

    Args:
        base: the path at which a transfer is placed.
    """
    is_partners = "/partner/" in base

    def place(account: Account, request: CheckedRequest) -> Result:
        transfer = _place_transfer(account, request.body)
        # A merchant gets it only as long as the user may confirm, a partner always.
        package = {"package_info": transfer.package_info} if is_partners else {}
        return respond("POST", base, {**transfer.describe(), **package})

    def cancel(account: Account, request: CheckedRequest) -> Result:
        transfer = _find_transfer(account, request)
        _cancel_transfer(transfer)
        return respond("POST", f"{base}/out-bill-no/{{out_bill_no}}/cancel", transfer.describe())

    def query(account: Account, request: CheckedRequest) -> Result:
        return respond("GET", f"{base}/out-bill-no/{{out_bill_no}}", _find_transfer(account, request).describe())

    return {
        ("POST", base): place,
        ("POST", f"{base}/out-bill-no/{{out_bill_no}}/cancel"): cancel,
        ("GET", f"{base}/out-bill-no/{{out_bill_no}}"): query,
        # Its response has the same members; partners lack this operation.
        **({} if is_partners else {("GET", f"{base}/transfer-bill-no/{{transfer_bill_no}}"): query}),
    }


TRANSFER_HANDLERS: dict[tuple[str, str], Handler] = {
    **_make_handlers("/v3/fund-app/mch-transfer/transfer-bills"),
    **_make_handlers("/v3/fund-app/mch-transfer/partner/transfer-bills"),
    **_make_handlers("/v3/ecommerce/mch-transfer/transfer-bills"),
}

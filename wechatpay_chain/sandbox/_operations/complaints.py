"""The complaints of payers: what payers and WeChat Pay do with them.

A complaint is PENDING until the merchant's first response, then PROCESSING until it is completed, its refund is rejected, or its
approved refund has arrived. Then it is PROCESSED, until the payer repeats it.
Source: https://pay.weixin.qq.com/docs/merchant/apis/consumer-complaint/complaints/complete-complaint-v2.html and the pages beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from wechatpay_chain.errors import ConfigurationError
from wechatpay_chain.sandbox._operations.account import Account, StoredFile
from wechatpay_chain.sandbox._operations.acts import require_act

if TYPE_CHECKING:
    from wechatpay_chain.sandbox._notifier import Notice
    from wechatpay_chain.sandbox._operations.orders import Order

from wechatpay_chain.sandbox._operations.orders import Order

__all__ = ["PROBLEMS", "Complaint", "open_complaint", "record_refund"]

PROBLEMS = {"REFUND": "申请退款", "SERVICE_NOT_WORK": "服务权益未生效", "OTHERS": "其他问题"}
"""The description of each type of problem."""

_PAYER = "投诉人"


@dataclass
class Complaint:
    """A payer's complaint about an order. Its methods are what the payer and WeChat Pay do.

    Each method posts COMPLAINT.STATE_CHANGE to the URL of /v3/merchant-service/complaint-notifications. It returns the
    notification, or None if there is no URL. It raises a ConfigurationError if the state of the complaint does not allow it.

    Attributes:
        complaint_id: the number of the complaint.
        mchid: the merchant number that it is about; with a service provider, that of the sub-merchant.
        order: out_trade_no, transaction_id and amount, in fen, of the order.
        detail: what the payer wrote.
        problem_type: REFUND, SERVICE_NOT_WORK or OTHERS.
        refund: the refund that the payer asks for, in fen; None if none.
        time: when it was made.
        state: PENDING, PROCESSING or PROCESSED.
        times: how many times the payer has complained.
        has_new_reply: True if the payer has written and the merchant has not responded.
        is_approved: True if the merchant has approved the refund.
        in_platform_service: True while WeChat Pay helps.
        history: what was done, oldest first, as in the negotiation history; images as media IDs.
    """

    complaint_id: str
    mchid: str
    order: dict[str, Any]
    detail: str
    problem_type: str
    refund: int | None
    time: datetime
    _order: Order = field(repr=False, compare=False)
    _account: Account = field(repr=False, compare=False)
    state: str = "PENDING"
    times: int = 1
    has_new_reply: bool = False
    is_approved: bool = False
    in_platform_service: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_refunded(self) -> bool:
        """True if the whole amount of the order has been refunded."""
        refunded: int = sum(refund.amount for refund in self._order.refunds if refund.status == "SUCCESS")
        return refunded == self._order.total

    def reply(self, text: str, images: Sequence[bytes] = ()) -> Notice | None:
        """The payer writes again.

        Args:
            text: what they write.
            images: the pictures that they add.
        """
        with self._account.lock:
            self._require(self.state != "PROCESSED", "PENDING or PROCESSING")
            self.has_new_reply = True
            return self._record(_PAYER, "USER_RESPONSE", "USER_RESPONSE", text, self._store(images))

    def repeat(self, text: str) -> Notice | None:
        """The payer complains again after the complaint was processed; it is PENDING again.

        Args:
            text: what they write.
        """
        with self._account.lock:
            self._require(self.state == "PROCESSED", "PROCESSED")
            self.state, self.times, self.is_approved = "PENDING", self.times + 1, False
            return self._record(_PAYER, "USER_CONTINUE_COMPLAINT", "CONTINUE_COMPLAINT", text)

    def withdraw(self) -> None:
        """The payer withdraws the complaint; it is PROCESSED. There is no notification of this."""
        with self._account.lock:
            self._require(self.state != "PROCESSED", "PENDING or PROCESSING")
            self.state, self.has_new_reply = "PROCESSED", False
            self._record(_PAYER, "USER_REVOKE_COMPLAINT")

    def apply_platform_service(self, reason: str = "商家响应不及时") -> Notice | None:
        """The payer asks WeChat Pay for help.

        Args:
            reason: why they do.
        """
        with self._account.lock:
            self._require(not self.in_platform_service, "one without the help of WeChat Pay")
            self.in_platform_service = True
            more = {"user_appy_platform_service_reason": reason}  # the service's spelling
            return self._record(_PAYER, "USER_APPLY_PLATFORM_SERVICE", "USER_APPLY_PLATFORM_SERVICE", **more)

    def cancel_platform_service(self) -> Notice | None:
        """The payer no longer asks WeChat Pay for help."""
        with self._account.lock:
            self._require(self.in_platform_service, "one with the help of WeChat Pay")
            self.in_platform_service = False
            return self._record(_PAYER, "USER_CANCEL_PLATFORM_SERVICE", "USER_CANCEL_PLATFORM_SERVICE")

    def finish_platform_service(self, text: str = "") -> Notice | None:
        """WeChat Pay ends its help.

        Args:
            text: the result.
        """
        with self._account.lock:
            self._require(self.in_platform_service, "one with the help of WeChat Pay")
            self.in_platform_service = False
            return self._record("微信支付客服", "PLATFORM_SERVICE_FINISHED", "PLATFORM_SERVICE_FINISHED", text)

    def _require(self, is_possible: bool, expected: str) -> None:
        require_act(is_possible, f"complaint {self.complaint_id}", self.state, expected)

    def _store(self, images: Sequence[bytes]) -> list[str]:
        """Stores pictures of the payer and returns their media IDs."""
        stored = {
            self._account.number(self.complaint_id, len(self.history), index, digits=32): StoredFile(
                "image/jpeg", content
            )
            for index, content in enumerate(images)
        }
        for media_id, image in stored.items():
            self._account.files[media_id] = image
        return list(stored)

    def _record(
        self,
        operator: str,
        operate_type: str,
        action_type: str = "",
        text: str = "",
        images: Sequence[str] = (),
        **more: Any,
    ) -> Notice | None:
        """Adds an entry to the history and announces it.

        Args:
            operator: who did it.
            operate_type: its name in the history.
            action_type: its name in the notification; empty for no notification.
            text: the details.
            images: media IDs.
            **more: more members of the entry.
        """
        entry = {
            "log_id": self._account.number(self.complaint_id, "log", len(self.history), digits=27),
            "operator": operator,
            "operate_time": self._account.now().isoformat(timespec="milliseconds"),
            "operate_type": operate_type,
            **({"operate_details": text} if text else {}),
            **({"images": list(images)} if images else {}),
            **more,
        }
        self.history.append(entry)
        if not action_type or not self._account.complaint_url:
            return None
        event = "COMPLAINT.CREATE" if action_type == "CREATE_COMPLAINT" else "COMPLAINT.STATE_CHANGE"
        resource = {"complaint_id": self.complaint_id, "action_type": action_type}
        return self._account.announce(event, resource, self._account.complaint_url, "complaint", "用户投诉通知")


def open_complaint(
    account: Account, out_trade_no: str, detail: str, problem_type: str, refund: int | None, images: Sequence[bytes]
) -> Complaint:
    """Makes a payer's complaint about an order, and posts COMPLAINT.CREATE.

    Args:
        account: the merchant's account.
        out_trade_no: the merchant's number of the order.
        detail: what the payer writes.
        problem_type: REFUND, SERVICE_NOT_WORK or OTHERS.
        refund: the refund that the payer asks for, in fen; None for none.
        images: the pictures that they add.

    Raises:
        ConfigurationError: the order is not paid or has a complaint, there is no such problem_type, or the refund is not from
            1 to the amount of the order.
    """
    with account.lock:
        order = account.book(Order).get(out_trade_no)
        if order is None or order.payment is None:
            raise ConfigurationError(
                f"out_trade_no: came {out_trade_no!r}; expected the number of an order that is paid"
            )
        if any(known.order["out_trade_no"] == out_trade_no for known in account.book(Complaint).values()):
            raise ConfigurationError(f"out_trade_no: came {out_trade_no!r}; expected an order without a complaint")
        if problem_type not in PROBLEMS:
            raise ConfigurationError(f"problem_type: came {problem_type!r}; expected one of {', '.join(PROBLEMS)}")
        if refund is not None and not 0 < refund <= order.total:
            raise ConfigurationError(f"refund: came {refund!r}; expected an amount from 1 to {order.total}")
        numbers = {"transaction_id": order.payment.transaction_id, "out_trade_no": out_trade_no, "amount": order.total}
        complaint = Complaint(
            # A number of the service begins so, as in its examples.
            f"2002018{account.number('complaint', out_trade_no, digits=20)}",
            order.payee,
            numbers,
            detail,
            problem_type,
            refund,
            account.now(),
            order,
            account,
        )
        account.book(Complaint)[complaint.complaint_id] = complaint
        complaint._record(_PAYER, "USER_CREATE_COMPLAINT", "CREATE_COMPLAINT", detail, complaint._store(images))
        return complaint


def record_refund(account: Account, order: Order) -> None:
    """Records in the complaint about an order, if there is one, that a refund has arrived at the payer.

    If the merchant had approved the refund, the complaint is PROCESSED.

    Args:
        account: the merchant's account.
        order: the order that was refunded.
    """
    for complaint in list(account.book(Complaint).values()):
        if complaint._order is order:
            if complaint.is_approved:
                complaint.state = "PROCESSED"
            part = "FULL" if complaint.is_refunded else "PARTIAL"
            complaint._record("系统", f"COMPLAINT_{part}_REFUNDED_SYSTEM_MESSAGE", "REFUND_SUCCESS", "退款已到账")

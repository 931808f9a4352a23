"""The state of profit sharing: the receivers, and the shares of paid orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from wechatpay_chain._catalogue.operations import find_operation
from wechatpay_chain.errors import ConfigurationError

if TYPE_CHECKING:
    from wechatpay_chain.sandbox._notifier import Notice
    from wechatpay_chain.sandbox._operations.account import Account

from wechatpay_chain.sandbox._operations.acts import require_act
from wechatpay_chain.sandbox._operations.balances import Balances
from wechatpay_chain.sandbox._operations.book import Book
from wechatpay_chain.sandbox._operations.orders import find_paid_order

__all__ = [
    "FROZEN_TIME",
    "NO_TIME",
    "PROCESSING_TIME",
    "Paid",
    "Share",
    "ShareDetail",
    "ShareReceiver",
    "Sharing",
    "find_paid",
    "require_reason",
]

PROCESSING_TIME = timedelta(seconds=30)
"""How long a share or a return takes, unless its method `finish` ends it before."""

FROZEN_TIME = timedelta(days=30)
"""How long after the payment the money of an order stays frozen."""

NO_TIME = datetime(1970, 1, 1, 8, tzinfo=timezone(timedelta(hours=8)))
"""The finish_time of what is not finished."""

ReturnResult = Literal[
    "SUCCESS",
    "PROCESSING",
    "ACCOUNT_ABNORMAL",
    "BALANCE_NOT_ENOUGH",
    "TIME_OUT_CLOSED",
    "PAYER_ACCOUNT_ABNORMAL",
    "INVALID_REQUEST",
]
"""What a return comes to at once: a result, or the reason of a failure."""


class Paid(NamedTuple):
    """A paid order.

    Attributes:
        total: its amount in fen.
        refunded: what has been refunded of it, in fen.
        success_time: when it was paid.
        is_marked: whether it was placed with settle_info.profit_sharing, so that its money is frozen.
    """

    total: int
    refunded: int
    success_time: datetime
    is_marked: bool


def find_paid(account: Account, transaction_id: str) -> Paid | None:
    """Returns the paid order of a transaction ID, or None."""
    order = find_paid_order(account, transaction_id)
    if order is None or order.payment is None:
        return None
    is_marked = order.placed.get("settle_info", {}).get("profit_sharing", False)
    return Paid(order.payer_total, order.total - order.refundable, order.payment.success_time, is_marked)


@dataclass
class ShareReceiver:
    """A receiver that the merchant has added.

    Attributes:
        added: the parameters of the request, decrypted.
        allows_returns: whether the receiver allows that money is returned from its account.
        return_result: what a return from this receiver comes to at once: SUCCESS, PROCESSING, or the reason of a failure,
            such as BALANCE_NOT_ENOUGH.
    """

    added: Mapping[str, Any] = field(repr=False)
    allows_returns: bool = True
    return_result: ReturnResult = "SUCCESS"


@dataclass
class ShareDetail:
    """The part of a share that one receiver gets.

    Attributes:
        type: the type of the receiver, such as MERCHANT_ID.
        account: the receiver: a merchant number or an openid.
        amount: the amount in fen.
        description: the reason, which the receiver sees.
        detail_id: the number that the service has assigned.
        create_time: when it was requested.
        result: PENDING, SUCCESS or CLOSED.
        fail_reason: the reason of CLOSED, such as NO_RELATION; empty if there is none.
        finish_time: when it was finished; None while it is PENDING.
        is_unfrozen: True if this is the rest, which goes back to the merchant itself.
    """

    type: str
    account: str
    amount: int
    description: str
    detail_id: str
    create_time: datetime
    result: str = "PENDING"
    fail_reason: str = ""
    finish_time: datetime | None = None
    is_unfrozen: bool = False

    def describe(self) -> dict[str, Any]:
        """Returns the detail as a response has it."""
        names = ("type", "account", "amount", "description", "detail_id", "result")
        return {
            **{name: getattr(self, name) for name in names},
            **({"fail_reason": self.fail_reason} if self.fail_reason else {}),
            "create_time": self.create_time.isoformat(timespec="seconds"),
            "finish_time": (self.finish_time or NO_TIME).isoformat(timespec="seconds"),
        }


@dataclass
class Share:
    """A request to share the money of an order, or to unfreeze what is left of it.

    It is finished after 30 seconds on the sandbox's clock: every receiver gets its part.

    Attributes:
        account: the merchant's account.
        placed: the parameters of the request, decrypted.
        order_id: the number that the service has assigned.
        create_time: when it was requested.
        unfreezes: whether it unfreezes what is left, so that the order cannot be shared any more.
    """

    account: Account = field(repr=False)
    placed: Mapping[str, Any] = field(repr=False)
    order_id: str
    create_time: datetime
    unfreezes: bool
    _details: list[ShareDetail] = field(init=False)
    _is_finished: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._details = [
            self._make_detail(index, each["type"], each["account"], each["amount"], each["description"])
            for index, each in enumerate(self.placed.get("receivers", ()))
        ]

    @property
    def state(self) -> str:
        """The state at the time of the sandbox's clock: PROCESSING or FINISHED."""
        self.settle()
        return "FINISHED" if self._is_finished else "PROCESSING"

    @property
    def details(self) -> list[ShareDetail]:
        """The parts of the receivers, in the order of the request. What was unfrozen comes last."""
        self.settle()
        return self._details

    def finish(self, failures: Mapping[str, str] | None = None) -> list[Notice]:
        """Finishes the share now.

        Args:
            failures: by the account of a receiver, why it does not get its part, such as {"86693852": "NO_RELATION"}.

        Returns:
            The notifications to the receivers; none if `Sharing.notify_url` is not set.

        Raises:
            ConfigurationError: it is finished, has no such receiver, or there is no such reason.
        """
        known, accounts = failures or {}, [detail.account for detail in self._details]
        for account, reason in known.items():
            if account not in accounts:
                raise ConfigurationError(f"failures: came {account!r}; expected one of {', '.join(accounts)}")
            require_reason(reason, "/v3/profitsharing/orders")
        with self.account.lock:
            is_open = self.state == "PROCESSING"
            require_act(is_open, f"share {self.placed['out_order_no']}", self.state, "PROCESSING: finish it once")
            return self._finish(known, self.account.now())

    def settle(self) -> None:
        """Finishes the share if its time has come."""
        with self.account.lock:
            due = self.create_time + PROCESSING_TIME
            if not self._is_finished and self.account.now() >= due:
                self._finish({}, due)

    def _finish(self, failures: Mapping[str, str], time: datetime) -> list[Notice]:
        self._is_finished = True
        for detail in self._details:
            detail.fail_reason = failures.get(detail.account, "")
            detail.result, detail.finish_time = "CLOSED" if detail.fail_reason else "SUCCESS", time
        received = [detail for detail in self._details if detail.result == "SUCCESS"]
        for detail in received:
            self.account.part(Balances).add(self.payer, -detail.amount)
            self.account.part(Balances).add(detail.account, detail.amount)
        self._unfreeze(time)
        sharing, number = self.account.part(Sharing), self.placed["out_order_no"]
        told = (sharing.announce("分账", self, self.order_id, number, detail, time) for detail in received)
        return [notice for notice in told if notice]

    def _unfreeze(self, time: datetime) -> None:
        """Gives the merchant what is left, once a share of this order that unfreezes is finished."""
        shares = self.account.part(Sharing).find_shares(self.placed["transaction_id"])
        left = self.account.part(Sharing).frozen_at(self.placed["transaction_id"], time)
        if left and any(share.unfreezes and share._is_finished for share in shares):
            rest = self._make_detail(len(self._details), "MERCHANT_ID", self.payer, left, "解冻给分账方")
            rest.result, rest.finish_time, rest.is_unfrozen = "SUCCESS", time, True
            self._details.append(rest)

    @property
    def payer(self) -> str:
        """The merchant whose order is shared."""
        return str(self.placed.get("sub_mchid", self.account.keys.number))

    def _make_detail(self, index: int, kind: str, account: str, amount: int, description: str) -> ShareDetail:
        number = f"36{self.account.number('detail_id', self.placed['out_order_no'], index, digits=21)}"
        return ShareDetail(kind, account, amount, description, number, self.create_time)


@dataclass
class Sharing:
    """The profit sharing of a merchant.

    Attributes:
        account: the merchant's account.
        receivers: the receivers by sub_mchid, type and account; sub_mchid is empty for a merchant that shares its own money.
        orders: the shares by out_order_no, which are also those that only unfreeze.
        returns: the returns by out_return_no, each a `ShareReturn`.
        max_ratio: the largest part of an order that can be shared, in 1/10,000.
        notify_url: the URL at which receivers are notified; empty if none listens.
    """

    account: Account = field(repr=False)
    receivers: Book[tuple[str, str, str], ShareReceiver] = field(init=False)
    orders: Book[str, Share] = field(init=False)
    returns: Book[str, Any] = field(init=False)
    max_ratio: int = 3000
    notify_url: str = ""

    def __post_init__(self) -> None:
        keep = self.account.keep
        self.receivers, self.orders, self.returns = Book(keep), Book(keep), Book(keep)

    def find_shares(self, transaction_id: str) -> list[Share]:
        """Returns the shares of an order, the oldest first."""
        return [share for share in list(self.orders.values()) if share.placed["transaction_id"] == transaction_id]

    def count_shared(self, transaction_id: str) -> int:
        """Returns what receivers have got of an order, or will get, in fen."""
        details = (detail for share in self.find_shares(transaction_id) for detail in share._details)
        return sum(each.amount for each in details if each.result != "CLOSED" and not each.is_unfrozen)

    def count_left(self, transaction_id: str) -> int:
        """Returns what is still frozen of an order, in fen."""
        with self.account.lock:
            for share in self.find_shares(transaction_id):
                share.settle()
            return self.frozen_at(transaction_id, self.account.now())

    def frozen_at(self, transaction_id: str, time: datetime) -> int:
        """Returns what is frozen of an order at a time, in fen, by the shares as they are."""
        paid = find_paid(self.account, transaction_id)
        if paid is None or time >= paid.success_time + FROZEN_TIME:
            return 0
        details = [detail for share in self.find_shares(transaction_id) for detail in share._details]
        return max(paid.total - paid.refunded - sum(each.amount for each in details if each.result != "CLOSED"), 0)

    def settle(self) -> None:
        """Finishes the shares and the returns whose time has come."""
        for share in list(self.orders.values()):
            share.settle()
        for each in list(self.returns.values()):
            each.settle()

    def announce(
        self, summary: str, share: Share, order_id: str, out_order_no: str, detail: ShareDetail, time: datetime
    ) -> Notice | None:
        """Notifies a receiver. People are not notified, only merchants.

        Args:
            summary: a short description in Chinese.
            share: the share.
            order_id: the number that the service has assigned to the share or the return.
            out_order_no: the merchant's number of the share or the return.
            detail: what the receiver gets.
            time: when.
        """
        if detail.type != "MERCHANT_ID" or not self.notify_url:
            return None
        mchid, sub_mchid = self.account.keys.number, share.placed.get("sub_mchid")
        resource = {
            **({"sp_mchid": mchid, "sub_mchid": sub_mchid} if sub_mchid else {"mchid": mchid}),
            "transaction_id": share.placed["transaction_id"],
            "order_id": order_id,
            "out_order_no": out_order_no,
            "receiver": {name: getattr(detail, name) for name in ("type", "account", "amount", "description")},
            "success_time": time.isoformat(timespec="seconds"),
        }
        return self.account.announce("TRANSACTION.SUCCESS", resource, self.notify_url, "profitsharing", summary)


def require_reason(reason: str, path: str) -> None:
    """Checks that a reason is one of those that the responses of an operation may have.

    Raises:
        ConfigurationError: it is not.
    """
    operation = find_operation("POST", path)
    assert operation is not None
    assert operation.response is not None
    members = operation.response["properties"]
    reasons = members.get("fail_reason") or members["receivers"]["items"]["properties"]["fail_reason"]
    if reason not in reasons["enum"]:
        raise ConfigurationError(f"fail_reason: came {reason!r}; expected one of {', '.join(reasons['enum'])}")

"""A service order of WeChat Pay Score (支付分订单): its states, and what its user does.

The user confirms it, the merchant completes it with what is to be paid, and the service collects that: the collection is an
order, which is refunded by its transaction_id and listed in the bills.
Source: https://pay.weixin.qq.com/doc/v3/merchant/4013194292 and the pages of the operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from wechatpay_chain.sandbox._clock import CHINA
from wechatpay_chain.sandbox._operations.account import Account
from wechatpay_chain.sandbox._operations.acts import require_act
from wechatpay_chain.sandbox._operations.orders import UNPAID, Order
from wechatpay_chain.sandbox._operations.responses import select_resource

if TYPE_CHECKING:
    from wechatpay_chain.sandbox._notifier import Notice

__all__ = ["ServiceOrder", "parse_time"]

UNCONFIRMED = timedelta(days=30)
"""The time after which an order that its user has not confirmed expires."""

_FORMATS = {8: "%Y%m%d", 14: "%Y%m%d%H%M%S"}
"""The formats of times by their length."""


@dataclass(eq=False, repr=False)
class ServiceOrder:
    """A service order as the service knows it. Its methods do what the user does, who is not there in a sandbox.

    Attributes:
        created: the parameters that it was created with.
        order_id: the number that the service assigned.
        query_id: the number that the page of the confirmation gives to the merchant.
        created_at: when it was created.
        openid: the user; empty until the user is known.
        completed: what it was completed with, and what modifications changed since; empty before that.
        synced_time: the paid_time with which the merchant synchronized a payment by another way; empty if it has not.
        order: the order that was collected, which can be refunded; None before the payment.
    """

    created: Mapping[str, Any]
    order_id: str
    query_id: str
    created_at: datetime
    openid: str = ""
    completed: Mapping[str, Any] = field(default_factory=dict)
    synced_time: str = ""
    order: Order | None = None
    _account: Account = field(kw_only=True)
    _state: str = field(default="CREATED", kw_only=True)

    def __repr__(self) -> str:
        return f"<ServiceOrder {self.out_order_no} {self.state}>"

    @property
    def out_order_no(self) -> str:
        """The merchant's number of the service order."""
        return str(self.created["out_order_no"])

    @property
    def total(self) -> int:
        """The fen to collect; 0 before it is completed."""
        return int(self.completed.get("total_amount", 0))

    @property
    def state(self) -> str:
        """CREATED, DOING, DONE, REVOKED, or EXPIRED: not confirmed within 30 days."""
        if self._state == "CREATED" and self._account.now() >= self.created_at + UNCONFIRMED:
            return "EXPIRED"
        return self._state

    @property
    def state_description(self) -> str:
        """While it is DOING: USER_CONFIRM, and MCH_COMPLETE once it is completed. Empty in any other state."""
        if self.state != "DOING":
            return ""
        return "MCH_COMPLETE" if self.completed else "USER_CONFIRM"

    def confirm(self, *, openid: str = "", notify: bool = True) -> Notice | None:
        """Confirms the order as its user does, and posts PAYSCORE.USER_CONFIRM.

        Args:
            openid: the user; by default a made-up one.
            notify: False if the notification is lost.

        Returns:
            The notification, which is posted in another thread; None if it is lost.

        Raises:
            ConfigurationError: the order is not CREATED.
        """
        with self._account.lock:
            require_act(self.state == "CREATED", f"service order {self.out_order_no}", self.state, "CREATED")
            self.start(openid)
        return self._announce("PAYSCORE.USER_CONFIRM", "用户确认订单", notify=notify)

    def pay(
        self, *, openid: str = "", bank_type: str = "OTHERS", discount: int = 0, notify: bool = True
    ) -> Notice | None:
        """Pays what is to be collected, as the service takes it from the user, and posts PAYSCORE.USER_PAID.

        Args:
            openid: the user; by default the one that is known.
            bank_type: the bank that pays, such as CMB_DEBIT.
            discount: the fen that a coupon of the merchant pays, less than the total.
            notify: False if the notification is lost.

        Returns:
            The notification, which is posted in another thread; None if it is lost.

        Raises:
            ConfigurationError: the order has not been completed, or is DONE; or the discount is too high.
        """
        with self._account.lock:
            described, expected = self.state_description or self.state, "MCH_COMPLETE: complete it with the API first"
            require_act(described == "MCH_COMPLETE", f"service order {self.out_order_no}", described, expected)
            order = self._make_order()
            order.pay(openid=openid, bank_type=bank_type, discount=discount, notify=False)
            self._account.book(Order)[order.out_trade_no] = order
            self.order, self._state = order, "DONE"
        return self._announce("PAYSCORE.USER_PAID", "用户支付成功", notify=notify)

    def describe(self) -> dict[str, Any]:
        """Returns all that the responses and the notifications may contain."""
        times = {"start_time": f"{self.created_at:%Y%m%d%H%M%S}"}
        location = {**self.created.get("location", {}), **self.completed.get("location", {})}
        description = self.state_description
        return {
            "service_introduction": "",
            **self.created,
            **self.completed,
            "time_range": {**times, **self.created["time_range"], **self.completed.get("time_range", {})},
            **({"location": location} if location else {}),
            "mchid": self._account.keys.number,
            "order_id": self.order_id,
            "state": self.state,
            **({"state_description": description} if description else {}),
            **({"openid": self.openid} if self.openid else {}),
            **({"need_collection": self.total > 0} if self.completed else {}),
            **({"collection": self._describe_collection()} if self.total else {}),
            "package": self._account.number("package", self.out_order_no, digits=40),
        }

    def complete(self, body: Mapping[str, Any]) -> None:
        """Completes the order, as the operation of that name does.

        Args:
            body: the parameters, which have been checked.
        """
        self.completed = body
        if not self.total:
            self._state = "DONE"

    def cancel(self) -> None:
        """Cancels the order, as the operation of that name does."""
        self._state = "REVOKED"

    def synchronize(self, paid_time: str) -> None:
        """Records that the user has paid in another way, as the operation `sync` does.

        Args:
            paid_time: when, such as 20260131101500.
        """
        self.synced_time, self._state = paid_time, "DONE"

    def start(self, openid: str = "") -> None:
        """Starts the service for a user, who has confirmed it or need not.

        Args:
            openid: the user; by default the one of the request, or a made-up one.
        """
        made_up = f"o{self._account.number(self.out_order_no, 'openid', digits=27)}"
        self.openid, self._state = openid or str(self.created.get("openid", made_up)), "DOING"

    def _make_order(self) -> Order:
        """Returns the order of what is collected, with a number of the service's."""
        account, now = self._account, self._account.now()
        mchid, names = account.keys.number, ("appid", "sub_appid", "sub_mchid", "attach")
        placed = {name: self.created[name] for name in names if name in self.created}
        if "sub_mchid" in placed:
            placed |= {"sp_mchid": mchid, "sp_appid": placed.pop("appid")}
        else:
            placed["mchid"] = mchid
        placed |= {
            "out_trade_no": self.order_id,
            "description": self.created.get("service_introduction", ""),
            "amount": {"total": self.total},
            "payer": {"openid": self.openid},
            "settle_info": {"profit_sharing": bool(self.completed.get("profit_sharing"))},
        }
        return Order(placed, "AUTH", now, now + UNPAID, _account=account)

    def _describe_collection(self) -> dict[str, Any]:
        paid = self.total if self.order or self.synced_time else 0
        details: dict[str, Any] = {"seq": 1, "amount": self.total, "paid_type": "MCH", "paid_time": self.synced_time}
        if self.order and self.order.payment:
            payment = self.order.payment
            details |= {
                "paid_type": "NEWTON",
                "paid_time": f"{payment.success_time:%Y%m%d%H%M%S}",
                "transaction_id": payment.transaction_id,
                "promotion_detail": self.order.describe()["promotion_detail"],
            }
        return {
            "state": "USER_PAID" if paid else "USER_PAYING",
            "total_amount": self.total,
            "paying_amount": self.total - paid,
            "paid_amount": paid,
            **({"details": [details]} if paid else {}),
        }

    def _announce(self, event_type: str, summary: str, *, notify: bool) -> Notice | None:
        url = self.created.get("notify_url") if notify else None
        resource = select_resource(event_type, self.describe())
        return self._account.announce(event_type, resource, url, "payscore", summary)


def parse_time(text: str) -> datetime | None:
    """Returns a time of a service order, in China; None for one that is not a time.

    Args:
        text: the time, such as 20260131 or 20260131101500.
    """
    try:
        return datetime.strptime(text, _FORMATS[len(text)]).replace(tzinfo=CHINA)
    except (KeyError, ValueError):
        return None

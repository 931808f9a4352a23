"""The merchant's account: the orders, refunds and files that the sandbox remembers, and how a request is refused."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from wechatpay_chain.sandbox._keys import Keys
from wechatpay_chain.sandbox._operations.sharing import Sharing

if TYPE_CHECKING:
    from wechatpay_chain.sandbox._notifier import Notice
    from wechatpay_chain.sandbox._operations.transfers import Transfer

if TYPE_CHECKING:
    from wechatpay_chain.sandbox._notifier import Notice
    from wechatpay_chain.sandbox._operations.combined import CombinedOrder
    from wechatpay_chain.sandbox._operations.orders import Order
    from wechatpay_chain.sandbox._operations.refunds import Refund

__all__ = ["CHINA", "Account", "Refusal", "StoredFile"]

CHINA = timezone(timedelta(hours=8))
"""The time zone of the service's timestamps, such as 2018-06-08T10:34:56+08:00."""

Announce = Callable[[str, Mapping[str, Any], str, str, str], "Notice | None"]

MOST_KNOWN = 50_000
"""How many numbers are remembered."""


class Refusal(Exception):
    """An error response.

    Attributes:
        status: the HTTP status.
        headers: headers to add to the response.
        body: the JSON body: code, message, and detail if there is any.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        detail: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, code, message)
        self.status, self.headers = status, headers or {}
        self.body: dict[str, Any] = {"code": code, "message": message, **({"detail": detail} if detail else {})}


class StoredFile(NamedTuple):
    """A file that can be downloaded."""

    content_type: str
    content: bytes


@dataclass
class Account:
    """The state of one merchant at the service.

    Attributes:
        keys: the keys of the merchant and of the service.
        calendar: returns the Unix time in seconds, by which orders are placed and bills are made.
        orders: the orders by out_trade_no, also the sub-orders of combined orders.
        combined_orders: the combined orders by combine_out_trade_no.
        refunds: the refunds by out_refund_no.
        files: the files that can be downloaded, by media ID or token.
        transfers: the transfers to users by out_bill_no.
        sharing: the profit sharing: receivers, shares and returns.
        seed: makes the numbers that the service assigns repeatable.
        announce: posts a notification: event type, resource, URL, original type, summary.
        lock: is held while a state is read and changed, because users act in other threads than requests.
    """

    keys: Keys
    calendar: Callable[[], float]
    seed: int = 0
    announce: Announce = lambda *_: None
    orders: dict[str, Order] = field(default_factory=dict)
    combined_orders: dict[str, CombinedOrder] = field(default_factory=dict)
    refunds: dict[str, Refund] = field(default_factory=dict)
    files: dict[str, StoredFile] = field(default_factory=dict)
    transfers: dict[str, Transfer] = field(default_factory=dict)
    sharing: Sharing = field(init=False, repr=False)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _known: OrderedDict[tuple[str, str], Mapping[str, Any]] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self.sharing = Sharing(self)

    def reset(self) -> None:
        """Forgets everything but the keys."""
        self.orders.clear()
        self.combined_orders.clear()
        self.refunds.clear()
        self.files.clear()
        self.transfers.clear()
        self.sharing = Sharing(self)
        self._known.clear()

    def settle(self) -> None:
        """Enters the states that time has brought about, so that they are notified although nobody reads them."""
        for transfer in list(self.transfers.values()):
            transfer.settle()
        self.sharing.settle()

    def remember(self, numbers: Iterable[tuple[str, str]], known: Mapping[str, Any]) -> None:
        """Stores what is known under each of some numbers; the oldest are forgotten.

        Args:
            numbers: names and values that identify it.
            known: what was sent and answered.
        """
        for number in numbers:
            self._known[number] = known
            self._known.move_to_end(number)
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    def recall(self, name: str, value: object) -> Mapping[str, Any]:
        """Returns what is known under a number; nothing if it was not given before."""
        return self._known.get((name, str(value)), {})

    def identity(self, schema: Mapping[str, Any]) -> dict[str, str]:
        """Returns the merchant's own numbers that a schema requires."""
        return {name: self.keys.mchid for name in ("mchid", "sp_mchid") if name in schema["required"]}

    def number(self, *parts: object, digits: int) -> str:
        """Returns a number that the service assigns: digits that depend on the seed and on these parts only.

        Args:
            *parts: what the number is assigned to, such as an order number.
            digits: how many digits it has.
        """
        text = json.dumps([self.seed, *parts], sort_keys=True, default=str).encode()
        return f"{int(hashlib.sha256(text).hexdigest(), 16) % 10**digits:0{digits}}"

    def now(self) -> datetime:
        """Returns the calendar's time in China's time zone."""
        return datetime.fromtimestamp(self.calendar(), CHINA)

    def find_file(self, name: str) -> StoredFile:
        """Returns the file of a media ID or token.

        Args:
            name: the media ID or token.

        Raises:
            Refusal: there is no such file.
        """
        if name not in self.files:
            raise Refusal(404, "RESOURCE_NOT_EXISTS", "文件不存在")
        return self.files[name]

    def require_mchid(self, mchid: str) -> None:
        """Checks that a merchant number is the one that signed the request.

        Args:
            mchid: the merchant number in the request.

        Raises:
            Refusal: it is another merchant's.
        """
        if mchid != self.keys.mchid:
            raise Refusal(400, "PARAM_ERROR", "mchid与签名的商户号不一致")

"""The merchant's account: the orders, refunds and files that the sandbox remembers, and how a request is refused."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, TypeVar, cast

from wechatpay_chain.sandbox._clock import CHINA
from wechatpay_chain.sandbox._keys import Keys
from wechatpay_chain.sandbox._notifier import Notice
from wechatpay_chain.sandbox._operations.book import Book

__all__ = ["Account", "Refusal", "StoredFile"]

Announce = Callable[[str, Mapping[str, Any], str | None, str, str], Notice | None]

AnnounceXML = Callable[[str, bytes, str | None], Notice | None]

T = TypeVar("T")

NUMBERS_OF_EACH = 5
"""How many numbers lead to one response that is remembered, about."""


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
    """The state of one merchant at the service, which knows nothing of the flows that keep theirs in it.

    Attributes:
        keys: the keys of the merchant and of the service.
        calendar: returns the Unix time in seconds, by which orders are placed and bills are made.
        seed: makes the numbers that the service assigns repeatable.
        keep: how many things of each kind are remembered.
        announce: posts a notification: event type, resource, URL (None or empty for nowhere), original type, summary.
        announce_xml: posts a notification of APIv2: kind, body, URL (None or empty for nowhere).
        files: the files that can be downloaded, by media ID or token.
        complaint_url: where notifications of complaints are posted to; empty for nowhere.
        coupon_url: where notifications of product coupons are posted to; empty for nowhere.
        coupon_url_time: since when.
        lock: is held while a state is read and changed, because users act in other threads than requests.
    """

    keys: Keys
    calendar: Callable[[], float]
    seed: int = 0
    keep: int = 10_000
    announce: Announce = lambda *_: None
    announce_xml: AnnounceXML = lambda *_: None
    files: Book[str, StoredFile] = field(init=False, repr=False)
    complaint_url: str = ""
    coupon_url: str = ""
    coupon_url_time: datetime = field(default_factory=lambda: datetime.now(CHINA))
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _books: dict[type, Book[str, Any]] = field(default_factory=dict, repr=False)
    _parts: dict[Any, Any] = field(default_factory=dict, repr=False)
    _known: Book[tuple[str, str], Mapping[str, Any]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.files = Book(self.keep, lambda file: len(file.content))
        self._known = Book(self.keep * NUMBERS_OF_EACH)

    def book(self, kind: type[T]) -> Book[str, T]:
        """Returns the things of a kind by the number that they are known by, such as `account.book(Order)`."""
        if kind not in self._books:
            self._books[kind] = Book(self.keep)
        return cast("Book[str, T]", self._books[kind])

    def part(self, kind: Callable[[Account], T]) -> T:
        """Returns the part of the account that a flow keeps its state in; it is made when it is first asked for."""
        if kind not in self._parts:
            self._parts[kind] = kind(self)
        return cast("T", self._parts[kind])

    def reset(self) -> None:
        """Forgets everything but the keys."""
        for book in self._books.values():
            book.clear()  # users may hold it
        self._parts.clear()
        self.files.clear()
        self._known.clear()
        self.complaint_url = self.coupon_url = ""

    def settle(self) -> None:
        """Enters the states that time has brought about, so that they are notified although nobody reads them."""
        kept = [*self._parts.values(), *(each for book in self._books.values() for each in list(book.values()))]
        for each in kept:
            if settle := getattr(each, "settle", None):
                settle()

    def remember(self, numbers: Iterable[tuple[str, str]], known: Mapping[str, Any]) -> None:
        """Stores what is known under each of some numbers; the oldest are forgotten.

        Args:
            numbers: names and values that identify it.
            known: what was sent and answered.
        """
        for number in numbers:
            self._known.pop(number, None)
            self._known[number] = known

    def recall(self, name: str, value: object) -> Mapping[str, Any]:
        """Returns what is known under a number; nothing if it was not given before."""
        return self._known.get((name, str(value)), {})

    def identity(self, schema: Mapping[str, Any]) -> dict[str, str]:
        """Returns the merchant's own numbers that a schema requires."""
        return {name: self.keys.number for name in ("mchid", "sp_mchid") if name in schema["required"]}

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
        if mchid != self.keys.number:
            raise Refusal(400, "PARAM_ERROR", "mchid与签名的商户号不一致")

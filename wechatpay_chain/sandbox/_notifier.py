"""Posts notifications as the service does: signed, encrypted, and retried until they are received.

Source: https://pay.weixin.qq.com/doc/v3/merchant/4012071382
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from wechatpay_chain import crypto
from wechatpay_chain._schemes.apiv2 import V2Keys
from wechatpay_chain._version import __version__
from wechatpay_chain.errors import ConfigurationError
from wechatpay_chain.sandbox._clock import CHINA
from wechatpay_chain.sandbox._confirmations import confirms_receipt, confirms_scan
from wechatpay_chain.sandbox._http import ACCEPTED, make_request_id
from wechatpay_chain.sandbox._keys import Keys

__all__ = ["Notice", "Notifier", "Posted", "find_delays"]

MAX_ADVANCE = 10**8
"""The largest number of seconds that one call can advance the clock: about three years."""

RESPONSE_TIMEOUT = 5.0
"""Seconds that the service waits for the receiver's response."""

SHOWN_OF_RESPONSE = 1000
"""The number of characters of the receiver's response that are kept: they say why it has not received a notification."""

_DEFAULT_DELAYS = (15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600)
# By pattern of the event type; collected from the documentation of each notification.
_DELAYS = {
    "COUPON.SEND": (60,) * 11,
    "COUPON.USE": (60,) * 9,
    "PRODUCT_COUPON_SP.*": (60,) * 11,
    "BRAND_MEMBER_CARD_SP.USER_CARD.*": (60,) * 11,
    "PAYSCORE.USER_SIGN_PLAN": (60,) * 11,
    "PAYSCORE.USER_CANCEL_SIGN_PLAN": (60,) * 11,
    "MCHTRANSFER.*": (*(15,) * 10, *(300,) * 10, *(1800,) * 44),
    "PAPAY.TERMINATE": (15, 15, 30, 180, 1800, 1800, 1800, 1800, 3600),
    # Kinds of APIv2; https://pay.weixin.qq.com/wiki/doc/api/wxpay_v2/papay/chapter3_6.shtml has that of contracts.
    "contract": (10, 10, 10, 30, 30, 30, *(300,) * 23),
    "deduction": (15, 15, 30, 180, 1800, 1800, 1800, 1800, 3600),
    "vehicle": (6, 12, 24, 48, 96, 192, 384, 768, 1536),
}


JSON, XML = "application/json", "text/xml"

Sign = Callable[[bytes], Mapping[str, str]]
"""Returns the headers of a signature for a body."""


def find_delays(event_type: str) -> tuple[int, ...]:
    """Returns the delays of the retries of a notification, in seconds, each from the post before.

    Args:
        event_type: the event type, such as TRANSACTION.SUCCESS, or the kind of a notification of APIv2.
    """
    return next((delays for pattern, delays in _DELAYS.items() if fnmatchcase(event_type, pattern)), _DEFAULT_DELAYS)


@dataclass(frozen=True)
class Posted:
    """One attempt to post a notification.

    Attributes:
        at: the time on the sandbox's clock, as Unix time in seconds.
        outcome: the status of the receiver's response, or the name of the error if there was no response.
        response: the first 1,000 characters of the body of the receiver's response; empty if there was none.
    """

    at: float
    outcome: int | str
    response: str = ""

    @property
    def is_received(self) -> bool:
        """True if the receiver responded with 200 or 204. A notification of APIv2 has to be confirmed in the body too."""
        return self.outcome in (200, 204)


@dataclass
class Notice:
    """A notification and its posts so far.

    Attributes:
        id: the ID of the notification.
        url: the URL that it is posted to.
        event_type: the event type, such as TRANSACTION.SUCCESS; the kind of a notification of APIv2.
        body: the JSON body, with the encrypted resource; the XML body of a notification of APIv2.
        posts: the attempts to post it.
        next_at: the time of the next post on the sandbox's clock, as Unix time in seconds; None if it has been received, or
            if no retry is left.
        media_type: application/json, or text/xml for a notification of APIv2.
        sign: returns the headers of a signature for the body; None for a notification of APIv2, which has it in the body.
        confirms: tells whether the body of a response says that a notification of APIv2 was received; None if its status does.
    """

    id: str
    url: str
    event_type: str
    body: bytes = field(repr=False)
    posts: list[Posted] = field(default_factory=list)
    next_at: float | None = None
    media_type: str = JSON
    sign: Sign | None = field(default=None, repr=False)
    confirms: Callable[[str], bool] | None = field(default=None, repr=False)

    @property
    def is_received(self) -> bool:
        """True if the last post was received; a notification of APIv2, if the body of the response says so too."""
        if not self.posts or not self.posts[-1].is_received:
            return False
        return self.confirms is None or self.confirms(self.posts[-1].response)


class Notifier:
    """Posts notifications and their retries, on a clock that can be advanced.

    Advancing the clock makes retries due. Signatures carry the real time, because the receiver compares their timestamp with
    its own clock.

    Args:
        keys: the keys of the merchant, who gets the notifications that the service announces.
        sign: returns the headers of a signature for a body, with the keys of whom it is sent to.
        keep: how many notifications are listed, and how many wait for a retry.
    """

    def __init__(self, keys: Keys, sign: Callable[[Keys, bytes], Mapping[str, str]], keep: int) -> None:
        self._keys, self._sign = keys, sign
        self._offset = 0.0
        self._waiting: deque[Notice] = deque(maxlen=keep)
        self._notices: deque[Notice] = deque(maxlen=keep)
        self._changed = threading.Condition(threading.RLock())
        # One thread at a time posts what is due, so `advance` also waits for a post that the worker thread has begun.
        self._posting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def now(self) -> float:
        """Returns the time on the sandbox's clock, as Unix time in seconds."""
        return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        """Advances the clock, and posts the notifications that are due by then, in the order of their times.

        Args:
            seconds: the seconds to advance by, from 0 to 10**8.

        Raises:
            ConfigurationError: seconds is not a number in this range.
        """
        if not isinstance(seconds, (int, float)) or not 0 <= seconds <= MAX_ADVANCE:
            raise ConfigurationError(f"seconds: came {seconds!r}; expected a number from 0 to {MAX_ADVANCE}")
        with self._changed:
            self._offset += seconds
            self._changed.notify_all()  # the worker waits for a shorter time now
        self._post_due()

    def notify(
        self,
        event_type: str,
        resource: Any,
        url: str,
        original_type: str,
        sign_first: Sign,
        keys: Keys,
    ) -> Notice:
        """Posts a notification for the first time.

        Args:
            event_type: the event type, such as TRANSACTION.SUCCESS.
            resource: the resource to encrypt, a JSON value.
            url: the URL to post to.
            original_type: the type of the resource, such as transaction.
            sign_first: returns the headers of a signature for this first post.
            keys: the keys of whom it is sent to.

        Returns:
            The notification, after its first post.
        """
        notice = self.make(event_type, resource, url, original_type, "沙箱通知", keys)
        self._notices.append(notice)
        self._post(notice, self.now(), sign_first)
        return notice

    def announce(
        self, event_type: str, resource: Any, url: str | None, original_type: str, summary: str
    ) -> Notice | None:
        """Posts a notification as soon as it can, in another thread: the service does not wait for a receiver.

        Args:
            event_type: the event type, such as TRANSACTION.SUCCESS.
            resource: the resource to encrypt, a JSON value.
            url: the URL to post to; None or empty if nothing is to be posted.
            original_type: the type of the resource, such as transaction.
            summary: a short description in Chinese.

        Returns:
            The notification, to which its posts are added; None without a URL.
        """
        if not url:
            return None
        notice = self.make(event_type, resource, url, original_type, summary, self._keys)
        self._notices.append(notice)
        self._post_soon(notice)
        return notice

    def notify_xml(self, kind: str, body: bytes, url: str) -> Notice:
        """Posts a notification of APIv2 for the first time; `announce_xml` has the arguments."""
        notice = self._make_xml(kind, body, url)
        self._notices.append(notice)
        self._post(notice, self.now(), None)
        return notice

    def announce_xml(self, kind: str, body: bytes, url: str | None) -> Notice | None:
        """Posts a notification of APIv2 as soon as it can, in another thread.

        Args:
            kind: what it is about: refund, or a `kind` of `XMLNotification`.
            body: its XML, signed or encrypted.
            url: the URL to post to; None or empty if nothing is to be posted.

        Returns:
            The notification, to which its posts are added; None without a URL.
        """
        if not url:
            return None
        notice = self._make_xml(kind, body, url)
        self._notices.append(notice)
        self._post_soon(notice)
        return notice

    def send_again(self, notice_id: str) -> None:
        """Posts a notification again as soon as it can, in another thread, even one that has been received.

        Args:
            notice_id: the ID of the notification.

        Raises:
            KeyError: there is no such notification, or it has been forgotten.
        """
        self._post_soon({notice.id: notice for notice in tuple(self._notices)}[notice_id])

    @property
    def notices(self) -> list[Notice]:
        """The last notifications, in the order in which they were made."""
        return list(self._notices)

    def make(self, event_type: str, resource: Any, url: str, original_type: str, summary: str, keys: Keys) -> Notice:
        """Returns a notification that has not been posted; `announce` and `notify` have the arguments."""
        notice_id, nonce, scheme = crypto.nonce(32), crypto.nonce(12), keys.scheme
        plaintext = json.dumps(resource, ensure_ascii=False)
        envelope = {
            "id": notice_id,
            "create_time": datetime.fromtimestamp(self.now(), CHINA).isoformat(timespec="seconds"),
            "resource_type": "encrypt-resource",
            "event_type": event_type,
            "summary": summary,
            "resource": {
                "original_type": original_type,
                "algorithm": scheme.algorithm,
                "ciphertext": scheme.aead_encrypt(plaintext, keys.apiv3_key.encode(), nonce, original_type),
                "associated_data": original_type,
                "nonce": nonce,
            },
        }
        body = json.dumps(envelope, ensure_ascii=False).encode()
        return Notice(notice_id, url, event_type, body, sign=partial(self._sign, keys))

    def _make_xml(self, kind: str, body: bytes, url: str) -> Notice:
        confirms = (
            partial(confirms_scan, V2Keys([self._keys.apiv2_key.encode()])) if kind == "product" else confirms_receipt
        )
        return Notice(crypto.nonce(32), url, kind, body, media_type=XML, confirms=confirms)

    def reset(self) -> None:
        """Forgets the notifications that wait, and sets the clock to the real time."""
        with self._changed:
            self._waiting.clear()
            self._notices.clear()
            self._offset = 0.0

    def close(self) -> None:
        """Stops posting. A post that has begun is not interrupted."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _post(self, notice: Notice, at: float, sign: Sign | None) -> None:
        headers = {
            "Content-Type": notice.media_type,
            "User-Agent": f"wechatpay-chain-sandbox/{__version__}",
            "Request-ID": make_request_id(ACCEPTED),
        }
        if sign is not None:
            headers.update(sign(notice.body))
        body = ""
        try:
            with requests.Session() as session:
                session.trust_env = False
                response = session.post(
                    notice.url,
                    data=notice.body,
                    headers=headers,
                    timeout=RESPONSE_TIMEOUT,
                    allow_redirects=False,
                    stream=True,  # only the beginning of the body is read
                )
                body = _read_beginning(response)
                response.close()
            outcome: int | str = response.status_code
        except (requests.RequestException, HTTPError, ValueError) as error:
            outcome = type(error).__name__
        notice.posts.append(Posted(at, outcome, body))
        delays = find_delays(notice.event_type)
        with self._changed:
            notice.next_at = None
            if not notice.is_received and len(notice.posts) <= len(delays):
                notice.next_at = at + delays[len(notice.posts) - 1]
                self._waiting.append(notice)
                self._wake_worker()

    def _post_soon(self, notice: Notice) -> None:
        with self._changed:
            notice.next_at = self.now()
            if not any(waiting is notice for waiting in self._waiting):
                self._waiting.append(notice)
            self._wake_worker()

    def _wake_worker(self) -> None:
        if self._thread is None and not self._is_closed:
            self._thread = threading.Thread(target=self._work, name="wechatpay-sandbox-notifier", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _work(self) -> None:
        while not self._is_closed:
            self._post_due()
            with self._changed:
                next_at = min((notice.next_at or 0.0 for notice in self._waiting), default=None)
                if not self._is_closed and (next_at is None or next_at > self.now()):
                    self._changed.wait(None if next_at is None else min(next_at - self.now(), 3600.0))

    def _post_due(self) -> None:
        with self._posting:
            while (notice := self._take_due()) is not None:
                self._post(notice, notice.next_at or 0.0, notice.sign)

    def _take_due(self) -> Notice | None:
        """Removes and returns the notification that is due first.

        `_changed` is not held while it is posted, because the receiver may call `notify` before it responds.
        """
        with self._changed:
            due = [notice for notice in self._waiting if (notice.next_at or 0.0) <= self.now()]
            if self._is_closed or not due:
                return None
            notice = min(due, key=lambda one: one.next_at or 0.0)
            self._waiting.remove(notice)
            return notice


def _read_beginning(response: requests.Response) -> str:
    """Returns the beginning of the body of a response. Whether the rest comes, and when, is of no importance."""
    content, end = bytearray(), time.monotonic() + RESPONSE_TIMEOUT
    with suppress(requests.RequestException, HTTPError, OSError):
        for byte in response.iter_content(1):
            content += byte
            if len(content) >= 4 * SHOWN_OF_RESPONSE or time.monotonic() >= end:  # a character has at most four bytes
                break
    return content.decode(errors="replace")[:SHOWN_OF_RESPONSE]

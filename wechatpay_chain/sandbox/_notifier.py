"""Posts notifications as the service does: signed, encrypted, and again after a while where they were not received.

Source: https://pay.weixin.qq.com/doc/v3/merchant/4012071382
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from wechatpay_chain import crypto
from wechatpay_chain._version import __version__
from wechatpay_chain.errors import ConfigurationError

__all__ = ["Notice", "Notifier", "Posted", "schedule"]

FURTHEST = 10**8
"""Seconds that the clock may be turned at once, three years."""

BEIJING = timezone(timedelta(hours=8))
"""The time zone that the service writes times in, such as 2018-06-08T10:34:56+08:00."""

PATIENCE = 5.0
"""Seconds that the service waits for a reply."""

_USUAL = (15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600)
# By event type; compiled from the pages of the notifications.
_SCHEDULES = {
    "COUPON.SEND": (60,) * 11,
    "COUPON.USE": (60,) * 9,
    "PRODUCT_COUPON_SP.*": (60,) * 11,
    "BRAND_MEMBER_CARD_SP.USER_CARD.*": (60,) * 11,
    "PAYSCORE.USER_SIGN_PLAN": (60,) * 11,
    "PAYSCORE.USER_CANCEL_SIGN_PLAN": (60,) * 11,
    "MCHTRANSFER.*": (*(15,) * 10, *(300,) * 10, *(1800,) * 44),
    "PAPAY.TERMINATE": (15, 15, 30, 180, 1800, 1800, 1800, 1800, 3600),
}


def schedule(event_type: str) -> tuple[int, ...]:
    """Seconds between the first post of a notification and the second, and so on."""
    return next((pauses for kind, pauses in _SCHEDULES.items() if fnmatchcase(event_type, kind)), _USUAL)


@dataclass(frozen=True)
class Posted:
    """One time that a notification was posted.

    Attributes:
        at: seconds on the sandbox's clock.
        outcome: the status of the reply, or the kind of error where none came.
    """

    at: float
    outcome: int | str

    @property
    def is_received(self) -> bool:
        """Whether the service takes it for received: by the status alone, whatever the body says."""
        return self.outcome in (200, 204)


@dataclass
class Notice:
    """A notification under way.

    Attributes:
        id: of the notification.
        url: where it is posted.
        posts: each time that it was posted.
        next_at: when it is posted next, on the sandbox's clock; None when it has been received, or given up.
    """

    id: str
    url: str
    event_type: str
    body: bytes = field(repr=False)
    posts: list[Posted] = field(default_factory=list)
    next_at: float | None = None

    @property
    def is_received(self) -> bool:
        """Whether the last post was received."""
        return bool(self.posts) and self.posts[-1].is_received


class Notifier:
    """Posts notices, and again by their schedules, on a clock that can be turned.

    Turning the clock brings the next posts nearer; what is signed carries the real time, for that is what the receiver
    compares it with.

    Args:
        apiv3_key: what resources are encrypted with.
        sign: the headers that prove a body.
    """

    def __init__(self, apiv3_key: str, sign: Callable[[bytes], Mapping[str, str]]) -> None:
        self._apiv3_key, self._sign = apiv3_key.encode(), sign
        self._ahead = 0.0
        self._waiting: list[Notice] = []
        self._changed = threading.Condition(threading.RLock())
        # One thread posts what is due: whoever turns the clock waits for what the clock's own thread has taken.
        self._posting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def now(self) -> float:
        """Seconds on the clock."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Turns the clock ahead, and posts what is due by then, in its order, before it returns.

        Raises:
            ConfigurationError: that would not be ahead.
        """
        if not isinstance(seconds, (int, float)) or not 0 <= seconds <= FURTHEST:
            raise ConfigurationError(f"seconds: came {seconds!r}; expected a number from 0 to {FURTHEST}")
        with self._changed:
            self._ahead += seconds
        self._post_due()

    def notify(
        self, event_type: str, resource: Any, url: str, original_type: str, first: Callable[[bytes], Mapping[str, str]]
    ) -> Notice:
        """Posts a notification for the first time.

        Args:
            event_type: such as TRANSACTION.SUCCESS.
            resource: what is encrypted, a JSON value.
            url: where to post it.
            original_type: of the resource.
            first: the headers of this first post.
        """
        notice_id, nonce = crypto.nonce(32), crypto.nonce(12)
        plain = json.dumps(resource, ensure_ascii=False)
        envelope = {
            "id": notice_id,
            "create_time": datetime.now(BEIJING).isoformat(timespec="seconds"),
            "resource_type": "encrypt-resource",
            "event_type": event_type,
            "summary": "沙箱通知",
            "resource": {
                "original_type": original_type,
                "algorithm": "AEAD_AES_256_GCM",
                "ciphertext": crypto.aes_gcm_encrypt(plain, self._apiv3_key, nonce, original_type),
                "associated_data": original_type,
                "nonce": nonce,
            },
        }
        body = json.dumps(envelope, ensure_ascii=False).encode()
        notice = Notice(notice_id, url, event_type, body)
        self._post(notice, self.now(), first)
        return notice

    def close(self) -> None:
        """Posts nothing any more. What is under way is left to itself."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _post(self, notice: Notice, at: float, sign: Callable[[bytes], Mapping[str, str]]) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": f"wechatpay-chain-sandbox/{__version__}"}
        try:
            with requests.Session() as session:
                session.trust_env = False
                reply = session.post(
                    notice.url,
                    data=notice.body,
                    headers={**headers, **sign(notice.body)},
                    timeout=PATIENCE,
                    allow_redirects=False,
                    stream=True,  # the status decides, whatever follows
                )
                reply.close()
            outcome: int | str = reply.status_code
        except (requests.RequestException, HTTPError, ValueError) as error:
            outcome = type(error).__name__
        notice.posts.append(Posted(at, outcome))
        pauses = schedule(notice.event_type)
        with self._changed:
            notice.next_at = None
            if not notice.is_received and len(notice.posts) <= len(pauses):
                notice.next_at = at + pauses[len(notice.posts) - 1]
                self._waiting.append(notice)
                self._wake()

    def _wake(self) -> None:
        if self._thread is None and not self._is_closed:
            self._thread = threading.Thread(target=self._watch, name="wechatpay-sandbox-notifier", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _watch(self) -> None:
        while not self._is_closed:
            self._post_due()
            with self._changed:
                next_at = min((notice.next_at or 0.0 for notice in self._waiting), default=None)
                if not self._is_closed and (next_at is None or next_at > self.now()):
                    self._changed.wait(None if next_at is None else min(next_at - self.now(), 3600.0))

    def _post_due(self) -> None:
        with self._posting:
            while (notice := self._taken()) is not None:
                self._post(notice, notice.next_at or 0.0, self._sign)

    def _taken(self) -> Notice | None:
        """The notice that is due first, taken out; `notify` is free while it is posted, for a receiver may ask for more."""
        with self._changed:
            due = [notice for notice in self._waiting if (notice.next_at or 0.0) <= self.now()]
            if self._is_closed or not due:
                return None
            notice = min(due, key=lambda one: one.next_at or 0.0)
            self._waiting.remove(notice)
            return notice

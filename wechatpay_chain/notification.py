"""Reads what WeChat Pay posts: the signature is verified over the raw bytes, then the resource is decrypted and read.

Sources: https://pay.weixin.qq.com/doc/v3/merchant/4012071382 for the envelope and its decryption,
https://pay.weixin.qq.com/doc/v3/merchant/4013053249 for the signature, which is that of a response.
"""

from __future__ import annotations

import json
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from wechatpay_chain.credentials import Credentials
from wechatpay_chain.crypto import PublicKeySource, aes_gcm_decrypt, key_octets
from wechatpay_chain.errors import (
    ArgumentError,
    ConfigurationError,
    DecryptionError,
    Reason,
    SignatureError,
    WeChatPayError,
)
from wechatpay_chain.http import Ask, Headers, Steps, json_bytes, response_message
from wechatpay_chain.keyring import Keyring
from wechatpay_chain.process import ForkSafeLock
from wechatpay_chain.proof import WINDOW, Verifier, find_doubt
from wechatpay_chain.received import HeaderSource, ReceivedHeaders, read_body, read_headers
from wechatpay_chain.redaction import printable
from wechatpay_chain.shielding import shielded
from wechatpay_chain.unsent import do, do_async

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Notification", "Notifications", "Reply", "SeenNonces", "SeenStore"]

logger = logging.getLogger("wechatpay_chain")

CLOCKS_DIFFER = timedelta(seconds=5)
"""How far `received_at` may be ahead of this machine's clock: two machines of one owner seldom differ by more."""

MOST_LOGGED = 1000
"""Characters of a reason in the log."""


@dataclass(frozen=True)
class Notification:
    """A notification that is verified and decrypted. Its repr shows nothing of its resource.

    The set of event types is open. One type can report several things, told apart by `original_type`: a
    `TRANSACTION.SUCCESS` of original type `profitsharing` is no payment. The same notification can come again; let `id`
    and the business number decide what is new.

    Attributes:
        id: the id of the notification, the same each time that it is sent.
        event_type: such as TRANSACTION.SUCCESS.
        create_time: RFC 3339, such as 2018-06-08T10:34:56+08:00.
        summary: a few words in Chinese.
        original_type: the kind of the resource, such as transaction.
        resource: the decrypted resource, any JSON value; {"out_trade_no": "…", "trade_state": "SUCCESS", …} of a payment.
        raw: the body as it came.
    """

    id: str
    event_type: str
    create_time: str
    summary: str
    original_type: str
    resource: Any = field(repr=False)
    raw: bytes = field(repr=False)


@dataclass(frozen=True)
class Reply:
    """The HTTP response to a notification, for any framework. The status decides, whatever the body says.

    WeChat Pay waits 5 seconds for it. Source: https://pay.weixin.qq.com/doc/v3/merchant/4012071382

    Attributes:
        status: the HTTP status.
        headers: the headers by name.
        body: the bytes of the body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def ok(cls) -> Reply:
        """Returns the reply "received": WeChat Pay does not send the notification again."""
        return cls(204, {}, b"")

    @classmethod
    def fail(cls, message: str = "失败") -> Reply:
        """Returns the reply "not received": WeChat Pay sends the notification again.

        Args:
            message: why, for WeChat Pay's records.
        """
        return cls(
            500, {"Content-Type": "application/json"}, json_bytes({"code": "FAIL", "message": message}, "message")
        )


class SeenStore(Protocol):
    """Keeps the nonces of notifications, so that a copy which somebody sends again is recognised.

    Several processes, such as the workers of a server, need a store that they share: Redis or a database.
    """

    def add(self, nonce: str, seconds: float, /) -> bool | Awaitable[bool]:
        """Keeps a nonce for some seconds. May be an `async def`.

        Returns:
            True if the nonce is new, False if it is kept already. Two callers at once must not both get True.
        """
        ...


class SeenNonces:
    """Keeps nonces in the memory of one process. The oldest are dropped first.

    It is for servers of one process. Each worker process of gunicorn, uWSGI or `uvicorn --workers` has its own, and a forked
    child its own copy: a nonce that one has seen is new to the others. For those, give a `SeenStore` that they share.

    Args:
        size: how many nonces are kept at the most.
    """

    def __init__(self, size: int = 10_000) -> None:
        self._size = size
        self._ends: OrderedDict[str, float] = OrderedDict()
        self._lock = ForkSafeLock()

    def add(self, nonce: str, seconds: float) -> bool:
        """Keeps a nonce for some seconds. Returns False if it is kept already."""
        now = time.monotonic()
        with self._lock.here:
            is_known = self._ends.get(nonce, 0) > now
            if not is_known:
                self._ends[nonce] = now + seconds
                self._ends.move_to_end(nonce)
                while len(self._ends) > self._size:  # a child can begin with one more: the fork came before its removal
                    self._ends.popitem(last=False)
        return not is_known

    def __repr__(self) -> str:
        return f"<SeenNonces {len(self._ends)} of {self._size}>"


class Notifications:
    """Verifies, decrypts and reads the notifications of one merchant.

    Each notification that is refused leaves one WARNING on the logger `wechatpay_chain`: the reason, the id of the key and
    the Request-ID header, and nothing of the content.

    Args:
        certs: WeChat Pay's keys by id, as `Client` takes them, or a keyring.
        apiv3_key: the APIv3 key, 32 bytes, which notifications are encrypted with.
        refresh: called with the id of a key before the notification is verified; what it fetches goes into the keyring. A
            client's notifications have one, and its async twin.
        verifier: verifies in place of `certs`, which may then be empty; as `Client` takes it.
        credentials: of the merchant, for replies that have to be signed. A client's notifications have them.
        seen: a nonce store, such as `SeenNonces()` in a server of one process. With one, a copy that comes with the same
            nonce within the time window is refused. Without, a copy within 300 seconds is left to your own check of `id`.

    Raises:
        ConfigurationError: a key is missing or wrong.
    """

    @shielded
    def __init__(
        self,
        certs: Mapping[str, PublicKeySource] | Keyring,
        apiv3_key: str | bytes,
        *,
        seen: SeenStore | None = None,
        refresh: Callable[[str], None] | None = None,
        refresh_async: Callable[[str], Awaitable[None]] | None = None,
        verifier: Verifier | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self._decrypt = _bind(key_octets("apiv3_key", apiv3_key))
        self._keyring = certs if isinstance(certs, Keyring) else Keyring(certs, verifies=verifier is None)
        self._seen, self._refresh, self._refresh_async = seen, refresh, refresh_async
        self._verifier, self._credentials = verifier, credentials

    def parse(self, headers: HeaderSource, body: bytes, *, received_at: datetime | None = None) -> Notification:
        """Verifies, decrypts and reads a notification.

        Args:
            headers: the headers of the request, as the framework has them.
            body: the raw bytes of the request's body.
            received_at: when your own server received the request, with a time zone; for what was stored then and is
                verified later. The timestamp is compared with it in place of the clock, so never take it from the message.
                `seen=` is then not asked: a queue delivers the same request again after a crash. None is now.

        Raises:
            TypeError: the body is not bytes (what was parsed and written again is not what was signed), the headers are of
                a form that is not understood, or `received_at` is no datetime.
            ArgumentError: `received_at` has no time zone, or is in the future.
            SignatureError: nothing proves that WeChat Pay wrote it just now, or it came before; reply with `Reply.fail()`.
                A probe with a wrong signature, which WeChat Pay sends now and then, is meant to get that reply.
            DecryptionError: it was not encrypted with `apiv3_key`, or is no notification.
        """
        with _Rejections() as rejections:
            posted = rejections.begin(headers, body, received_at)
            if self._refresh is not None:
                self._refresh(posted.key_id)
            return do(self._verified(posted))

    async def parse_async(
        self, headers: HeaderSource, body: bytes, *, received_at: datetime | None = None
    ) -> Notification:
        """Does as `parse`; a certificate that has to be fetched, a verifier and a nonce store are awaited."""
        with _Rejections() as rejections:
            posted = rejections.begin(headers, body, received_at)
            if self._refresh_async is not None:
                await self._refresh_async(posted.key_id)
            return await do_async(self._verified(posted))

    def signed_reply(self, json: object) -> Reply:
        """Returns a reply with data and the merchant's signature, which the CROSS_BORDER_PAY.… notifications want.

        Source: https://pay.weixin.qq.com/doc/v3/institution/4019762388, which has the signature in an Authorization header
        of the form that requests have. What is signed is what WeChat Pay signs of its own responses, timestamp, nonce and
        body: a reply has neither method nor path. WeChat Pay waits 3 seconds for it.

        Args:
            json: the body, such as {"code": "SUCCESS", "acq_tid": "…", "mch_id": "…"}.

        Raises:
            ConfigurationError: there are no credentials to sign with.
            ArgumentError: the body is not what JSON can write.
        """
        return do(self._signed_reply(json))

    async def signed_reply_async(self, json: object) -> Reply:
        """Does as `signed_reply`; a signer that takes its time is awaited."""
        return await do_async(self._signed_reply(json))

    def _signed_reply(self, json: object) -> Steps[Reply]:
        if self._credentials is None:
            raise ConfigurationError("credentials: they are missing; a client's notifications can sign replies")
        body = json_bytes(json)
        authorization = yield from self._credentials.authorization(
            lambda timestamp, nonce: response_message(timestamp, nonce, body)
        )
        return Reply(200, {"Content-Type": "application/json", "Authorization": authorization}, body)

    def _verified(self, posted: _Posted) -> Steps[Notification]:
        fields, body = posted.headers.fields, posted.body
        doubt = yield from find_doubt(fields, body, self._keyring, self._verifier, posted.received_at)
        if doubt is not None:
            why = posted.explain(doubt.reason, doubt.why)
            raise SignatureError(f"nothing proves that WeChat Pay sent the notification: {why}", doubt.reason, None)
        # What was stored may be read twice, after a crash for example; that is no replay.
        if self._seen is not None and posted.received_at is None:
            is_new = yield Ask(partial(self._seen.add, fields["Wechatpay-Nonce"], 2 * WINDOW))
            if not is_new:
                raise SignatureError("the notification came before, under the same nonce", Reason.REPLAYED, None)
        return _read(body, self._decrypt)


class _Posted(NamedTuple):
    """A request as it was received."""

    headers: ReceivedHeaders
    body: bytes
    received_at: datetime | None

    @property
    def key_id(self) -> str:
        return str(self.headers.fields.get("Wechatpay-Serial", ""))

    def explain(self, reason: Reason, why: str) -> str:
        """Returns why it is refused, with what only the receiver of a notification can do about it."""
        if reason is Reason.MISSING_HEADER and self.headers.is_empty:
            why = "headers= is empty; give the headers of the request"
        elif reason is Reason.MISSING_HEADER and self.headers.repeated:
            why = f"it has several values of {', '.join(sorted(self.headers.repeated))}, which came more than once and differ"
        elif reason is Reason.CLOCK_SKEW and self.received_at is None:
            why += ". Or was it stored, and is verified late? Then give received_at=, the time when your server received it"
        return why if self.body else f"{why}; {_EMPTY}"


_EMPTY = (
    "its body is empty: something has read it before (a middleware, a form parser, a logger). Read the raw body first and "
    "once (request.body in Django, request.get_data() in Flask, await request.body() in FastAPI, await request.read() in "
    "aiohttp), and give those bytes"
)


class _Rejections:
    """Logs a notification that is refused, once, whatever refuses it."""

    def __init__(self) -> None:
        self._fields = Headers({})
        self._is_read = False

    def begin(self, headers: HeaderSource, body: object, received_at: object) -> _Posted:
        """Reads what came."""
        read = read_headers(headers)
        self._fields = read.fields
        posted = _Posted(read, read_body(body), _check_received_at(received_at))
        self._is_read = True
        return posted

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception):
            return
        # The error of a nonce store or a verifier may say anything, a password too.
        is_ours = isinstance(error, WeChatPayError) or not self._is_read
        logger.warning(
            "a notification was refused (%s, key %s, Request-ID %s): %s",
            error.reason if isinstance(error, SignatureError) else type(error).__name__,
            _cut(self._fields.get("Wechatpay-Serial", ""), 64) or "-",
            _cut(self._fields.get("Request-ID", ""), 64) or "-",
            _cut(str(error), MOST_LOGGED) if is_ours else "its own message may hold a secret, and is not shown",
        )


def _cut(text: str, most: int) -> str:
    """Returns a text on one line, without control characters, and cut where it is longer than `most`."""
    return printable(text[:most]) + ("…" if len(text) > most else "")


def _check_received_at(received_at: object) -> datetime | None:
    if received_at is None:
        return None
    if not isinstance(received_at, datetime):
        raise TypeError(
            f"received_at: came a {type(received_at).__name__}; expected a datetime with a time zone, such as "
            "datetime.now(timezone.utc), taken when your server received the request"
        )
    if received_at.utcoffset() is None:
        raise ArgumentError(
            "received_at: came a datetime without a time zone; expected one with it, such as datetime.now(timezone.utc)"
        )
    ahead = received_at - datetime.now(timezone.utc)
    if ahead > CLOCKS_DIFFER:
        raise ArgumentError(
            f"received_at: came a time {ahead.total_seconds():.0f} seconds in the future of this machine's clock; expected "
            "when your server received the request. Is its time zone right?"
        )
    return received_at


_Decrypt = Callable[[str, str, str], bytes | None]
"""Decrypts a ciphertext with its nonce and its associated data; None where that fails."""


def _bind(key: bytes) -> _Decrypt:
    """Returns what decrypts with a key. It raises no error, for its frame holds the key, and a traceback would show it."""

    def decrypt(ciphertext: str, nonce: str, associated_data: str) -> bytes | None:
        try:
            return aes_gcm_decrypt(ciphertext, key, nonce, associated_data)
        except DecryptionError:
            return None

    return decrypt


_NOT_ONE = "the notification is not one: expected JSON with an id and an encrypted resource"


def _read(body: bytes, decrypt: _Decrypt) -> Notification:
    """Reads a verified body.

    Raises:
        DecryptionError: it is no notification, or `apiv3_key` is not the key that it is encrypted with.
    """
    envelope = _load(body)
    encrypted = envelope.get("resource") if isinstance(envelope, dict) else None
    if not isinstance(encrypted, dict):
        raise DecryptionError(_NOT_ONE if body else f"the notification is not one: {_EMPTY}")
    if encrypted.get("algorithm") != "AEAD_AES_256_GCM":
        raise DecryptionError("the notification is encrypted with an algorithm other than AEAD_AES_256_GCM")
    texts = {name: envelope.get(name, "") for name in ("id", "event_type", "create_time", "summary")}
    texts["original_type"] = encrypted.get("original_type", "")
    secret: list[Any] = [encrypted.get("ciphertext"), encrypted.get("nonce"), encrypted.get("associated_data") or ""]
    if not texts["id"] or not all(isinstance(text, str) for text in (*texts.values(), *secret)):
        raise DecryptionError(_NOT_ONE)
    resource = _load(decrypt(*secret))
    if resource is _NOTHING:
        raise DecryptionError(
            "the notification is signed by WeChat Pay and cannot be decrypted: apiv3_key may be wrong; expected the APIv3 key "
            "that is set in the merchant platform now"
        )
    return Notification(**texts, resource=resource, raw=body)


_NOTHING: Any = object()


def _load(octets: bytes | None) -> Any:
    """Returns a JSON value, or `_NOTHING`: the error of a parser carries the whole text."""
    try:
        return _NOTHING if octets is None else json.loads(octets)
    except (ValueError, RecursionError):
        return _NOTHING

"""What WeChat Pay posts to you: verified over the raw bytes, decrypted, and only then read.

Sources: https://pay.weixin.qq.com/doc/v3/merchant/4012071382 for the envelope and its decryption,
https://pay.weixin.qq.com/doc/v3/merchant/4013053249 for the signature, which is that of an answer.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from wechatpay_chain.credentials import Credentials
from wechatpay_chain.crypto import PublicKeySource, aes_gcm_decrypt, key_octets
from wechatpay_chain.errors import ConfigurationError, DecryptionError, Reason, SignatureError
from wechatpay_chain.http import Ask, Headers, Steps, json_bytes, response_message
from wechatpay_chain.keyring import Keyring
from wechatpay_chain.proof import WINDOW, Verifier, find_doubt
from wechatpay_chain.unsent import do, do_async

__all__ = ["Notification", "Notifications", "Reply", "SeenNonces", "SeenStore"]

HeaderSource = Mapping[Any, Any] | Iterable[tuple[Any, Any]]
"""Headers as any framework has them: names in any case or as WSGI's HTTP_…, names and values as text or bytes."""


@dataclass(frozen=True)
class Notification:
    """A notification that is proven and decrypted. Its repr shows nothing of its resource.

    The set of event types is open. One type can report several things, told apart by `original_type`: a
    `TRANSACTION.SUCCESS` of original type `profitsharing` is no payment. The same notification can come again; let `id`
    and the business number decide what is new.

    Attributes:
        id: of the notification.
        event_type: such as TRANSACTION.SUCCESS.
        create_time: RFC 3339.
        summary: a few words.
        original_type: of the resource, such as transaction.
        resource: the decrypted resource, any JSON value.
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
    """What to answer a notification with, for any framework. The status decides, whatever the body says.

    Source: https://pay.weixin.qq.com/doc/v3/merchant/4012071382. The service waits 5 seconds.

    Attributes:
        status: the HTTP status.
        headers: of the reply.
        body: the reply's bytes.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def ok(cls) -> Reply:
        """Received; the service does not send it again."""
        return cls(204, {}, b"")

    @classmethod
    def fail(cls, message: str = "失败") -> Reply:
        """Not received; the service sends it again.

        Args:
            message: why, for the service's records.
        """
        return cls(
            500, {"Content-Type": "application/json"}, json_bytes({"code": "FAIL", "message": message}, "message")
        )


class SeenStore(Protocol):
    """A memory of nonces, by which a notification that somebody sends once more is recognised."""

    def add(self, nonce: str, seconds: float) -> bool:
        """Remembers a nonce for some seconds. False if it is remembered already, which must be decided atomically."""
        ...


class SeenNonces:
    """A memory of nonces in this process, of bounded size; the oldest are forgotten first.

    Args:
        size: how many are remembered at the most.
    """

    def __init__(self, size: int = 10_000) -> None:
        self._size = size
        self._ends: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, nonce: str, seconds: float) -> bool:
        """Remembers a nonce for some seconds. False if it is remembered already."""
        now = time.monotonic()
        with self._lock:
            known = self._ends.get(nonce, 0) > now
            if not known:
                self._ends[nonce] = now + seconds
                self._ends.move_to_end(nonce)
                if len(self._ends) > self._size:
                    self._ends.popitem(last=False)
        return not known

    def __repr__(self) -> str:
        return f"<SeenNonces {len(self._ends)} of {self._size}>"


class Notifications:
    """Reads notifications of one merchant.

    Args:
        certs: WeChat Pay's keys by id, as `Client` takes them, or a keyring.
        apiv3_key: the APIv3 key, 32 bytes, which notifications are encrypted with.
        refresh: called with the id of a key that is not there, before the notification is judged; what it fetches goes
            into the keyring. A client's notifications have one, and its awaited twin.
        verifier: judges in place of `certs`, which may then be empty; as `Client` takes it.
        credentials: of the merchant, for replies that have to be signed. A client's notifications have them.
        seen: a memory of nonces; with one, a notification that comes a second time within the time window under the same
            nonce is refused. Without, whoever repeats one inside 300 seconds is left to your own check of `id`.

    Raises:
        ConfigurationError: a key is missing or wrong.
    """

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
        self._keyring = certs if isinstance(certs, Keyring) else Keyring(certs, verifies=verifier is None)
        self._apiv3_key = key_octets("apiv3_key", apiv3_key)
        self._seen, self._refresh, self._refresh_async = seen, refresh, refresh_async
        self._verifier, self._credentials = verifier, credentials

    def parse(self, headers: HeaderSource, body: bytes) -> Notification:
        """Verifies, decrypts and reads a notification.

        Args:
            headers: of the request, as the framework has them.
            body: the raw bytes of the request's body.

        Raises:
            TypeError: the body is not bytes. What was parsed and written again is not what was signed.
            SignatureError: it is not proven to be WeChat Pay's, or came before; answer with `Reply.fail()`. A probe with a
                wrong signature, which WeChat Pay sends now and then, is meant to get that answer.
            DecryptionError: it was not encrypted with the APIv3 key, or is no notification.
        """
        octets, found = _octets(body), _signature_headers(headers)
        if self._refresh is not None:
            self._refresh(found.get("Wechatpay-Serial", ""))
        return do(self._judged(found, octets))

    async def parse_async(self, headers: HeaderSource, body: bytes) -> Notification:
        """The same, where a certificate that has to be fetched is awaited."""
        octets, found = _octets(body), _signature_headers(headers)
        if self._refresh_async is not None:
            await self._refresh_async(found.get("Wechatpay-Serial", ""))
        return await do_async(self._judged(found, octets))

    def signed_reply(self, json: object) -> Reply:
        """A reply that carries data and the merchant's signature, which the CROSS_BORDER_PAY.… notifications want.

        Source: https://pay.weixin.qq.com/doc/v3/institution/4019762388, which has the signature in an Authorization header
        of the form that requests have. What is signed is what WeChat Pay signs of its own answers, timestamp, nonce and
        body: a reply has neither method nor path. The service waits 3 seconds for it.

        Args:
            json: the body, such as {"code": "SUCCESS", "acq_tid": "…", "mch_id": "…"}.

        Raises:
            ConfigurationError: there are no credentials to sign with.
            ArgumentError: the body is not what JSON can write.
        """
        return do(self._signed_reply(json))

    async def signed_reply_async(self, json: object) -> Reply:
        """The same, where a signer that takes its time is awaited."""
        return await do_async(self._signed_reply(json))

    def _signed_reply(self, json: object) -> Steps[Reply]:
        if self._credentials is None:
            raise ConfigurationError("credentials: they are missing; a client's notifications can sign replies")
        body = json_bytes(json)
        authorization = yield from self._credentials.authorization(
            lambda timestamp, nonce: response_message(timestamp, nonce, body)
        )
        return Reply(200, {"Content-Type": "application/json", "Authorization": authorization}, body)

    def _judged(self, headers: Headers, body: bytes) -> Steps[Notification]:
        doubt = yield from find_doubt(headers, body, self._keyring, self._verifier)
        if doubt is not None:
            raise SignatureError(f"the notification is not proven to be WeChat Pay's: {doubt.why}", doubt.reason, None)
        if self._seen is not None and not (yield Ask(partial(self._seen.add, headers["Wechatpay-Nonce"], 2 * WINDOW))):
            raise SignatureError("the notification came before, under the same nonce", Reason.REPLAYED, None)
        return _read(body, self._apiv3_key)


def _octets(body: object) -> bytes:
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    raise TypeError(
        f"body: came a {type(body).__name__}; expected the raw bytes of the request, for the signature is over those "
        "(request.body in Django, request.get_data() in Flask, await request.body() in FastAPI, await request.read() in "
        "aiohttp)"
    )


_HEADERS = ("wechatpay-timestamp", "wechatpay-nonce", "wechatpay-signature", "wechatpay-serial")


def _signature_headers(headers: HeaderSource) -> Headers:
    """The headers that matter. One that comes twice, differing, is as good as none."""
    try:
        pairs = [(name, value) for name, value in (headers.items() if isinstance(headers, Mapping) else headers)]
    except (TypeError, ValueError):
        raise TypeError(
            f"headers: came a {type(headers).__name__}; expected a mapping, or pairs of name and value"
        ) from None
    found: dict[str, set[str]] = {}
    for name, value in pairs:
        plain = _text(name).lower().replace("_", "-").removeprefix("http-")
        if plain in _HEADERS:
            found.setdefault(plain, set()).add(_text(value))
    return Headers({name: values.pop() for name, values in found.items() if len(values) == 1})


def _text(octets: object) -> str:
    return octets.decode("latin-1") if isinstance(octets, bytes) else octets if isinstance(octets, str) else ""


def _read(body: bytes, apiv3_key: bytes) -> Notification:
    try:
        envelope = json.loads(body)
        sealed = envelope["resource"]
        texts = {name: envelope.get(name, "") for name in ("id", "event_type", "create_time", "summary")}
        texts["original_type"] = sealed.get("original_type", "")
        algorithm = sealed["algorithm"]
        opened = aes_gcm_decrypt(sealed["ciphertext"], apiv3_key, sealed["nonce"], sealed.get("associated_data"))
        resource = json.loads(opened)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise DecryptionError("the notification is not one: expected JSON with an id and a sealed resource") from None
    if algorithm != "AEAD_AES_256_GCM" or not texts["id"] or not all(isinstance(text, str) for text in texts.values()):
        raise DecryptionError(f"the notification is not one: its members or its algorithm {algorithm!r} are not known")
    return Notification(**texts, resource=resource, raw=body)

"""Reads what WeChat Pay posts: the signature is verified over the raw bytes, then the resource is decrypted and read.

Sources: https://pay.weixin.qq.com/doc/v3/merchant/4012071382 for the envelope and its decryption,
https://pay.weixin.qq.com/doc/v3/merchant/4013053249 for the signature, which is that of a response.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from wechatpay_chain._keys.keyring import Keyring
from wechatpay_chain._keys.loading import PublicKeySource
from wechatpay_chain._keys.signing import Credentials
from wechatpay_chain._keys.verification import WINDOW, check_signature
from wechatpay_chain._messages.effects import Invoke, Steps
from wechatpay_chain._messages.json_body import json_bytes
from wechatpay_chain._messages.protocols import NonceStore, Verifier
from wechatpay_chain._notifications.notification import Notification, bind_key, read_notification
from wechatpay_chain._notifications.posted import Posted
from wechatpay_chain._notifications.received import HeaderSource
from wechatpay_chain._notifications.rejections import Rejections
from wechatpay_chain._pipeline.local import run_local, run_local_async
from wechatpay_chain._schemes.apiv3_key import key_octets
from wechatpay_chain._schemes.canonical import response_message
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import (
    ConfigurationError,
    Reason,
    SignatureError,
)

__all__ = ["Notifications", "Reply"]

logger = logging.getLogger("wechatpay_chain")


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
        seen: NonceStore | None = None,
        refresh: Callable[[str], None] | None = None,
        refresh_async: Callable[[str], Awaitable[None]] | None = None,
        verifier: Verifier | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self._decrypt = bind_key(key_octets("apiv3_key", apiv3_key))
        self._keyring = certs if isinstance(certs, Keyring) else Keyring(certs)
        if verifier is None and not isinstance(certs, Keyring):
            self._keyring.require_valid()
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
        with Rejections() as rejections:
            posted = rejections.begin(headers, body, received_at)
            if self._refresh is not None:
                self._refresh(posted.key_id)
            return run_local(self._verified(posted))

    async def parse_async(
        self, headers: HeaderSource, body: bytes, *, received_at: datetime | None = None
    ) -> Notification:
        """Does as `parse`; a certificate that has to be fetched, a verifier and a nonce store are awaited."""
        with Rejections() as rejections:
            posted = rejections.begin(headers, body, received_at)
            if self._refresh_async is not None:
                await self._refresh_async(posted.key_id)
            return await run_local_async(self._verified(posted))

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
        return run_local(self._signed_reply(json))

    async def signed_reply_async(self, json: object) -> Reply:
        """Does as `signed_reply`; a signer that takes its time is awaited."""
        return await run_local_async(self._signed_reply(json))

    def _signed_reply(self, json: object) -> Steps[Reply]:
        if self._credentials is None:
            raise ConfigurationError("credentials: they are missing; a client's notifications can sign replies")
        body = json_bytes(json)
        authorization = yield from self._credentials.authorization(
            lambda timestamp, nonce: response_message(timestamp, nonce, body)
        )
        return Reply(200, {"Content-Type": "application/json", "Authorization": authorization}, body)

    def _verified(self, posted: Posted) -> Steps[Notification]:
        fields, body = posted.headers.fields, posted.body
        doubt = yield from check_signature(fields, body, self._keyring, self._verifier, posted.received_at)
        if doubt is not None:
            why = posted.explain(doubt.reason, doubt.why)
            raise SignatureError(f"nothing proves that WeChat Pay sent the notification: {why}", doubt.reason, None)
        # What was stored may be read twice, after a crash for example; that is no replay.
        if self._seen is not None and posted.received_at is None:
            is_new = yield Invoke(partial(self._seen.add, fields["Wechatpay-Nonce"], 2 * WINDOW))
            if not is_new:
                raise SignatureError("the notification came before, under the same nonce", Reason.REPLAYED, None)
        return read_notification(body, self._decrypt)

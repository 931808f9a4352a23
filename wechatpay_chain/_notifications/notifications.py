"""Handles notifications: verifies the signature of the raw bytes, then decrypts and parses the resource.

Sources: https://pay.weixin.qq.com/doc/v3/merchant/4012071382 for the envelope and its decryption,
https://pay.weixin.qq.com/doc/v3/merchant/4013053249 for the signature, which is the same as that of a response.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from wechatpay_chain._forks.no_fork import no_fork
from wechatpay_chain._keys.keyring import Keyring
from wechatpay_chain._keys.loading import PublicKeySource
from wechatpay_chain._keys.signing import Credentials
from wechatpay_chain._keys.verification import WINDOW, check_signature
from wechatpay_chain._messages.effects import Invoke, Steps
from wechatpay_chain._messages.json_body import encode_json
from wechatpay_chain._messages.protocols import NonceStore, Verifier
from wechatpay_chain._notifications.notification import Notification, bind_key, read_notification
from wechatpay_chain._notifications.posted import Posted
from wechatpay_chain._notifications.received import HeaderSource
from wechatpay_chain._notifications.rejections import Rejections
from wechatpay_chain._pipeline.local import run_local, run_local_async
from wechatpay_chain._schemes.apiv2 import MD5, V2Keys, check_owner, check_sign_type
from wechatpay_chain._schemes.apiv3_key import key_octets
from wechatpay_chain._schemes.canonical import response_message
from wechatpay_chain._schemes.nonce import nonce as new_nonce
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import ConfigurationError, Reason, SignatureError

if TYPE_CHECKING:
    from wechatpay_chain._notifications.xml_notification import RefundNotice, XMLNotification

__all__ = ["Notifications", "Reply"]

logger = logging.getLogger("wechatpay_chain")


@dataclass(frozen=True)
class Reply:
    """The HTTP response to a notification, for any web framework. Only its status decides, not its body.

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
        """Returns the reply "received", status 204. WeChat Pay does not send the notification again."""
        return cls(204, {}, b"")

    @classmethod
    def fail(cls, message: str = "失败") -> Reply:
        """Returns the reply "not received", status 500. WeChat Pay sends the notification again.

        Args:
            message: the cause, for WeChat Pay's records.
        """
        return cls(
            500, {"Content-Type": "application/json"}, encode_json({"code": "FAIL", "message": message}, "message")
        )

    @classmethod
    def xml_ok(cls) -> Reply:
        """Returns the reply "received" to a notification of APIv2: exactly these bytes, status 200.

        Source: https://pay.weixin.qq.com/doc/v2/merchant/4011985004
        """
        return cls(200, {"Content-Type": "text/xml"}, _xml_reply("SUCCESS", "OK"))

    @classmethod
    def xml_fail(cls) -> Reply:
        """Returns the reply "not received" to a notification of APIv2, status 500. WeChat Pay sends the notification again."""
        return cls(500, {"Content-Type": "text/xml"}, _xml_reply("FAIL", "ERROR"))


def _xml_reply(code: str, message: str) -> bytes:
    return f"<xml><return_code><![CDATA[{code}]]></return_code><return_msg><![CDATA[{message}]]></return_msg></xml>".encode()


class Notifications:
    """Verifies, decrypts and parses the notifications of one merchant.

    Every refused notification is logged once, as a WARNING of the logger `wechatpay_chain`: the reason, the id of the
    key and the Request-ID header, which `parse_xml` does not see, and nothing of the content.

    Args:
        certs: WeChat Pay's keys by id, the same as for `Client`, or a keyring.
        apiv3_key: the APIv3 key of 32 bytes, which notifications are encrypted with; None if only those of APIv2 are read.
        seen: a nonce store, such as `SeenNonces()` in a server of one process; refuses a replay, which has the nonce of
            an earlier notification. Without one, only a replay after 300 seconds is refused, so check `id` yourself.
        refresh: called with the id of the key before a notification is verified, to fetch missing keys into the
            keyring. `client.notifications` has one.
        refresh_async: the same for `parse_async`.
        verifier: verifies in place of `certs`, which may then be empty; the same as for `Client`.
        credentials: of the merchant, to sign replies. `client.notifications` has them.
        apiv2_keys: the APIv2 keys, the current one first, for `parse_xml`.

    Raises:
        ConfigurationError: a key is missing or wrong.
    """

    @shielded
    def __init__(
        self,
        certs: Mapping[str, PublicKeySource] | Keyring,
        apiv3_key: str | bytes | None,
        *,
        seen: NonceStore | None = None,
        refresh: Callable[[str], None] | None = None,
        refresh_async: Callable[[str], Awaitable[None]] | None = None,
        verifier: Verifier | None = None,
        credentials: Credentials | None = None,
        apiv2_keys: Sequence[str | bytes] | V2Keys = (),
    ) -> None:
        if apiv3_key is None and not apiv2_keys:
            raise ConfigurationError("apiv3_key: it is missing; notifications are encrypted with it")
        self._v2_keys = apiv2_keys if isinstance(apiv2_keys, V2Keys) else _parse_keys(apiv2_keys)
        self._keyring = certs if isinstance(certs, Keyring) else Keyring(certs)
        self._decrypt = None if apiv3_key is None else bind_key(key_octets("apiv3_key", apiv3_key))
        if verifier is None and apiv3_key is not None and not isinstance(certs, Keyring):
            self._keyring.require_valid()
        self._seen, self._refresh, self._refresh_async = seen, refresh, refresh_async
        self._verifier, self._credentials = verifier, credentials

    def parse(self, headers: HeaderSource, body: bytes, *, received_at: datetime | None = None) -> Notification:
        """Verifies, decrypts and parses a notification.

        Args:
            headers: the headers of the HTTP request, in the form that your web framework has.
            body: the raw bytes of the request's body.
            received_at: the time at which your server received the request, with a time zone; None for now. Pass it if
                you store requests and verify them later. The timestamp is compared with it in place of the clock, so
                never take it from the message itself. The nonce store is then not used, because a queue can deliver
                the same request twice after a crash.

        Raises:
            ConfigurationError: `apiv3_key` is missing.
            TypeError: the body is not bytes (JSON that was parsed and encoded again is not what was signed), the form
                of the headers is not supported, or `received_at` is not a datetime.
            ArgumentError: `received_at` has no time zone, or is in the future.
            SignatureError: the signature is not verified, the timestamp is 300 seconds or more off, this is a replay, or
                the nonce store failed, so that nobody knows. Reply with `Reply.fail()`. WeChat Pay now and then sends a probe
                with a wrong signature, and expects that reply.
            DecryptionError: the body is not a notification, or was not encrypted with `apiv3_key`.
        """
        with Rejections() as rejections:
            posted = rejections.begin(headers, body, received_at)
            if self._refresh is not None:
                self._refresh(posted.key_id)
            return run_local(self._verify(posted))

    async def parse_async(
        self, headers: HeaderSource, body: bytes, *, received_at: datetime | None = None
    ) -> Notification:
        """Does the same as `parse`, and awaits the download of a certificate, the verifier and the nonce store."""
        with Rejections() as rejections:
            posted = rejections.begin(headers, body, received_at)
            if self._refresh_async is not None:
                await self._refresh_async(posted.key_id)
            return await run_local_async(self._verify(posted))

    def parse_xml(self, body: bytes) -> XMLNotification | RefundNotice:
        """Verifies and parses a notification of APIv2.

            notification = client.notifications.parse_xml(request.get_data())
            if isinstance(notification, XMLNotification) and notification.kind == "payment":
                ...  # verified
            return Reply.xml_ok()

        Nothing in it is compared with a clock, and APIv2 has no nonce that could be stored: handle each order number once.

        Args:
            body: the raw bytes of the request's body.

        Returns:
            A verified notification; or a `RefundNotice`, which is not signed: query the refund before you act on it.

        Raises:
            TypeError: the body is not bytes.
            ConfigurationError: an APIv2 key, or for an encrypted event the APIv3 key, is missing.
            UnsupportedError: the client is a brand's.
            SignatureError: the signature is missing or wrong. Reply with `Reply.xml_fail()`.
            DecryptionError: the body is not XML of WeChat Pay, or was not encrypted with these keys.
        """
        with no_fork.current:
            from wechatpay_chain._notifications.xml_notification import read_xml_notification
        with Rejections() as rejections:
            posted = rejections.begin({}, body, None)
            return read_xml_notification(posted.body, self._require_v2_keys(), self._decrypt)

    def signed_xml_reply(self, fields: Mapping[str, object]) -> Reply:
        """Returns a signed reply with data, as native payment in mode 1 requires.

        WeChat Pay posts product_id and openid; you place the order, and reply with its prepay_id.

        Args:
            fields: return_code, appid, prepay_id, result_code and so on. nonce_str and sign are added, and by `client.notifications`
                mch_id. A sign_type among them is the type of the signature; the default is MD5.

        Raises:
            ConfigurationError: an APIv2 key is missing.
            UnsupportedError: the client is a brand's.
            ArgumentError: a field cannot be written, or is of another merchant.
        """
        keys = self._require_v2_keys()
        with no_fork.current:
            from wechatpay_chain._messages.xml_body import check_fields, encode_xml
        written = {"nonce_str": new_nonce(), **check_fields("fields", fields)}
        if self._credentials is not None:
            check_owner(self._credentials.identity, "fields", written)
            written = {"mch_id": self._credentials.identity, **written}
        signed = {**written, "sign": keys.sign(written, check_sign_type(written.get("sign_type", MD5)))}
        return Reply(200, {"Content-Type": "text/xml"}, encode_xml(signed))

    def _require_v2_keys(self) -> V2Keys:
        if self._credentials is not None:
            self._credentials.require_apiv2()
        if not self._v2_keys:
            raise ConfigurationError(
                "apiv2_key: it is missing; what APIv2 posts is signed or encrypted with it, and so is the reply"
            )
        return self._v2_keys

    def signed_reply(self, json: object) -> Reply:
        """Returns a reply with data and the merchant's signature, as the CROSS_BORDER_PAY.… notifications require.

        Source: https://pay.weixin.qq.com/doc/v3/institution/4019762388. The signature is in an Authorization header of
        the same form as in requests. A reply has neither method nor path, so the signed message is the same as for
        WeChat Pay's own responses: timestamp, nonce and body. WeChat Pay waits 3 seconds for the reply.

        Args:
            json: the body, such as {"code": "SUCCESS", "acq_tid": "…", "mch_id": "…"}.

        Raises:
            ConfigurationError: there are no credentials to sign with.
            ArgumentError: the body cannot be written as JSON.
        """
        return run_local(self._sign_reply(json))

    async def signed_reply_async(self, json: object) -> Reply:
        """Does the same as `signed_reply`, and awaits an async signer."""
        return await run_local_async(self._sign_reply(json))

    def _sign_reply(self, json: object) -> Steps[Reply]:
        if self._credentials is None:
            raise ConfigurationError("credentials: they are missing; use client.notifications, which can sign replies")
        body = encode_json(json)
        authorization = yield from self._credentials.make_authorization(
            lambda timestamp, nonce: response_message(timestamp, nonce, body)
        )
        return Reply(200, {"Content-Type": "application/json", "Authorization": authorization}, body)

    def _verify(self, posted: Posted) -> Steps[Notification]:
        if self._decrypt is None:
            raise ConfigurationError("apiv3_key: it is missing; notifications are encrypted with it")
        fields, body = posted.headers.fields, posted.body
        failure = yield from check_signature(fields, body, self._keyring, self._verifier, posted.received_at)
        if failure is not None:
            why = posted.explain(failure.reason, failure.why)
            raise SignatureError(f"the signature of the notification is not verified: {why}", failure.reason, None)
        # A stored notification may be parsed twice, after a crash for example; that is no replay.
        if self._seen is not None and posted.received_at is None:
            try:
                is_new = yield Invoke(partial(self._seen.add, fields["Wechatpay-Nonce"], 2 * WINDOW))
            except ConfigurationError:
                raise
            except Exception as error:
                raise SignatureError(
                    f"it is unknown whether the notification is a replay, because the nonce store raised {type(error).__name__}; "
                    "its cause is in __cause__",
                    Reason.NONCE_STORE_FAILED,
                    None,
                ) from error
            if not is_new:
                raise SignatureError(
                    "the notification is a replay: its nonce was received before", Reason.REPLAYED, None
                )
        return read_notification(body, self._decrypt)


@shielded
def _parse_keys(keys: Sequence[str | bytes]) -> V2Keys:
    return V2Keys([key_octets(f"apiv2_keys[{number}]", key) for number, key in enumerate(keys)])

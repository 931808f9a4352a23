"""Fetches the platform certificates when the keyring needs them: at the first need, for an unknown serial, every 12 hours.

A download is part of the call that needs it. Whatever goes wrong with it, the call is not sent again, and the keys that
are there stay.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial

from wechatpay_chain.errors import APIError, ConfigurationError, Reason, SignatureError, TransportError, WeChatPayError
from wechatpay_chain.flow import run
from wechatpay_chain.http import Ask, Flow, Headers, Middleware, Request, Response, Steps, Timeout, Wait
from wechatpay_chain.keyring import ANY, REFRESH_EVERY, Keyring
from wechatpay_chain.middleware.errors import raise_for_status
from wechatpay_chain.middleware.retry import UNSETTLED
from wechatpay_chain.middleware.verify import check

__all__ = ["outage", "refresh_for", "refreshed", "rotate"]

logger = logging.getLogger("wechatpay_chain")

CACHED_FOR = 3600
"""Seconds after which certificates from the cache, whose age is not known, are fetched anew."""

_PATH = "/v3/certificates"
_GLOBAL_PATH = "/v3/global/certificates"
"""The same, on the host of the global operations."""


def certificates_request(request: Request, timeout: Timeout) -> Request:
    """The request for the certificates of the service that another request goes to.

    Source: https://pay.weixin.qq.com/doc/v3/merchant/4012551764. It names no key in Wechatpay-Serial, so that a
    certificate signs the answer.
    """
    path = _GLOBAL_PATH if request.origin.startswith("https://apihk.") else _PATH
    kept = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
    headers = Headers({name: request.headers[name] for name in kept if name in request.headers})
    return Request("GET", path[1:], request.origin, path, headers, b"", timeout, idempotent=True)


def rotate(keyring: Keyring, timeout: Timeout, again: Middleware) -> Middleware:
    """Lets a response pass as it is, with the keyring brought up to date before anybody judges it.

    Args:
        keyring: to bring up to date.
        timeout: of a download, whatever the call's own is.
        again: tries a download again that an answer has made necessary; the call itself is over then.

    Raises:
        TransportError: in the flow; there is no key yet, none could be fetched for now, and nothing was sent.
        SignatureError: in the flow; there is no key, and none that could be believed.
    """
    around = again, raise_for_status

    def rotated(request: Request) -> Flow:
        is_listing = request.method == "GET" and request.target.partition("?")[0] in (_PATH, _GLOBAL_PATH)
        if keyring.lacks_keys and not is_listing:
            # Rather than to pay, and then to be unable to believe the answer.
            yield from refreshed(keyring, ANY, request, timeout, around)
            if keyring.lacks_keys:
                raise _no_key(keyring, request)
        response: Response = yield request
        if is_listing:
            if keyring.fetches:
                keyring.trouble = yield from _adopted(keyring, response)
        elif response.ok:
            key_id = response.headers.get("Wechatpay-Serial", "")
            yield from refreshed(keyring, key_id, request, timeout, around)
        return response

    return rotated


def refresh_for(keyring: Keyring, key_id: str, timeout: Timeout) -> Middleware:
    """Brings the keyring up to date for a key that something else than an answer names. The request is not passed on."""

    def refreshed_for(request: Request) -> Flow:
        yield from refreshed(keyring, key_id, request, timeout)
        return Response(204, Headers({}), b"", request)

    return refreshed_for


def _no_key(keyring: Keyring, request: Request) -> WeChatPayError:
    """The error of a call whose answer nothing could prove. Nothing was sent."""
    call = f"{request.method} {request.template}"
    if keyring.is_outage:
        return outage(keyring, request)
    return SignatureError(
        f"{call}: no key of WeChat Pay's could prove the answer, so nothing was sent: {keyring.trouble}",
        Reason.UNKNOWN_SERIAL,
        None,
    )


def outage(keyring: Keyring, request: Request) -> TransportError:
    """The error of a call that needs a key which cannot be fetched for now. Nothing was sent."""
    return TransportError(
        f"{request.method} {request.template}: it needs a key of WeChat Pay's, and nothing was sent: {keyring.trouble}",
        sent=False,
    )


def refreshed(
    keyring: Keyring, key_id: str, request: Request, timeout: Timeout, around: Sequence[Middleware] = ()
) -> Steps[None]:
    """Brings a keyring up to date where it needs that; see `Keyring.needs_refresh`.

    Args:
        keyring: to bring up to date.
        key_id: the key that is needed.
        request: the one that needs it.
        timeout: of a download.
        around: what a download passes through besides the layers inside of whoever calls this.
    """
    while keyring.needs_refresh(key_id):
        refresh, ours = keyring.begin_refresh(key_id)
        if refresh is None:
            return
        if ours:
            yield from _download(keyring, key_id, refresh, request, timeout, around)
            return
        waited = yield Wait(refresh, timeout.connect + timeout.read)
        if waited is None:  # whoever is at it needs this very thread to go on
            keyring.trouble = yield from _fetched(keyring, request, timeout, around)
        if not waited:
            return


def _download(
    keyring: Keyring,
    key_id: str,
    refresh: Future[None],
    request: Request,
    timeout: Timeout,
    around: Sequence[Middleware],
) -> Steps[None]:
    trouble: str | None = None
    try:
        if keyring.has_fetched or not (yield from _from_cache(keyring, key_id)):
            trouble = yield from _fetched(keyring, request, timeout, around)
        else:
            trouble = ""
    finally:
        # Interrupted, it says nothing of the service: whoever waits may try at once.
        keyring.end_refresh(refresh, trouble)


def _fetched(keyring: Keyring, request: Request, timeout: Timeout, around: Sequence[Middleware]) -> Steps[str]:
    """Fetches certificates and takes them, or says why not. Whatever goes wrong here is not the call's."""
    try:
        answer = yield from run(around, certificates_request(request, timeout))
    except WeChatPayError as error:
        status = error.status_code if isinstance(error, APIError) else 0
        keyring.is_outage = isinstance(error, TransportError) or status in UNSETTLED
        return str(error)
    return (yield from _adopted(keyring, answer))


def _from_cache(keyring: Keyring, key_id: str) -> Steps[bool]:
    """Whether the cache has a key. A cache that fails is one that has nothing."""
    if keyring.cache is None:
        return False
    try:
        cached = yield Ask(keyring.cache.load)
        kept = Keyring(keyring.opened(cached)) if cached is not None else None
    except Exception as error:
        logger.warning("the certificate cache is of no use: %s: %s", type(error).__name__, error)
        return False
    if kept is None or (key_id != ANY and kept.find(key_id) is None):
        return False
    keyring.adopt(kept, age=REFRESH_EVERY - CACHED_FOR)
    return True


def _adopted(keyring: Keyring, answer: Response) -> Steps[str]:
    """Takes the certificates of an answer, or says why not."""
    keyring.is_outage = answer.status_code in UNSETTLED
    try:
        if not answer.ok:
            raise ConfigurationError(
                f"{answer.request.template} answered {answer.status_code}"
                + (
                    "; a merchant without certificates gives WeChat Pay's public key in certs="
                    if answer.status_code == 404
                    else ""
                )
            )
        fetched = Keyring(keyring.opened(answer.content))
        # Who asked for it may have named the public key, which then signs; it is known before anything is fetched.
        is_known = keyring.find(answer.headers.get("Wechatpay-Serial", "")) is not None
        yield from check(answer.request, answer, keyring if is_known else fetched)
    except WeChatPayError as error:
        logger.warning("the platform certificates could not be refreshed: %s", error)
        return str(error)
    keyring.adopt(fetched)
    if keyring.cache is not None:
        try:
            yield Ask(partial(keyring.cache.save, answer.content))
        except Exception as error:
            logger.warning("the certificate cache cannot be written: %s: %s", type(error).__name__, error)
    return ""

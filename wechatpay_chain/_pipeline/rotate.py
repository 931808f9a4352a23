"""Fetches the platform certificates when the keyring needs them: at the first need, for an unknown serial, every 12 hours.

A download is part of the call that needs it. Whatever goes wrong with it, the call is not sent again, and the keys that
are there stay.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future
from copy import copy
from functools import partial

from wechatpay_chain._keys.keyring import REFRESH_EVERY, Keyring
from wechatpay_chain._messages.effects import Ask, Flow, Middleware, Steps, Wait
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.request import Request, Timeout
from wechatpay_chain._messages.response import Response
from wechatpay_chain._pipeline.errors import api_error, raise_for_status
from wechatpay_chain._pipeline.retry import UNSETTLED
from wechatpay_chain._pipeline.stack import run
from wechatpay_chain._pipeline.verify import check
from wechatpay_chain.errors import (
    APIError,
    ConfigurationError,
    ForbiddenError,
    NotFoundError,
    Reason,
    SignatureError,
    TransportError,
    WeChatPayError,
)

__all__ = ["is_listing", "missing_key", "refresh_for", "refreshed", "rotate"]

logger = logging.getLogger("wechatpay_chain")

CACHED_FOR = 3600
"""Seconds after which certificates from the cache, whose age is not known, are fetched anew."""

_PATH = "/v3/certificates"
_GLOBAL_PATH = "/v3/global/certificates"
"""The same, on the host of the global operations."""


def certificates_request(request: Request, timeout: Timeout) -> Request:
    """The request for the certificates of the service that another request goes to.

    Source: https://pay.weixin.qq.com/doc/v3/merchant/4012551764. It names no key in Wechatpay-Serial, so that a
    certificate signs the response.
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
        again: tries a download again that a response has made necessary; the call itself is over then.
    """
    around = again, raise_for_status

    def rotated(request: Request) -> Flow:
        response: Response = yield request
        if is_listing(request):
            if keyring.fetches:
                keyring.failure = yield from _adopted(keyring, response)
        elif response.ok:
            key_id = response.headers.get("Wechatpay-Serial", "")
            yield from refreshed(keyring, key_id, request, timeout, around)
        return response

    return rotated


def refresh_for(keyring: Keyring, key_id: str, timeout: Timeout) -> Middleware:
    """Brings the keyring up to date for a key that something else than a response names. The request is not passed on."""

    def refreshed_for(request: Request) -> Flow:
        yield from refreshed(keyring, key_id, request, timeout)
        return Response(204, Headers({}), b"", request)

    return refreshed_for


def is_listing(request: Request) -> bool:
    """Tells whether a request asks for the platform certificates."""
    return request.method == "GET" and request.target.partition("?")[0] in (_PATH, _GLOBAL_PATH)


def missing_key(keyring: Keyring, request: Request) -> WeChatPayError:
    """Returns the error of a call that needs a key of WeChat Pay's where there is none. Nothing of the call was sent."""
    failure, call = keyring.failure, f"{request.method} {request.template}"
    if not keyring.fetches:
        return ConfigurationError(f"certs: {call} needs a key of WeChat Pay's, and there is none; add its public key")
    if failure is None:
        failure = TransportError("no platform certificate has been fetched yet", sent=False)
    seconds = max(keyring.seconds_to_next_try(), 0)
    error = copy(failure)
    error.args = (
        f"Nothing was sent of {call}, for it needs a key of WeChat Pay's. {failure}. Certificates are asked for again after "
        f"{seconds:.0f} s",
        *failure.args[1:],
    )
    error.sent, error.attempts = False, ()
    return error


def refreshed(
    keyring: Keyring, key_id: str | None, request: Request, timeout: Timeout, around: Sequence[Middleware] = ()
) -> Steps[None]:
    """Brings a keyring up to date where it needs that; see `Keyring.needs_refresh`.

    Args:
        keyring: to bring up to date.
        key_id: the key that is needed; None where any would do.
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
            keyring.failure = yield from _fetched(keyring, request, timeout, around)
        if not waited:
            return


def _download(
    keyring: Keyring,
    key_id: str | None,
    refresh: Future[None],
    request: Request,
    timeout: Timeout,
    around: Sequence[Middleware],
) -> Steps[None]:
    interrupted = True
    try:
        if keyring.has_fetched or not (yield from _from_cache(keyring, key_id)):
            keyring.failure = yield from _fetched(keyring, request, timeout, around)
        else:
            keyring.failure = None
        interrupted = False
    finally:
        keyring.end_refresh(refresh, interrupted=interrupted)


def _fetched(
    keyring: Keyring, request: Request, timeout: Timeout, around: Sequence[Middleware]
) -> Steps[WeChatPayError | None]:
    """Fetches certificates and takes them, or returns why not. Whatever goes wrong here is not the call's."""
    keyring.failure, before = None, keyring.generation
    try:
        answer = yield from run(around, certificates_request(request, timeout))
    except WeChatPayError as error:
        # Where it passed through this layer, what is wrong with the list is known already.
        return keyring.failure or _of_certificates(error)
    return None if keyring.generation != before else (yield from _adopted(keyring, answer))


def _of_certificates(error: WeChatPayError) -> WeChatPayError:
    """Returns what an error of the request for certificates means to the call that needs one."""
    if isinstance(error, (NotFoundError, ForbiddenError)):
        return ConfigurationError(
            f"certs: there are no platform certificates for this merchant to fetch, as for all new ones since the end of 2024 "
            f"({error}); give WeChat Pay's public key from the merchant platform (账户中心 > API安全), "
            "certs={'PUB_KEY_ID_…': Path('pub_key.pem')}"
        )
    if isinstance(error, APIError) and error.status_code in UNSETTLED:
        return TransportError(f"the platform certificates could not be fetched: {error}", sent=False)
    if isinstance(error, SignatureError):
        clock = "; correct this machine's clock" if error.reason is Reason.CLOCK_SKEW else ""
        return TransportError(f"the list of platform certificates could not be verified: {error}{clock}", sent=False)
    return error


def _from_cache(keyring: Keyring, key_id: str | None) -> Steps[bool]:
    """Whether the cache has a key. A cache that fails is one that has nothing."""
    if keyring.cache is None:
        return False
    try:
        cached = yield Ask(keyring.cache.load)
        kept = Keyring(keyring.opened(cached)) if cached is not None else None
    except Exception as error:
        logger.warning("the certificate cache is of no use: %s: %s", type(error).__name__, error)
        return False
    if kept is None or (key_id is not None and kept.find(key_id) is None):
        return False
    keyring.adopt(kept, age=REFRESH_EVERY - CACHED_FOR)
    return True


def _adopted(keyring: Keyring, answer: Response) -> Steps[WeChatPayError | None]:
    """Takes the certificates of a response, or returns why not."""
    try:
        if not answer.ok:
            raise api_error(answer)
        fetched = Keyring(keyring.opened(answer.content))
        # The request may have named the public key, which then signs; it is known before anything is fetched.
        is_known = keyring.find(answer.headers.get("Wechatpay-Serial", "")) is not None
        yield from check(answer.request, answer, keyring if is_known else fetched)
    except WeChatPayError as error:
        failure = _of_certificates(error)
        logger.warning("the platform certificates could not be refreshed: %s", failure)
        return failure
    keyring.adopt(fetched)
    if keyring.cache is not None:
        try:
            yield Ask(partial(keyring.cache.save, answer.content))
        except Exception as error:
            logger.warning("the certificate cache cannot be written: %s: %s", type(error).__name__, error)
    return None

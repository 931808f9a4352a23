"""Fetches the platform certificates when the keyring needs them: at the first need, for an unknown serial, every 12 hours.

A download is part of the call that needs it. Whatever goes wrong with it, the call is not sent again, and the keys that
are there stay.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import replace
from typing import Any

from wechatpay_chain.errors import WeChatPayError
from wechatpay_chain.http import Flow, Headers, Middleware, Request, Response, Wait
from wechatpay_chain.keyring import Keyring
from wechatpay_chain.middleware.verify import check

__all__ = ["certificates_request", "refresh_for", "rotate"]

logger = logging.getLogger("wechatpay_chain")

_PATH = "/v3/certificates"
_GLOBAL_PATH = "/v3/global/certificates"
"""The same, on the host of the global operations."""


def certificates_request(request: Request) -> Request:
    """The request for the certificates of the service that another request goes to.

    Source: https://pay.weixin.qq.com/doc/v3/merchant/4012551764. It names no key in Wechatpay-Serial, so that a
    certificate signs the answer.
    """
    path = _GLOBAL_PATH if request.origin.startswith("https://apihk.") else _PATH
    kept = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
    headers = Headers({name: request.headers[name] for name in kept if name in request.headers})
    return replace(request, method="GET", template=path[1:], target=path, headers=headers, body=b"", seal=None)


def rotate(keyring: Keyring) -> Middleware:
    """Lets a response pass as it is, with the keyring brought up to date before anybody judges it."""

    def rotated(request: Request) -> Flow:
        response: Response = yield request
        key_id = response.headers.get("Wechatpay-Serial", "")
        if response.ok and keyring.needs_refresh(key_id):
            is_listing = request.method == "GET" and request.target.partition("?")[0] in (_PATH, _GLOBAL_PATH)
            yield from _refresh(keyring, key_id, request, response if is_listing else None)
        return response

    return rotated


def refresh_for(keyring: Keyring, key_id: str) -> Middleware:
    """Brings the keyring up to date for a key that something else than an answer names. The request is not passed on."""

    def refreshed(request: Request) -> Flow:
        if keyring.needs_refresh(key_id):
            yield from _refresh(keyring, key_id, request, None)
        return Response(204, Headers({}), b"", request)

    return refreshed


def _refresh(
    keyring: Keyring, key_id: str, request: Request, listing: Response | None
) -> Generator[Request | Wait, Any, None]:
    refresh, ours = keyring.begin_refresh()
    if refresh is None:
        return
    if not ours:
        yield Wait(refresh, sum(request.timeout))
        return
    trouble = "it was interrupted"
    try:
        if not _from_cache(keyring, key_id):
            answer: Response = listing or (yield certificates_request(request))
            _adopt(keyring, answer)
        trouble = ""
    except WeChatPayError as error:
        trouble = str(error)
        logger.warning("the platform certificates could not be refreshed: %s", error)
    finally:
        keyring.end_refresh(refresh, trouble)


def _from_cache(keyring: Keyring, key_id: str) -> bool:
    """Whether the cache has a key."""
    cached = keyring.cache.load() if keyring.cache else None
    if cached is None:
        return False
    try:
        kept = Keyring(keyring.opened(cached))
    except WeChatPayError as error:
        logger.warning("the certificate cache is of no use: %s", error)
        return False
    if kept.find(key_id) is None:
        return False
    keyring.adopt(kept)
    return True


def _adopt(keyring: Keyring, answer: Response) -> None:
    if not answer.ok:
        raise WeChatPayError(
            f"{answer.request.template} answered {answer.status_code}; a merchant without certificates gives WeChat Pay's "
            "public key in certs="
        )
    fetched = Keyring(keyring.opened(answer.content))
    check(answer, fetched)
    keyring.adopt(fetched)
    if keyring.cache:
        keyring.cache.save(answer.content)

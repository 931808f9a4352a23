"""Sees to it that there is a key of WeChat Pay's before a call is sent, and encrypts what is sensitive with it.

That is done once for a call, however often it is tried. The request names the key in Wechatpay-Serial.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from wechatpay_chain._keys.keyring import Keyring
from wechatpay_chain._messages.effects import Ask, Flow, Middleware
from wechatpay_chain._messages.request import Request, Timeout, copied
from wechatpay_chain._messages.response import Response
from wechatpay_chain._pipeline.rotate import is_listing, missing_key, refreshed

__all__ = ["encrypt"]


def encrypt(keyring: Keyring, decrypt: Callable[[str], str], timeout: Timeout) -> Middleware:
    """Encrypts what is sensitive in a request, and gives the response what decrypts it.

    Source: https://pay.weixin.qq.com/doc/v3/merchant/4013053257

    Args:
        keyring: whose preferred key encrypts. Where it has none yet, certificates are fetched first, also for a call that
            needs one only to verify its response.
        decrypt: opens what comes back encrypted to the merchant.
        timeout: of a download.

    Raises:
        TransportError, ConfigurationError, APIError: when the request is sent; there is no key, and none could be
            fetched. Nothing was sent of the call.
        ArgumentError: when the request is sent; a text is longer than the key can hold, or the caller's header names another key.
    """

    def encrypted(request: Request) -> Flow:
        # Asked for once: a key that ends meanwhile must not let what is sensitive pass by.
        preferred = keyring.preferred
        # Rather than to pay, and then to have no key to verify the response with.
        if preferred is None and (request.seal is not None or (keyring.lacks_keys and not is_listing(request))):
            yield from refreshed(keyring, None, request, timeout)
            preferred = keyring.preferred
            if preferred is None:
                raise missing_key(keyring, request)
        if request.seal is not None and preferred is not None:
            make = partial(request.seal, *preferred)
            # An upload is read for its digest once more, which may take longer than a loop can wait.
            sealed: Request = (yield Ask(make)) if request.upload else make()
            # Whatever the layers outside of this one changed stays.
            headers = {name: sealed.headers[name] for name in ("Wechatpay-Serial", "Content-Type")}
            request = copied(
                request.with_headers(headers), target=sealed.target, body=sealed.body, upload=sealed.upload
            )
        response: Response = yield request
        return copied(response, opener=decrypt)

    return encrypted

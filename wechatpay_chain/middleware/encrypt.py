"""Encrypts what is sensitive, once per call, with the key that the request then names in Wechatpay-Serial."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from wechatpay_chain.errors import ConfigurationError
from wechatpay_chain.http import Ask, Flow, Middleware, Request, Response, Timeout, copied
from wechatpay_chain.keyring import ANY, Keyring
from wechatpay_chain.middleware.rotate import missing_key, refreshed

__all__ = ["encrypt"]


def encrypt(keyring: Keyring, decrypt: Callable[[str], str], timeout: Timeout) -> Middleware:
    """Seals a request that has something to seal, and gives the response what opens it.

    Source: https://pay.weixin.qq.com/doc/v3/merchant/4013053257

    Args:
        keyring: whose preferred key encrypts. Where it has none yet, certificates are fetched first.
        decrypt: opens what comes back encrypted to the merchant.
        timeout: of a download.

    Raises:
        TransportError, ConfigurationError, APIError: when the request is sent; there is no key to encrypt with.
        ArgumentError: in the flow; a text is longer than the key can hold, or the caller's header names another key.
    """

    def encrypted(request: Request) -> Flow:
        if request.seal is not None:
            if keyring.preferred is None:
                yield from refreshed(keyring, ANY, request, timeout)
            preferred = keyring.preferred
            if preferred is None:
                if keyring.fetches:
                    raise missing_key(keyring, request)
                raise ConfigurationError("certs: there is no key of WeChat Pay's to encrypt with; add its public key")
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

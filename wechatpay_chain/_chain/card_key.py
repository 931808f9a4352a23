"""WeChat Pay's public key for card numbers and names in APIv2, fetched when a call first needs it.

The response that has it is not signed; TLS with the merchant's certificate protects it. An attacker who could change it could read
what is encrypted with it. Source: https://pay.weixin.qq.com/wiki/doc/api/tools/mch_pay.php?chapter=24_7
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from wechatpay_chain._chain.call import Call
from wechatpay_chain._keys.checks import check_size
from wechatpay_chain._keys.loading import load_public_key
from wechatpay_chain._keys.per_process_key import PerProcessKey
from wechatpay_chain._messages.effects import Flow, Steps
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain._pipeline.layers import Api
from wechatpay_chain._schemes.by_key import encrypt
from wechatpay_chain.errors import (
    APIError,
    ArgumentError,
    ConfigurationError,
    ContentError,
    SignatureError,
    TransportError,
)

__all__ = ["CardKey"]

TTL = 12 * 3600
"""Seconds after which the key is fetched again. It changes seldom, and the service does not say when."""


class CardKey:
    """Keeps the key of one client.

    Args:
        fetch: sends a request through the layers of the client, with or without retries.
    """

    def __init__(self, fetch: Callable[[Request, bool], Flow]) -> None:
        self._fetch = fetch
        self._known: tuple[PerProcessKey[RSAPublicKey], float] | None = None

    def find(self, encode: Callable[[Call], Request]) -> Steps[RSAPublicKey]:
        """Returns the key, and fetches it if it is not known, or has been known for 12 hours.

        Args:
            encode: makes the request of a call.

        Raises:
            TransportError: it cannot be fetched; nothing else was sent. Its cause says why.
        """
        known = self._known
        if known is None or time.monotonic() - known[1] > TTL:
            known = self._known = (yield from self._load(encode)), time.monotonic()
        return known[0].current

    def forget(self) -> None:
        """Lets the next call fetch the key again: the service has refused what was encrypted with it, perhaps for that reason."""
        self._known = None

    def _load(self, encode: Callable[[Call], Request]) -> Steps[PerProcessKey[RSAPublicKey]]:
        request = encode(Call("POST", "v2/risk/getpublickey", xml={}, idempotent=True))
        try:
            response: Response = yield from self._fetch(request, True)
            response = yield from cast("Api", request._carried.api).verify(request, response)
            published = response.xml().get("pub_key")
        except (TransportError, APIError, ContentError, SignatureError) as error:
            raise self._make_error(request, str(error)) from error
        try:
            key = load_public_key(str(published or "").encode())  # as bytes, it can be no path
            check_size("pub_key", key)
            encrypt("a number", key)
        except (ConfigurationError, ArgumentError) as error:
            raise self._make_error(request, f"the response has no usable public key: {error}") from error
        return PerProcessKey(key)

    @staticmethod
    def _make_error(request: Request, why: str) -> TransportError:
        return TransportError(
            f"the key that encrypts card numbers could not be fetched, so nothing was sent: {request.template}: {why}",
            sent=False,
        )

    def __repr__(self) -> str:
        return "<CardKey>"

"""Who signs: the merchant's number, the serial number of its certificate, and what signs with that certificate's key."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from wechatpay_chain._keys.own_keys import OwnKey
from wechatpay_chain._messages.effects import Compute, Invoke, Steps
from wechatpay_chain._messages.protocols import Signer
from wechatpay_chain._schemes import rsa
from wechatpay_chain._schemes.canonical import AUTHORIZATION_SCHEME
from wechatpay_chain._schemes.nonce import nonce as new_nonce
from wechatpay_chain.errors import ConfigurationError, TransportError

__all__ = ["Credentials", "Signature", "with_key", "with_nothing", "with_signer"]


Signature = Callable[[bytes], Steps[str]]
"""Makes the signature of a message, in base64."""


class Credentials(NamedTuple):
    """What a merchant signs as.

    Attributes:
        mchid: the merchant number.
        serial: of the merchant API certificate, not of the platform's.
        signature: signs with the private key of that certificate.
    """

    mchid: str
    serial: str
    signature: Signature

    def authorization(self, message: Callable[[int, str], bytes]) -> Steps[str]:
        """The value of an Authorization header, with a fresh nonce and timestamp.

        Source: https://pay.weixin.qq.com/doc/v3/merchant/4012365342

        Args:
            message: the canonical message for a timestamp and a nonce.
        """
        timestamp, nonce = int(time.time()), new_nonce()
        signature = yield from self.signature(message(timestamp, nonce))
        return (
            f'{AUTHORIZATION_SCHEME} mchid="{self.mchid}",nonce_str="{nonce}",signature="{signature}",'
            f'timestamp="{timestamp}",serial_no="{self.serial}"'
        )

    def __repr__(self) -> str:
        return f"<Credentials mchid={self.mchid} serial={self.serial}>"


def with_key(key: OwnKey[RSAPrivateKey]) -> Signature:
    """Signs with the merchant's private key."""

    def signature(message: bytes) -> Steps[str]:
        text: str = yield Compute(partial(rsa.sign, message, key.here))
        return text

    return signature


def with_signer(signer: Signer) -> Signature:
    """Signs with whatever the signer signs with.

    Raises:
        TransportError: in the flow; the signer failed, and nothing was sent.
        ConfigurationError: in the flow; what it returned is no signature.
    """

    def signature(message: bytes) -> Steps[str]:
        try:
            signed = yield Invoke(partial(signer.sign, message))
        except ConfigurationError:
            raise
        except Exception as error:
            raise TransportError(f"the signer raised {type(error).__name__}; nothing was sent", sent=False) from error
        if not isinstance(signed, str) or not re.fullmatch("[A-Za-z0-9+/]+={0,2}", signed):
            raise ConfigurationError(
                f"signer: its sign() returned a {type(signed).__name__} of no use; expected the signature as a text in base64"
            )
        return signed

    return signature


def with_nothing(_message: bytes) -> Steps[str]:
    """Signs nothing, for a client that only reads notifications.

    Raises:
        ConfigurationError: always.
    """
    yield from ()
    raise ConfigurationError(
        "private_key: it is missing, and so is signer=; expected one of them, for this has to be signed"
    )

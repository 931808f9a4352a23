"""Signs as the customer, with a private key or with the user's signer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from wechatpay_chain._keys.per_process_key import PerProcessKey
from wechatpay_chain._messages.effects import Compute, Invoke, Steps
from wechatpay_chain._messages.protocols import Signer
from wechatpay_chain._schemes.nonce import nonce as new_nonce
from wechatpay_chain._schemes.scheme import PrivateKey, Scheme
from wechatpay_chain.errors import ConfigurationError, TransportError, UnsupportedError

__all__ = ["Credentials", "SignFunction", "refuse_to_sign", "sign_with_key", "sign_with_signer"]


SignFunction = Callable[[bytes], Steps[str]]
"""A function that signs a message and returns the signature in base64."""


class Credentials(NamedTuple):
    """The identity of a merchant or a brand in signatures.

    Attributes:
        identity: the merchant number, or the number of the brand.
        serial: the serial number of its API certificate, not of a platform certificate.
        sign: a function that signs with the private key of that certificate.
        scheme: the algorithms and names.
    """

    identity: str
    serial: str
    sign: SignFunction
    scheme: Scheme

    def make_authorization(self, message: Callable[[int, str], bytes]) -> Steps[str]:
        """Returns the value of an Authorization header, with a new nonce and the current timestamp.

        Source: https://pay.weixin.qq.com/doc/v3/merchant/4012365342

        Args:
            message: returns the canonical message for a timestamp and a nonce.
        """
        timestamp, nonce = int(time.time()), new_nonce()
        signature = yield from self.sign(message(timestamp, nonce))
        return (
            f'{self.scheme.name} {self.scheme.identity}="{self.identity}",nonce_str="{nonce}",signature="{signature}",'
            f'timestamp="{timestamp}",serial_no="{self.serial}"'
        )

    def require_apiv2(self) -> None:
        """Raises an UnsupportedError if the customer does not have APIv2."""
        if not self.scheme.has_apiv2:
            raise UnsupportedError(
                f"this client has {self.scheme.identity}=, and this needs an APIv2 key; use a client that has mchid="
            )

    def __repr__(self) -> str:
        return f"{self.scheme.identity}={self.identity} serial={self.serial}"


def sign_with_key(key: PerProcessKey[PrivateKey], scheme: Scheme) -> SignFunction:
    """Returns a function that signs with a private key."""

    def sign(message: bytes) -> Steps[str]:
        text: str = yield Compute(partial(scheme.keys.sign, message, key.current))
        return text

    return sign


def sign_with_signer(signer: Signer) -> SignFunction:
    """Returns a function that lets the user's signer sign.

    Raises:
        TransportError: when the request is sent, if the signer failed. Nothing was sent.
        ConfigurationError: when the request is sent, if the signer returned something that is not a signature.
    """

    def sign(message: bytes) -> Steps[str]:
        try:
            signed = yield Invoke(partial(signer.sign, message))
        except ConfigurationError:
            raise
        except Exception as error:
            raise TransportError(f"the signer raised {type(error).__name__}; nothing was sent", sent=False) from error
        if not isinstance(signed, str) or not re.fullmatch("[A-Za-z0-9+/]+={0,2}", signed):
            raise ConfigurationError(
                f"signer: its sign() returned a {type(signed).__name__} that is not base64; expected the signature "
                "as a base64 string"
            )
        return signed

    return sign


def refuse_to_sign(_message: bytes) -> Steps[str]:
    """Raises an error: the client has no key to sign with and only reads notifications.

    Raises:
        ConfigurationError: always.
    """
    yield from ()
    raise ConfigurationError(
        "private_key: it is missing, and so is signer=; expected one of them, because this call must be signed"
    )

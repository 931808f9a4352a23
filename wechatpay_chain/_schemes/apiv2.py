"""The signature of APIv2: a keyed digest of the fields of a message, which is a field itself.

Source: https://pay.weixin.qq.com/doc/v2/merchant/4011985891
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence

from wechatpay_chain._forks.no_fork import no_fork
from wechatpay_chain.errors import ArgumentError

__all__ = [
    "HMAC_SHA256",
    "MD5",
    "V2Keys",
    "check_owner",
    "check_sign_type",
    "compute_signature",
    "compute_workwx_signature",
]

MD5, HMAC_SHA256 = "MD5", "HMAC-SHA256"
"""The values of `sign_type`. MD5 is the default of the protocol; where there is a choice, HMAC-SHA256 is the better one."""

_LONGEST_MD5 = 32

_MERCHANT_NUMBERS = ("mch_id", "mchid", "combine_mch_id")


def check_owner(mchid: str, argument: str, fields: Mapping[str, str]) -> None:
    """Refuses fields of another merchant, and a signature, which only the client makes.

    Args:
        mchid: the merchant number of the client.
        argument: the name of the argument, for the error.
        fields: what is to be signed.

    Raises:
        ArgumentError: there is such a field.
    """
    if "sign" in fields:
        raise ArgumentError(f"{argument}: came with sign; leave it out, the client signs")
    for name in _MERCHANT_NUMBERS:
        if fields.get(name, mchid) != mchid:
            raise ArgumentError(f"{argument}: {name} came as {fields[name]!r}; expected {mchid}, or leave it out")


def check_sign_type(sign_type: str) -> str:
    """Returns the type of a signature.

    Raises:
        ArgumentError: there is no such type.
    """
    if sign_type not in (MD5, HMAC_SHA256):
        raise ArgumentError(f"sign_type: came {sign_type!r}; expected {MD5} or {HMAC_SHA256}")
    return sign_type


def compute_signature(fields: Mapping[str, object], key: bytes, sign_type: str) -> str:
    """Returns the signature of fields, in upper-case hexadecimal digits.

    Args:
        fields: the fields of the message. `sign` and empty fields are not signed.
        key: the APIv2 key.
        sign_type: MD5 or HMAC_SHA256.
    """
    ordered = sorted((name.encode(), str(value).encode()) for name, value in fields.items() if value and name != "sign")
    message = b"".join(b"%b=%b&" % pair for pair in ordered) + b"key=" + key
    if sign_type == HMAC_SHA256:
        return hmac.new(key, message, hashlib.sha256).hexdigest().upper()
    return hashlib.md5(message, usedforsecurity=False).hexdigest().upper()


def compute_workwx_signature(fields: Mapping[str, object], secret: str) -> str:
    """Returns the second signature of a red packet or a payment of enterprise WeChat: workwx_sign.

    Source: https://open.work.weixin.qq.com/api/doc/90000/90135/90281

    Args:
        fields: the fields that it is over.
        secret: the secret of the application of enterprise WeChat that pays.
    """
    ordered = sorted((name.encode(), str(value).encode()) for name, value in fields.items() if value)
    message = b"".join(b"%b=%b&" % pair for pair in ordered) + b"secret=" + secret.encode()
    return hashlib.md5(message, usedforsecurity=False).hexdigest().upper()


class V2Keys:
    """The keys of APIv2, and all that is made with them.

    Error trackers show what is in the tuples and dicts of a frame. So the keys are in an object, of which they show the repr.

    Args:
        keys: the APIv2 keys. The first one signs; the service may still sign with a former one. Empty if there is none.
        workwx_secret: the secret of an application of enterprise WeChat; empty if there is none.
    """

    __slots__ = ("_keys", "_workwx_secret")

    def __init__(self, keys: Sequence[bytes] = (), workwx_secret: str = "") -> None:
        self._keys, self._workwx_secret = tuple(keys), workwx_secret

    def __bool__(self) -> bool:
        return bool(self._keys)

    def __repr__(self) -> str:
        return f"<V2Keys {len(self._keys)}>"

    @property
    def has_workwx_secret(self) -> bool:
        """Whether there is a secret of enterprise WeChat."""
        return bool(self._workwx_secret)

    def sign(self, fields: Mapping[str, object], sign_type: str) -> str:
        """Returns the signature of fields, as `compute_signature` does."""
        return compute_signature(fields, self._keys[0], sign_type)

    def sign_workwx(self, fields: Mapping[str, object]) -> str:
        """Returns the second signature, as `compute_workwx_signature` does."""
        return compute_workwx_signature(fields, self._workwx_secret)

    def verify(self, fields: Mapping[str, object]) -> bool:
        """Tells whether the field `sign` is the signature of all other fields, in constant time for each key.

        A field that is no text cannot be signed, so there is none in a message that is. The length of `sign` tells the algorithm:
        `sign_type` is often missing in responses and notifications, or contradicts it.

        Args:
            fields: the fields of the message, also those that no documentation lists.
        """
        sign = fields.get("sign")
        if (
            not isinstance(sign, str)
            or not sign.isascii()
            or not all(isinstance(value, str) for value in fields.values())
        ):
            return False
        sign_type = MD5 if len(sign) <= _LONGEST_MD5 else HMAC_SHA256
        # Every key is tried, so that the time does not tell which one it was.
        matches = [hmac.compare_digest(compute_signature(fields, key, sign_type), sign.upper()) for key in self._keys]
        return any(matches)

    def decrypt_req_info(self, ciphertext: str) -> list[bytes]:
        """Returns the plain texts that the keys make of a `req_info`; of several keys, more than one may fit by chance."""
        with no_fork.current:
            from wechatpay_chain._schemes.aes_ecb import decrypt_req_info  # only refunds need it

        texts = [decrypt_req_info(ciphertext, key) for key in self._keys]
        return [text for text in texts if text is not None]

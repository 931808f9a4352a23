"""The signature of APIv2: a keyed digest of the fields of a message, which is a field itself.

Source: https://pay.weixin.qq.com/doc/v2/merchant/4011985891
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from wechatpay_chain.errors import ArgumentError

__all__ = ["HMAC_SHA256", "MD5", "check_owner", "compute_signature", "compute_workwx_signature", "has_valid_signature"]

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


def has_valid_signature(fields: Mapping[str, object], keys: Iterable[bytes]) -> bool:
    """Tells whether the field `sign` is the signature of all other fields, in constant time for each key.

    A field that is no text cannot be signed, so there is none in a message that is. The length of `sign` tells the algorithm:
    `sign_type` is often missing in responses and notifications, or contradicts it.

    Args:
        fields: the fields of the message, also those that no documentation lists.
        keys: the APIv2 keys that the message may be signed with.
    """
    sign = fields.get("sign")
    if not isinstance(sign, str) or not sign.isascii() or not all(isinstance(value, str) for value in fields.values()):
        return False
    sign_type = MD5 if len(sign) <= _LONGEST_MD5 else HMAC_SHA256
    # Every key is tried, so that the time does not tell which one it was.
    matches = [hmac.compare_digest(compute_signature(fields, key, sign_type), sign.upper()) for key in keys]
    return any(matches)

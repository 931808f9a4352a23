"""The APIv3 and the APIv2 key: 32 characters that the merchant sets in the merchant platform."""

from __future__ import annotations

import re

from wechatpay_chain.characters import fold, strip
from wechatpay_chain.errors import ConfigurationError
from wechatpay_chain.shielding import shielded

__all__ = ["APIV3_KEY_SIZE", "key_octets"]

APIV3_KEY_SIZE = 32
"""Bytes in an APIv3 key, and in an APIv2 key: https://pay.weixin.qq.com/doc/v3/merchant/4013053267"""

_ENDS = {
    "\n": "a line break",
    "\r": "a line break",
    " ": "a space",
    "\t": "a tab",
    "\xa0": "a no-break space",
    "\u3000": "a full-width space",
    "\ufeff": "a byte order mark (BOM)",
    "\0": "a zero byte",
}
_LOOKS = (
    (re.compile(r"-----BEGIN [\s\S]*"), "a PEM, which belongs in private_key= or certs="),
    (re.compile(r"MI[A-Za-z0-9+/=\s]{100,}"), "a key in base64, which belongs in private_key= or certs="),
    (re.compile(r"PUB_KEY_ID_[0-9A-Za-z]*"), "the id of WeChat Pay's public key, which belongs in certs="),
    (re.compile(r"[0-9A-Fa-f]{16}"), "16 hexadecimal digits, which is half an MD5 hash"),
    (re.compile(r"[0-9A-Fa-f]{40}"), "40 hexadecimal digits, as a certificate's serial number or a SHA-1 hash has"),
    (re.compile(r"[0-9A-Fa-f]{64}"), "64 hexadecimal digits, which is a SHA-256 hash, or the key in hexadecimal"),
    (re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"), "a UUID with its hyphens"),
    (re.compile(r"[A-Za-z0-9+/_-]{22}=="), "16 bytes in base64, such as an MD5 hash"),
    (re.compile(r"[A-Za-z0-9+/_-]{43}="), "32 bytes in base64; decode it, if it is the key"),
    (re.compile(r"[0-9]{8,10}"), "as many digits as a merchant number has"),
)


@shielded
def key_octets(setting: str, key: object) -> bytes:
    """Returns an APIv3 or APIv2 key as bytes.

    Source: https://pay.weixin.qq.com/doc/v3/merchant/4013053267

    Args:
        setting: which setting it came in, for messages.
        key: 32 bytes, or a text that has 32 bytes as UTF-8.

    Raises:
        ConfigurationError: it is something else. The message says what it is, and shows nothing of it.
    """
    expected = f"expected exactly {APIV3_KEY_SIZE} bytes, as set in the merchant platform"
    if not isinstance(key, (str, bytes)):
        raise ConfigurationError(f"{setting}: came a {type(key).__name__}; expected a text of {APIV3_KEY_SIZE} bytes")
    octets = key.encode(errors="replace") if isinstance(key, str) else key
    flaw = _find_flaw(key if isinstance(key, str) else key.decode(errors="replace"), len(octets))
    if flaw:
        raise ConfigurationError(f"{setting}: {flaw}; {expected}")
    return octets


def _find_flaw(text: str, size: int) -> str:
    inside = strip(text)
    if inside != text:
        begin = text.find(inside)
        left = f"; without what is around it, {len(inside.encode(errors='replace'))} bytes are left"
        if begin + len(inside) < len(text):
            return f"it ends with {_name_end(text[-1])}, which is no part of it{left}"
        return f"it begins with {_name_end(text[0])}, which is no part of it{left}"
    if size == APIV3_KEY_SIZE:
        return ""
    for pattern, name in _LOOKS:
        if pattern.fullmatch(text):
            return f"came {name}"
    folded = fold(text)
    if folded != text:
        kind = "full-width characters" if len(folded) == len(text) else "characters that cannot be seen"
        return f"came {size} bytes, and it holds {kind}"
    if not text.isascii():
        return f"came {len(text)} characters in {size} bytes, and some are not ASCII"
    if any(char.isspace() for char in text):
        return f"came {size} bytes, and there is a blank among them"
    return f"came {size} bytes"


def _name_end(char: str) -> str:
    name = _ENDS.get(char)
    return name or ("a quotation mark" if fold(char) else f"the invisible character U+{ord(char):04X}")

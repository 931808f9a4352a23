"""Parses APIv3 and APIv2 keys: 32 characters that the merchant sets in the merchant platform."""

from __future__ import annotations

import re
from contextlib import suppress

from wechatpay_chain._schemes.characters import fold, strip
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import ConfigurationError

__all__ = ["APIV3_KEY_SIZE", "key_octets"]

APIV3_KEY_SIZE = 32
"""The length of an APIv3 key and of an APIv2 key, in bytes: https://pay.weixin.qq.com/doc/v3/merchant/4013053267"""

_END_NAMES = {
    "\n": "a line break",
    "\r": "a line break",
    " ": "a space",
    "\t": "a tab",
    "\xa0": "a no-break space",
    "\u3000": "a full-width space",
    "\ufeff": "a byte order mark (BOM)",
    "\0": "a zero byte",
}
# These are searched only if the text does not have 32 characters.
_MISTAKES = (
    (re.compile(r"-----BEGIN [\s\S]*"), "a PEM, which belongs in private_key= or certs="),
    (re.compile(r"MI[A-Za-z0-9+/=\s]{100,}"), "a key in base64, which belongs in private_key= or certs="),
    (re.compile(r"PUB_KEY_ID_[0-9A-Za-z]*"), "the id of WeChat Pay's public key, which belongs in certs="),
    (re.compile(r"[0-9]{8,10}"), "as many digits as a merchant number has"),
    (re.compile(r"wx[0-9a-f]{16}"), "an appid"),
    (re.compile(r"[0-9A-Fa-f]{16}"), "16 hexadecimal digits, half of an MD5 hash"),
    (re.compile(r"[0-9A-Fa-f]{40}"), "40 hexadecimal digits, such as a certificate's serial number or a SHA-1 hash"),
    (re.compile(r"[0-9A-Fa-f]{64}"), "64 hexadecimal digits, such as a SHA-256 hash or a key in hexadecimal"),
    (re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"), "a UUID with its hyphens"),
    (re.compile(r"[A-Za-z0-9+/_-]{22}=="), "16 bytes in base64, such as an MD5 hash"),
    (re.compile(r"[A-Za-z0-9+/_-]{43}="), "32 bytes in base64; decode them if they are the key"),
)


@shielded
def key_octets(setting: str, key: object) -> bytes:
    """Checks an APIv3 or APIv2 key and returns it as bytes.

    The key is not trimmed, because it must be exactly the text that is set in the merchant platform: a key that differs
    from it by a line break decrypts nothing.

    Source: https://pay.weixin.qq.com/doc/v3/merchant/4013053267

    Args:
        setting: the name of the setting, for error messages.
        key: 32 bytes, or a string of 32 ASCII characters.

    Raises:
        ConfigurationError: the key has another form. The message says what is wrong, and shows no part of the key.
    """
    if not isinstance(key, (str, bytes)):
        raise ConfigurationError(f"{setting}: came a {type(key).__name__}; expected a string of {APIV3_KEY_SIZE} bytes")
    octets = key.encode(errors="replace") if isinstance(key, str) else key
    text = key if isinstance(key, str) else ""
    if isinstance(key, bytes):
        with suppress(UnicodeDecodeError):  # if the bytes are not text, only their number can be wrong
            text = key.decode()
    flaw = _find_flaw(text)
    if not flaw and len(octets) != APIV3_KEY_SIZE:
        flaw = f"came {len(octets)} bytes"
    if flaw:
        raise ConfigurationError(
            f"{setting}: {flaw}; expected exactly {APIV3_KEY_SIZE} bytes, as set in the merchant platform"
        )
    return octets


def _find_flaw(text: str) -> str:
    inside = strip(text)
    for pattern, name in _MISTAKES:
        if len(text) != APIV3_KEY_SIZE and pattern.fullmatch(inside):
            return f"came {name}"
    if inside != text:
        rest = f"which is not part of the key; {len(inside)} characters remain without it"
        if text[0] == text[-1] and text[0] in "\"'`":
            return f"it is in quotation marks, {rest}"
        if text.endswith(inside):
            return f"it begins with {_name_end_character(text[0])}, {rest}"
        return f"it ends with {_name_end_character(text[-1])}, {rest}"
    if escape := re.search(r"\\[nrt]\Z", text):
        return f"it ends with {escape[0]} written out, which is not part of the key"
    if not text.isascii():
        folded = fold(text)
        kind = "invisible characters" if len(folded) < len(text) else "full-width characters"
        return f"it contains {kind if folded != text else 'characters that are not ASCII'} among {len(text)} characters"
    if len(text) != APIV3_KEY_SIZE and any(char.isspace() for char in text):
        return f"came {len(text)} characters with whitespace among them"
    return ""


def _name_end_character(char: str) -> str:
    name = _END_NAMES.get(char)
    return name or ("a quotation mark" if fold(char) else f"the invisible character U+{ord(char):04X}")

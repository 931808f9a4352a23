"""Parses serial numbers of certificates in the notations of the tools that print them."""

from __future__ import annotations

import re

from wechatpay_chain._schemes.characters import Copied
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import ConfigurationError

__all__ = ["normalize_serial"]

_LABEL = re.compile(
    r"[^:=]*?(?:serial(?:[ _-]*(?:number|num|no))?|序列号|\bsn\b)(?:\s*\([^)]*\))?[\s.\"']*[:=]*[\s\"']*", re.IGNORECASE
)
_BOTH = re.compile(r"-?[0-9]+ *\( *(-?0x[0-9a-f]+) *\)?", re.IGNORECASE)
_SEPARATORS = re.compile(r"\\{1,8}[NRT]|[\s:-]+")
_BRACKETS = "[](){}<>【】,;#"
_HEX = re.compile(r"[0-9A-F]+")
_DECIMAL = re.compile(r"[1-9][0-9]{40,48}")

MAX_DIGITS = 40
"""The longest serial number in hexadecimal digits, which is 20 octets: RFC 5280, 4.1.2.2."""

_EXPECTED = (
    "expected the certificate's serial number, up to 40 hexadecimal digits, as printed by `openssl x509 -noout -serial`"
)


@shielded
def normalize_serial(serial: int | str) -> str:
    """Converts a certificate's serial number to the service's notation, from the notations of tools and web pages.

    Args:
        serial: hexadecimal in either case, with or without colons, spaces, `0x` or a label such as `serial=`; or
            decimal, as an int or as a string of more than 40 digits. A string of up to 40 digits is hexadecimal,
            because serial numbers of the service look like that. Invisible characters are ignored.

    Returns:
        40 hexadecimal digits in upper case, with leading zeros.

    Raises:
        ConfigurationError: it is not a serial number of at most 20 octets (RFC 5280, 4.1.2.2). The message names the
            first wrong character and its position.
    """
    if isinstance(serial, int) and not isinstance(serial, bool):
        return _pad(f"{serial:X}")
    if not isinstance(serial, str):
        raise ConfigurationError(f"serial: came a {type(serial).__name__}; {_EXPECTED}")
    copied = Copied(serial)
    label = _LABEL.match(copied.text)
    begin = label.end() if label else 0
    begin += len(copied.text[begin:]) - len(copied.text[begin:].lstrip(_BRACKETS))
    rest = copied.text[begin:].rstrip(_BRACKETS)
    both = _BOTH.fullmatch(rest)
    digits = (both[1] if both else rest).strip().upper()
    if re.match("-[0-9A-F]", digits):
        raise ConfigurationError(f"serial: came a negative number; {_EXPECTED}")
    digits = _SEPARATORS.sub("", digits)
    if digits.startswith("0X"):
        digits = digits[2:]
        begin += rest.upper().index("X") + 1
    if not digits:
        raise ConfigurationError(f"serial: came a string without a digit; {_EXPECTED}")
    if not _HEX.fullmatch(digits):
        flaw = copied.find_flaw(r"0-9A-Fa-f\s:-", begin)
        raise ConfigurationError(
            f"serial: came a string that is not a hexadecimal number: it contains {flaw}; {_EXPECTED}"
        )
    return _pad(f"{int(digits):X}" if _DECIMAL.fullmatch(digits) else digits)


def _pad(digits: str) -> str:
    if digits.startswith("-"):
        raise ConfigurationError(f"serial: came a negative number; {_EXPECTED}")
    if len(digits) == MAX_DIGITS + 2:
        # DER puts a zero octet before a number whose first bit is set, and some tools print that octet.
        digits = digits.removeprefix("00")
    if len(digits) > MAX_DIGITS:
        raise ConfigurationError(f"serial: came {len(digits)} hexadecimal digits; {_EXPECTED}")
    if not digits.strip("0"):
        raise ConfigurationError(f"serial: came zero; {_EXPECTED}")
    return digits.zfill(MAX_DIGITS)

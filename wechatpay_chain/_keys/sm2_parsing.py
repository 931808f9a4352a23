"""Reads SM2 keys from DER, for which cryptography knows the structure but not the curve.

Sources: RFC 5915 (EC private keys), RFC 5958 (PKCS#8), RFC 5480 (public keys), RFC 5280, 4.1 (certificates).
"""

from __future__ import annotations

from cryptography import x509

from wechatpay_chain._keys.der import Element, read_children, read_element
from wechatpay_chain._schemes.sm2 import SM2PrivateKey, SM2PublicKey, check_public_key
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import ConfigurationError

__all__ = ["extract_sm2_public_key", "parse_sm2_private_key", "parse_sm2_public_key"]

_SEQUENCE, _VERSION, _BITS = 0x30, 0xA0, 0x03
_PUBLIC_KEY = 0xA1
"""The tag of the public half in an EC private key."""

_UNCOMPRESSED = b"\0\x04"  # no unused bits, then the form of the point
_NUMBER_BYTES = 32


@shielded
def parse_sm2_private_key(setting: str, octets: bytes, location: str) -> SM2PrivateKey:
    """Reads an SM2 private key, as PKCS#8 or as an EC private key.

    Args:
        setting: the name of the setting, for error messages.
        octets: its DER.
        location: where it was found, for error messages.

    Raises:
        ConfigurationError: it is damaged, or has no public half.
    """
    try:
        elements = read_children(octets, read_element(octets, 0))
        if elements[1].tag == _SEQUENCE:  # PKCS#8, whose key is an EC private key in an octet string
            elements = read_children(octets, read_element(octets, elements[2].begin))
        secret = octets[elements[1].begin : elements[1].end].rjust(_NUMBER_BYTES, b"\0")
        halves = [element for element in elements if element.tag == _PUBLIC_KEY]
        point = _read_point(octets, read_element(octets, halves[0].begin)) if halves else None
    except (IndexError, ValueError):
        secret, point = b"", b""
    if point is None:
        raise ConfigurationError(
            f"{setting}: came an SM2 private key without its public half{location}; expected both, and `openssl pkey -in KEY -out NEW` adds it"
        )
    if len(secret) != _NUMBER_BYTES or not point:
        raise ConfigurationError(
            f"{setting}: came a damaged SM2 private key{location}; expected a whole key, so export it again"
        )
    return SM2PrivateKey(secret, SM2PublicKey(point))


def parse_sm2_public_key(setting: str, octets: bytes, location: str) -> SM2PublicKey:
    """Reads an SM2 public key.

    Args:
        setting: the name of the setting, for error messages.
        octets: its DER.
        location: where it was found, for error messages.

    Raises:
        ConfigurationError: it is damaged; or gmssl-pyx is not installed.
    """
    return _parse_info(setting, octets, read_element(octets, 0), location)


def extract_sm2_public_key(setting: str, certificate: x509.Certificate) -> SM2PublicKey:
    """Returns the SM2 public key in a certificate.

    Raises:
        ConfigurationError: it is damaged; or gmssl-pyx is not installed.
    """
    octets = certificate.tbs_certificate_bytes
    fields = read_children(octets, read_element(octets, 0))
    # serialNumber, signature, issuer, validity and subject stand before it, and a version that may be missing.
    return _parse_info(setting, octets, fields[6 if fields[0].tag == _VERSION else 5], " in a certificate")


def _parse_info(setting: str, octets: bytes, info: Element, location: str) -> SM2PublicKey:
    """Reads a SubjectPublicKeyInfo."""
    try:
        point = _read_point(octets, read_children(octets, info)[1])
    except (IndexError, ValueError):
        point = b""
    if not (point and check_public_key(key := SM2PublicKey(point))):
        raise ConfigurationError(
            f"{setting}: came a damaged SM2 public key{location}; expected a whole key, so get it again"
        )
    return key


def _read_point(octets: bytes, bits: Element) -> bytes:
    """Returns the coordinates in a bit string.

    Raises:
        ValueError: it has no uncompressed point.
    """
    content = octets[bits.begin : bits.end]
    if (
        bits.tag != _BITS
        or not content.startswith(_UNCOMPRESSED)
        or len(content) != len(_UNCOMPRESSED) + 2 * _NUMBER_BYTES
    ):
        raise ValueError
    return content[len(_UNCOMPRESSED) :]

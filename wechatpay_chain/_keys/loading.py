"""Loads private keys, public keys and certificates.

What WeChat Pay issues: https://pay.weixin.qq.com/doc/v3/merchant/4013053053 (the merchant's files),
https://pay.weixin.qq.com/doc/v3/merchant/4012153196 (WeChat Pay's public key).
"""

from __future__ import annotations

import os
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from wechatpay_chain._keys.checks import check_private_key, check_size
from wechatpay_chain._keys.der import Kind, Material
from wechatpay_chain._keys.hints import PRIVATE, PUBLIC, Expectation, name_type, unusable_material
from wechatpay_chain._keys.material import Contents, read_material
from wechatpay_chain._keys.parsing import (
    Passphrase,
    encode_passphrase,
    extract_public_key,
    load_pkcs12,
    parse_certificate,
    parse_private_key,
    parse_public_key,
)
from wechatpay_chain._keys.serials import normalize_serial
from wechatpay_chain._schemes.by_key import is_private_key, is_public_key
from wechatpay_chain._schemes.scheme import PrivateKey, PublicKey
from wechatpay_chain._schemes.sm2 import SM2PrivateKey, SM2PublicKey
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import ConfigurationError

__all__ = [
    "CertificateSource",
    "Identity",
    "PrivateKeySource",
    "PublicKeySource",
    "certifies",
    "load_certificate",
    "load_former_key",
    "load_identity",
    "load_key_or_certificate",
    "load_private_key",
    "load_public",
    "load_public_key",
    "load_sm2_private_key",
    "load_sm2_public_key",
    "serial_number",
]

PrivateKeySource = str | bytes | os.PathLike[str] | PrivateKey
"""A path, PEM text, PEM or DER bytes, base64 of them, a PKCS#12 file (apiclient_cert.p12), or a loaded key."""

CertificateSource = str | bytes | os.PathLike[str] | x509.Certificate
"""A path, PEM text, PEM or DER bytes, base64 of them, a PKCS#12 file, or a loaded certificate."""

PublicKeySource = str | bytes | os.PathLike[str] | PublicKey | x509.Certificate
"""A path, PEM text, PEM or DER bytes, base64 of them, or a loaded key or certificate."""


class Identity(NamedTuple):
    """The private key that a merchant signs with, and its certificate if there is one.

    Attributes:
        key: the private key.
        certificate: the certificate of that key, if the same source contains it; otherwise None.
    """

    key: PrivateKey
    certificate: x509.Certificate | None = None


@shielded
def load_private_key(source: PrivateKeySource, passphrase: str | bytes | None = None) -> RSAPrivateKey:
    """Loads an RSA private key: PKCS#1, PKCS#8 or PKCS#12.

    A PEM may contain other blocks, but only one private key.

    The key is validated without OpenSSL's own check, which tests both primes again and takes 41 ms. Two checks that
    take 0.5 ms replace it: the eight numbers of the key must satisfy the equations of RFC 8017, 3.2, and a signature
    made with the key must verify with its public half. A changed number breaks an equation; a factor that is not prime
    breaks the signature. OpenSSL's check also detects keys crafted by an attacker, which is no concern for the
    merchant's own key.

    Args:
        source: a path, PEM text, PEM or DER bytes, or base64 of them. A loaded key is returned unchanged.
        passphrase: the passphrase of an encrypted key. For WeChat Pay's apiclient_cert.p12, it is the merchant number.

    Raises:
        ConfigurationError: the source contains no usable RSA private key. The message never shows the source.
    """
    key = load_identity("private_key", source, passphrase, "").key
    if not isinstance(key, RSAPrivateKey):
        raise ConfigurationError(
            "private_key: came an SM2 private key, which load_sm2_private_key loads; expected an RSA key"
        )
    return key


@shielded
def load_sm2_private_key(source: PrivateKeySource) -> SM2PrivateKey:
    """Loads an SM2 private key: PKCS#8, or an EC private key (RFC 5915), with its public half and not encrypted.

    Args:
        source: a path, PEM text, PEM or DER bytes, or base64 of them. A loaded key is returned unchanged.

    Raises:
        ConfigurationError: the source contains no usable SM2 private key, or gmssl-pyx is not installed. The message never shows
            the source.
    """
    key = load_identity("private_key", source, None, "").key
    if not isinstance(key, SM2PrivateKey):
        raise ConfigurationError(
            "private_key: came an RSA private key, which load_private_key loads; expected an SM2 key"
        )
    return key


@shielded
def load_identity(setting: str, source: object, passphrase: Passphrase, mchid: str) -> Identity:
    """Loads a private key of any scheme, and its certificate if the same source contains it.

    Args:
        setting: the name of the setting, for error messages.
        source: the same values as in `load_private_key`.
        passphrase: the passphrase of an encrypted key.
        mchid: the merchant number, which is tried if a PKCS#12 file comes without a passphrase; empty if not known.

    Raises:
        ConfigurationError: the source contains no usable private key.
    """
    if is_private_key(source):
        check_size(setting, source)
        return Identity(source)
    contents = _read(setting, source, PRIVATE)
    piece = _select_private_key(setting, contents)
    if piece.kind is Kind.PRIVATE_KEY and passphrase is not None:
        raise ConfigurationError("passphrase: the private key is not encrypted; leave the passphrase out")
    return _load_identity(setting, contents, piece, encode_passphrase(passphrase), mchid)


@shielded
def load_former_key(setting: str, source: object, passphrase: Passphrase, mchid: str) -> PrivateKey:
    """Loads an older private key. Unlike in `load_identity`, a passphrase may be set although the key is not encrypted.

    Args:
        setting: the name of the setting, for error messages.
        source: the same values as in `load_private_key`.
        passphrase: the passphrase, which is ignored for a key that is not encrypted.
        mchid: the merchant number, which is tried if a PKCS#12 file comes without a passphrase; empty if not known.

    Raises:
        ConfigurationError: the source contains no usable private key.
    """
    if is_private_key(source):
        return source
    contents = _read(setting, source, PRIVATE)
    piece = _select_private_key(setting, contents)
    return _load_identity(setting, contents, piece, encode_passphrase(passphrase), mchid).key


def _select_private_key(setting: str, contents: Contents) -> Material:
    keys = [piece for piece in contents.pieces if piece.kind in (Kind.PRIVATE_KEY, Kind.ENCRYPTED_KEY, Kind.PKCS12)]
    if not keys:
        raise unusable_material(setting, contents, PRIVATE)
    if len(keys) > 1:
        raise ConfigurationError(f"{setting}: came {len(keys)} private keys{contents.location}; expected one")
    return keys[0]


def _load_identity(setting: str, contents: Contents, piece: Material, password: bytes | None, mchid: str) -> Identity:
    if piece.kind is Kind.PKCS12:
        key, certificates = load_pkcs12(setting, piece, password, mchid)
        if key is None:
            raise ConfigurationError(f"{setting}: came a PKCS#12 file without a private key; {PRIVATE.text}")
    else:
        key = parse_private_key(setting, piece, password, contents.location)
        parsed = [parse_certificate(other) for other in contents.pieces if other.kind is Kind.CERTIFICATE]
        certificates = [certificate for certificate in parsed if certificate is not None]
    if not is_private_key(key):
        raise ConfigurationError(f"{setting}: came {name_type(key)}; {PRIVATE.text}")
    check_private_key(setting, key)
    return Identity(key, next((each for each in certificates if certifies(each, key)), None))


def certifies(certificate: x509.Certificate, key: PrivateKey) -> bool:
    """Returns True if a certificate contains the public half of a private key."""
    try:
        return extract_public_key("certificate", certificate) == key.public_key()
    except ConfigurationError:
        return False


@shielded
def load_public_key(source: PublicKeySource, passphrase: str | bytes | None = None) -> RSAPublicKey:
    """Loads an RSA public key: SPKI, PKCS#1, or the key in a certificate.

    Args:
        source: the same values as in `load_public`.
        passphrase: the passphrase of a PKCS#12 file.

    Raises:
        ConfigurationError: the source contains no RSA public key.
    """
    key = _load_any_public_key(source, passphrase)
    if not isinstance(key, RSAPublicKey):
        raise ConfigurationError(
            "public key: came an SM2 public key, which load_sm2_public_key loads; expected an RSA key"
        )
    return key


@shielded
def load_sm2_public_key(source: PublicKeySource) -> SM2PublicKey:
    """Loads an SM2 public key: SPKI, or the key in a certificate.

    Args:
        source: the same values as in `load_public`.

    Raises:
        ConfigurationError: the source contains no SM2 public key, or gmssl-pyx is not installed.
    """
    key = _load_any_public_key(source, None)
    if not isinstance(key, SM2PublicKey):
        raise ConfigurationError("public key: came an RSA public key, which load_public_key loads; expected an SM2 key")
    return key


def _load_any_public_key(source: PublicKeySource, passphrase: Passphrase) -> PublicKey:
    loaded = load_key_or_certificate("public key", source, passphrase)
    return extract_public_key("certificate", loaded) if isinstance(loaded, x509.Certificate) else loaded


@shielded
def load_public(source: PublicKeySource, passphrase: str | bytes | None = None) -> PublicKey | x509.Certificate:
    """Loads a public key or a certificate.

    If a PEM contains several certificates, the first one is used, which in a chain is the one that the others certify.
    A PEM with a public key must contain no other public key and no certificate. Private keys in the same PEM are
    ignored.

    Args:
        source: a path, PEM text, PEM or DER bytes, or base64 of them. A loaded key or certificate is returned
            unchanged.
        passphrase: the passphrase of a PKCS#12 file.

    Raises:
        ConfigurationError: the source contains neither.
    """
    return load_key_or_certificate("public key", source, passphrase)


@shielded
def load_key_or_certificate(
    setting: str, source: object, passphrase: Passphrase = None, mchid: str = ""
) -> PublicKey | x509.Certificate:
    """Loads a public key or a certificate with the rules of `load_public`, for a setting that error messages name.

    Args:
        setting: the name of the setting, for error messages.
        source: the same values as in `load_public`.
        passphrase: the passphrase of a PKCS#12 file.
        mchid: the merchant number, which is tried if a PKCS#12 file comes without a passphrase; empty if not known.

    Raises:
        ConfigurationError: the source contains neither.
    """
    if isinstance(source, x509.Certificate) or is_public_key(source):
        return source
    contents = _read(setting, source, PUBLIC)
    certificates = [piece for piece in contents.pieces if piece.kind is Kind.CERTIFICATE]
    keys = [piece for piece in contents.pieces if piece.kind is Kind.PUBLIC_KEY]
    if keys and len(keys) + len(certificates) > 1:
        raise ConfigurationError(f"{setting}: came several keys, {contents.description}; expected one")
    if certificates:
        certificate = parse_certificate(certificates[0])
        if certificate is None:
            raise ConfigurationError(
                f"{setting}: came a certificate that cannot be read{contents.location}; get it again"
            )
        return certificate
    if keys:
        return parse_public_key(setting, keys[0], contents.location)
    if contents.pieces[0].kind is Kind.PKCS12:
        _, inside = load_pkcs12(setting, contents.pieces[0], encode_passphrase(passphrase), mchid)
        if not inside:
            raise ConfigurationError(f"{setting}: came a PKCS#12 file without a certificate; {PUBLIC.text}")
        return inside[0]
    raise unusable_material(setting, contents, PUBLIC)


@shielded
def load_certificate(setting: str, source: object, passphrase: Passphrase, mchid: str) -> x509.Certificate:
    """Loads a certificate.

    Args:
        setting: the name of the setting, for error messages.
        source: the same values as in `load_public`.
        passphrase: the passphrase of a PKCS#12 file.
        mchid: the merchant number, which is tried if a PKCS#12 file comes without a passphrase; empty if not known.

    Raises:
        ConfigurationError: the source contains no certificate.
    """
    loaded = load_key_or_certificate(setting, source, passphrase, mchid)
    if not isinstance(loaded, x509.Certificate):
        raise ConfigurationError(
            f"{setting}: came a bare public key, which has no serial number; expected a certificate"
        )
    return loaded


@shielded
def serial_number(certificate: CertificateSource, passphrase: str | bytes | None = None) -> str:
    """Returns the serial number of a certificate in the service's notation: 40 upper-case hexadecimal digits.

    Args:
        certificate: the same values as in `load_public`.
        passphrase: the passphrase of a PKCS#12 file.

    Raises:
        ConfigurationError: it is not a certificate.
    """
    return normalize_serial(load_certificate("certificate", certificate, passphrase, "").serial_number)


def _read(setting: str, source: object, expectation: Expectation) -> Contents:
    if type(source).__module__.startswith("cryptography."):
        raise ConfigurationError(f"{setting}: came {name_type(source)}; {expectation.text}")
    return read_material(setting, source)

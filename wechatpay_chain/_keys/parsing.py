"""Parses one piece of key material with cryptography, and explains in the error what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from wechatpay_chain._keys.der import Kind, Material, is_sm2
from wechatpay_chain._keys.sm2_parsing import extract_sm2_public_key, parse_sm2_private_key, parse_sm2_public_key
from wechatpay_chain._schemes.scheme import PublicKey
from wechatpay_chain.errors import ConfigurationError

__all__ = [
    "Passphrase",
    "encode_passphrase",
    "extract_public_key",
    "load_pkcs12",
    "parse_certificate",
    "parse_private_key",
    "parse_public_key",
]

Passphrase = str | bytes | None

# cryptography raises many types of exceptions for input that it cannot parse, hence `except Exception` below.


def parse_private_key(setting: str, piece: Material, password: bytes | None, location: str) -> object:
    """Parses a private key of any type, encrypted or not.

    Args:
        setting: the name of the setting, for error messages.
        piece: the key, as DER or PEM.
        password: decrypts an encrypted key; ignored for any other key.
        location: where the key was found, for error messages.

    Raises:
        ConfigurationError: the key is damaged, or the passphrase is missing or wrong.
    """
    if piece.kind is Kind.ENCRYPTED_KEY and password is None:
        raise ConfigurationError(
            f"{setting}: the key is encrypted; pass its passphrase with passphrase=, or pass a key that "
            "`wechatpay_chain.crypto.load_private_key(…, passphrase)` loaded; an SM2 key is decrypted by `openssl pkey -in KEY -out NEW`"
        )
    if piece.kind is Kind.PRIVATE_KEY and is_sm2(piece.octets):
        return parse_sm2_private_key(setting, piece.octets, location)
    password = password if piece.kind is Kind.ENCRYPTED_KEY else None
    is_pem = piece.octets.startswith(b"-----")
    load = serialization.load_pem_private_key if is_pem else serialization.load_der_private_key
    try:
        return load(piece.octets, password, unsafe_skip_rsa_key_validation=True)
    except Exception:  # noqa: S110 -- not chained: the text of the exception may quote the key
        pass
    if piece.kind is Kind.ENCRYPTED_KEY:
        raise ConfigurationError(
            f"passphrase: it does not decrypt the private key of {setting}={location}, or the key is damaged or is not "
            "an RSA key; `openssl pkey -in KEY -out NEW` decrypts an SM2 key"
        )
    raise ConfigurationError(f"{setting}: came a damaged RSA private key{location}; export it again")


def parse_certificate(piece: Material) -> x509.Certificate | None:
    """Parses a certificate; returns None if it is damaged."""
    try:
        return x509.load_der_x509_certificate(piece.octets)
    except Exception:
        return None


def parse_public_key(setting: str, piece: Material, location: str) -> PublicKey:
    """Parses a public key.

    Args:
        setting: the name of the setting, for error messages.
        piece: the key, as DER.
        location: where the key was found, for error messages.

    Raises:
        ConfigurationError: the key is damaged.
    """
    if is_sm2(piece.octets):
        return parse_sm2_public_key(setting, piece.octets, location)
    try:
        key = serialization.load_der_public_key(piece.octets)
    except Exception:
        key = None
    if not isinstance(key, RSAPublicKey):
        raise ConfigurationError(f"{setting}: came a damaged RSA public key{location}; get it again")
    return key


def extract_public_key(setting: str, certificate: x509.Certificate) -> PublicKey:
    """Returns the public key in a certificate.

    Raises:
        ConfigurationError: the key is neither an RSA key nor an SM2 key.
    """
    if is_sm2(certificate.tbs_certificate_bytes):
        return extract_sm2_public_key(setting, certificate)
    try:
        key: object = certificate.public_key()
    except Exception:  # an unknown curve, or a damaged key
        key = None
    if not isinstance(key, RSAPublicKey):
        kind = type(key).__name__ if key else "unknown"
        raise ConfigurationError(
            f"{setting}: came a certificate with a key of type {kind}; expected a certificate with an RSA key"
        )
    return key


def load_pkcs12(
    setting: str, piece: Material, password: bytes | None, mchid: str
) -> tuple[object, list[x509.Certificate]]:
    """Decrypts a PKCS#12 file.

    Args:
        setting: the name of the setting, for error messages.
        piece: the file.
        password: the passphrase; None to try the merchant number, then no passphrase.
        mchid: the merchant number; empty if not known.

    Returns:
        The private key, or None if there is none, and the certificates, that of the key first.

    Raises:
        ConfigurationError: the file cannot be decrypted or read.
    """
    from cryptography.hazmat.primitives.serialization import pkcs12

    candidates: Sequence[bytes | None] = [password] if password else [mchid.encode(), None] if mchid else [None]
    is_readable = True
    for candidate in candidates:
        try:
            key, certificate, others = pkcs12.load_key_and_certificates(piece.octets, candidate)
        except ValueError as error:
            is_readable = is_readable and "password" in str(error)
        except Exception:  # an unknown algorithm
            is_readable = False
        else:
            return key, [certificate, *others] if certificate else others
    if not is_readable:
        raise ConfigurationError(
            f"{setting}: came a PKCS#12 file that cannot be read, or whose key is not an RSA key; convert it to PEM "
            "with `openssl pkcs12 -legacy -nodes -in apiclient_cert.p12 -out key.pem`"
        )
    tried = "passphrase=" if password else "the merchant number" if mchid else "an empty passphrase"
    raise ConfigurationError(
        f"{setting}: came a PKCS#12 file that {tried} does not decrypt; expected its passphrase, which is the merchant "
        "number that the file was issued for, or the same key as PEM"
    )


def encode_passphrase(passphrase: object) -> bytes | None:
    """Encodes a passphrase as UTF-8; None stays None.

    Raises:
        ConfigurationError: it is empty, or neither a string nor bytes.
    """
    if passphrase is None:
        return None
    octets = passphrase.encode(errors="replace") if isinstance(passphrase, str) else passphrase
    if not isinstance(octets, bytes) or not octets:
        came = (
            f"an empty {type(passphrase).__name__}" if isinstance(octets, bytes) else f"a {type(passphrase).__name__}"
        )
        raise ConfigurationError(f"passphrase: came {came}; expected a non-empty string or bytes")
    return octets

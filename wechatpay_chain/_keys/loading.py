"""Loads keys and certificates, and says of what cannot be used what it is and what to do.

Sources of what WeChat Pay hands out: https://pay.weixin.qq.com/doc/v3/merchant/4013053053 (the merchant's files),
https://pay.weixin.qq.com/doc/v3/merchant/4012153196 (WeChat Pay's public key).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from wechatpay_chain._keys.der import Kind, Material, is_sm2
from wechatpay_chain._keys.material import Found, read_material
from wechatpay_chain._keys.serials import normalize_serial
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import ConfigurationError

__all__ = [
    "CertificateSource",
    "Identity",
    "PrivateKeySource",
    "PublicKeySource",
    "is_of",
    "key_of",
    "load_certificate",
    "load_former_key",
    "load_identity",
    "load_private_key",
    "load_public",
    "load_public_key",
    "read_public",
    "serial_number",
]

PrivateKeySource = str | bytes | os.PathLike[str] | RSAPrivateKey
"""A path, PEM text, PEM or DER bytes, base64 of them, a PKCS#12 file (apiclient_cert.p12), or a loaded key."""

CertificateSource = str | bytes | os.PathLike[str] | x509.Certificate
"""A path, PEM text, PEM or DER bytes, base64 of them, a PKCS#12 file, or a loaded certificate."""

PublicKeySource = str | bytes | os.PathLike[str] | RSAPublicKey | x509.Certificate
"""A path, PEM text, PEM or DER bytes, base64 of them, or a loaded key or certificate."""

Passphrase = str | bytes | None

FEWEST_BITS = 1024
"""Bits of the shortest RSA key that is taken. WeChat Pay's and its merchants' have 2048."""


class Identity(NamedTuple):
    """What a merchant signs with.

    Attributes:
        key: the private key.
        certificate: the certificate of that key, where it came with it; else None.
    """

    key: RSAPrivateKey
    certificate: x509.Certificate | None = None


@shielded
def load_private_key(source: PrivateKeySource, passphrase: str | bytes | None = None) -> RSAPrivateKey:
    """Loads an RSA private key: PKCS#1, PKCS#8 or PKCS#12.

    Of a PEM with several blocks the private key is taken; it must be the only one.

    OpenSSL's validation of a private key proves both primes anew and costs 41 ms. It is left out and replaced by what
    finds a damage in half a millisecond: the eight numbers of the key must satisfy the equations that bind them
    (RFC 8017, 3.2), and one signature made with the key must verify with its public half. A number that was changed
    breaks an equation, and with a factor that is not prime the signature fails. What the validation guards against
    beyond that are keys that somebody made to do harm; this one is the merchant's own.

    Args:
        source: a path, PEM text, PEM or DER bytes, or base64 of them; a loaded key is returned as it is.
        passphrase: of an encrypted key. That of WeChat Pay's apiclient_cert.p12 is the merchant number.

    Raises:
        ConfigurationError: there is no usable RSA private key in it. The message never shows what was given.
    """
    return load_identity("private_key", source, passphrase, "").key


@shielded
def load_identity(setting: str, source: object, passphrase: Passphrase, mchid: str) -> Identity:
    """Loads a private key, and its certificate where that came with it.

    Args:
        setting: which setting it came in, for messages.
        source: as of `load_private_key`.
        passphrase: of an encrypted key.
        mchid: the merchant number, which is the passphrase of a PKCS#12 file where none is given; empty if not known.

    Raises:
        ConfigurationError: there is no usable RSA private key in it.
    """
    if isinstance(source, RSAPrivateKey):
        _check_size(setting, source)
        return Identity(source)
    found = read_material(setting, _unloaded(setting, source, _PRIVATE_EXPECTED))
    piece = _private_piece(setting, found)
    if piece.kind is Kind.PRIVATE_KEY and passphrase is not None:
        raise ConfigurationError("passphrase: the private key is not encrypted; leave the passphrase out")
    return _load_identity(setting, found, piece, _encode_passphrase(passphrase), mchid)


@shielded
def load_former_key(setting: str, source: object, passphrase: Passphrase, mchid: str) -> RSAPrivateKey:
    """Loads an older private key, which may be encrypted or not whatever the newer one is.

    Args and Raises: as of `load_identity`.
    """
    if isinstance(source, RSAPrivateKey):
        return source
    found = read_material(setting, _unloaded(setting, source, _PRIVATE_EXPECTED))
    piece = _private_piece(setting, found)
    return _load_identity(setting, found, piece, _encode_passphrase(passphrase), mchid).key


def _private_piece(setting: str, found: Found) -> Material:
    keys = [piece for piece in found.pieces if piece.kind in (Kind.PRIVATE_KEY, Kind.ENCRYPTED_KEY, Kind.PKCS12)]
    if not keys:
        raise _refusal(setting, found, _PRIVATE_EXPECTED, _PRIVATE_CURES)
    if len(keys) > 1:
        raise ConfigurationError(f"{setting}: came {len(keys)} private keys{found.place}; expected one")
    return keys[0]


def _load_identity(setting: str, found: Found, piece: Material, password: bytes | None, mchid: str) -> Identity:
    if piece.kind is Kind.PKCS12:
        key, certificates = _open_pkcs12(setting, piece, password, mchid)
        if key is None:
            raise ConfigurationError(f"{setting}: came a PKCS#12 file without a private key; {_PRIVATE_EXPECTED}")
    else:
        key = _parse_private(setting, piece, password, found)
        beside = [_parse_certificate(piece) for piece in found.pieces if piece.kind is Kind.CERTIFICATE]
        certificates = [certificate for certificate in beside if certificate is not None]
    if not isinstance(key, RSAPrivateKey):
        raise ConfigurationError(f"{setting}: came {_name_type(key)}; {_PRIVATE_EXPECTED}")
    _check_private(setting, key)
    return Identity(key, next((certificate for certificate in certificates if is_of(certificate, key)), None))


def is_of(certificate: x509.Certificate, key: RSAPrivateKey) -> bool:
    """Returns whether a certificate certifies the public half of a private key."""
    try:
        return certificate.public_key() == key.public_key()
    except Exception:  # cryptography raises half a dozen kinds for keys that it does not know
        return False


@shielded
def load_public_key(source: PublicKeySource, passphrase: str | bytes | None = None) -> RSAPublicKey:
    """Loads an RSA public key: SPKI, PKCS#1, or a certificate for the key in it.

    Args:
        source: as of `load_public`.
        passphrase: of a PKCS#12 file.

    Raises:
        ConfigurationError: there is no RSA public key in it.
    """
    loaded = read_public("public key", source, passphrase)
    return loaded if isinstance(loaded, RSAPublicKey) else key_of("certificate", loaded)


@shielded
def load_public(source: PublicKeySource, passphrase: str | bytes | None = None) -> RSAPublicKey | x509.Certificate:
    """Loads a public key or a certificate, whichever it is.

    Of a PEM with several blocks the first certificate is taken, which in a chain is the one that the others vouch for; or
    the public key, where there is one and no certificate. Private keys beside them are not read.

    Args:
        source: a path, PEM text, PEM or DER bytes, or base64 of them; what is loaded is returned as it is.
        passphrase: of a PKCS#12 file.

    Raises:
        ConfigurationError: it is neither.
    """
    return read_public("public key", source, passphrase)


@shielded
def read_public(
    setting: str, source: object, passphrase: Passphrase = None, mchid: str = ""
) -> RSAPublicKey | x509.Certificate:
    """Loads a public key or a certificate as `load_public` does, for a setting that messages are to name.

    Raises:
        ConfigurationError: it is neither.
    """
    if isinstance(source, (RSAPublicKey, x509.Certificate)):
        return source
    found = read_material(setting, _unloaded(setting, source, _PUBLIC_EXPECTED))
    certificates = [piece for piece in found.pieces if piece.kind is Kind.CERTIFICATE]
    keys = [piece for piece in found.pieces if piece.kind is Kind.PUBLIC_KEY]
    if keys and len(keys) + len(certificates) > 1:
        raise ConfigurationError(f"{setting}: came several keys, {found.came}; expected one")
    if certificates:
        certificate = _parse_certificate(certificates[0])
        if certificate is None:
            raise ConfigurationError(f"{setting}: came a certificate that cannot be read{found.place}; get it again")
        return certificate
    if keys:
        return _parse_public(setting, keys[0], found)
    if found.pieces[0].kind is Kind.PKCS12:
        _, inside = _open_pkcs12(setting, found.pieces[0], _encode_passphrase(passphrase), mchid)
        if not inside:
            raise ConfigurationError(f"{setting}: came a PKCS#12 file without a certificate; {_PUBLIC_EXPECTED}")
        return inside[0]
    raise _refusal(setting, found, _PUBLIC_EXPECTED, _PUBLIC_CURES)


@shielded
def load_certificate(setting: str, source: object, passphrase: Passphrase, mchid: str) -> x509.Certificate:
    """Loads a certificate.

    Args:
        setting: which setting it came in, for messages.
        source: as of `load_public`.
        passphrase: of a PKCS#12 file.
        mchid: the merchant number, which is the passphrase of a PKCS#12 file where none is given; empty if not known.

    Raises:
        ConfigurationError: it is no certificate.
    """
    loaded = read_public(setting, source, passphrase, mchid)
    if not isinstance(loaded, x509.Certificate):
        raise ConfigurationError(
            f"{setting}: came a bare public key, which has no serial number; expected a certificate"
        )
    return loaded


@shielded
def serial_number(certificate: CertificateSource, passphrase: str | bytes | None = None) -> str:
    """Returns the serial number of a certificate, as the service writes it: 40 hexadecimal digits in upper case.

    Args:
        certificate: as of `load_public`.
        passphrase: of a PKCS#12 file.

    Raises:
        ConfigurationError: it is not a certificate.
    """
    return normalize_serial(load_certificate("certificate", certificate, passphrase, "").serial_number)


def _parse_private(setting: str, piece: Material, password: bytes | None, found: Found) -> object:
    if piece.kind is Kind.ENCRYPTED_KEY and password is None:
        raise ConfigurationError(
            f"{setting}: the key is encrypted; give its passphrase with passphrase=, or a key that "
            "`wechatpay_chain.crypto.load_private_key(…, passphrase)` loaded"
        )
    password = password if piece.kind is Kind.ENCRYPTED_KEY else None
    is_pem = piece.octets.startswith(b"-----")
    load = serialization.load_pem_private_key if is_pem else serialization.load_der_private_key
    try:
        return load(piece.octets, password, unsafe_skip_rsa_key_validation=True)
    except Exception:  # noqa: S110 -- half a dozen kinds for what cannot be parsed, whose texts may quote the key
        pass
    if piece.kind is Kind.ENCRYPTED_KEY:
        raise ConfigurationError(
            f"passphrase: it does not open the private key of {setting}={found.place}, or the key is damaged or no RSA key"
        )
    raise ConfigurationError(f"{setting}: came a damaged RSA private key{found.place}; export it again")


def _parse_certificate(piece: Material) -> x509.Certificate | None:
    try:
        return x509.load_der_x509_certificate(piece.octets)
    except Exception:  # half a dozen kinds for what cannot be parsed
        return None


def _parse_public(setting: str, piece: Material, found: Found) -> RSAPublicKey:
    try:
        key = serialization.load_der_public_key(piece.octets)
    except Exception:  # half a dozen kinds for what cannot be parsed
        key = None
    if not isinstance(key, RSAPublicKey):
        raise ConfigurationError(f"{setting}: came a damaged RSA public key{found.place}; get it again")
    return key


def key_of(setting: str, certificate: x509.Certificate) -> RSAPublicKey:
    """Returns the RSA key that a certificate certifies.

    Raises:
        ConfigurationError: it is a key of another kind.
    """
    try:
        key: object = certificate.public_key()
    except Exception:  # an unknown curve such as SM2's, or a damage
        key = None
    if not isinstance(key, RSAPublicKey):
        kind = "SM2" if is_sm2(certificate.tbs_certificate_bytes) else type(key).__name__ if key else "unknown"
        raise ConfigurationError(
            f"{setting}: came a certificate of a key of the kind {kind}; expected one of an RSA key"
        )
    return key


def _open_pkcs12(
    setting: str, piece: Material, password: bytes | None, mchid: str
) -> tuple[object, list[x509.Certificate]]:
    from cryptography.hazmat.primitives.serialization import pkcs12

    passwords: Sequence[bytes | None] = [password] if password else [mchid.encode(), None] if mchid else [None]
    is_readable = True
    for one in passwords:
        try:
            key, certificate, others = pkcs12.load_key_and_certificates(piece.octets, one)
        except ValueError as error:
            is_readable = is_readable and "password" in str(error)
        except Exception:  # an algorithm that is not known
            is_readable = False
        else:
            return key, [certificate, *others] if certificate else others
    if not is_readable:
        raise ConfigurationError(
            f"{setting}: came a PKCS#12 file that cannot be read, or of a key that is no RSA key; write it as PEM with "
            "`openssl pkcs12 -legacy -nodes -in apiclient_cert.p12 -out key.pem`"
        )
    tried = "passphrase=" if password else "the merchant number" if mchid else "an empty passphrase"
    raise ConfigurationError(
        f"{setting}: came a PKCS#12 file that {tried} does not open; expected its passphrase, which is the merchant number "
        "that it was made for, or the same as PEM"
    )


def _encode_passphrase(passphrase: object) -> bytes | None:
    if passphrase is None:
        return None
    octets = passphrase.encode(errors="replace") if isinstance(passphrase, str) else passphrase
    if not isinstance(octets, bytes) or not octets:
        raise ConfigurationError(
            f"passphrase: came a {type(passphrase).__name__} of no use; expected a text or bytes that are not empty"
        )
    return octets


_PRIVATE_EXPECTED = "expected the merchant's RSA private key, such as apiclient_key.pem"
_PUBLIC_EXPECTED = "expected an RSA public key or a certificate"
_REQUEST = "the request is what the certificate was applied for with, and is of no more use"
_ARCHIVE = "unpack it, and give the file in it"
_PAGE = "the download was answered with a page; download the file again"
_PRIVATE_CURES = {
    "a certificate request": f"{_REQUEST}; its private key is in the file that was made beside it (apiclient_key.pem)",
    "an RSA public key": "the private key was made together with it, when you applied for the certificate",
    "a certificate": "the private key was made when you applied for it, and is in apiclient_key.pem beside apiclient_cert.pem",
    "an OpenSSH private key": "keys for SSH are not for WeChat Pay; an RSA key is written as PEM by `ssh-keygen -p -m PEM -f FILE`",
    "a PuTTY key": "keys for SSH are not for WeChat Pay; an RSA key is written as PEM by `puttygen FILE -O private-openssh`",
    "a JWK": "write it as PEM",
    "an XML key of .NET": "write it as PEM, with `RSA.ExportPkcs8PrivateKeyPem()`",
    "a Java keystore": "write it as PKCS#12, with `keytool -importkeystore -deststoretype pkcs12`",
    "an SM2 private key": "this version signs with RSA",
    "a PKCS#7 container": "it holds certificates only; the private key is in apiclient_key.pem",
    "a ZIP archive": f"{_ARCHIVE}, apiclient_key.pem",
    "an HTML page": _PAGE,
    "the id of WeChat Pay's public key": "the id belongs in certs=",
}
_PUBLIC_CURES = {
    "a certificate request": f"{_REQUEST}; WeChat Pay's public key is downloaded from the merchant platform (pub_key.pem)",
    "an RSA private key": "WeChat Pay's public key is downloaded from the merchant platform (pub_key.pem)",
    "a PKCS#7 container": "write its certificates as PEM with `openssl pkcs7 -print_certs`",
    "a JWK": "write it as PEM",
    "a Java keystore": "write its certificates as PEM, with `keytool -exportcert -rfc`",
    "a ZIP archive": _ARCHIVE,
    "an HTML page": _PAGE,
    "the id of WeChat Pay's public key": "give the key itself, which is downloaded beside the id (pub_key.pem)",
}


def _refusal(setting: str, found: Found, expected: str, cures: dict[str, str]) -> ConfigurationError:
    cure = next((f"; {cures[piece.name]}" for piece in found.pieces if piece.name in cures), "")
    if any("damaged" in piece.name for piece in found.pieces):
        cure = "; copy or download the whole file again"
    return ConfigurationError(f"{setting}: came {found.came}; {expected}{cure}")


def _unloaded(setting: str, source: object, expected: str) -> object:
    if type(source).__module__.startswith("cryptography."):
        raise ConfigurationError(f"{setting}: came {_name_type(source)}; {expected}")
    return source


def _name_type(loaded: object) -> str:
    name = type(loaded).__name__
    return f"{'an' if name[0] in 'EXR' else 'a'} {name}"


def _check_private(setting: str, key: RSAPrivateKey) -> None:
    if not _is_consistent(key):
        raise ConfigurationError(f"{setting}: its numbers contradict one another, the key is damaged; export it again")
    _check_size(setting, key)
    message = b"one signature, made and verified"
    try:
        signature = key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        key.public_key().verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        raise ConfigurationError(
            f"{setting}: a signature made with it is wrong, the key is damaged; export it again"
        ) from None


def _check_size(setting: str, key: RSAPrivateKey) -> None:
    if key.key_size < FEWEST_BITS:
        raise ConfigurationError(
            f"{setting}: came an RSA key of {key.key_size} bits, which is too short to sign with; expected one of 2048 bits, "
            "as WeChat Pay certifies"
        )


def _is_consistent(key: RSAPrivateKey) -> bool:
    numbers = key.private_numbers()
    p, q, d = numbers.p, numbers.q, numbers.d
    public = numbers.public_numbers
    return (
        p * q == public.n
        and min(p, q, public.e) > 2
        and public.e * d % (p - 1) == 1
        and public.e * d % (q - 1) == 1
        and numbers.dmp1 == d % (p - 1)
        and numbers.dmq1 == d % (q - 1)
        and numbers.iqmp * q % p == 1
    )

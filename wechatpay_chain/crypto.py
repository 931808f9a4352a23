"""The algorithms of APIv3 and the loading of keys and certificates.

Signatures are RSASSA-PKCS1-v1_5 over SHA-256, personal data travels in RSA-OAEP with SHA-1, certificates and
notifications in AES-256-GCM; see https://pay.weixin.qq.com/doc/v3/merchant/4012365342.
Base64 is taken strictly everywhere: what the standard alphabet with padding would not have produced is refused.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wechatpay_chain.errors import ArgumentError, ConfigurationError, DecryptionError

__all__ = [
    "PrivateKeySource",
    "PublicKeySource",
    "aes_gcm_decrypt",
    "aes_gcm_encrypt",
    "decrypt",
    "decrypt_octets",
    "encrypt",
    "key_octets",
    "load_private_key",
    "load_public",
    "load_public_key",
    "nonce",
    "normalize_serial",
    "serial_number",
    "sign",
    "verify",
]

PrivateKeySource = str | bytes | os.PathLike[str] | RSAPrivateKey
"""A path, PEM text, PEM or DER bytes, or a loaded key."""

PublicKeySource = str | bytes | os.PathLike[str] | RSAPublicKey | x509.Certificate
"""A path, PEM text, PEM or DER bytes, or a loaded key or certificate."""

APIV3_KEY_SIZE = 32
"""Bytes in an APIv3 key: https://pay.weixin.qq.com/doc/v3/merchant/4013053267"""

_PKCS1 = padding.PKCS1v15()
_SHA256 = hashes.SHA256()
# The service asks for SHA-1 in both places: https://pay.weixin.qq.com/doc/v3/merchant/4013053257
_OAEP = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303
_OAEP_OVERHEAD = 2 * 20 + 2  # two SHA-1 digests and two bytes: RFC 8017, 7.1.1


def sign(message: bytes, key: RSAPrivateKey) -> str:
    """Signs with RSA-SHA256.

    Args:
        message: the canonical message.
        key: the merchant's private key, as `load_private_key` returns it.

    Returns:
        The signature in base64.
    """
    return base64.b64encode(key.sign(message, _PKCS1, _SHA256)).decode()


def verify(message: bytes, signature: str, key: RSAPublicKey) -> bool:
    """Whether a base64 text is the RSA-SHA256 signature of a message; False for whatever is not a good signature."""
    raw = _strict_base64(signature)
    if raw is None:
        return False
    try:
        key.verify(raw, message, _PKCS1, _SHA256)
    except InvalidSignature:
        return False
    return True


def encrypt(plaintext: str, key: RSAPublicKey) -> str:
    """Encrypts personal data for the owner of a key with RSA-OAEP.

    Raises:
        ArgumentError: the text is longer than the key can hold, 214 bytes of UTF-8 for a key of 2048 bits.
    """
    octets = _utf8(plaintext)
    room = key.key_size // 8 - _OAEP_OVERHEAD
    if len(octets) > room:
        raise ArgumentError(
            f"plaintext: came {len(octets)} bytes of UTF-8; expected at most {room}, which is what a key of "
            f"{key.key_size} bits can hold"
        )
    return base64.b64encode(key.encrypt(octets, _OAEP)).decode()


def decrypt(ciphertext: str, key: RSAPrivateKey) -> str:
    """Decrypts a text that `encrypt` made for this key.

    Raises:
        DecryptionError: it is not such a ciphertext. One message for every cause, so that nothing can be probed.
    """
    try:
        return decrypt_octets(ciphertext, key).decode()
    except UnicodeDecodeError:
        raise DecryptionError(_NOT_OURS) from None


def decrypt_octets(ciphertext: str, key: RSAPrivateKey) -> bytes:
    """The same, of what is no text: the key of an encrypted bill, say."""
    raw = _strict_base64(ciphertext)
    if raw is not None:
        with suppress(ValueError):
            return key.decrypt(raw, _OAEP)
    raise DecryptionError(_NOT_OURS)


_NOT_OURS = "the text is not a ciphertext for this private key"


def aes_gcm_encrypt(plaintext: bytes | str, key: bytes, nonce: str, associated_data: str = "") -> str:
    """Encrypts with AES-256-GCM the way certificates and notifications are.

    Args:
        plaintext: bytes, or text that is taken as UTF-8.
        key: the APIv3 key, 32 bytes.
        nonce: 12 characters, never used twice with one key.
        associated_data: what is bound to the ciphertext in the clear.

    Returns:
        Base64 of the ciphertext with its tag.

    Raises:
        ConfigurationError: the key has another length.
    """
    octets = _utf8(plaintext) if isinstance(plaintext, str) else plaintext
    sealed = _aes_gcm(key).encrypt(nonce.encode(), octets, associated_data.encode())
    return base64.b64encode(sealed).decode()


def aes_gcm_decrypt(ciphertext: str, key: bytes, nonce: str, associated_data: str | None = "") -> bytes:
    """Decrypts AES-256-GCM and checks its tag.

    Source: https://pay.weixin.qq.com/doc/v3/merchant/4012071382

    Args:
        ciphertext: base64 of the ciphertext with its tag at the end.
        key: the APIv3 key, 32 bytes.
        nonce: as it came, used as ASCII text.
        associated_data: as it came; may be empty or None.

    Raises:
        ConfigurationError: the key has another length.
        DecryptionError: something was altered, or the key is another one.
    """
    cipher = _aes_gcm(key)
    raw = _strict_base64(ciphertext)
    if raw is not None:
        try:
            return cipher.decrypt(nonce.encode(), raw, (associated_data or "").encode())
        except (InvalidTag, ValueError):
            pass
    raise DecryptionError("the ciphertext, nonce or associated data was altered, or the APIv3 key is another one")


def key_octets(setting: str, key: object) -> bytes:
    """An APIv3 or APIv2 key as bytes; both have 32.

    Source: https://pay.weixin.qq.com/doc/v3/merchant/4013053267

    Raises:
        ConfigurationError: it has another length, or is neither text nor bytes. The message names the setting.
    """
    if not isinstance(key, (str, bytes)):
        raise ConfigurationError(f"{setting}: came a {type(key).__name__}; expected a text of {APIV3_KEY_SIZE} bytes")
    octets = key.encode(errors="replace") if isinstance(key, str) else key
    if len(octets) != APIV3_KEY_SIZE:
        raise ConfigurationError(
            f"{setting}: came {len(octets)} bytes; expected exactly {APIV3_KEY_SIZE}, as set in the merchant platform"
        )
    return octets


def nonce(size: int = 32) -> str:
    """A random text of `size` characters, four bits of the system's entropy in each."""
    return secrets.token_hex((size + 1) // 2)[:size]


def load_private_key(source: PrivateKeySource, passphrase: str | bytes | None = None) -> RSAPrivateKey:
    """Loads an RSA private key, PKCS#1 or PKCS#8.

    OpenSSL's validation of a private key proves both primes anew and costs 41 ms. It is left out and replaced by what
    finds a damage in half a millisecond: the eight numbers of the key must satisfy the equations that bind them
    (RFC 8017, 3.2), and one signature made with the key must verify with its public half. A number that was changed
    breaks an equation, and with a factor that is not prime the signature fails. What the validation guards against
    beyond that are keys that somebody made to do harm; this one is the merchant's own.

    Args:
        source: a path, PEM text, PEM or DER bytes; a loaded key is returned as it is.
        passphrase: of an encrypted key.

    Raises:
        ConfigurationError: there is no usable RSA private key in it. The message never shows what was given.
    """
    if isinstance(source, RSAPrivateKey):
        return source
    octets = _read("private_key", source)
    password = _password(passphrase)
    load = serialization.load_pem_private_key if _is_pem(octets) else serialization.load_der_private_key
    try:
        key = load(octets, password, unsafe_skip_rsa_key_validation=True)
    except TypeError:
        _refuse_passphrase(passphrase)
    except Exception:  # cryptography raises half a dozen kinds for what cannot be parsed
        _refuse_private_key(octets, passphrase)
    if not isinstance(key, RSAPrivateKey):
        raise ConfigurationError(f"private_key: came a {type(key).__name__}; expected an RSA private key")
    if not _is_whole(key):
        raise ConfigurationError("private_key: its numbers contradict one another, the key is damaged; export it again")
    return key


def load_public_key(source: PublicKeySource) -> RSAPublicKey:
    """Loads an RSA public key: SPKI, PKCS#1, or a certificate for the key in it.

    Args:
        source: a path, PEM text, PEM or DER bytes; a loaded key is returned as it is.

    Raises:
        ConfigurationError: there is no RSA public key in it.
    """
    loaded = load_public(source)
    if isinstance(loaded, RSAPublicKey):
        return loaded
    key = loaded.public_key()
    if not isinstance(key, RSAPublicKey):
        raise ConfigurationError(f"certificate: came a key of type {type(key).__name__}; expected an RSA key")
    return key


def load_public(source: PublicKeySource) -> RSAPublicKey | x509.Certificate:
    """Loads a public key or a certificate, whichever it is.

    Raises:
        ConfigurationError: it is neither.
    """
    if isinstance(source, (RSAPublicKey, x509.Certificate)):
        return source
    octets = _read("public key", source)
    if _is_pem(octets):
        parsers = [x509.load_pem_x509_certificate if b"CERTIFICATE-" in octets else serialization.load_pem_public_key]
    else:
        parsers = [serialization.load_der_public_key, x509.load_der_x509_certificate]
    for parse in parsers:
        try:
            loaded = parse(octets)
        except Exception:  # noqa: S112 -- cryptography raises half a dozen kinds for what cannot be parsed
            continue
        if isinstance(loaded, (RSAPublicKey, x509.Certificate)):
            return loaded
        raise ConfigurationError(f"public key: came a {type(loaded).__name__}; expected an RSA public key")
    what = "a private key" if b"PRIVATE KEY-" in octets else f"{len(octets)} bytes that are neither"
    raise ConfigurationError(f"public key: came {what}; expected an RSA public key or a certificate, PEM or DER")


def serial_number(certificate: PublicKeySource) -> str:
    """The serial number of a certificate, as the service writes it: 40 hexadecimal digits in upper case.

    Raises:
        ConfigurationError: it is not a certificate.
    """
    loaded = load_public(certificate)
    if not isinstance(loaded, x509.Certificate):
        raise ConfigurationError("certificate: came a bare public key, which has no serial number")
    return normalize_serial(loaded.serial_number)


_HEX_SERIAL = re.compile(r"[0-9A-F]{1,40}")
_DECIMAL_SERIAL = re.compile(r"[0-9]{41,49}")


def normalize_serial(serial: int | str) -> str:
    """A certificate's serial number as the service writes it, from whatever notation tools print.

    Args:
        serial: hexadecimal in either case, with or without colons; or decimal, as an int or as a text of more than 40
            digits (a text of up to 40 digits is hexadecimal, since that is what a serial of the service looks like).

    Returns:
        40 hexadecimal digits in upper case, leading zeros kept.

    Raises:
        ConfigurationError: it is no serial number of at most 20 octets (RFC 5280, 4.1.2.2).
    """
    if isinstance(serial, str):
        text = serial.strip().replace(":", "").replace(" ", "").upper()
        text = text.removeprefix("SERIAL=").removeprefix("0X")
        if _DECIMAL_SERIAL.fullmatch(text):
            text = f"{int(text):X}"
    else:
        text = f"{serial:X}"
    if not _HEX_SERIAL.fullmatch(text):
        raise ConfigurationError(
            f"serial: came {len(text)} characters; expected the certificate's serial number, up to 40 hexadecimal "
            "digits, as `openssl x509 -noout -serial` prints it"
        )
    return text.zfill(40)


def _strict_base64(text: str) -> bytes | None:
    try:
        raw = base64.b64decode(text, validate=True)
        # Decoding forgives stray bits before the padding; encoding again does not.
        return raw if base64.b64encode(raw).decode() == text else None
    except (binascii.Error, TypeError, ValueError):
        return None


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ArgumentError("plaintext: it holds half of a surrogate pair, which UTF-8 cannot write") from None


def _aes_gcm(key: bytes) -> AESGCM:
    if len(key) != APIV3_KEY_SIZE:
        raise ConfigurationError(f"apiv3_key: came {len(key)} bytes; expected {APIV3_KEY_SIZE}")
    return AESGCM(key)


def _is_pem(octets: bytes) -> bool:
    return b"-----BEGIN " in octets


def _read(setting: str, source: object) -> bytes:
    """The bytes of a source. An error shows a path, or a short text that ends like a file's name; never what may be a key."""
    if isinstance(source, bytes):
        return source
    if isinstance(source, str):
        if "-----BEGIN " in source:
            return source.encode(errors="replace")
        shown = f"a text of {len(source)} characters, which is not PEM and so was taken for a path"
        if len(source) < 128 and re.search(r"\.[A-Za-z0-9]{1,5}\Z", source):  # a file's name, and no secret
            shown = f"the path {source!r}"
    elif isinstance(source, os.PathLike):
        path = os.fspath(source)
        shown = f"the path {path!r}" if len(path) < 256 and "\n" not in path else f"a path of {len(path)} characters"
    else:
        raise ConfigurationError(
            f"{setting}: came a {type(source).__name__}; expected a path, PEM text, PEM or DER bytes, or a loaded key"
        )
    try:
        return Path(source).read_bytes()
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or "no such file"
        raise ConfigurationError(f"{setting}: came {shown}: {cause}; expected a readable PEM or DER file") from None


def _password(passphrase: object) -> bytes | None:
    if passphrase is None:
        return None
    octets = passphrase.encode(errors="replace") if isinstance(passphrase, str) else passphrase
    if not isinstance(octets, bytes) or not octets:
        raise ConfigurationError(
            f"passphrase: came a {type(passphrase).__name__} of no use; expected a text or bytes that are not empty"
        )
    return octets


def _refuse_passphrase(passphrase: str | bytes | None) -> NoReturn:
    if passphrase is None:
        raise ConfigurationError("private_key: the key is encrypted; give its passphrase with passphrase=") from None
    raise ConfigurationError("passphrase: the private key is not encrypted; leave the passphrase out") from None


def _refuse_private_key(octets: bytes, passphrase: str | bytes | None) -> NoReturn:
    # What could not be parsed is left out of the chain of causes: its text may quote the key.
    try:
        load_public(octets)
    except ConfigurationError:
        if passphrase is not None:
            raise ConfigurationError("passphrase: it does not open the private key, or the key is damaged") from None
        what = f"{len(octets)} bytes that are not one or are damaged"
        if b"\\n" in octets:
            what += ", with a backslash and an n where a line should end"
    else:
        what = "a public key or a certificate"
    raise ConfigurationError(
        f"private_key: came {what}; expected the merchant's RSA private key, PKCS#1 or PKCS#8, PEM or DER "
        "(apiclient_key.pem)"
    ) from None


def _is_whole(key: RSAPrivateKey) -> bool:
    numbers = key.private_numbers()
    p, q, d = numbers.p, numbers.q, numbers.d
    public = numbers.public_numbers
    if not (
        p * q == public.n
        and min(p, q, public.e) > 2
        and public.e * d % (p - 1) == 1
        and public.e * d % (q - 1) == 1
        and numbers.dmp1 == d % (p - 1)
        and numbers.dmq1 == d % (q - 1)
        and numbers.iqmp * q % p == 1
    ):
        return False
    message = b"one signature, made and verified"
    try:
        return verify(message, sign(message, key), key.public_key())
    except ValueError:  # the key is too short to sign with
        return False

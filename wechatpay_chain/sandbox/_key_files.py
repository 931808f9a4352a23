"""Makes keys and platform certificates of any scheme, and writes them as PEM.

cryptography does not know the curve of SM2. But its keys have the same length as those of P-256, so what it writes for P-256 becomes
what is needed when the names of the curve and of the algorithm, the numbers and the signature are replaced.
"""

from __future__ import annotations

import base64
import textwrap
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from wechatpay_chain import crypto
from wechatpay_chain._schemes.scheme import PrivateKey, PublicKey, Scheme
from wechatpay_chain._schemes.sm2 import SM2PrivateKey, generate

__all__ = ["certificate_pem", "generate_key", "make_certificate", "make_serial", "private_pem", "public_pem"]

_P256, _SM2 = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a811ccf5501822d")
_ECDSA, _SM2_SM3 = bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a811ccf55018375")


def generate_key(scheme: Scheme) -> PrivateKey:
    """Returns a new private key of a scheme."""
    if scheme.private_key is SM2PrivateKey:
        return generate()
    return generate_private_key(public_exponent=65537, key_size=2048)


def private_pem(key: PrivateKey) -> str:
    """Returns a private key as PEM, PKCS#8."""
    if isinstance(key, RSAPrivateKey):
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    template = _template().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    # The template ends with the secret, six bytes of structure and the point.
    head, middle = template[: -32 - 6 - 64], template[-6 - 64 : -64]
    return _pem("PRIVATE KEY", (head + key.secret + middle + key.public.point).replace(_P256, _SM2))


def public_pem(key: PublicKey) -> str:
    """Returns a public key as PEM."""
    if isinstance(key, RSAPublicKey):
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    template = _template().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return _pem("PUBLIC KEY", (template[:-64] + key.point).replace(_P256, _SM2))


def certificate_pem(certificate: x509.Certificate) -> str:
    """Returns a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def make_serial() -> int:
    """Returns a random serial number of 40 digits. The first is not 0, which some SDKs leave out."""
    return x509.random_serial_number() | 1 << 156


def make_certificate(key: PrivateKey, subject: str, issuer: str, serial: int) -> x509.Certificate:
    """Returns a certificate that is signed with its own key, whatever the name of its issuer says.

    Clients check the name of the issuer. They verify the chain only if they have a trust anchor.

    Args:
        key: the private key.
        subject: the common name.
        issuer: the common name of the issuer.
        serial: the serial number.
    """
    now = datetime.now(timezone.utc)
    template = _template() if isinstance(key, SM2PrivateKey) else key
    certificate = x509.CertificateBuilder(
        issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]),
        subject_name=x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "wechatpay-chain sandbox"),
                x509.NameAttribute(NameOID.COMMON_NAME, subject),
            ]
        ),
        public_key=template.public_key(),
        serial_number=serial,
        not_valid_before=now - timedelta(days=1),
        not_valid_after=now + timedelta(days=5 * 365),
    ).sign(template, hashes.SHA256())
    return _to_sm2(certificate, key) if isinstance(key, SM2PrivateKey) else certificate


def _to_sm2(certificate: x509.Certificate, key: SM2PrivateKey) -> x509.Certificate:
    """Returns a certificate of P-256 as one of an SM2 key."""
    point = certificate.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
    signed = certificate.tbs_certificate_bytes.replace(point, key.public.point)
    signed = signed.replace(_P256, _SM2).replace(_ECDSA, _SM2_SM3)
    signature = base64.b64decode(crypto.sign(signed, key))
    content = signed + _element(0x30, _SM2_SM3) + _element(0x03, b"\0" + signature)
    return x509.load_der_x509_certificate(_element(0x30, content))


def _template() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _element(tag: int, content: bytes) -> bytes:
    """Returns an element of DER: a length up to 127 is one byte, a longer one has the number of its bytes before it."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def _pem(label: str, octets: bytes) -> str:
    body = "\n".join(textwrap.wrap(base64.b64encode(octets).decode(), 64))
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"

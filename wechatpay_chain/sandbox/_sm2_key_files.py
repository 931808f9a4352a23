"""Makes SM2 keys and their certificates, and writes them as PEM.

cryptography does not know the curve of SM2. But its keys have the same length as those of P-256, so what it writes for P-256 becomes
what is needed when the names of the curve and of the algorithm, the numbers and the signature are replaced.
"""

from __future__ import annotations

import base64
import textwrap

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from wechatpay_chain import crypto
from wechatpay_chain._schemes.sm2 import SM2PrivateKey, SM2PublicKey, generate
from wechatpay_chain.sandbox._key_files import KeyFiles

__all__ = ["SM2_FILES"]

_P256, _SM2 = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a811ccf5501822d")
_ECDSA, _SM2_SM3 = bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a811ccf55018375")


def _private_pem(key: SM2PrivateKey) -> str:
    template = _template().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    # The template ends with the secret, six bytes of structure and the point.
    head, middle = template[: -32 - 6 - 64], template[-6 - 64 : -64]
    return _pem("PRIVATE KEY", (head + key.secret + middle + key.public.point).replace(_P256, _SM2))


def _public_pem(key: SM2PublicKey) -> str:
    template = _template().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return _pem("PUBLIC KEY", (template[:-64] + key.point).replace(_P256, _SM2))


def _certify(key: SM2PrivateKey, described: x509.CertificateBuilder) -> x509.Certificate:
    template = _template()
    certificate = described.public_key(template.public_key()).sign(template, hashes.SHA256())
    point = template.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
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


SM2_FILES = KeyFiles(generate, _private_pem, _public_pem, _certify)

"""The certificates of TLS, of the sandbox and of its merchant: made at startup, by an authority that is made with them."""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import NameOID

__all__ = ["SERVICE_HOSTS", "Authority", "AuthorityFile"]

SERVICE_HOSTS = (
    "api.mch.weixin.qq.com",
    "api2.mch.weixin.qq.com",
    "api.wechatpay.cn",
    "api2.wechatpay.cn",
    "apihk.mch.weixin.qq.com",
    "apius.mch.weixin.qq.com",
    "fraud.mch.weixin.qq.com",
    "payapp.weixin.qq.com",
    "payapp.mch.weixin.qq.com",
)
"""The hosts of the service, which the certificate names too: other SDKs have them built in."""


class Authority:
    """Issues the certificates of the server and of the merchant. It is made at startup.

    Attributes:
        pem: its own certificate, which a client has to trust, as PEM.
    """

    def __init__(self) -> None:
        self._key = generate_private_key(SECP256R1())
        self._certificate = _sign(self._key.public_key(), self._key, "wechatpay-chain sandbox authority", None)
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def make_context(self, hosts: list[str]) -> ssl.SSLContext:
        """Returns the context of a server. It asks clients for a certificate of this authority, and serves those without one.

        Args:
            hosts: further names and addresses of the server.
        """
        key, names = generate_private_key(SECP256R1()), [*SERVICE_HOSTS, "localhost", *hosts]
        certificate = _sign(key.public_key(), self._key, "wechatpay-chain sandbox", self._certificate, names)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.load_verify_locations(cadata=self.pem)
        context.verify_mode = ssl.CERT_OPTIONAL
        with (
            tempfile.TemporaryDirectory() as folder
        ):  # ssl loads a key from a file only; the folder is the user's alone
            chain = Path(folder) / "chain.pem"
            chain.touch(0o600)
            chain.write_bytes(_key_pem(key) + certificate.public_bytes(serialization.Encoding.PEM))
            context.load_cert_chain(chain)
        return context

    def issue(self, mchid: str, serial: str, key: RSAPublicKey) -> x509.Certificate:
        """Returns the merchant API certificate of a merchant, which is also its TLS certificate.

        Args:
            mchid: the merchant number.
            serial: the serial number.
            key: the merchant's public key.
        """
        return _sign(key, self._key, mchid, self._certificate, serial=int(serial, 16))


class AuthorityFile:
    """A file with the certificate of the authority, for clients that read it from one. It is written when it is asked for.

    Args:
        pem: the certificate.
    """

    def __init__(self, pem: str) -> None:
        self._pem = pem
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def path(self) -> Path:
        """The path of the file."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="wechatpay-sandbox-")
        path = Path(self._folder.name) / "authority.pem"
        path.write_text(self._pem, encoding="ascii")
        return path

    def remove(self) -> None:
        """Removes the file."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _sign(
    key: EllipticCurvePublicKey | RSAPublicKey,
    issuer_key: EllipticCurvePrivateKey,
    name: str,
    issuer: x509.Certificate | None,
    hosts: list[str] | None = None,
    serial: int | None = None,
) -> x509.Certificate:
    now = datetime.now(timezone.utc)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key)
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=397))  # 398 in all: some clients accept no longer certificate of a server
        .add_extension(
            x509.BasicConstraints(ca=issuer is None, path_length=0 if issuer is None else None), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if hosts:
        names = x509.SubjectAlternativeName([_general_name(host) for host in dict.fromkeys(hosts)])
        builder = builder.add_extension(names, critical=False)
    elif issuer is None:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(issuer_key, hashes.SHA256())


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_pem(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

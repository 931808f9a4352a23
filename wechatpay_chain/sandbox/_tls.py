"""The certificate of a sandbox that serves HTTPS: made at startup, by an authority that is made with it."""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.x509.oid import NameOID

__all__ = ["SERVICE_HOSTS", "AuthorityFile", "make_tls"]

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


def make_tls(hosts: list[str]) -> tuple[ssl.SSLContext, str]:
    """Returns a server's context, and the certificate of the authority that a client has to trust, as PEM.

    Args:
        hosts: further names and addresses of the server.
    """
    authority_key, key = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
    authority = _sign(authority_key, authority_key, "wechatpay-chain sandbox authority", None)
    certificate = _sign(key, authority_key, "wechatpay-chain sandbox", authority, [*SERVICE_HOSTS, "localhost", *hosts])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    with tempfile.TemporaryDirectory() as folder:  # ssl loads a key from a file only; the folder is the user's alone
        chain = Path(folder) / "chain.pem"
        chain.touch(0o600)
        chain.write_bytes(_key_pem(key) + certificate.public_bytes(serialization.Encoding.PEM))
        context.load_cert_chain(chain)
    return context, authority.public_bytes(serialization.Encoding.PEM).decode()


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
    key: EllipticCurvePrivateKey,
    issuer_key: EllipticCurvePrivateKey,
    name: str,
    issuer: x509.Certificate | None,
    hosts: list[str] | None = None,
) -> x509.Certificate:
    now = datetime.now(timezone.utc)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(
            x509.BasicConstraints(ca=issuer is None, path_length=0 if issuer is None else None), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if hosts:
        names = x509.SubjectAlternativeName([_general_name(host) for host in dict.fromkeys(hosts)])
        builder = builder.add_extension(names, critical=False)
    else:
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

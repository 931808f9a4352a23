"""The merchant's TLS certificate, which some operations of APIv2 need besides the signature.

It is the merchant API certificate: https://pay.weixin.qq.com/doc/v2/merchant/4011985891
"""

from __future__ import annotations

import os
import secrets
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from wechatpay_chain._keys.loading import Identity, certifies, load_certificate
from wechatpay_chain._keys.per_process_key import PerProcessKey
from wechatpay_chain._schemes.by_key import type_of
from wechatpay_chain._schemes.scheme import PrivateKey
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import ConfigurationError

__all__ = ["ClientCertificate", "load_client_certificate"]


class ClientCertificate(NamedTuple):
    """A certificate and its private key.

    Attributes:
        certificate: the certificate.
        key: its private key.
    """

    certificate: x509.Certificate
    key: PerProcessKey[RSAPrivateKey]

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate, which tells connections with another certificate apart."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    @shielded
    def load_into(self, context: ssl.SSLContext) -> None:
        """Loads certificate and key into a TLS context.

        Python's ssl module reads both from files only. The file is in memory where the system has such files (Linux), elsewhere on
        disk with mode 0600 for a moment; and in it, the key is encrypted with a password that is used once.
        """
        password = secrets.token_bytes(32).hex().encode()
        key = self.key.current.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))
        with _private_file(self.certificate.public_bytes(Encoding.PEM) + key) as path:
            context.load_cert_chain(path, password=password)

    def __repr__(self) -> str:
        return f"<ClientCertificate {self.fingerprint[:16]}>"


def load_client_certificate(
    source: object,
    identity: Identity | None,
    passphrase: str | bytes | None,
    mchid: str,
) -> ClientCertificate | None:
    """Returns the merchant's TLS certificate: the one that is given, else the one that came with the private key; None without a key.

    Args:
        source: the certificate, in any form that keys may have; None for the one that came with the private key.
        identity: the merchant's private key; None if only a remote signer has it.
        passphrase: the passphrase of a PKCS#12 file.
        mchid: the merchant number.

    Raises:
        ConfigurationError: it cannot be loaded, or is not the certificate of the private key.
    """
    key = identity.key if identity else None
    if source is None:
        own = identity.certificate if identity else None
        return ClientCertificate(own, _of_tls(key)) if own and key and type_of(key).in_tls else None
    certificate = load_certificate("certificate", source, passphrase, mchid)
    if identity is None or key is None:
        return None  # TLS needs the key, which a signer does not show; a call that needs the certificate says so
    if not type_of(key).in_tls:
        raise ConfigurationError(
            f"certificate: TLS needs a private key of RSA; private_key= is an {type_of(key).name} key, so leave the certificate out"
        )
    if not certifies(certificate, identity.key):
        raise ConfigurationError(
            "certificate and private_key: the certificate does not belong to the key; expected apiclient_cert.pem and "
            "apiclient_key.pem of one application"
        )
    return ClientCertificate(certificate, _of_tls(key))


def _of_tls(key: PrivateKey) -> PerProcessKey[RSAPrivateKey]:
    return PerProcessKey(cast("RSAPrivateKey", key))  # the one type that TLS knows


@contextmanager
def _private_file(content: bytes) -> Iterator[str]:
    """Writes a file that only this process can read, and yields its path. It is gone afterwards."""
    in_memory = _make_file_in_memory()
    descriptor, path = in_memory or tempfile.mkstemp(suffix=".pem")
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 -- a descriptor has no path
            file.write(content)
            file.flush()
            yield path
    finally:
        if in_memory is None:
            Path(path).unlink()


def _make_file_in_memory() -> tuple[int, str] | None:
    """Returns the descriptor and the path of a new file in memory; None if this system has none, or no path to it."""
    if not hasattr(os, "memfd_create"):
        return None
    try:
        descriptor = os.memfd_create("certificate")
    except OSError:  # the seccomp profile of a container can forbid it
        return None
    path = f"/proc/self/fd/{descriptor}"
    try:
        with Path(path).open("rb"):
            return descriptor, path
    except OSError:  # /proc is not mounted
        os.close(descriptor)
        return None

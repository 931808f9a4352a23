"""Errors for key material that cannot be used: they name what came, and say how to get the right file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from wechatpay_chain._keys.material import Contents
from wechatpay_chain.errors import ConfigurationError

__all__ = ["PRIVATE", "PUBLIC", "Expectation", "name_type", "unusable_material"]


class Expectation(NamedTuple):
    """The expected type of key, for error messages.

    Attributes:
        text: a clause that begins with "expected".
        hints: what to do about a wrong piece of key material, by the piece's name.
    """

    text: str
    hints: Mapping[str, str]


_REQUEST = "the request is only needed to apply for the certificate"
_SSH = "SSH keys are not used for WeChat Pay"
_EXTRACT = "extract it, and pass the file inside"
_PAGE = "the download returned a web page instead of the file; download the file again"

PRIVATE = Expectation(
    "expected the merchant's private key, such as apiclient_key.pem",
    {
        "a certificate request": f"{_REQUEST}; the private key was created with the request (apiclient_key.pem)",
        "an RSA public key": "the private key was created together with it, when you applied for the certificate",
        "a certificate": "the private key was created when you applied for it; it is in apiclient_key.pem beside "
        "apiclient_cert.pem",
        "an OpenSSH private key": f"{_SSH}; `ssh-keygen -p -m PEM -f FILE` converts an RSA key to PEM",
        "a PuTTY key": f"{_SSH}; `puttygen FILE -O private-openssh` converts an RSA key to PEM",
        "a JWK": "convert it to PEM",
        "an XML key of .NET": "convert it to PEM with `RSA.ExportPkcs8PrivateKeyPem()`",
        "a Java keystore": "convert it to PKCS#12 with `keytool -importkeystore -deststoretype pkcs12`",
        "a PKCS#7 container": "it contains only certificates; the private key is in apiclient_key.pem",
        "a ZIP archive": f"{_EXTRACT}, apiclient_key.pem",
        "an HTML page": _PAGE,
        "the id of WeChat Pay's public key": "the id belongs in certs=",
    },
)

_DOWNLOAD = "download WeChat Pay's public key from the merchant platform (pub_key.pem)"

PUBLIC = Expectation(
    "expected a public key or a certificate",
    {
        "a certificate request": f"{_REQUEST}; {_DOWNLOAD}",
        "an RSA private key": _DOWNLOAD,
        "an SM2 private key": _DOWNLOAD,
        "a PKCS#7 container": "convert its certificates to PEM with `openssl pkcs7 -print_certs`",
        "a JWK": "convert it to PEM",
        "a Java keystore": "convert its certificates to PEM with `keytool -exportcert -rfc`",
        "a ZIP archive": _EXTRACT,
        "an HTML page": _PAGE,
        "the id of WeChat Pay's public key": "pass the key itself, which can be downloaded beside its id (pub_key.pem)",
    },
)


def unusable_material(setting: str, contents: Contents, expectation: Expectation) -> ConfigurationError:
    """Returns the error for a source without a usable key.

    Args:
        setting: the name of the setting.
        contents: what the source contains.
        expectation: what was expected, with hints.
    """
    hints = expectation.hints
    hint = next((f"; {hints[piece.name]}" for piece in contents.pieces if piece.name in hints), "")
    if any("damaged" in piece.name for piece in contents.pieces):
        hint = "; copy or download the whole file again"
    return ConfigurationError(f"{setting}: came {contents.description}; {expectation.text}{hint}")


def name_type(loaded: object) -> str:
    """Returns the type name of a key object with its article, such as "an RSAPublicKey"."""
    name = type(loaded).__name__
    return f"{'an' if name[0] in 'EXR' else 'a'} {name}"

"""A service whose keys are SM2 keys, for the tests. OpenSSL's command makes the keys, the certificates and the signatures."""

from __future__ import annotations

import base64
import secrets
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.service import Reply

SCHEME = "WECHATPAY2-SM2-WITH-SM3"
USER = "distid:1234567812345678"


def openssl(*arguments: str | Path, content: bytes = b"") -> bytes:
    """Runs the command, and returns what it wrote."""
    return subprocess.run(["openssl", *map(str, arguments)], input=content, capture_output=True, check=True).stdout


def has_sm2() -> bool:
    """Tells whether OpenSSL's command is there, and knows SM2."""
    if not shutil.which("openssl"):
        return False
    return b"SM2" in openssl("list", "-public-key-algorithms") + openssl("ecparam", "-list_curves")


def sm4_gcm(plaintext: bytes, apiv3_key: str, nonce: str, associated_data: bytes) -> str:
    digest = hashes.Hash(hashes.SM3())
    digest.update(apiv3_key.encode())
    encryptor = Cipher(algorithms.SM4(digest.finalize()[:16]), modes.GCM(nonce.encode())).encryptor()
    encryptor.authenticate_additional_data(associated_data)
    return base64.b64encode(encryptor.update(plaintext) + encryptor.finalize() + encryptor.tag).decode()


@dataclass(frozen=True)
class SM2Key:
    """A private key in a file, and its certificate.

    Attributes:
        path: the file of the private key.
        certificate_path: the file of the certificate.
    """

    path: Path
    certificate_path: Path

    @classmethod
    def make(cls, folder: Path, name: str, issuer: SM2Key | None = None) -> SM2Key:
        """Makes a key, and a certificate that the issuer signs, or the key itself."""
        path, certificate, request = (folder / f"{name}.{end}" for end in ("key", "pem", "csr"))
        openssl("genpkey", "-algorithm", "SM2", "-out", path)
        subject = ("-subj", f"/O=Tenpay.com/CN={name}")
        if issuer is None:
            openssl("req", "-new", "-x509", "-key", path, "-sm3", "-sigopt", USER, *subject, "-out", certificate)
        else:
            openssl("req", "-new", "-key", path, "-sm3", "-sigopt", USER, *subject, "-out", request)
            signer = ("-CA", issuer.certificate_path, "-CAkey", issuer.path, "-CAcreateserial")
            options = ("-sm3", "-sigopt", USER, "-vfyopt", USER)
            openssl("x509", "-req", "-in", request, *signer, *options, "-days", "30", "-out", certificate)
        return cls(path, certificate)

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate_path.read_bytes())

    @property
    def serial(self) -> str:
        return f"{self.certificate.serial_number:040X}"

    @property
    def public(self) -> bytes:
        """The public key as PEM."""
        return openssl("pkey", "-in", self.path, "-pubout")

    def sign(self, message: bytes) -> str:
        signature = openssl(
            "pkeyutl", "-sign", "-inkey", self.path, "-rawin", "-digest", "sm3", "-pkeyopt", USER, content=message
        )
        return base64.b64encode(signature).decode()

    def verifies(self, message: bytes, signature: str, folder: Path) -> bool:
        """Tells whether a signature in base64 is this key's."""
        (folder / "signature").write_bytes(base64.b64decode(signature))
        options = ("-rawin", "-digest", "sm3", "-pkeyopt", USER, "-sigfile", folder / "signature")
        done = subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-inkey", self.path, *map(str, options)],
            input=message,
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    def encrypt(self, plaintext: bytes) -> str:
        ciphertext = openssl("pkeyutl", "-encrypt", "-inkey", self.path, "-pkeyopt", "digest:sm3", content=plaintext)
        return base64.b64encode(ciphertext).decode()

    def decrypt(self, ciphertext: str) -> bytes:
        raw = base64.b64decode(ciphertext)
        return openssl("pkeyutl", "-decrypt", "-inkey", self.path, "-pkeyopt", "digest:sm3", content=raw)

    def signed(self, body: bytes, serial: str, **more: str) -> Reply:
        """Returns a response with this key's signature."""
        headers = {"Content-Type": "application/json", **self.signature(body, serial), **more}
        return Reply(200, headers, body)

    def signature(self, body: bytes, serial: str) -> dict[str, str]:
        """Returns the headers of a signature."""
        timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
        message = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
        return {
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": serial,
            "Wechatpay-Signature": self.sign(message),
            "Wechatpay-Signature-Type": SCHEME,
        }

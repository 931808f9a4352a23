"""Generates the keys of a run: the merchant's, the platform's, and the server's for TLS; and defines the order."""

from __future__ import annotations

import json
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.service import MCHID, SERIAL, certificate_pem, new_certificate, new_key, private_pem

ORDER = {
    "appid": "wxd678efh567hg6787",
    "mchid": "1900007291",
    "description": "Image形象店-深圳腾大-QQ公仔",
    "out_trade_no": "1217752501201407033233368018",
    "notify_url": "https://www.weixin.qq.com/wxpay/pay.php",
    "amount": {"total": 100, "currency": "CNY"},
}

APIV3_KEY = "0123456789abcdef0123456789abcdef"


def write_keys(folder: Path) -> None:
    """Writes merchant.json, order.json, platform.pem, serial.txt, tls.pem and tls-key.pem for server and clients."""
    merchant, platform = new_key(), new_key()
    certificate = new_certificate(platform)
    serial = f"{certificate.serial_number:040X}"
    (folder / "platform.pem").write_text(private_pem(platform))
    (folder / "serial.txt").write_text(serial)
    (folder / f"{serial}.pem").write_text(certificate_pem(certificate))
    settings = {
        "mchid": MCHID,
        "serial": SERIAL,
        "private_key": private_pem(merchant),
        "certs": {serial: certificate_pem(certificate)},
        "platform_serial": serial,
        "apiv3_key": APIV3_KEY,
    }
    (folder / "merchant.json").write_text(json.dumps(settings))
    (folder / "order.json").write_text(json.dumps(ORDER))
    (folder / "apiclient_key.pem").write_text(private_pem(merchant))
    # An elliptic curve, so that a handshake needs little CPU of the server.
    tls = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    template = new_certificate(new_key())
    builder = x509.CertificateBuilder(
        subject_name=name,
        issuer_name=name,
        public_key=tls.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=template.not_valid_before_utc,
        not_valid_after=template.not_valid_after_utc,
        extensions=list(template.extensions),
    )
    (folder / "tls.pem").write_text(certificate_pem(builder.sign(tls, hashes.SHA256())))
    pem = tls.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "tls-key.pem").write_bytes(pem)

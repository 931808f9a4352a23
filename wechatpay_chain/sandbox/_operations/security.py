"""The operations about keys and encryption: the list of platform certificates, and an echo that can post a notification."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cryptography import x509

from wechatpay_chain import crypto
from wechatpay_chain.sandbox._clock import CHINA
from wechatpay_chain.sandbox._key_files import certificate_pem
from wechatpay_chain.sandbox._keys import Keys
from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result

__all__ = ["SECURITY_HANDLERS"]


def _list_certificates(account: Account, request: CheckedRequest) -> Result:
    # A merchant has certificates of one kind; those of RSA are listed without a query, too.
    if request.query.get("algorithm_type", "RSA") not in (account.keys.scheme.keys.name, "ALL"):
        raise Refusal(404, "RESOURCE_NOT_EXISTS", "无可用的平台证书")
    return 200, {"data": [_describe_certificate(account.keys, *item) for item in account.keys.certificates.items()]}


def _describe_certificate(keys: Keys, serial: str, certificate: x509.Certificate) -> dict[str, Any]:
    nonce = crypto.nonce(12)
    ciphertext = keys.scheme.aead_encrypt(certificate_pem(certificate), keys.apiv3_key.encode(), nonce, "certificate")
    return {
        "serial_no": serial,
        "effective_time": _format_time(certificate.not_valid_before_utc),
        "expire_time": _format_time(certificate.not_valid_after_utc),
        "encrypt_certificate": {
            "algorithm": keys.scheme.algorithm,
            "nonce": nonce,
            "associated_data": "certificate",
            "ciphertext": ciphertext,
        },
    }


def _format_time(moment: datetime) -> str:
    """Returns a time as RFC 3339 in China's time zone."""
    return moment.astimezone(CHINA).isoformat(timespec="seconds")


def _echo(account: Account, request: CheckedRequest) -> Result:
    body = {"echo_message": request.body["echo_message"]}
    if (decrypted := request.body.get("encrypted_echo_message")) is not None:
        body["encrypted_echo_message"] = account.keys.encrypt(decrypted)
    if url := request.body.get("notify_url"):
        # The notification spells one member in another way than the request and the response.
        resource = {name.replace("encrypted_", "encrypt_"): value for name, value in body.items()}
        account.announce("SECURITY_ECHO.SUCCESS", resource, url, "security", "安全测试成功")
    return 200, body


SECURITY_HANDLERS: dict[tuple[str, str], Handler] = {
    ("GET", "/v3/certificates"): _list_certificates,
    ("GET", "/v3/global/certificates"): _list_certificates,
    ("GET", "/hk/v3/certificates"): _list_certificates,
    ("POST", "/v3/security/echo"): _echo,
}

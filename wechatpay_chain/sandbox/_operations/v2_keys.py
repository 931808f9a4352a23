"""The keys that APIv2 hands out: the one that encrypts fields, and that of the service's own sandbox, which is the merchant's here."""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wechatpay_chain.sandbox._operations.account import Account
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result

__all__ = ["V2_KEY_HANDLERS"]


def _show_public_key(account: Account, request: CheckedRequest) -> Result:  # noqa: ARG001 -- a handler
    keys = account.keys
    key = keys.card_key.public_key()
    return 200, {"mch_id": keys.number, "pub_key": key.public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()}


def _show_signing_key(account: Account, request: CheckedRequest) -> Result:  # noqa: ARG001 -- a handler
    return 200, {"mch_id": account.keys.number, "sandbox_signkey": account.keys.apiv2_key}


V2_KEY_HANDLERS: dict[tuple[str, str], Handler] = {
    ("POST", "/risk/getpublickey"): _show_public_key,
    ("POST", "/xdc/apiv2getsignkey/sign/getsignkey"): _show_signing_key,
    ("POST", "/sandboxnew/pay/getsignkey"): _show_signing_key,
}

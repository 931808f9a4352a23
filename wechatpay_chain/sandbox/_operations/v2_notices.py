"""What APIv2 says of orders and refunds, and its notifications of payments and refunds.

Sources: https://pay.weixin.qq.com/doc/v2/merchant/4011985004 for payments, https://pay.weixin.qq.com/doc/v2/merchant/4011985454 for
refunds.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from wechatpay_chain import crypto
from wechatpay_chain._schemes.apiv2 import MD5, compute_signature
from wechatpay_chain.sandbox._notifier import Notice
from wechatpay_chain.sandbox._operations.orders import Order
from wechatpay_chain.sandbox._operations.refunds import Refund
from wechatpay_chain.sandbox._xml import to_texts, write_xml

__all__ = [
    "STATUSES",
    "announce_refund",
    "describe_order",
    "encrypt_req_info",
    "format_time",
    "make_payment_announcer",
    "write_signed",
]

STATUSES = {"PROCESSING": "PROCESSING", "SUCCESS": "SUCCESS", "ABNORMAL": "CHANGE", "CLOSED": "REFUNDCLOSE"}
"""The states of a refund in APIv2, by those in APIv3."""


def format_time(moment: datetime) -> str:
    """Returns a time in the form of APIv2, in China."""
    return f"{moment:%Y%m%d%H%M%S}"


def _describe_numbers(order: Order) -> dict[str, Any]:
    placed = order.placed
    return {
        "appid": placed.get("appid") or placed.get("sp_appid"),
        "mch_id": order.mchid,
        "sub_appid": placed.get("sub_appid"),
        "sub_mch_id": order.sub_mchid,
    }


def describe_order(order: Order) -> dict[str, Any]:
    """Returns the fields of an order in APIv2: only those that its state has; None for those without a value.

    Args:
        order: the order, which may have been placed by APIv3.
    """
    known = order.describe()
    state = {
        **_describe_numbers(order),
        "device_info": order.placed.get("scene_info", {}).get("device_id"),
        "out_trade_no": order.out_trade_no,
        "attach": order.placed.get("attach"),
        "trade_state": known["trade_state"],
        "trade_state_desc": known["trade_state_desc"],
        "total_fee": order.total,
    }
    payment = order.payment
    if payment is None:
        return state
    coupon = {
        "settlement_total_fee": order.payer_total,
        "coupon_fee": payment.discount,
        "coupon_count": 1,
        "coupon_type_0": "NO_CASH",
        "coupon_id_0": payment.coupon_id,
        "coupon_fee_0": payment.discount,
    }
    return {
        **state,
        "openid": payment.openid,
        "is_subscribe": "N",
        "sub_openid": order.placed.get("payer", {}).get("sub_openid"),
        "trade_type": order.trade_type,
        "bank_type": payment.bank_type,
        "fee_type": "CNY",
        "cash_fee": order.payer_total,
        "cash_fee_type": "CNY",
        "transaction_id": payment.transaction_id,
        "time_end": format_time(payment.success_time),
        **(coupon if payment.discount else {}),
    }


def write_signed(key: str, fields: Mapping[str, Any], sign_type: str = MD5) -> bytes:
    """Returns a signed notification.

    Args:
        key: the APIv2 key.
        fields: its fields; those that are None are left out.
        sign_type: how it is signed.
    """
    written = to_texts(fields)
    return write_xml({**written, "sign": compute_signature(written, key.encode(), sign_type)})


def make_payment_announcer(
    sign_type: str | None, more: Mapping[str, Any] = {}
) -> Callable[[Order, str | None], Notice | None]:
    """Returns what posts the notification of a payment, or of a deduction.

    Args:
        sign_type: how it is signed, which is how the order was; None for MD5.
        more: fields that the notification has besides those of a payment: a contract_id makes it one of a deduction.
    """

    def announce(order: Order, url: str | None) -> Notice | None:
        known = {name: value for name, value in describe_order(order).items() if not name.startswith("trade_state")}
        outcome = {"return_code": "SUCCESS", "result_code": "SUCCESS", "nonce_str": crypto.nonce()}
        body = write_signed(order._account.keys.apiv2_key, {**outcome, **known, **more}, sign_type or MD5)
        return order._account.announce_xml("deduction" if "contract_id" in more else "payment", body, url)

    return announce


def announce_refund(refund: Refund, url: str | None) -> Notice | None:
    """Posts the notification of a refund, which is encrypted and not signed.

    Args:
        refund: the refund, which is finished.
        url: the URL to post to; None or empty for nowhere.
    """
    payment, paid = refund.order.payment, refund.amount - refund.discount
    known = {
        "transaction_id": payment and payment.transaction_id,
        "out_trade_no": refund.order.out_trade_no,
        "refund_id": refund.refund_id,
        "out_refund_no": refund.out_refund_no,
        "total_fee": refund.order.total,
        "settlement_total_fee": refund.order.payer_total,
        "refund_fee": refund.amount,
        "settlement_refund_fee": paid,
        "refund_status": STATUSES[refund.status],
        "success_time": refund.finished_at and f"{refund.finished_at:%Y-%m-%d %H:%M:%S}",
        "refund_recv_accout": refund.user_received_account,
        "refund_account": "REFUND_SOURCE_UNSETTLED_FUNDS",
        "refund_request_source": "API",
    }
    account = refund._account
    fields = {
        "return_code": "SUCCESS",
        **_describe_numbers(refund.order),
        "nonce_str": crypto.nonce(),
        "req_info": encrypt_req_info(known, account.keys.apiv2_key),
    }
    return account.announce_xml("refund", write_xml(fields), url)


def encrypt_req_info(fields: Mapping[str, Any], key: str) -> str:
    """Encrypts the fields of a refund notice with the APIv2 key: AES-256 in ECB mode."""
    text = write_xml(to_texts(fields), "root")
    digits = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest().encode()
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(digits), modes.ECB()).encryptor()  # noqa: S305 -- the protocol has it
    padded = padder.update(text) + padder.finalize()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()

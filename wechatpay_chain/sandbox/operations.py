"""The operations that the sandbox knows: what each takes, and what it does to the merchant's account."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from wechatpay_chain import crypto
from wechatpay_chain.sandbox.keys import Keys, Signer
from wechatpay_chain.sandbox.schema import Schema, array, choice, integer, obj, secret, text

__all__ = ["OPERATIONS", "Account", "Asked", "Operation", "Refusal"]


class Refusal(Exception):
    """An error answer: status, code, message, and detail where the service gives one."""

    def __init__(self, status: int, code: str, message: str, detail: Mapping[str, Any] | None = None) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.answer: dict[str, Any] = {"code": code, "message": message, **({"detail": detail} if detail else {})}


class Asked(NamedTuple):
    """A request whose signature and fields have been checked."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]


@dataclass
class Account:
    """What the service remembers of a merchant."""

    keys: Keys
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Orders by out_trade_no: `placed`, what was asked for; `state`, what a query answers."""

    def order(self, out_trade_no: str, mchid: str) -> dict[str, Any]:
        """An order of this merchant's.

        Raises:
            Refusal: there is none, or another merchant asks.
        """
        self.require(mchid)
        if out_trade_no not in self.orders:
            raise Refusal(404, "ORDER_NOT_EXIST", "订单不存在")
        return self.orders[out_trade_no]

    def require(self, mchid: str) -> None:
        """Raises a Refusal unless the merchant number is the caller's."""
        if mchid != self.keys.mchid:
            raise Refusal(400, "PARAM_ERROR", "mchid与签名的商户号不一致")


Result = tuple[int, Mapping[str, Any] | None]
"""Status and JSON body; None is no body."""


@dataclass(frozen=True)
class Operation:
    """One operation: how it is called and what it does."""

    method: str
    path: str
    handle: Callable[[Account, Asked], Result]
    query: Schema = field(default_factory=lambda: obj({}))
    body: Schema | None = None


_CHINA = timezone(timedelta(hours=8))


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(_CHINA).isoformat(timespec="seconds")


def _place(account: Account, order: Mapping[str, Any], trade_type: str) -> dict[str, Any]:
    account.require(order["mchid"])
    number, placed = order["out_trade_no"], {"trade_type": trade_type, **order}
    known = account.orders.get(number)
    if known is None:
        known = account.orders[number] = {
            "placed": placed,
            "prepay_id": f"wx{secrets.token_hex(17)}",
            "state": {
                **{name: order[name] for name in ("appid", "mchid", "out_trade_no", "attach") if name in order},
                # The service tells the number of a transaction once it is paid. Nobody pays here, and both ways to
                # query are to be tried all the same.
                "transaction_id": f"42{secrets.randbelow(10**26):026}",
                "trade_type": trade_type,
                "trade_state": "NOTPAY",
                "trade_state_desc": "订单未支付",
                "amount": {"currency": "CNY", "payer_currency": "CNY", **order["amount"]},
            },
        }
    elif known["state"]["trade_state"] == "CLOSED":
        raise Refusal(400, "ORDER_CLOSED", "订单已关闭，请重新下单")
    elif known["placed"] != placed:
        raise Refusal(403, "OUT_TRADE_NO_USED", "商户订单号重复：同一单号的参数须与首次下单一致")
    return known


def _native(account: Account, asked: Asked) -> Result:
    order = _place(account, asked.body, "NATIVE")
    return 200, {"code_url": f"weixin://wxpay/bizpayurl?pr={order['prepay_id'][-9:]}"}


def _jsapi(account: Account, asked: Asked) -> Result:
    return 200, {"prepay_id": _place(account, asked.body, "JSAPI")["prepay_id"]}


def _by_out_trade_no(account: Account, asked: Asked) -> Result:
    return 200, account.order(asked.path["out_trade_no"], asked.query["mchid"])["state"]


def _by_transaction_id(account: Account, asked: Asked) -> Result:
    states = (order["state"] for order in account.orders.values())
    number = next((s["out_trade_no"] for s in states if s["transaction_id"] == asked.path["transaction_id"]), "")
    return 200, account.order(number, asked.query["mchid"])["state"]


def _close(account: Account, asked: Asked) -> Result:
    state = account.order(asked.path["out_trade_no"], asked.body["mchid"])["state"]
    state.update(trade_state="CLOSED", trade_state_desc="订单已关闭")
    return 204, None


def _pre_send_coupon(_account: Account, asked: Asked) -> Result:
    # The same parameters give the same token, also after the user has taken the coupon.
    told = json.dumps([asked.path, asked.body], sort_keys=True).encode()
    token = base64.urlsafe_b64encode(hashlib.sha256(told).digest()[:24]).decode()
    return 200, {"token": token}


def _certificates(account: Account, _asked: Asked) -> Result:
    keys, nonce = account.keys, crypto.nonce(12)
    certificate = keys.certificate
    serial = keys.ids[Signer.CERTIFICATE]
    sealed = crypto.aes_gcm_encrypt(keys.certs[serial], keys.apiv3_key.encode(), nonce, "certificate")
    listed = {
        "serial_no": serial,
        "effective_time": _rfc3339(certificate.not_valid_before_utc),
        "expire_time": _rfc3339(certificate.not_valid_after_utc),
        "encrypt_certificate": {
            "algorithm": "AEAD_AES_256_GCM",
            "nonce": nonce,
            "associated_data": "certificate",
            "ciphertext": sealed,
        },
    }
    return 200, {"data": [listed]}


def _echo(account: Account, asked: Asked) -> Result:
    answer = {"echo_message": asked.body["echo_message"]}
    if (opened := asked.body.get("encrypted_echo_message")) is not None:
        answer["encrypted_echo_message"] = crypto.encrypt(opened, account.keys.merchant.public_key())
    return 200, answer


_MCHID = text(32, pattern="[0-9]+")
_NOTIFY_URL = text(255, pattern=r"https?://[^?#]+")
_ORDER = {
    "appid": text(32),
    "mchid": _MCHID,
    "description": text(127),
    "out_trade_no": text(32, 6, r"[0-9A-Za-z_\-|*@]+"),
    "notify_url": _NOTIFY_URL,
    "amount": obj({"total": integer(1)}, {"currency": choice("CNY")}),
}
_BOOLEAN: Schema = {"type": "boolean"}
_IDENTITY = obj({"type": text(), "number": secret(), "name": secret()})
_ORDER_MORE = {
    "time_expire": text(64, pattern=r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)"),
    "attach": text(127, 0),
    "goods_tag": text(32),
    "support_fapiao": _BOOLEAN,
    "detail": obj(
        {},
        {
            "cost_price": integer(),
            "invoice_id": text(32),
            "goods_detail": array(
                obj(
                    {"merchant_goods_id": text(32), "quantity": integer(1), "unit_price": integer()},
                    {"wechatpay_goods_id": text(32), "goods_name": text(256)},
                )
            ),
        },
    ),
    "scene_info": obj(
        {},
        {
            "payer_client_ip": text(45),
            "device_id": text(32),
            "store_info": obj({"id": text(32)}, {"name": text(256), "area_code": text(32), "address": text(512)}),
        },
    ),
    "settle_info": obj({}, {"profit_sharing": _BOOLEAN}),
}
_BY_MCHID = obj({"mchid": _MCHID})
_TRANSACTIONS = "/v3/pay/transactions"

OPERATIONS = (
    Operation("GET", "/v3/certificates", _certificates, query=obj({}, {"algorithm_type": choice("RSA", "SM2", "ALL")})),
    Operation(
        "POST",
        "/v3/security/echo",
        _echo,
        body=obj({"echo_message": text()}, {"encrypted_echo_message": secret(), "notify_url": _NOTIFY_URL}),
    ),
    Operation(
        "POST",
        f"{_TRANSACTIONS}/native",
        _native,
        body=obj(_ORDER, {**_ORDER_MORE, "payer": obj({}, {"identity": _IDENTITY})}),
    ),
    Operation(
        "POST",
        f"{_TRANSACTIONS}/jsapi",
        _jsapi,
        body=obj({**_ORDER, "payer": obj({"openid": text(128)}, {"identity": _IDENTITY})}, _ORDER_MORE),
    ),
    Operation("GET", f"{_TRANSACTIONS}/id/{{transaction_id}}", _by_transaction_id, query=_BY_MCHID),
    Operation("GET", f"{_TRANSACTIONS}/out-trade-no/{{out_trade_no}}", _by_out_trade_no, query=_BY_MCHID),
    Operation("POST", f"{_TRANSACTIONS}/out-trade-no/{{out_trade_no}}/close", _close, body=_BY_MCHID),
    Operation(
        "POST",
        "/v3/marketing/partner/product-coupon/users/{openid}/pre-send-coupon",
        _pre_send_coupon,
        body=obj(
            {
                "brand_id": text(),
                "product_coupon_id": text(),
                "stock_id": text(),
                "appid": text(),
                "send_request_no": text(128),
            },
            {"coupon_code": text(), "attach": text(least=0)},
        ),
    ),
)

"""The operations that the sandbox knows: what each takes, and what it does to the merchant's account."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import mimetypes
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wechatpay_chain import crypto
from wechatpay_chain._catalogue.uploads import RULES, Rule
from wechatpay_chain._schemes.digest import new_digest
from wechatpay_chain.sandbox._keys import Keys, certificate_pem
from wechatpay_chain.sandbox._schema import Schema, array, choice, integer, obj, secret, text

__all__ = ["OPERATIONS", "Account", "Asked", "File", "Operation", "Raw", "Refusal"]


class Refusal(Exception):
    """An error answer: status, code, message, detail where the service gives one, and further headers."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        detail: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, code, message)
        self.status, self.headers = status, headers or {}
        self.answer: dict[str, Any] = {"code": code, "message": message, **({"detail": detail} if detail else {})}


class File(NamedTuple):
    """The file of an upload."""

    part: str
    name: str
    content: bytes


class Raw(NamedTuple):
    """An answer that is a file."""

    content_type: str
    content: bytes


class Asked(NamedTuple):
    """A request whose signature and fields have been checked."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    """The JSON body, or the meta of an upload."""
    file: File | None
    host: str
    """Where it was sent, host and port."""


@dataclass
class Account:
    """What the service remembers of a merchant."""

    keys: Keys
    calendar: Callable[[], float]
    """Unix time in seconds, by which orders are placed and bills are made."""
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Orders by out_trade_no: `placed`, what was asked for; `state`, what a query answers; `time`, when it was placed."""
    files: dict[str, Raw] = field(default_factory=dict)
    """What can be downloaded, by media id and by token."""

    def now(self) -> datetime:
        """Returns the time of China on the account's calendar."""
        return datetime.fromtimestamp(self.calendar(), _CHINA)

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


Result = tuple[int, Mapping[str, Any] | Raw | None]
"""Status and JSON body, or a file; None is no body."""


@dataclass(frozen=True)
class Operation:
    """One operation: how it is called and what it does."""

    method: str
    path: str
    handle: Callable[[Account, Asked], Result]
    query: Schema = field(default_factory=lambda: obj({}))
    body: Schema | None = None
    upload: bool = False


_CHINA = timezone(timedelta(hours=8))

BILL_READY = time(10)
"""When the bills of a day are there, on the day after it, in China (https://pay.weixin.qq.com/doc/v3/merchant/4013071254)."""

BILL_MONTHS = 3
"""How long bills can be asked for (https://pay.weixin.qq.com/doc/v3/merchant/4012556654)."""


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
            "time": account.now(),
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
    return 200, {"data": [_listed(account.keys, *item) for item in account.keys.certificates.items()]}


def _listed(keys: Keys, serial: str, certificate: x509.Certificate) -> dict[str, Any]:
    nonce = crypto.nonce(12)
    sealed = crypto.aes_gcm_encrypt(certificate_pem(certificate), keys.apiv3_key.encode(), nonce, "certificate")
    return {
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


def _echo(account: Account, asked: Asked) -> Result:
    answer = {"echo_message": asked.body["echo_message"]}
    if (opened := asked.body.get("encrypted_echo_message")) is not None:
        answer["encrypted_echo_message"] = crypto.encrypt(opened, account.keys.merchant.public_key())
    return 200, answer


def _upload(rule: Rule, member: str) -> Callable[[Account, Asked], Result]:
    """Takes a file in, if it is what its meta says."""

    def uploaded(account: Account, asked: Asked) -> Result:
        file, meta = asked.file, asked.body
        if file is None or file.part != rule.part:
            raise _refused(rule.part, "file part is missing")
        # A file part without a file name of its own is taken: an SDK whose uploads work sends such.
        name = meta[rule.name] if rule.name else file.name
        suffix = name.rpartition(".")[2].lower() if "." in name else ""
        most = rule.most.get(suffix, 0 if rule.most and name else max(rule.most.values(), default=len(file.content)))
        if not 0 < len(file.content) <= most:
            raise _refused(rule.part, "unsuitable suffix or size")
        if rule.name and file.name and file.name != name:
            raise _refused(rule.name, "is not the name of the file")
        digest = new_digest(rule.algorithm)
        digest.update(file.content)
        if meta[rule.digest].lower() != digest.hexdigest():
            raise _refused(rule.digest, f"is not the {rule.algorithm} of the file")
        media_id = secrets.token_urlsafe(48)
        kind = mimetypes.guess_type(f"a.{suffix}")[0] or "application/octet-stream"
        account.files[media_id] = Raw(kind, file.content)
        return 200, {member: media_id}

    return uploaded


def _refused(field: str, issue: str) -> Refusal:
    return Refusal(400, "PARAM_ERROR", "参数错误", {"field": f"/{field}", "issue": issue, "location": "body"})


def _image(account: Account, asked: Asked) -> Result:
    return 200, _kept(account, asked.path["media_id"])


def _kept(account: Account, name: str) -> Raw:
    if name not in account.files:
        raise Refusal(404, "RESOURCE_NOT_EXISTS", "文件不存在")
    return account.files[name]


_TRADE_COLUMNS = "交易时间,公众账号ID,商户号,微信订单号,商户订单号,交易类型,交易状态,货币种类,订单金额,商品名称"
_TRADE_SUMMARY = "总交易单数,订单总金额"
_FUND_COLUMNS = "记账时间,微信支付业务单号,资金流水单号,业务类型,收支类型,收支金额(元)"
_FUND_SUMMARY = "资金流水总笔数,收入笔数,收入金额"


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02}"


def _row(*cells: object) -> str:
    # A back-tick keeps spreadsheets from reading numbers: https://pay.weixin.qq.com/doc/v3/merchant/4013071228
    return ",".join(f"`{str(cell).replace(',', ' ')}" for cell in cells)


def _on(account: Account, day: str) -> list[dict[str, Any]]:
    """Returns the orders that the bill of a day lists.

    Sources: https://pay.weixin.qq.com/doc/v3/merchant/4013071254 for a bill that is being made and for a day without orders;
    the pages of the operations for a day that is too long ago. What the service says of a day to come is not published.

    Raises:
        Refusal: There is no bill of that day, or not yet, or not any more.
    """
    now = account.now()
    try:
        asked = date.fromisoformat(day)
    except ValueError:
        detail = {"field": "bill_date", "value": day, "issue": "must be a day, as in 2026-01-31", "location": "query"}
        raise Refusal(400, "PARAM_ERROR", "参数错误", detail) from None
    months = (now.year - asked.year) * 12 + now.month - asked.month
    if (months, now.day) > (BILL_MONTHS, asked.day):
        raise Refusal(400, "INVALID_REQUEST", "请求的账单日期已过期")
    # Nobody waits until tomorrow: what was ordered today is in the bills of the days before.
    orders = [order for order in list(account.orders.values()) if 0 <= (order["time"].date() - asked).days < 3]
    if asked <= now.date() and now < datetime.combine(asked, BILL_READY, _CHINA) + timedelta(days=1):
        raise Refusal(400, "STATEMENT_CREATING", "请求的账单正在生成中")
    if asked > now.date() or not orders:
        raise Refusal(400, "NO_STATEMENT_EXIST", "请求的账单文件不存在")
    return orders


def _text_of(rows: list[str]) -> bytes:
    return ("\ufeff" + "".join(f"{row}\r\n" for row in rows)).encode()


def _trade_bill(orders: list[dict[str, Any]]) -> bytes:
    rows = []
    for order in orders:
        placed, state = order["placed"], order["state"]
        rows.append(
            _row(
                f"{order['time']:%Y-%m-%d %H:%M:%S}",
                *(placed["appid"], placed["mchid"], state["transaction_id"], state["out_trade_no"]),
                *(state["trade_type"], state["trade_state"], state["amount"]["currency"]),
                *(_yuan(placed["amount"]["total"]), placed["description"]),
            )
        )
    total = _yuan(sum(order["placed"]["amount"]["total"] for order in orders))
    return _text_of([_TRADE_COLUMNS, *rows, _TRADE_SUMMARY, _row(len(orders), total)])


def _fund_bill(orders: list[dict[str, Any]]) -> bytes:
    rows = [
        _row(
            f"{order['time']:%Y-%m-%d %H:%M:%S}",
            *(order["state"]["transaction_id"], order["prepay_id"], "交易", "收入"),
            _yuan(order["placed"]["amount"]["total"]),
        )
        for order in orders
    ]
    total = _yuan(sum(order["placed"]["amount"]["total"] for order in orders))
    return _text_of([_FUND_COLUMNS, *rows, _FUND_SUMMARY, _row(len(orders), len(orders), total)])


def _bill(write: Callable[[list[dict[str, Any]]], bytes]) -> Callable[[Account, Asked], Result]:
    """Announces a bill of one day, and keeps it for the download."""

    def announced(account: Account, asked: Asked) -> Result:
        content = write(_on(account, asked.query["bill_date"]))
        return 200, _announced(account, asked, content, _packed(asked, content), "/v3/billdownload/file")

    return announced


def _packed(asked: Asked, content: bytes) -> bytes:
    return gzip.compress(content) if asked.query.get("tar_type") == "GZIP" else content


def _announced(account: Account, asked: Asked, content: bytes, sent: bytes, path: str) -> dict[str, Any]:
    token = secrets.token_urlsafe(24)
    packed = asked.query.get("tar_type") == "GZIP"
    account.files[token] = Raw("application/x-gzip" if packed else "text/plain", sent)
    return {
        "hash_type": "SHA1",
        "hash_value": hashlib.sha1(content, usedforsecurity=False).hexdigest(),
        "download_url": f"http://{asked.host}{path}?token={token}{'&tartype=gzip' if packed else ''}",
    }


def _sealed_bill(account: Account, asked: Asked) -> Result:
    """Announces a bill that is encrypted to the merchant, as those of sub-merchants are."""
    content = _fund_bill(_on(account, asked.query["bill_date"]))
    key, nonce = crypto.nonce(32), crypto.nonce(16)
    sent = AESGCM(key.encode()).encrypt(nonce.encode(), _packed(asked, content), None)
    bill = {
        "bill_sequence": 1,
        **_announced(account, asked, content, sent, "/v3/bill/downloadurl"),
        "encrypt_key": crypto.encrypt(key, account.keys.merchant.public_key()),
        "nonce": nonce,
    }
    return 200, {"download_bill_count": 1, "download_bill_list": [bill]}


def _file(account: Account, asked: Asked) -> Result:
    return 200, _kept(account, asked.query["token"])


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

_DAY = text(10, pattern=r"\d{4}-\d\d-\d\d")
_OF_A_DAY = obj({"bill_date": _DAY}, {"tar_type": choice("GZIP"), "sub_mchid": _MCHID})
_SEALED = obj({"bill_date": _DAY, "algorithm": choice("AEAD_AES_256_GCM")}, {"tar_type": choice("GZIP")})
_TOKEN = obj({"token": text()})

# What an upload is answered with; media_id where it is not listed.
_UPLOAD_ANSWERS = {
    "/v3/marketing/favor/media/image-upload": "media_url",
    "/v3/marketing/partner/product-coupon/media/upload-image": "media_url",
    "/v3/global/merchant-storage/file/upload": "file_id",
    "/v3/mch-manage/submission-files/sub-mchid/*/upload": "file_id",
    "/v3/mch-operation-manage/enhanced-due-diligence/*/upload": "file_id",
    "/v3/taxi-invoice/cards/upload-file": "fapiao_media_id",
    "/v3/new-tax-control-fapiao/fapiao-applications/upload-fapiao-file": "fapiao_media_id",
}
_UPLOADS = tuple(
    Operation(
        "POST",
        path.replace("*", "{id}"),
        _upload(rule, _UPLOAD_ANSWERS.get(path, "media_id")),
        body=obj({name: text() for name in (rule.digest, rule.name, rule.file_type, *rule.more) if name}),
        upload=True,
    )
    for path, rule in RULES.items()
    if path.startswith("/v3/")
)

OPERATIONS = (
    *_UPLOADS,
    Operation("GET", "/v3/merchant-service/images/{media_id}", _image),
    Operation("GET", "/v3/bill/tradebill", _bill(_trade_bill), query=_OF_A_DAY),
    Operation("GET", "/v3/bill/fundflowbill", _bill(_fund_bill), query=_OF_A_DAY),
    Operation("GET", "/v3/bill/sub-merchant-fundflowbill", _sealed_bill, query=_SEALED),
    Operation("GET", "/v3/ecommerce/bill/fundflowbill", _sealed_bill, query=_SEALED),
    Operation("GET", "/v3/billdownload/file", _file, query=_TOKEN),
    Operation("GET", "/v3/bill/downloadurl", _file, query=_TOKEN),
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

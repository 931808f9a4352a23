"""Red packets and payments to users by APIv2: each is made at once, under a number that the merchant chooses, and can be queried.

The same request again makes no second one; another one under its number is refused. Sources:
https://pay.weixin.qq.com/doc/v2/merchant/4011974053 for red packets, https://pay.weixin.qq.com/doc/v2/merchant/4011941066 for payments
to bank cards, and the pages of the operations.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from wechatpay_chain._catalogue.operations import find_operation
from wechatpay_chain.sandbox._operations.account import Account, Refusal
from wechatpay_chain.sandbox._operations.operation import CheckedRequest, Handler, Result
from wechatpay_chain.sandbox._operations.v2_answers import make_fields

__all__ = ["V2_PAYOUT_HANDLERS"]

LEAST, MOST = 100, 20_000
"""The fen of a red packet, unless it has a scene_id."""

_PACKETS = {
    "/mmpaymkttransfers/sendredpack": "/mmpaymkttransfers/gethbinfo",
    "/mmpaymkttransfers/sendgroupredpack": "/mmpaymkttransfers/gethbinfo",
    "/mmpaymkttransfers/sendminiprogramhb": "/mmpaymkttransfers/gethbinfo",
    "/mmpaymkttransfers/sendworkwxredpack": "/mmpaymkttransfers/queryworkwxredpack",
}
_PAYMENTS = {
    "/mmpaymkttransfers/promotion/transfers": "/mmpaymkttransfers/gettransferinfo",
    "/mmpaymkttransfers/promotion/paywwsptrans2pocket": "/mmpaymkttransfers/promotion/querywwsptrans2pocket",
    "/mmpaysptrans/pay_bank": "/mmpaysptrans/query_bank",
}
"""The operations that pay, each with the one that queries what it has paid."""

_CHANGING = ("nonce_str", "sign", "workwx_sign")
"""The fields that are others when the same request is made again."""


@dataclass(frozen=True)
class _Payout:
    """A red packet or a payment.

    Attributes:
        sent: the fields of its request.
        answer: the fields of the response to it.
        amount: the fen that its user gets.
        made_at: when it was made.
        kind: NORMAL, or GROUP for a red packet that several users share.
    """

    sent: Mapping[str, Any]
    answer: Mapping[str, Any]
    amount: int
    made_at: datetime
    kind: str

    def describe(self) -> dict[str, Any]:
        """Returns all that a query may say of it."""
        time = f"{self.made_at:%Y-%m-%d %H:%M:%S}"
        times = ("payment_time", "transfer_time", "send_time", "rcv_time", "create_time", "pay_succ_time")
        user = self.sent.get("re_openid") or self.sent.get("openid")
        return {
            **self.sent,
            **self.answer,
            **dict.fromkeys(times, time),
            "detail_id": self.answer.get("send_listid") or self.answer["payment_no"],
            "hb_type": self.kind,
            "hblist": {"hbinfo": [{"openid": user, "amount": self.amount, "rcv_time": time}]},
            "openid": user,
            "amount": self.amount,
            "payment_amount": self.amount,
            "transfer_name": self.sent.get("re_user_name"),
            "bank_no_md5": _digest(self.sent.get("enc_bank_no", "")),
            "true_name_md5": _digest(self.sent.get("enc_true_name", "")),
        }


def _digest(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _make_pay(path: str, query: str, name: str, find_amount: Callable[[Mapping[str, Any]], int]) -> Handler:
    kind = "GROUP" if path.endswith("/sendgroupredpack") else "NORMAL"

    def pay(account: Account, request: CheckedRequest) -> Result:
        sent = {each: value for each, value in request.body.items() if each not in _CHANGING}
        payouts, key = account.book(_Payout), f"{query} {sent[name]}"
        known = payouts.get(key)
        if known is None:
            amount, now = find_amount(sent), account.now()
            answer = _make_answer(account, path, {**sent, "payment_time": f"{now:%Y-%m-%d %H:%M:%S}"}, key)
            known = payouts[key] = _Payout(sent, answer, amount, now, kind)
        elif known.sent != sent:
            raise Refusal(400, "FATAL_ERROR", "两次请求参数不一致：同一商户单号的参数须与首次请求一致")
        return 200, known.answer

    return pay


def _make_query(path: str, name: str) -> Handler:
    def query(account: Account, request: CheckedRequest) -> Result:
        # The page of one query has the number of a red packet for that of a payment.
        number = request.body.get(name) or request.body.get("mch_billno")
        if number is None:
            raise Refusal(400, "PARAM_ERROR", f"缺少参数{name}")
        key = f"{path} {number}"
        known = account.book(_Payout).get(key)
        if known is None:
            raise Refusal(404, "PAYOUT_NOT_EXIST", "指定单号数据不存在")
        return 200, _make_answer(account, path, {**known.describe(), **request.body}, key)

    return query


def _divide_packet(fields: Mapping[str, Any]) -> int:
    """Returns the fen of each red packet of a request.

    Raises:
        Refusal: they are beyond the limits.
    """
    count = fields.get("total_num", 1)
    amount: int = fields["total_amount"] // (count if isinstance(count, int) else 1)
    if "scene_id" not in fields and not LEAST <= amount <= MOST:
        raise Refusal(400, "MONEY_LIMIT", "红包金额发放限制：每个红包的金额须在1.00元到200.00元之间")
    return amount


def _find_amount(fields: Mapping[str, Any]) -> int:
    return int(fields["amount"])


def _make_answer(account: Account, path: str, known: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Returns the fields of a response: those that are known, and those that every response has."""
    operation = find_operation("POST", path)
    assert operation is not None
    assert operation.response is not None
    made = make_fields(operation.response, known, account.number(path, key, digits=40).encode(), account)
    required = operation.response["required"]
    return {name: value for name, value in made.items() if name in required or known.get(name) is not None}


V2_PAYOUT_HANDLERS: dict[tuple[str, str], Handler] = {
    **{("POST", path): _make_pay(path, query, "mch_billno", _divide_packet) for path, query in _PACKETS.items()},
    **{("POST", path): _make_pay(path, query, "partner_trade_no", _find_amount) for path, query in _PAYMENTS.items()},
    **{("POST", path): _make_query(path, "mch_billno") for path in _PACKETS.values()},
    **{("POST", path): _make_query(path, "partner_trade_no") for path in _PAYMENTS.values()},
}

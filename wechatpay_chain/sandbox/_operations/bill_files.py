"""Writes the bills: the trade bill with its three types, and the fund bill.

Sources: https://pay.weixin.qq.com/doc/v3/merchant/4013071228, the page of the fund bill's format, and the bill among the
tests of wechatpay-php.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from wechatpay_chain._bills.columns import TOTALS
from wechatpay_chain.sandbox._operations.account import Account
from wechatpay_chain.sandbox._operations.orders import Order
from wechatpay_chain.sandbox._operations.payments import Payment
from wechatpay_chain.sandbox._operations.refunds import Refund

__all__ = ["Movement", "list_movements", "write_fund_bill", "write_trade_bill"]

_ORDER = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额"
_TIMES = "退款申请时间,退款成功时间"
_REFUND = "微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态"
_GOODS = "商品名称,商户数据包,手续费,费率,订单金额"
_COLUMNS = {
    "ALL": f"{_ORDER},{_REFUND},{_GOODS},申请退款金额,费率备注",
    "SUCCESS": f"{_ORDER},{_GOODS},费率备注",
    "REFUND": f"{_ORDER},{_TIMES},{_REFUND},{_GOODS},申请退款金额,费率备注",
}
_FUNDS = "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号"
_FUNDS_SUMMARY = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"
_REFUND_STATES = {"PROCESSING": "PROCESSING", "SUCCESS": "SUCCESS", "ABNORMAL": "FAIL", "CLOSED": "FAIL"}


class Movement(NamedTuple):
    """Money that moved: a payment, a reversal, a refund, or a refund that was closed.

    Attributes:
        at: when it moved.
        state: SUCCESS, REVOKED, REFUND, or CLOSED for money that comes back from a refund.
        order: the order.
        payment: its payment.
        refund: the refund; None for a payment or a reversal.
    """

    at: datetime
    state: str
    order: Order
    payment: Payment
    refund: Refund | None = None

    def is_in(self, kind: str) -> bool:
        """Tells whether a trade bill of a type lists it."""
        match kind:
            case "ALL" | "ALL_SPECIAL":
                return self.state != "CLOSED"
            case "SUCCESS" | "SUC_SPECIAL":
                return self.state == "SUCCESS"
            case "REFUND" | "REF_SPECIAL":
                return self.state in ("REFUND", "REVOKED")
        return False  # no refund is paid from the available balance


def list_movements(account: Account) -> list[Movement]:
    """Returns the movements of all orders, in the order of their times.

    Args:
        account: the merchant's account.
    """
    return sorted(_movements(account), key=lambda movement: movement.at)


def _movements(account: Account) -> Iterator[Movement]:
    for order in list(account.book(Order).values()):
        payment = order.payment
        if payment is None:
            continue
        yield Movement(payment.success_time, "SUCCESS", order, payment)
        if order.reversed_at:
            yield Movement(order.reversed_at, "REVOKED", order, payment)
        for refund in list(order.refunds):
            yield Movement(refund.create_time, "REFUND", order, payment, refund)
            if refund.status == "CLOSED" and refund.finished_at:
                yield Movement(refund.finished_at, "CLOSED", order, payment, refund)


def write_trade_bill(movements: Sequence[Movement], kind: str) -> bytes:
    """Returns a trade bill as a file.

    Args:
        movements: what it lists.
        kind: its type, such as ALL.
    """
    kind = {"SUC": "SUCCESS", "REF": "REFUND"}.get(kind.removesuffix("_SPECIAL"), kind.removesuffix("_SPECIAL"))
    columns = _COLUMNS[kind].split(",")
    rows = [_describe_trade(movement, is_refund_bill=kind == "REFUND") for movement in movements]
    totals = {name: column for name, column in TOTALS.items() if column in columns}
    sums = [sum((Decimal(row[column]) for row in rows), Decimal("0.00")) for column in totals.values()]
    return _encode(
        [
            _COLUMNS[kind],
            *(_format_row(row[column] for column in columns) for row in rows),
            ",".join(["总交易单数", *totals]),
            _format_row([len(rows), *sums]),
        ]
    )


def _describe_trade(movement: Movement, *, is_refund_bill: bool) -> dict[str, str]:
    """Returns the cells of a row by their columns."""
    order, placed, refund = movement.order, movement.order.placed, movement.refund
    payment, paid = movement.payment, movement.state == "SUCCESS"
    refunded, discount, fee = (0, 0, 0) if paid else (order.total, payment.discount, order.fee)
    if refund:
        refunded, discount, fee = refund.amount, refund.discount, refund.fee
    success_time = refund.finished_at if refund and refund.status == "SUCCESS" else None
    reversal_state = "" if paid else "SUCCESS"
    return {
        "交易时间": _format_time(payment.success_time if is_refund_bill else movement.at),
        "公众账号ID": placed.get("sp_appid") or placed.get("appid", ""),
        "商户号": order.mchid,
        "特约商户号": order.sub_mchid or "0",
        "设备号": placed.get("scene_info", {}).get("device_id", ""),
        "微信订单号": payment.transaction_id,
        "商户订单号": order.out_trade_no,
        "用户标识": payment.openid,
        "交易类型": order.trade_type,
        "交易状态": movement.state,
        "付款银行": payment.bank_type,
        "货币种类": "CNY",
        "应结订单金额": _format_yuan(order.payer_total if paid else 0),
        "代金券金额": _format_yuan(payment.discount if paid else 0),
        "退款申请时间": _format_time(movement.at),
        "退款成功时间": _format_time(success_time) if success_time else "",
        "微信退款单号": refund.refund_id if refund else "0",
        "商户退款单号": refund.out_refund_no if refund else "0",
        "退款金额": _format_yuan(refunded - discount),
        "充值券退款金额": _format_yuan(0),
        "退款类型": refund.channel if refund else "",
        "退款状态": _REFUND_STATES[refund.status] if refund else reversal_state,
        "商品名称": placed["description"],
        "商户数据包": placed.get("attach", ""),
        "手续费": f"{_format_yuan(order.fee if paid else -fee)}000",
        "费率": "0.60%",
        "订单金额": _format_yuan(order.total if paid else 0),
        "申请退款金额": _format_yuan(refunded),
        "费率备注": "",
    }


def write_fund_bill(account: Account, movements: Iterable[Movement], listed: Collection[Movement]) -> bytes:
    """Returns a fund bill as a file.

    Args:
        account: the merchant's account.
        movements: all movements, of which the balance is.
        listed: the movements of the bill.
    """
    balance, rows, totals = 0, [], {"收入": [0, 0], "支出": [0, 0]}
    for movement in movements:
        for number, name, kind, direction, fen, remark, voucher in _describe_funds(movement):
            balance += fen if direction == "收入" else -fen
            if movement not in listed:
                continue
            totals[direction][0] += 1
            totals[direction][1] += fen
            serial = f"{movement.order.mchid}{movement.at:%Y%m%d}{account.number(number, kind, digits=10)}"
            amounts = (_format_yuan(fen), _format_yuan(balance))
            applicant = f"{movement.order.mchid}API"
            cells = (
                _format_time(movement.at),
                number,
                serial,
                name,
                kind,
                direction,
                *amounts,
                applicant,
                remark,
                voucher,
            )
            rows.append(_format_row(cells))
    sums = [cell for count, fen in totals.values() for cell in (count, _format_yuan(fen))]
    return _encode([_FUNDS, *rows, _FUNDS_SUMMARY, _format_row([len(rows), *sums])])


def _describe_funds(movement: Movement) -> Iterator[tuple[str, str, str, str, int, str, str]]:
    """Yields the rows of a movement: number, name, kind, direction, fen, remark, voucher."""
    order, refund, number = movement.order, movement.refund, movement.payment.transaction_id
    if movement.state == "SUCCESS":
        yield number, "交易", "交易", "收入", order.payer_total, "", order.out_trade_no
        if order.fee:
            yield number, "交易", "扣除交易手续费", "支出", order.fee, "", order.out_trade_no
        return
    paid_back, fee, voucher = order.payer_total, order.fee, order.out_trade_no
    if refund:
        number, voucher = refund.refund_id, refund.out_refund_no
        paid_back, fee = refund.amount - refund.discount, refund.fee
    remark = f"退款总金额{_format_yuan(paid_back)}元;含手续费{_format_yuan(fee)}元"
    if movement.state == "CLOSED":
        yield number, "退款", "退款关闭", "收入", paid_back - fee, remark, voucher
    else:
        yield number, "退款", "退款", "支出", paid_back - fee, remark, voucher


def _format_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _format_yuan(fen: int) -> str:
    return f"{Decimal(fen) / 100:.2f}"


def _format_row(cells: Iterable[object]) -> str:
    # A backtick keeps spreadsheets from converting numbers: https://pay.weixin.qq.com/doc/v3/merchant/4013071228
    # Cells are not quoted, so a text must contain nothing that ends it.
    return ",".join("`" + re.sub(r"[,`\r\n]", " ", str(cell)) for cell in cells)


def _encode(rows: Iterable[str]) -> bytes:
    return ("\ufeff" + "".join(f"{row}\r\n" for row in rows)).encode()

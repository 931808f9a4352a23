"""The rows of bills, for type checkers. `row["订单金额"]` works in every layout; see `Row`.

Sources: https://pay.weixin.qq.com/doc/v3/merchant/4013071228 for trade and fund bills,
https://pay.weixin.qq.com/doc/v3/merchant/4012529628 for profit sharing.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TypedDict

__all__ = ["FundRow", "PaymentRow", "RefundRow", "SharingRow", "TradeRow"]


class PaymentRow(TypedDict):
    """A row of a trade bill of the type SUCCESS."""

    交易时间: datetime
    公众账号ID: str
    商户号: str
    特约商户号: str
    设备号: str
    微信订单号: str
    商户订单号: str
    用户标识: str
    交易类型: str
    交易状态: str
    付款银行: str
    货币种类: str
    应结订单金额: Decimal
    代金券金额: Decimal
    商品名称: str
    商户数据包: str
    手续费: Decimal
    费率: Decimal | None
    订单金额: Decimal
    费率备注: str


class TradeRow(PaymentRow):
    """A row of a trade bill of the type ALL: a payment or a refund."""

    微信退款单号: str
    商户退款单号: str
    退款金额: Decimal
    充值券退款金额: Decimal
    退款类型: str
    退款状态: str
    申请退款金额: Decimal


class RefundRow(TradeRow):
    """A row of a trade bill of the type REFUND."""

    退款申请时间: datetime | None
    退款成功时间: datetime | None


FundRow = TypedDict(
    "FundRow",
    {
        "记账时间": datetime,
        "微信支付业务单号": str,
        "资金流水单号": str,
        "业务名称": str,
        "业务类型": str,
        "收支类型": str,
        "收支金额(元)": Decimal,
        "账户结余(元)": Decimal,
        "资金变更提交申请人": str,
        "备注": str,
        "业务凭证号": str,
    },
)
FundRow.__doc__ = "A row of a fund bill. 收支类型 is 收入 or 支出; amounts have no sign."

SharingRow = TypedDict(
    "SharingRow",
    {
        "分账时间": datetime,
        "分账发起方": str,
        "分账方": str,
        "微信订单号": str,
        "微信分账/回退单号": str,
        "分账明细单号": str,
        "商户分账/回退单号": str,
        "订单金额": Decimal,
        "分账接收方": str,
        "金额": Decimal,
        "业务类型": str,
        "处理状态": str,
    },
)
SharingRow.__doc__ = "A row of a profit-sharing bill. Its last column, a text, is called 备注 or 分账描述."

"""The bills of the sandbox list what was paid, reversed and refunded, in the layout of the service's bills."""

from __future__ import annotations

import csv
import hashlib
import io
from decimal import Decimal

import pytest

from tests.flows.test_orders import SUB_MCHID, code_of
from wechatpay_chain.sandbox import Sandbox

# The header rows of the service's own samples.
ORDER = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额"
REFUND = "微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态"
HEADERS = {
    "ALL": f"{ORDER},{REFUND},商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注",
    "SUCCESS": f"{ORDER},商品名称,商户数据包,手续费,费率,订单金额,费率备注",
    "REFUND": f"{ORDER},退款申请时间,退款成功时间,{REFUND},商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注",
}
WHOLE_SUMMARY = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
FUNDS = "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号"


@pytest.fixture(scope="module")
def day():
    """Yields a sandbox, a client and a day on which orders were paid, reversed and refunded."""
    with Sandbox(seed=1) as sandbox, sandbox.client(retry=None) as client:
        today = sandbox.now.date().isoformat()
        own = {"appid": "wxd678efh567hg6787", "mchid": client.mchid}
        order = {"description": "一,二\n`三", "notify_url": "http://127.0.0.1:9/", "attach": "附"}
        device = {"scene_info": {"device_id": "POS1"}}
        pay = client.v3.pay.transactions
        pay.native.post(json={**order, **own, **device, "out_trade_no": "whole-1", "amount": {"total": 1000}})
        pay.native.post(json={**order, **own, "out_trade_no": "coupon-1", "amount": {"total": 2000}})
        pay.native.post(json={**order, **own, "out_trade_no": "unpaid-1", "amount": {"total": 5}})
        partner = {"sp_appid": "wx8888888888888888", "sp_mchid": client.mchid, "sub_mchid": SUB_MCHID}
        client.v3.pay.partner.transactions.native.post(
            json={**order, **partner, "out_trade_no": "partner-1", "amount": {"total": 600}}
        )
        scanned = {"payer": {"auth_code": "130061098828009406"}, "scene_info": {"store_info": {"id": "1"}}}
        code = {"description": "x", "out_trade_no": "scanned-1", "amount": {"total": 300}}
        for number, discount in (("whole-1", 0), ("coupon-1", 100), ("partner-1", 0)):
            sandbox.pay(number, discount=discount, openid="oUpF8", notify=False)
        pay.codepay.post(json={**code, **own, **scanned})
        pay.out_trade_no._n_.reverse.post(n="scanned-1", json=own)
        refunds = client.v3.refund.domestic.refunds
        for number, refund, outcome in (("a", 1000, "SUCCESS"), ("b", 500, None), ("c", 500, "CLOSED")):
            out_trade_no, total = ("whole-1", 1000) if number == "a" else ("coupon-1", 2000)
            amount = {"refund": refund, "total": total, "currency": "CNY"}
            refunds.post(json={"out_trade_no": out_trade_no, "out_refund_no": number, "amount": amount})
            if outcome:
                sandbox.refunds[number].finish(outcome)
        sandbox.advance(2 * 86400)
        yield sandbox, client, today


def fetch(client, node, tmp_path, **params):
    """Returns the rows of a bill as dicts, and its summary."""
    bill = node.get(params=params)
    client.download(bill, tmp_path / "bill", gunzip=params.get("tar_type") == "GZIP")
    content = (tmp_path / "bill").read_bytes()
    assert hashlib.sha1(content).hexdigest() == bill.json()["hash_value"]
    text = content.decode()
    assert text.startswith("\ufeff")
    assert text.endswith("\r\n")
    assert text.count("\n") == text.count("\r\n")
    header, *rows, summary_header, summary = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    assert all(cell.startswith("`") for row in [*rows, summary] for cell in row)
    plain = [dict(zip(header, (cell[1:] for cell in row), strict=True)) for row in rows]
    return header, plain, dict(zip(summary_header, (cell[1:] for cell in summary), strict=True))


@pytest.mark.parametrize("compression", [{}, {"tar_type": "GZIP"}], ids=["plain", "gzip"])
def test_the_trade_bill_lists_payments_and_refunds(day, tmp_path, compression):
    sandbox, client, today = day
    header, rows, summary = fetch(client, client.v3.bill.tradebill, tmp_path, bill_date=today, **compression)
    assert ",".join(header) == HEADERS["ALL"]
    assert len(rows) == 8
    by_number = {(row["商户订单号"], row["交易状态"], row["商户退款单号"]): row for row in rows}
    paid = by_number["whole-1", "SUCCESS", "0"]
    order = sandbox.orders["whole-1"]
    assert paid == {
        **paid,
        "交易时间": f"{order.payment.success_time:%Y-%m-%d %H:%M:%S}",
        "公众账号ID": "wxd678efh567hg6787",
        "商户号": client.mchid,
        "特约商户号": "0",
        "设备号": "POS1",
        "微信订单号": order.payment.transaction_id,
        "用户标识": "oUpF8",
        "交易类型": "NATIVE",
        "付款银行": "OTHERS",
        "货币种类": "CNY",
        "应结订单金额": "10.00",
        "代金券金额": "0.00",
        "微信退款单号": "0",
        "退款金额": "0.00",
        "退款类型": "",
        "退款状态": "",
        "商品名称": "一 二  三",
        "商户数据包": "附",
        "手续费": "0.06000",
        "费率": "0.60%",
        "订单金额": "10.00",
        "申请退款金额": "0.00",
        "费率备注": "",
    }
    refunded = by_number["whole-1", "REFUND", "a"]
    assert refunded["微信退款单号"] == sandbox.refunds["a"].refund_id
    assert (refunded["应结订单金额"], refunded["订单金额"]) == ("0.00", "0.00")
    assert (refunded["退款金额"], refunded["申请退款金额"], refunded["手续费"]) == ("10.00", "10.00", "-0.06000")
    assert (refunded["退款类型"], refunded["退款状态"]) == ("ORIGINAL", "SUCCESS")
    coupon = by_number["coupon-1", "SUCCESS", "0"]
    assert (coupon["应结订单金额"], coupon["代金券金额"], coupon["订单金额"]) == ("19.00", "1.00", "20.00")
    part = by_number["coupon-1", "REFUND", "b"]
    assert (part["退款金额"], part["申请退款金额"], part["退款状态"]) == ("4.75", "5.00", "PROCESSING")
    assert by_number["coupon-1", "REFUND", "c"]["退款状态"] == "FAIL"
    assert by_number["partner-1", "SUCCESS", "0"]["特约商户号"] == SUB_MCHID
    reversed_row = by_number["scanned-1", "REVOKED", "0"]
    assert (reversed_row["退款金额"], reversed_row["交易类型"]) == ("3.00", "MICROPAY")
    assert ",".join(summary) == WHOLE_SUMMARY
    assert summary["总交易单数"] == "8"
    assert (summary["订单总金额"], summary["应结订单总金额"]) == ("39.00", "38.00")
    assert (summary["申请退款总金额"], summary["退款总金额"]) == ("23.00", "22.50")
    assert Decimal(summary["手续费总金额"]) == sum(Decimal(row["手续费"]) for row in rows)
    assert "unpaid-1" not in {row["商户订单号"] for row in rows}


def test_the_types_of_the_trade_bill(day, tmp_path):
    sandbox, client, today = day
    bill = client.v3.bill.tradebill
    header, rows, summary = fetch(client, bill, tmp_path, bill_date=today, bill_type="SUCCESS")
    assert ",".join(header) == HEADERS["SUCCESS"]
    assert {row["交易状态"] for row in rows} == {"SUCCESS"}
    assert ",".join(summary) == "总交易单数,应结订单总金额,手续费总金额,订单总金额"
    assert summary["总交易单数"] == "4"
    header, rows, summary = fetch(client, bill, tmp_path, bill_date=today, bill_type="REFUND")
    assert ",".join(header) == HEADERS["REFUND"]
    assert ",".join(summary) == WHOLE_SUMMARY
    refund = sandbox.refunds["a"]
    (row,) = (row for row in rows if row["商户退款单号"] == "a")
    assert row["交易时间"] == f"{refund.order.payment.success_time:%Y-%m-%d %H:%M:%S}"
    assert row["退款申请时间"] == f"{refund.create_time:%Y-%m-%d %H:%M:%S}"
    assert row["退款成功时间"] == f"{refund.finished_at:%Y-%m-%d %H:%M:%S}"
    assert [row["退款成功时间"] for row in rows if row["商户退款单号"] in ("b", "c")] == ["", ""]
    _, rows, _ = fetch(client, bill, tmp_path, bill_date=today, sub_mchid=SUB_MCHID)
    assert [row["商户订单号"] for row in rows] == ["partner-1"]
    for nothing in ({"bill_type": "RECHARGE_REFUND"}, {"sub_mchid": "1900000108"}):
        assert code_of(bill.get, params={"bill_date": today, **nothing}) == (400, "NO_STATEMENT_EXIST")


def test_the_fund_bill_lists_the_movements_of_an_account(day, tmp_path):
    _, client, today = day
    header, rows, summary = fetch(client, client.v3.bill.fundflowbill, tmp_path, bill_date=today)
    assert ",".join(header) == FUNDS
    assert {row["业务凭证号"] for row in rows} == {"whole-1", "coupon-1", "scanned-1", "a", "b", "c"}
    kinds = [(row["业务凭证号"], row["业务类型"], row["收支类型"], row["收支金额(元)"]) for row in rows]
    assert ("whole-1", "交易", "收入", "10.00") in kinds
    assert ("whole-1", "扣除交易手续费", "支出", "0.06") in kinds
    assert ("a", "退款", "支出", "9.94") in kinds
    assert [kind[1:3] for kind in kinds if kind[0] == "c"] == [("退款", "支出"), ("退款关闭", "收入")]
    assert "退款总金额10.00元;含手续费0.06元" in {row["备注"] for row in rows}
    balance = Decimal(0)
    for row in rows:
        balance += Decimal(row["收支金额(元)"]) * (1 if row["收支类型"] == "收入" else -1)
        assert Decimal(row["账户结余(元)"]) == balance >= 0
    assert len({row["资金流水单号"] for row in rows}) == len(rows)
    assert ",".join(summary) == "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"
    assert int(summary["资金流水总笔数"]) == len(rows) == int(summary["收入笔数"]) + int(summary["支出笔数"])
    assert Decimal(summary["收入金额"]) - Decimal(summary["支出金额"]) == balance
    for account in ("OPERATION", "FEES"):
        params = {"bill_date": today, "account_type": account}
        assert code_of(client.v3.bill.fundflowbill.get, params=params) == (400, "NO_STATEMENT_EXIST")


@pytest.mark.parametrize(
    ("path", "account"),
    [("v3/bill/sub-merchant-fundflowbill", "BASIC"), ("v3/ecommerce/bill/fundflowbill", "ALL")],
)
def test_the_fund_bill_of_sub_merchants_lists_theirs(day, tmp_path, path, account):
    _, client, today = day
    params = {"bill_date": today, "account_type": account, "algorithm": "AEAD_AES_256_GCM"}
    if account == "BASIC":
        params["sub_mchid"] = SUB_MCHID
    client.download(client[path].get(params=params), tmp_path / "bill")
    rows = (tmp_path / "bill").read_text(encoding="utf-8-sig").splitlines()
    assert len(rows) == 5
    assert all("`partner-1" in row for row in rows[1:3])
    if account == "BASIC":
        other = {**params, "sub_mchid": "1900000108"}
        assert code_of(client[path].get, params=other) == (400, "NO_STATEMENT_EXIST")


def test_a_bill_without_payments_does_not_exist():
    with Sandbox() as sandbox, sandbox.client(retry=None) as client:
        order = {"appid": "wx", "mchid": client.mchid, "description": "x", "out_trade_no": "1234567"}
        client.v3.pay.transactions.native.post(
            json={**order, "notify_url": "http://127.0.0.1:9/", "amount": {"total": 1}}
        )
        day = sandbox.now.date().isoformat()
        sandbox.advance(2 * 86400)
        for bill in (client.v3.bill.tradebill, client.v3.bill.fundflowbill):
            assert code_of(bill.get, params={"bill_date": day}) == (400, "NO_STATEMENT_EXIST")

"""Bills of every kind and age are read as typed rows, by the names in their headers, in constant memory."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wechatpay_chain import ArgumentError, BillError, ConfigurationError, bills
from wechatpay_chain._cli.main import main

SAMPLES = Path(__file__).parent / "data" / "bills"
FILES = sorted(path.name for path in SAMPLES.iterdir() if path.suffix != ".xml")
HEADER = (SAMPLES / "v3-tradebill-ALL.csv").read_text(encoding="utf-8-sig").splitlines()[0]
NAMES = HEADER.split(",")


def at(*parts):
    return datetime(*parts, tzinfo=bills.CHINA)


def row_of(**cells):
    """Returns the line of a trade bill; a cell is a text, or its default."""
    usual = {
        "交易时间": "2026-10-01 10:00:00",
        "微信订单号": "4200000001202610010000000001",
        "商户订单号": "ORDER0001",
        "交易状态": "SUCCESS",
        "货币种类": "CNY",
        "商品名称": "示例商品",
        "手续费": "0.06000",
        "费率": "0.60%",
        **dict.fromkeys(("微信退款单号", "商户退款单号"), "0"),
        **{name: "0.00" for name in NAMES if "金额" in name},
        **cells,
    }
    return ",".join("`" + usual.get(name, "") for name in NAMES)


def make(*lines, head=HEADER, tail=("总交易单数,订单总金额", "`1,`0.00")):
    return "\r\n".join(["\ufeff" + head, *lines, *tail, ""]).encode()


def read_all(source, *kind):
    with bills.read(source, *kind) as bill:
        return list(bill), bill


@pytest.mark.parametrize("name", FILES)
def test_every_sample_is_read(name):
    rows, bill = read_all(SAMPLES / name)
    assert rows
    for row in rows:
        assert tuple(row) == bill.columns
        for column, value in row.items():
            if "金额" in column or column == "手续费":
                assert isinstance(value, Decimal), column
            elif "时间" in column:
                assert value is None or value.utcoffset() == timedelta(hours=8), column
            elif column not in ("费率", "星级", "账户结余(元)", "amount", "settlement_amount", "create_time"):
                assert isinstance(value, str) or "Refund" in column or "refund" in column, column
            assert not isinstance(value, str) or "`" not in value
    assert (bill.summary is None) == ("summary" in name or "cut-off" in name or "comment" in name or "sharing" in name)


def test_the_values_are_exact():
    rows, bill = read_all(SAMPLES / "v3-tradebill-ALL.csv")
    first, third = rows[0], rows[2]
    assert first["交易时间"] == at(2026, 10, 1, 10)
    assert (first["商户订单号"], first["设备号"], first["费率"]) == ("ORDER0001", "", Decimal("0.006"))
    assert third["订单金额"] == Decimal("20.00")
    assert str(rows[1]["手续费"]) == "-0.06000"
    assert bill.summary["总交易单数"] == 4
    assert isinstance(bill.summary["总交易单数"], int)
    assert bill.summary["手续费总金额"] == Decimal("0.08000")
    refunds, _ = read_all(SAMPLES / "v3-tradebill-REFUND.csv")
    assert (refunds[1]["退款状态"], refunds[1]["退款成功时间"]) == ("PROCESSING", None)


@pytest.mark.parametrize("kind", ["path", "text path", "bytes", "file", "raw file", "response", "gzip"])
def test_every_source_is_read(kind, service, wire, client):
    path = SAMPLES / "v3-tradebill-ALL.csv"
    content = path.read_bytes()
    if kind == "response":
        wire.respond = lambda received: service.signed(content)
        source = client.v3.x.get()
    else:
        source = {
            "path": path,
            "text path": str(path),
            "bytes": content,
            "file": io.BytesIO(content),
            "raw file": None,
            "gzip": gzip.compress(content),
        }[kind]
    with io.FileIO(path) as raw:
        rows, _ = read_all(source or raw)
    assert len(rows) == 4


def test_older_layouts_have_the_names_of_today_too():
    for name in ("ALL-legacy", "SUCCESS-legacy", "REFUND-legacy"):
        rows, bill = read_all(SAMPLES / f"v2-downloadbill-{name}.csv")
        row = rows[0]
        assert row["特约商户号"] == row["子商户号"] == "0"
        assert row["应结订单金额"] == row["订单金额"] == row["总金额"]
        assert row["费率备注"] == ""
        assert "订单金额" not in row
        assert bill.summary["订单总金额"] == bill.summary["总交易额"]
        with pytest.raises(KeyError):
            row["no such column"]
    red_packets = HEADER.replace("应结订单金额,代金券金额", "总金额,企业红包金额").replace(
        "充值券退款金额", "企业红包退款金额"
    )
    (row,), _ = read_all(make(row_of(), head=red_packets))
    assert row["代金券金额"] == row["企业红包金额"] == row["代金券或立减优惠金额"] == Decimal("0.00")
    assert row["代金券或立减优惠退款金额"] == row["企业红包退款金额"]
    new, _ = read_all(SAMPLES / "v3-tradebill-ALL.csv")
    assert new[0]["总金额"] == new[0]["应结订单金额"]


def test_parentheses_may_be_wide_or_not():
    (first, *_), _ = read_all(SAMPLES / "v3-fundflowbill-BASIC.csv")
    assert first["收支金额（元）"] == first["收支金额(元)"] == Decimal("10.00")
    (flow,), _ = read_all(SAMPLES / "v3-favor-use-flow.csv")
    assert flow["优惠金额(元)"] == Decimal("1.00")
    assert (flow["设备号"], flow["银行流水号"], flow["单品信息"]) == ("1900000001", "", "")


def test_a_bill_of_the_official_php_sdk_is_read():
    """Its totals are floats, and its rows are not in the order of time."""
    lines = [
        "`2019-02-19 05:01:46,`wxab8acd895ab1638a,`1921000401,`0,`harryma007,`4200000263201902167700134212,"
        "`autotest_20190216081946_82335,`oHkLxtx0vUqe-18p_AXTZ1innxkCY,`JSAPI,`REFUND,`OTHERS,`CNY,`0.00,`0.00,"
        "`50000709672019011908420787722,`REF4200000263201902167700963919,`0.01,`0.00,`ORIGINAL,`SUCCESS,"
        "`系统拨测-cheeryin-test_micropay_succ,`,`0.00000,`39.00%,`0.00,`0.01,`",
        "`2019-02-19 01:52:32,`wxab8acd895ab1638a,`1921000401,`0,`,`4200000263201902167700134902,"
        "`autotest_20190219015232_89201,`wxab8acb865bb1637e,`NATIVE,`SUCCESS,`OTHERS,`CNY,`0.03,`0.00,`0,`0,`0.00,`0.00,"
        "`,`,`autotest,`,`0.01000,`39.00%,`0.03,`0.00,`",
    ]
    tail = (
        "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额",
        "`45.0,`0.47,`0.14,`0.0,`0.08,`0.47,`0.14",
    )
    rows, bill = read_all(make(*lines, tail=tail), bills.TradeRow)
    assert [row["订单金额"] for row in rows] == [Decimal("0.00"), Decimal("0.03")]
    assert rows[0]["费率"] == Decimal("0.39")
    assert dict(bill.summary) == {
        "总交易单数": 45,
        **dict(zip(tail[0].split(",")[1:], map(Decimal, ("0.47", "0.14", "0.0", "0.08", "0.47", "0.14")), strict=True)),
    }


@pytest.mark.parametrize(
    "text",
    [
        "苹果,香蕉",
        "a,b,c,d",
        ',"quoted", and more',
        '"all quoted"',
        "a,`b",
        "line\nline",
        "line\n\n",
        "it ends,\nand, goes on",
        '{\\"k\\":\\"v\\"}',
        "`",
        "'",
        "中文，全角",
        "=1+1",
        "\u2028\x85\x0b",
        "\\r\\n",
        "2026-10-01",
    ],
)
def test_any_text_of_a_merchant_stays_in_its_cell(text):
    rows, _ = read_all(make(row_of(商品名称=text), row_of(商户订单号="ORDER0002")))
    assert [row["商户订单号"] for row in rows] == ["ORDER0001", "ORDER0002"]
    assert rows[0]["商品名称"] == text.replace("\n\n", "\n\n")
    assert rows[0]["费率"] == Decimal("0.006")


@given(st.text(st.characters(exclude_characters="`\r\n", exclude_categories=["Cs"]), max_size=30))
def test_what_was_written_is_read(text):
    (row,), _ = read_all(make(row_of(商品名称=text, 商户数据包=text)))
    assert (row["商品名称"], row["商户数据包"]) == (text, text)


def test_cells_may_have_no_back_ticks():
    """Profit-sharing bills before 2025-01-15."""
    header = "分账时间,分账发起方,分账方,微信订单号,微信分账/回退单号,分账明细单号,商户分账/回退单号,订单金额,分账接收方,金额,业务类型,处理状态,分账描述"
    line = "2024-10-01 10:10:00,1900000001,1900000101,42,30,36,SHARE0001,10.00,1900000201,1.00,分账,分账成功,"
    rows, bill = read_all(make(line + "示例", line + "a, b", line, head=header, tail=()), bills.SharingRow)
    assert [row["分账描述"] for row in rows] == ["示例", "a, b", ""]
    assert rows[0]["金额"] == Decimal("1.00")
    assert bill.summary is None


FLOW = "批次id,优惠id,优惠类型,优惠金额（元）,订单总金额（元）,交易类型,支付单号,消耗时间,消耗商户号,设备号,银行流水号,单品信息"


@pytest.mark.parametrize(
    ("end", "wanted"),
    [
        ('"POS1","","[{""goods_id"":""a1""},{""goods_id"":""a2""}]"', '[{"goods_id":"a1"},{"goods_id":"a2"}]'),
        ('"POS1","","[{"goods_id":"a1"},{"goods_id":"a2"}]"', '[{"goods_id":"a1"},{"goods_id":"a2"}]'),
        ('"POS1","",[{"goods_id":"a1","n":2}]', '[{"goods_id":"a1","n":2}]'),
        ('"POS1","",""', ""),
    ],
)
def test_the_last_columns_of_coupon_records_may_be_json(end, wanted):
    line = "`1500001,`1818,`全场代金券,`1.00,`2.00,`支付,`4200,`2026-10-01 16:23:05,`1900000001," + end
    rows, bill = read_all(make(line, line.replace("`1818", "`1819"), head=FLOW, tail=("总条数", "`2")))
    assert [(row["优惠id"], row["设备号"], row["单品信息"]) for row in rows] == [
        ("1818", "POS1", wanted),
        ("1819", "POS1", wanted),
    ]
    assert bill.summary == {"总条数": 2}


def test_a_row_that_is_cut_off_does_not_take_the_summary_for_its_text():
    for cells in (21, 26):
        short = ",".join(row_of().split(",")[:cells])
        with pytest.raises(BillError, match="line 3 of the bill does not have 27 cells"):
            read_all(make(row_of(), short))


def test_texts_in_the_last_column_may_have_line_ends():
    header = "分账时间,分账发起方,金额,分账描述"
    lines = ("`2026-10-01 10:10:00,`1,`1.00,`第一行", "第二行", "`2026-10-01 10:10:00,`2,`1.00,`a", "b, c")
    rows, bill = read_all(make(*lines, head=header, tail=("总笔数,总金额", "`2,`2.00")))
    assert [row["分账描述"] for row in rows] == ["第一行\n第二行", "a\nb, c"]
    assert bill.summary["总笔数"] == 2
    comments = "100\n`2026-10-01 10:00:05,` 42,`5,`好\n很快,总之\n`2026-10-01 10:00:06,` 43,`1,`差\n"
    rows, _ = read_all(comments.encode())
    assert [row["评论内容"] for row in rows] == ["好\n很快,总之", "差"]


@pytest.mark.parametrize("names", ["分账单数,分账金额", "count,amount", "业务类型,笔数,金额", "总笔数"])
def test_totals_after_a_text_are_totals_whatever_their_names_are(names):
    width = names.count(",") + 1
    head, row = "分账时间,分账方,单号,金额,分账描述", "`2026-10-01 10:10:00,`1,`42,`1.00,`示例"
    values = ",".join("`1" for _ in range(width))
    rows, bill = read_all(make(row, f"{row}\r\n第二行,说明\r\n谢谢", head=head, tail=(names, values)))
    assert [row["分账描述"] for row in rows] == ["示例", "示例\n第二行,说明\n谢谢"]
    assert list(bill.summary) == names.split(",")


def test_rows_that_begin_in_another_way_are_rows():
    """Those before 2025-01-15 have no back-ticks, and another program writes quotes."""
    head, ticked = "分账时间,单号,金额,分账描述", "`2026-10-01 10:10:00,`1,`1.00,`示例"
    bare, quoted = "2025-01-14 10:10:00,2,1.00,示例", '"2026-10-01 10:10:00","3","1.00","a,b"'
    rows, _ = read_all(make(ticked, bare, quoted, ticked, "2026-10-01 09:00:00 开始", head=head))
    assert [row["单号"] for row in rows] == ["1", "2", "3", "1"]
    assert rows[-1]["分账描述"] == "示例\n2026-10-01 09:00:00 开始"


def test_rows_that_begin_with_a_number_need_no_back_ticks():
    rows, _ = read_all(make("1818,1,5.00,a,b", "1819,2,5.00,c", "第二行", head="批次id,优惠id,优惠金额,单品信息"))
    assert [(row["批次id"], row["单品信息"]) for row in rows] == [("1818", "a,b"), ("1819", "c\n第二行")]


def test_a_text_with_a_back_tick_is_no_total():
    row = "`2026-10-01 10:10:00,`1,`1.00,`示例"
    rows, bill = read_all(make(row, "谢谢", "`b`", row, head="分账时间,单号,金额,分账描述"))
    assert [row["分账描述"] for row in rows] == ["示例\n谢谢\n`b`", "示例"]
    assert bill.summary["总交易单数"] == 1


@pytest.mark.parametrize("time", ["", "2026-10-01"])
def test_a_row_without_a_time_of_day_is_a_row(time):
    lines = [f"`{moment},`{number},`示例" for number, moment in enumerate(("2026-10-01 10:10:00", time, time))]
    rows, _ = read_all(make(*lines, head="分账时间,单号,分账描述"))
    assert [(row["单号"], row["分账描述"]) for row in rows] == [("0", "示例"), ("1", "示例"), ("2", "示例")]


def test_a_bill_with_other_times_is_refused_at_once():
    lines = ["`2026/10/01 10:10,`1,`示例"] * 5000
    with pytest.raises(BillError, match="line 2 of the bill has in '分账时间' what is no value"):
        read_all(make(*lines, head="分账时间,单号,分账描述"))
    endless = make("`2026-10-01 10:10:00,`1,`示例", *["说明"] * 101, head="分账时间,单号,分账描述")
    with pytest.raises(BillError, match="line 2 of the bill begins a text of more than 100 lines"):
        read_all(endless)


@pytest.mark.parametrize(
    "text",
    ["尺码S,M,L,XL,XXL,3XL,4XL\n颜色红", "会议\n2026-10-01 09:00:00 开始", "1,2,3,4%,5,6,x\n\n总价", 'a\n"b",c'],
)
def test_a_text_with_line_ends_may_look_like_cells(text):
    rows, bill = read_all(make(row_of(商品名称=text), row_of(商户订单号="ORDER0002")))
    assert [(row["商品名称"], row["手续费"]) for row in rows] == [
        (text, Decimal("0.06000")),
        ("示例商品", Decimal("0.06000")),
    ]
    assert bill.summary is not None


def test_columns_that_are_added_are_no_amounts_because_of_a_part_of_their_names():
    added = {"手续费率": "0.60%", "金额类型": "人民币", "时间类型": "日间", "手续费币种": "CNY", "补贴金额(元)": "1.50"}
    rows, _ = read_all(
        make(",".join([row_of(), *(f"`{cell}" for cell in added.values())]), head=f"{HEADER},{','.join(added)}")
    )
    assert {name: rows[0][name] for name in added} == {**added, "补贴金额(元)": Decimal("1.50")}


def test_a_bill_that_was_saved_by_another_program_is_read():
    """It quotes what has commas, and fills the short lines up."""
    quoted = row_of().replace("`示例商品", '"`苹果,香蕉"')
    tail = ("总交易单数,订单总金额" + "," * 25, "`1,`0.00" + "," * 25)
    rows, bill = read_all(make(quoted, "," * 26, row_of(商户订单号="ORDER0002"), tail=tail))
    assert [row["商品名称"] for row in rows] == ["苹果,香蕉", "示例商品"]
    assert dict(bill.summary) == {"总交易单数": 1, "订单总金额": Decimal("0.00")}


def test_some_cells_may_have_no_back_ticks():
    line = row_of().replace(",`CNY", ",CNY").replace(",`0.60%", ",0.60%")
    (row,), _ = read_all(make(line))
    assert (row["货币种类"], row["费率"], row["商品名称"]) == ("CNY", Decimal("0.006"), "示例商品")


def test_names_of_other_layouts_are_found_by_get_too():
    (row, _), _ = read_all(SAMPLES / "v2-downloadbill-ALL-legacy.csv")
    assert row.get("订单金额") == Decimal("10.00")
    assert row.get("no such column", 5) == 5


def test_a_mark_before_any_line_is_left_out():
    rows, bill = read_all(make(row_of(), tail=("\ufeff总交易单数,订单总金额", "`1,`0.00", "\x1a")))
    assert len(rows) == 1
    assert bill.summary["总交易单数"] == 1


def test_a_time_with_an_offset_is_converted():
    (row,), _ = read_all(make(row_of(交易时间="2026-10-01T02:00:00+00:00")))
    assert row["交易时间"] == at(2026, 10, 1, 10)


def test_the_context_of_the_caller_does_not_matter():
    with localcontext() as context:
        context.prec = 4
        (row,), _ = read_all(make(row_of(订单金额="24691.34", 费率="0.3825%")))
        assert (row["订单金额"], row["费率"]) == (Decimal("24691.34"), Decimal("0.003825"))
        entries = [bills.Entry(f"N{number}", Decimal("24691.34")) for number in range(3)]
        lines = [row_of(商户订单号=entry.number, 订单金额="24691.34") for entry in entries]
        found = compare(entries, make(*lines, tail=("总交易单数,订单总金额", "`3,`74074.02")))
        assert (found.paid, found.differences) == (Decimal("74074.02"), [])


def test_several_totals_are_kept():
    rows, bill = read_all(make(row_of(), tail=("总笔数,总金额", "`1,`2.00", "`3,`4.00")))
    assert len(rows) == 1
    assert [dict(row) for row in bill.summaries] == [
        {"总笔数": 1, "总金额": Decimal("2.00")},
        {"总笔数": 3, "总金额": Decimal("4.00")},
    ]


def test_parts_of_a_large_bill_may_be_put_together():
    first = make(row_of(), tail=())
    rows, _ = read_all(first + make(row_of(商户订单号="ORDER0002")))
    assert [row["商户订单号"] for row in rows] == ["ORDER0001", "ORDER0002"]


def test_several_bills_may_be_put_together():
    """Those of several days, each with its own header and totals."""
    days = [
        make(row_of(商户订单号=number, 订单金额="2.00"), tail=("总交易单数,订单总金额", "`1,`2.00")) for number in "AB"
    ]
    rows, bill = read_all(b"".join(days))
    assert [row["商户订单号"] for row in rows] == ["A", "B"]
    assert [row["订单总金额"] for row in bill.summaries] == [Decimal("2.00")] * 2
    entries = [bills.Entry(number, Decimal("2.00")) for number in "AB"]
    assert compare(entries, b"".join(days)).differences == []
    wrong = days[1].replace(b"`1,`2.00\r\n", b"`1,`3.00\r\n")
    assert compare(entries, days[0] + wrong).differences == [
        bills.Difference("summary", "订单总金额", False, Decimal("5.00"), Decimal("4.00"))
    ]


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith("csv") and "comment" not in name])
def test_two_bills_of_one_kind_are_twice_the_rows(name):
    content = (SAMPLES / name).read_bytes()
    (rows, one), (both, two) = read_all(content), read_all(content + content)
    assert both == rows * 2
    assert two.summaries == one.summaries * 2


def test_a_bill_of_another_kind_is_not_taken_for_totals():
    new, old = ((SAMPLES / f"{name}.csv").read_bytes() for name in ("v3-tradebill-ALL", "v2-downloadbill-ALL-legacy"))
    for content in (new + old, old + new, make(row_of(), tail=()) + old):
        with pytest.raises(BillError, match="another kind of bill begins there"):
            read_all(content)


def test_amounts_and_numbers_of_rows_are_compared_exactly():
    """Only fees are rounded, and many bills do not make a difference of one row small."""
    day = make(row_of(订单金额="2.00"), tail=("总交易单数,订单总金额", "`1,`2.00"))
    wrong = {("总交易单数", b"`1,`2.00", b"`2,`2.00"), ("订单总金额", b"`1,`2.00", b"`1,`2.01")}
    for name, right, instead in wrong:
        entries = [bills.Entry("ORDER0001", Decimal("2.00"))]
        found = compare(entries, day * 300 + day.replace(right, instead))
        assert {each.number for each in found.differences if each.kind == "summary"} == {name}


def test_two_tables_of_totals_are_read():
    _, bill = read_all(make(row_of(), tail=("总交易单数,订单总金额", "`1,`0.00", "总笔数,总金额", "`1,`2.00")))
    assert [dict(row) for row in bill.summaries] == [
        {"总交易单数": 1, "订单总金额": Decimal("0.00")},
        {"总笔数": 1, "总金额": Decimal("2.00")},
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_the_mark_do_not_matter(end, mark):
    text = make(row_of()).decode("utf-8-sig").replace("\r\n", end)
    rows, bill = read_all((mark + text).encode())
    assert len(rows) == 1
    assert bill.columns[0] == "交易时间"
    rows, bill = read_all((mark + text.removesuffix(end)).encode())
    assert bill.summary["总交易单数"] == 1


def test_comments_are_read():
    rows, bill = read_all(SAMPLES / "v2-batchquerycomment.csv")
    assert bill.offset == 100
    assert [(row["微信支付订单号"][-1], row["星级"], row["评论内容"]) for row in rows] == [
        ("1", 5, "好,很快"),
        ("2", 4, "还可以"),
    ]


ERROR = (SAMPLES / "v2-downloadbill-error.xml").read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (ERROR, "an error of WeChat Pay: 20002 'No Bill Exist'"),
        (b"\n" + ERROR, "an error of WeChat Pay"),
        (b"<html><body>404</body></html>", "XML or HTML"),
        (b'{"code":"NO_STATEMENT_EXIST"}', "JSON"),
        (b"%PDF-1.7 \n", "PDF"),
        (b"", "it is empty"),
        (b"\r\n\r\n", "it is empty"),
        (b"hello\n", "names of columns"),
        (b"a,,b\n", "names of columns"),
        (b"\x93\x01\xff" * 20, "line 1 of the bill or one soon after is not UTF-8"),
        ("中文".encode("gb18030"), "line 1 of the bill or one soon after is not UTF-8"),
        (make(row_of(), row_of()[:40]), "line 3 of the bill does not have 27 cells"),
        (make(row_of(订单金额="ten")), "line 2 of the bill has in '订单金额' what is no value"),
        (make(row_of(订单金额="NaN")), "line 2 of the bill has in '订单金额' what is no value"),
        (make(row_of(订单金额="1_0.00")), "line 2 of the bill has in '订单金额' what is no value"),
        (make(row_of(交易时间="yesterday 1")), "line 2 of the bill has in '交易时间' what is no value"),
        (make(row_of(), tail=("总交易单数,订单总金额", "`1.5,`0.00")), "'总交易单数' what is no value"),
        (make(row_of(), tail=("总交易单数,订单总金额", "`1")), "does not have 2 cells"),
        (gzip.compress(make(row_of()))[:-9], "cannot be read"),
        (gzip.compress(make(row_of()))[:30] + b"x" * 200, "cannot be read"),
        (b"<html>" + "中".encode("gb18030") * 9000, "not UTF-8"),
        ("²\n".encode(), "names of columns"),
        ((SAMPLES / "v2-batchquerycomment.csv").read_bytes().partition(b"\n")[2], "names of columns"),
        (make(row_of(费率="NaN%")), "'费率' what is no value"),
        (make(row_of(), tail=("总交易单数,订单总金额", "`Infinity,`0.00")), "'总交易单数' what is no value"),
    ],
)
def test_what_is_no_bill_says_so(content, message):
    with pytest.raises(BillError, match=message) as caught:
        read_all(content)
    assert "ten" not in str(caught.value)


def test_a_source_that_is_none_is_refused():
    with pytest.raises(ArgumentError, match="source: came a int"):
        bills.read(5)
    with pytest.raises(ArgumentError, match="source: came a StringIO"):
        bills.read(io.StringIO("a,b"))
    with pytest.raises(FileNotFoundError):
        bills.read("no such file")


def test_a_kind_of_rows_must_be_there():
    for name, kind in {
        "v3-tradebill-ALL": bills.TradeRow,
        "v3-tradebill-ALL-partner": bills.TradeRow,
        "v3-tradebill-SUCCESS": bills.PaymentRow,
        "v3-tradebill-REFUND": bills.RefundRow,
        "v2-downloadbill-ALL-legacy": bills.TradeRow,
        "v2-downloadbill-SUCCESS-legacy": bills.PaymentRow,
        "v2-downloadbill-REFUND-legacy": bills.RefundRow,
        "v3-fundflowbill-FEES": bills.FundRow,
        "v3-profitsharing-bills.unverified": bills.SharingRow,
    }.items():
        rows, _ = read_all(SAMPLES / f"{name}.csv", kind)
        for row in rows:
            for column in kind.__annotations__:
                row[column]
    with pytest.raises(BillError, match="this bill has no column '记账时间', so its rows are no FundRow"):
        bills.read(SAMPLES / "v3-tradebill-ALL.csv", bills.FundRow)


def test_the_file_is_closed(recwarn):
    path = SAMPLES / "v3-tradebill-ALL.csv"
    with bills.read(path) as bill:
        next(bill)
    with pytest.raises(ValueError, match="closed"):
        next(bill)
    with path.open("rb") as file:
        with bills.read(file) as bill:
            list(bill)
        file.seek(0)  # what was opened elsewhere stays open


def write_large(path, rows):
    rng = random.Random(1)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        file.write(f"{HEADER}\r\n")
        for number in range(rows):
            moment = f"2026-10-01 {rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}"
            amount = f"{rng.randrange(1, 200_000) / 100:.2f}"
            file.write(row_of(交易时间=moment, 商户订单号=f"N{number}", 订单金额=amount, 应结订单金额=amount) + "\r\n")
        file.write(f"总交易单数,订单总金额\r\n`{rows},`0.00\r\n")


def read_by_hand(path):
    """What a careful reader would write without this package."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        names = next(reader)
        amounts = [index for index, name in enumerate(names) if "金额" in name or name == "手续费"]
        times = [index for index, name in enumerate(names) if "时间" in name]
        rate = names.index("费率")
        for line in reader:
            if line[0][:1] != "`":
                return
            cells = [cell[1:] for cell in line]
            for index in amounts:
                cells[index] = Decimal(cells[index]) if cells[index] else None
            for index in times:
                cells[index] = datetime.fromisoformat(cells[index]).replace(tzinfo=bills.CHINA)
            cells[rate] = Decimal(cells[rate][:-1]) / 100
            yield dict(zip(names, cells, strict=True))


def test_reading_is_as_fast_as_csv_reader_with_the_same_conversions(tmp_path):
    """It may take 1.25 times as long; as a rule it takes less."""
    path = tmp_path / "bill.csv"
    write_large(path, 20_000)

    def measure(read):
        began = time.process_time()
        count = sum(1 for _ in read(path))
        assert count == 20_000
        return time.process_time() - began

    ratios = [measure(read_by_hand) / measure(bills.read) for _ in range(5)]
    assert max(ratios) > 0.8, ratios
    with bills.read(path) as bill:
        assert all(dict(ours) == theirs for ours, theirs in zip(bill, read_by_hand(path), strict=False))


def test_memory_does_not_grow_with_the_bill(tmp_path):
    peaks = []
    for rows in (2_000, 40_000):
        write_large(tmp_path / "bill.csv", rows)
        tracemalloc.start()
        with bills.read(tmp_path / "bill.csv") as bill:
            for _ in bill:
                pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # The most common amounts are kept, 10,000 at most.
    assert peaks[1] - peaks[0] < 4_000_000


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read in /proc")
def test_a_million_rows_take_no_more_memory_than_a_few(tmp_path):
    write_large(tmp_path / "bill.csv", 1_000_000)
    program = (
        "import re, sys; from pathlib import Path; from wechatpay_chain import bills\n"
        "with bills.read(sys.argv[1]) as bill: print(sum(1 for _ in bill))\n"
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) // 1024)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "bill.csv"], capture_output=True, text=True, check=True
    )
    rows, megabytes = map(int, run.stdout.split())
    assert rows == 1_000_000
    assert megabytes < 60


class TestFrames:
    def test_pandas(self):
        pandas = pytest.importorskip("pandas")
        with bills.read(SAMPLES / "v3-tradebill-REFUND.csv") as bill:
            frame = bill.to_pandas()
        assert list(frame.columns) == list(bill.columns)
        assert frame["退款金额"].sum() == Decimal("15.00")
        assert frame["退款成功时间"][0] == at(2026, 10, 1, 12, 5, 12)
        assert pandas.isna(frame["退款成功时间"][1])
        assert bill.summary["退款总金额"] == Decimal("15.00")

    def test_polars(self):
        polars = pytest.importorskip("polars")
        with bills.read(SAMPLES / "v3-tradebill-REFUND.csv") as bill:
            frame = bill.to_polars()
        assert frame.schema["退款金额"] == polars.Decimal(38, 8)
        assert frame["退款金额"].sum() == Decimal("15.00")
        assert frame["退款成功时间"][0] == at(2026, 10, 1, 12, 5, 12)
        assert frame["退款成功时间"][1] is None
        with bills.read(make(tail=())) as bill:
            assert bill.to_polars().shape == (0, 27)

    def test_an_amount_is_never_rounded(self):
        content = make(row_of(手续费="0.123456789"))
        with bills.read(content) as bill:
            assert bill.to_pandas()["手续费"][0] == Decimal("0.123456789")
        for library in ("polars", "arrow"):
            with bills.read(content) as bill, pytest.raises(BillError, match="more than 8 decimal places"):
                getattr(bill, f"to_{library}")()

    def test_arrow(self):
        arrow = pytest.importorskip("pyarrow")
        with bills.read(SAMPLES / "v3-tradebill-REFUND.csv") as bill:
            table = bill.to_arrow()
        assert table.schema.field("退款金额").type == arrow.decimal128(38, 8)
        assert sum(table["退款金额"].to_pylist()) == Decimal("15.00")
        assert table["退款成功时间"].to_pylist() == [at(2026, 10, 1, 12, 5, 12), None]

    @pytest.mark.parametrize("name", ["pandas", "polars", "pyarrow"])
    def test_a_library_that_is_missing_is_named(self, name, monkeypatch):
        monkeypatch.setitem(sys.modules, name, None)
        with bills.read(SAMPLES / "v3-tradebill-ALL.csv") as bill, pytest.raises(ConfigurationError, match=name):
            getattr(bill, f"to_{name.removeprefix('py')}")()

    def test_none_of_them_is_imported_before_it_is_used(self):
        code = (
            "from wechatpay_chain import bills; import sys; print({'pandas', 'polars', 'pyarrow'} & set(sys.modules))"
        )
        assert (
            subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
        )


ENTRIES = [
    bills.Entry("ORDER0001", Decimal("10.00")),
    bills.Entry("ORDER0002", Decimal("20.00")),
    bills.Entry("REFUND0001", Decimal("10.00"), is_refund=True),
    bills.Entry("REFUND0002", Decimal("5.00"), is_refund=True),
]


def compare(entries, source=SAMPLES / "v3-tradebill-ALL.csv"):
    with bills.read(source) as bill:
        return bills.reconcile(bill, entries)


def test_orders_that_agree_have_no_differences():
    found = compare(iter(ENTRIES))
    assert found == bills.Reconciliation(2, 2, Decimal("30.00"), Decimal("15.00"), Decimal("0.08000"), [])


def test_each_difference_is_listed():
    entries = [
        *ENTRIES[1:],
        bills.Entry("ORDER0009", Decimal("1.00")),
        bills.Entry("REFUND0002", Decimal("4.00"), True),
    ]
    entries[0] = bills.Entry("ORDER0002", Decimal("19.99"))
    found = compare(entries)
    assert sorted(found.differences, key=str) == sorted(
        [
            bills.Difference("twice in the orders", "REFUND0002", True, None, Decimal("4.00")),
            bills.Difference("only in the bill", "ORDER0001", False, Decimal("10.00"), None),
            bills.Difference("amount", "ORDER0002", False, Decimal("20.00"), Decimal("19.99")),
            bills.Difference("amount", "REFUND0002", True, Decimal("5.00"), Decimal("4.00")),
            bills.Difference("only in the orders", "ORDER0009", False, None, Decimal("1.00")),
        ],
        key=str,
    )


def test_a_bill_that_does_not_add_up_is_reported():
    """A row was lost, or is there twice."""
    content = (SAMPLES / "v3-tradebill-ALL.csv").read_bytes()
    lines = content.split(b"\r\n")
    found = compare(ENTRIES, b"\r\n".join(lines[:1] + lines[2:]))
    assert {(each.kind, each.number) for each in found.differences} == {
        ("only in the orders", "ORDER0001"),
        *(("summary", name) for name in ("总交易单数", "应结订单总金额", "手续费总金额", "订单总金额")),
    }
    found = compare(ENTRIES, b"\r\n".join([*lines[:2], *lines[1:]]))
    assert ("twice in the bill", "ORDER0001") in {(each.kind, each.number) for each in found.differences}
    found = compare(ENTRIES, b"\r\n".join(lines[:5]))
    assert found.differences == [bills.Difference("summary", "总交易单数", False, None, Decimal(4))]


def test_older_layouts_are_compared_too():
    entries = [bills.Entry("ORDER0001", Decimal("10.00")), bills.Entry("REFUND0001", Decimal("10.00"), True)]
    assert compare(entries, SAMPLES / "v2-downloadbill-ALL-legacy.csv").differences == []
    assert compare(entries[:1], SAMPLES / "v2-downloadbill-SUCCESS.csv").differences == []


def test_payments_that_were_reversed_are_refunds_or_nothing():
    lines = [
        row_of(商户订单号="P1", 交易状态="SUCCESS", 订单金额="10.00"),
        row_of(商户订单号="P1", 交易状态="REVOKED", 微信退款单号="50", 申请退款金额="10.00"),
        row_of(商户订单号="P2", 交易状态="REVOKED"),
    ]
    entries = [bills.Entry("P1", Decimal("10.00")), bills.Entry("P1", Decimal("10.00"), True)]
    found = compare(entries, make(*lines, tail=("总交易单数,订单总金额,申请退款总金额", "`3,`10.00,`10.00")))
    assert (found.payments, found.refunds, found.differences) == (1, 1, [])


def test_a_total_that_is_rounded_fits():
    lines = [row_of(商户订单号=f"N{number}", 手续费="0.02500") for number in range(3)]
    entries = [bills.Entry(f"N{number}", Decimal("0.00")) for number in range(3)]
    assert compare(entries, make(*lines, tail=("总交易单数,手续费总金额", "`3.0,`0.08"))).differences == []
    assert compare(entries, make(*lines, tail=("总交易单数,手续费总金额", "`3.0,`0.09"))).differences != []
    # One decimal place is how a program writes a float, not how a bill rounds.
    assert compare(entries, make(*lines, tail=("总交易单数,手续费总金额", "`3.0,`0.1"))).differences != []


def test_what_cannot_be_compared_is_refused():
    for header in ("交易时间,订单金额(标价币种),商户订单号,交易状态", "交易时间,商户订单号,订单金额"):
        with pytest.raises(BillError, match="expected a trade bill"):
            compare(ENTRIES, make(head=header, tail=()))
    with pytest.raises(ArgumentError, match="entries: came a number of type int"):
        compare([bills.Entry(1, Decimal(1))])
    with pytest.raises(BillError, match="expected a trade bill"):
        compare(ENTRIES, SAMPLES / "v3-fundflowbill-BASIC.csv")
    with pytest.raises(ArgumentError, match="entries: came an amount of type float"):
        compare([bills.Entry("1", 1.0)])


def write_orders(path, entries, unit=1):
    lines = ["no,refund_no,money,note"]
    for number, amount, is_refund in entries:
        money = amount * unit
        lines.append(f'{"" if is_refund else number},{number if is_refund else ""},{money},"a, b"')
    path.write_text("\n".join(lines), encoding="utf-8-sig")


COLUMNS = ["--number", "no", "--refund", "refund_no", "--amount", "money"]


@pytest.mark.parametrize("unit", ["yuan", "fen"])
def test_the_command_compares_a_csv_file(tmp_path, capsys, unit):
    write_orders(tmp_path / "orders.csv", ENTRIES, 100 if unit == "fen" else 1)
    bill = str(SAMPLES / "v3-tradebill-ALL.csv.gz")
    assert main(["reconcile", bill, str(tmp_path / "orders.csv"), *COLUMNS, "--unit", unit]) == 0
    assert "2 payments, 30.00 yuan; 2 refunds, 15.00 yuan; fees 0.08000 yuan\nno differences" in capsys.readouterr().out
    write_orders(tmp_path / "orders.csv", ENTRIES[:3], 100 if unit == "fen" else 1)
    assert main(["reconcile", bill, str(tmp_path / "orders.csv"), *COLUMNS, "--unit", unit]) == 1
    shown = capsys.readouterr().out
    assert "only in the bill (refund)" in shown
    assert "REFUND0002" in shown
    assert "1 differences" in shown
    assert main(["reconcile", bill, str(tmp_path / "orders.csv"), *COLUMNS, "--unit", unit, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["differences"] == [
        {"kind": "only in the bill", "number": "REFUND0002", "is_refund": True, "billed": "5.00", "recorded": None}
    ]


def test_the_command_compares_a_database(tmp_path, capsys):
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("CREATE TABLE orders (no TEXT, refund_no TEXT, fen INTEGER)")
        connection.executemany(
            "INSERT INTO orders VALUES (?, ?, ?)",
            [
                (
                    None if each.is_refund else each.number,
                    each.number if each.is_refund else None,
                    int(each.amount * 100),
                )
                for each in ENTRIES
            ],
        )
    connection.close()
    bill, shop = str(SAMPLES / "v3-tradebill-ALL.csv"), str(tmp_path / "shop.db")
    query = "SELECT coalesce(no, '') AS out_trade_no, refund_no AS out_refund_no, fen AS amount FROM orders"
    assert main(["reconcile", bill, shop, "--query", query, "--unit", "fen"]) == 0
    assert "no differences" in capsys.readouterr().out
    assert main(["reconcile", bill, shop, "--query", query.replace("SELECT", "Select"), "--unit", "fen"]) == 0
    assert main(["reconcile", bill, shop, "--query", "SELECT NULL AS out_trade_no, 1 AS amount"]) == 2
    assert "row 1 of ORDERS has no number in 'out_trade_no'" in capsys.readouterr().err
    assert main(["reconcile", bill, shop, "--query", "SELECT * FROM nothing"]) == 2
    for other in (
        "DELETE FROM orders",
        f"ATTACH '{tmp_path / 'new.db'}' AS new",
        f"VACUUM INTO '{tmp_path / 'new.db'}'",
        "",
    ):
        assert main(["reconcile", bill, shop, "--query", other]) == 2
    assert not (tmp_path / "new.db").exists()
    assert main(["reconcile", bill, shop]) == 2
    assert 'is a SQLite file; add --query "SELECT' in capsys.readouterr().err
    assert main(["reconcile", bill, str(tmp_path / "none.db"), "--query", query]) == 2
    assert not (tmp_path / "none.db").exists()


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    write_orders(tmp_path / "orders.csv", ENTRIES)
    bill = str(SAMPLES / "v3-tradebill-ALL.csv")
    assert main(["reconcile", bill, str(tmp_path / "orders.csv")]) == 2
    assert "no column 'out_trade_no'; its columns are no, refund_no, money, note" in capsys.readouterr().err
    assert (
        main(
            [
                "reconcile",
                bill,
                str(tmp_path / "orders.csv"),
                *COLUMNS[:2],
                "--amount",
                "money",
                "--refund",
                "refund_nr",
            ]
        )
        == 2
    )
    assert "no column 'refund_nr'" in capsys.readouterr().err
    (tmp_path / "orders.csv").write_bytes("out_trade_no,amount,备注\n1,2,\n".encode("gb18030"))
    assert main(["reconcile", bill, str(tmp_path / "orders.csv")]) == 2
    assert "is not UTF-8; save it as CSV UTF-8" in capsys.readouterr().err
    (tmp_path / "orders.csv").write_text("out_trade_no,amount\n1,ten\n")
    assert main(["reconcile", bill, str(tmp_path / "orders.csv")]) == 2
    assert "row 1 of ORDERS has in 'amount' what is no amount" in capsys.readouterr().err
    assert main(["reconcile", str(SAMPLES / "v2-downloadbill-error.xml"), str(tmp_path / "orders.csv")]) == 2
    assert "No Bill Exist" in capsys.readouterr().err


def test_a_cell_of_a_bill_steers_no_terminal(tmp_path, capsys):
    path = tmp_path / "bill.csv"
    path.write_bytes(make(row_of(商户订单号="[red]\x1b[31m1"), tail=()))
    (tmp_path / "orders.csv").write_text("out_trade_no,amount\n")
    assert main(["reconcile", str(path), str(tmp_path / "orders.csv")]) == 1
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "[red]" in shown

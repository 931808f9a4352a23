"""Lists that come in pages are walked through once, whole and in order, in both modes."""

from __future__ import annotations

import asyncio
import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.service import Reply
from wechatpay_chain import ArgumentError, ContentError, NotFoundError, Retry, ServerError, pages
from wechatpay_chain._catalogue.operations import find_operation, list_operations
from wechatpay_chain._catalogue.page_rules import RULES
from wechatpay_chain._chain import paging
from wechatpay_chain.sandbox import Sandbox

ROWS = 25


@pytest.fixture(params=["sync", "async"])
def collect(request):
    """Returns a function that walks through a list in one of the modes."""

    async def await_all(rows):
        return [row async for row in rows]

    return list if request.param == "sync" else lambda rows: asyncio.run(await_all(rows))


OPERATIONS = {
    f"{method} {'/v2' if operation.api == 'v2' else ''}{re.sub(r'{[^}]*}', '{}', path)}": operation
    for method, path in list_operations()
    if (operation := find_operation(method, path))
}


@pytest.mark.parametrize("key", [key for key in RULES if " /brand/" not in key])
def test_each_rule_is_that_of_the_documentation(key):
    rule, operation = RULES[key], OPERATIONS[key]
    query = operation.query if operation.method == "GET" else operation.body
    for name in filter(None, (rule.position, rule.size)):
        assert name in query["properties"]
    most = query["properties"].get(rule.size, {}).get("maximum") if rule.size else None
    assert most is None or rule.rows <= most
    for path in (rule.items, rule.total):
        if path and "$n" not in path and "violation" not in path:
            schema = operation.response
            for name in path.split("."):
                schema = schema["properties"][name]
    assert rule.style != "token" or f"next_{rule.position}" in operation.response["properties"]


def test_the_brands_have_the_same_rules_as_their_partners():
    for key in RULES:
        if " /brand/" in key:
            assert RULES[key] == RULES[key.replace("/brand/marketing/", "/v3/marketing/partner/")]


def fill(schema, values):
    """Returns what an operation requires besides the place in the list."""
    known = {"date": "2026-01-01", "begin_date": "2026-01-01", "end_date": "2026-01-02", **values}
    given = {}
    for name in schema["required"] if schema else ():
        member = schema["properties"][name]
        example = member.get("example", member.get("enum", [None])[0])
        usual = {"integer": 1, "boolean": True}.get(member["type"], "1")
        given[name] = known.get(name, example if example is not None and member["type"] != "boolean" else usual)
    return given


GENERIC = [
    key
    for key, rule in RULES.items()
    if key.startswith("GET ")
    and " /brand/" not in key
    and not re.search(
        "complaints|product-coupon|busifavor|search-banks|/transfer/batches|bank-transfer|partner-transfer", key
    )
]


@pytest.mark.parametrize("key", GENERIC)
def test_every_list_is_walked_through_in_the_sandbox(sandbox, collect, key):
    rule, operation = RULES[key], OPERATIONS[key]
    with sandbox.client() as client:
        query = {
            name: value for name, value in fill(operation.query, {}).items() if name not in (rule.position, rule.size)
        }
        variables = dict.fromkeys(re.findall(r"\{(\w+)\}", operation.path), "1001")
        node = client.chain(operation.template)
        rows = collect(pages(node, params=query, **variables))
        assert len(rows) == ROWS
        if rule.size and rule.style != "token":
            few = collect(pages(node, params={**query, rule.size: 10 if rule.rows == 20 else 7}, **variables))
            assert [sorted(row) if isinstance(row, dict) else row for row in few] == [
                sorted(row) if isinstance(row, dict) else row for row in rows
            ]


@pytest.mark.parametrize("size", [1, 5, 24, 25, 26, 100])
@pytest.mark.parametrize(
    "path", ["v3/marketing/paygiftactivity/activities", "v3/marketing/favor/stocks", "v3/offlineface/face-collections"]
)
def test_pages_of_every_size_have_the_same_rows(sandbox, collect, path, size):
    with sandbox.client() as client:
        rule = RULES[f"GET /{path}"]
        if size > (OPERATIONS[f"GET /{path}"].query["properties"][rule.size].get("maximum") or 100):
            return
        given = fill(OPERATIONS[f"GET /{path}"].query, {})
        given.pop(rule.position, None)
        rows = collect(pages(client.chain(path), params={**given, rule.size: size}))
        usual = {key: value for key, value in given.items() if key != rule.size}
        (name,) = {"activity_id", "stock_id", "collection_id"} & rows[0].keys()
        assert [row[name] for row in rows] == [row[name] for row in collect(pages(client.chain(path), params=usual))]
        assert len({row[name] for row in rows}) == ROWS


def serve(wire, service, answers):
    """Lets the service give these bodies, one after the other; returns the queries that it received."""
    left, queries = list(answers), []

    def respond(received):
        query = parse_qs(urlsplit(received.target).query)
        queries.append(
            {name: texts[0] for name, texts in query.items()} or (json.loads(received.body) if received.body else {})
        )
        answer = left.pop(0)
        return answer if isinstance(answer, Reply) else service.signed(json.dumps(answer).encode())

    wire.respond = respond
    return queries


def test_an_offset_counts_rows(client, wire, service, collect):
    queries = serve(
        wire,
        service,
        [
            {"data": [1, 2, 3], "total_count": 7, "offset": 0, "limit": 3},
            {"data": [4, 5], "total_count": 7},  # a short page is not the end: the total says so
            {"data": [6, 7], "total_count": 7},
        ],
    )
    node = client.v3.marketing.paygiftactivity.activities
    assert collect(pages(node, params={"activity_name": "x", "limit": 3})) == [1, 2, 3, 4, 5, 6, 7]
    assert queries == [{"activity_name": "x", "limit": "3", "offset": str(offset)} for offset in (0, 3, 5)]


def test_an_offset_may_count_pages(client, wire, service, collect):
    """Whoever adds the limit there leaves out 9 of 10 rows."""
    queries = serve(wire, service, [{"data": [0] * 10, "total_count": 25}] * 2 + [{"data": [0] * 5, "total_count": 25}])
    assert len(collect(pages(client.v3.marketing.favor.stocks, params={"stock_creator_mchid": "1"}))) == 25
    assert [(query["offset"], query["limit"]) for query in queries] == [("0", "10"), ("1", "10"), ("2", "10")]


def test_a_404_after_the_last_page_is_the_end(client, wire, service, collect):
    gone = Reply(404, {}, b'{"code":"RESOURCE_NOT_EXISTS"}')
    serve(wire, service, [{"data": [0] * 10}, gone])
    assert len(collect(pages(client.v3.marketing.favor.stocks, params={}))) == 10
    serve(wire, service, [gone])
    with pytest.raises(NotFoundError):
        collect(pages(client.v3.marketing.favor.stocks, params={}))
    serve(wire, service, [{"data": [0] * 10, "total_count": 25}, gone])
    with pytest.raises(NotFoundError):
        collect(pages(client.v3.marketing.paygiftactivity.activities, params={"limit": 10}))


def test_a_404_before_the_total_is_reached_is_raised(client, wire, service, collect):
    """Rows that are missing must not look like the end."""
    gone = Reply(404, {}, b'{"code":"RESOURCE_NOT_EXISTS"}')
    serve(wire, service, [{"data": [0] * 10, "total_count": 25}, gone])
    with pytest.raises(NotFoundError):
        collect(pages(client.v3.marketing.favor.stocks, params={}))


def test_a_total_of_0_on_a_page_with_rows_is_none(client, wire, service, collect):
    """Complaints have the total on the first page only, where a loop need not begin."""
    queries = serve(wire, service, [{"data": [0] * 50, "total_count": 0}, {"data": [0] * 7, "total_count": 0}])
    node = client.v3.merchant_service.complaints_v2
    assert len(collect(pages(node, params={"begin_date": "2026-01-01", "end_date": "2026-01-02", "offset": 50}))) == 57
    assert [query["offset"] for query in queries] == ["50", "100"]


def test_coupons_of_one_merchant_come_in_one_piece(client, wire, service, collect):
    queries = serve(wire, service, [{"data": list(range(50)), "total_count": 50}])
    node = client.v3.marketing.favor.users._openid_.coupons
    assert len(collect(pages(node, params={"appid": "wx1", "available_mchid": "1"}, openid="o"))) == 50
    assert len(queries) == 1


def test_a_token_leads_to_the_next_page(client, wire, service, collect):
    queries = serve(
        wire,
        service,
        [
            {"user_coupon_list": [1, 2], "total_count": 3, "next_page_token": "a="},
            {"user_coupon_list": [], "next_page_token": "b="},  # an empty page is not the end
            {"user_coupon_list": [3], "next_page_token": ""},
        ],
    )
    node = client.v3.marketing.partner.product_coupon.users._openid_.coupons
    assert collect(pages(node, params={"brand_id": "1"}, openid="o")) == [1, 2, 3]
    assert [query.get("page_token") for query in queries] == [None, "a=", "b="]


def test_a_token_that_leads_nowhere_ends(client, wire, service, collect):
    serve(wire, service, [{"user_coupon_list": [1], "next_page_token": "a"}] * 3)
    node = client.v3.marketing.partner.product_coupon.users._openid_.coupons
    with pytest.raises(ContentError, match="token"):
        collect(pages(node, params={"brand_id": "1"}, openid="o"))


def test_pages_are_counted_from_1_in_a_body(client, wire, service, collect):
    queries = serve(
        wire, service, [{"risk_trade_list": [0] * 10, "total_num": 12}, {"risk_trade_list": [0] * 2, "total_num": 12}]
    )
    node = client.v3.merchant_risk_manage.ec_trade_risk.query_risk_trades
    assert len(collect(pages(node, json={"sub_mchid": "1"}))) == 12
    assert queries == [{"sub_mchid": "1", "page_size": 10, "page_index": number} for number in (1, 2)]


def test_the_total_is_kept_from_the_first_page(client, wire, service, collect):
    """complaints-v2 sends it with offset 0 only."""
    serve(wire, service, [{"data": [0] * 50, "total_count": 60}, {"data": [0] * 10}])
    params = {"begin_date": "2026-01-01", "end_date": "2026-01-02"}
    assert len(collect(pages(client.v3.merchant_service.complaints_v2, params=params))) == 60


def test_the_filters_stay_although_links_next_loses_them(client, wire, service, collect):
    page = {
        "data": [0] * 100,
        "total_count": 150,
        "links": {"next": "/v3/merchantfund/merchant/income-records?offset=100&limit=100"},
    }
    queries = serve(wire, service, [page, {"data": [0] * 50, "total_count": 150}])
    params = {"account_type": "BASIC", "date": "2026-01-01"}
    assert len(collect(pages(client.v3.merchantfund.merchant.income_records, params=params))) == 150
    assert all(query.items() >= params.items() for query in queries)


def test_a_total_of_a_whole_batch_is_not_that_of_the_rows(client, wire, service, collect):
    """total_num counts all details, also if only the failed ones are listed."""
    serve(
        wire,
        service,
        [{"transfer_batch": {"total_num": 500}, "transfer_detail_list": [0] * 100}, {"transfer_detail_list": [0] * 3}],
    )
    node = client.v3.transfer.batches.batch_id._batch_id_
    params = {"need_query_detail": True, "detail_status": "FAIL"}
    assert len(collect(pages(node, params=params, batch_id="1"))) == 103


def test_a_loop_begins_where_the_caller_says(client, wire, service, collect):
    queries = serve(wire, service, [{"data": [0] * 4, "total_count": 24}])
    assert (
        len(collect(pages(client.v3.marketing.paygiftactivity.activities, params={"offset": 20, "limit": "10"}))) == 4
    )
    assert queries == [{"offset": "20", "limit": "10"}]


@pytest.mark.parametrize(
    "body", [{"data": [], "total_count": 9}, {"data": None, "total_count": 0}, {"total_count": 0}, {}]
)
def test_an_empty_page_is_the_end(client, wire, service, collect, body):
    serve(wire, service, [body])
    assert collect(pages(client.v3.marketing.paygiftactivity.activities, params={"limit": 10})) == []


def test_a_list_without_an_end_is_an_error(client, wire, service, collect, monkeypatch):
    monkeypatch.setattr(paging, "MOST_PAGES", 5)
    serve(wire, service, [{"data": [0] * 10, "total_count": 10**9}] * 10)
    rows = pages(client.v3.marketing.paygiftactivity.activities, params={"limit": 10})
    with pytest.raises(ContentError, match="more than 5 pages"):
        collect(rows)


def test_a_page_is_requested_when_it_is_needed(client, wire, service):
    queries = serve(wire, service, [{"data": [1, 2], "total_count": 9}, {"data": [3, 4], "total_count": 9}])
    rows = iter(pages(client.v3.marketing.paygiftactivity.activities, params={"limit": 2}))
    assert queries == []
    assert [next(rows), next(rows)] == [1, 2]
    assert len(queries) == 1
    assert next(rows) == 3
    assert len(queries) == 2


def test_each_loop_begins_anew(client, wire, service, collect):
    serve(wire, service, [{"data": [1], "total_count": 1}] * 2)
    rows = pages(client.v3.marketing.paygiftactivity.activities, params={"limit": 2})
    assert collect(rows) == collect(rows) == [1]


def test_a_query_by_post_is_repeated_after_a_failure(service, wire):
    from wechatpay_chain import Client

    wire.respond = lambda received: Reply(500, {}, b'{"code":"SYSTEM_ERROR"}')
    settings = {**service.settings(wire.base_url), "retry": Retry(attempts=3, backoff=0.01)}
    with Client(**settings) as client, pytest.raises(ServerError):
        list(pages(client.v3.merchant_risk_manage.ec_trade_risk.query_risk_trades, json={"sub_mchid": "1"}))
    assert len(wire.received) == 3


def test_what_does_not_page_is_refused(client):
    for operation in (client.v3.certificates, client.v3.marketing.favor, "v3/marketing/favor/stocks", None):
        with pytest.raises(ArgumentError, match="operation: came"):
            pages(operation)
    with pytest.raises(ArgumentError, match="json: this operation is called with GET; pass its query as params="):
        pages(client.v3.marketing.favor.stocks, json={})
    with pytest.raises(ArgumentError, match="limit: came 'ten'"):
        list(pages(client.v3.marketing.favor.stocks, params={"limit": "ten"}))


def test_a_variable_may_be_filled_in(client, wire, service):
    serve(wire, service, [{"data": [1], "total_count": 1}] * 2)
    node = client["v3/marketing/favor/stocks/98065001/items"]
    assert list(pages(node, params={"stock_creator_mchid": "1"})) == [1]
    assert repr(pages(node)) == "<Pages of GET v3/marketing/favor/stocks/98065001/items>"


def test_refunds_of_an_order_of_apiv2(collect):
    with Sandbox() as sandbox, sandbox.client() as client:
        order = {
            "appid": "wx8888888888888888",
            "body": "b",
            "out_trade_no": "v2-1",
            "total_fee": 100,
            "spbill_create_ip": "1.1.1.1",
        }
        client.v2.pay.unifiedorder.post(xml={**order, "notify_url": "https://a.example/n", "trade_type": "NATIVE"})
        sandbox.pay("v2-1", notify=False)
        for number in range(23):
            refund = {"appid": order["appid"], "out_trade_no": "v2-1", "out_refund_no": f"R{number}", "total_fee": 100}
            client.v2.secapi.pay.refund.post(xml={**refund, "refund_fee": 1}, certificate=False)
            sandbox.advance(61)
        rows = collect(pages(client.v2.pay.refundquery, xml={"appid": order["appid"], "out_trade_no": "v2-1"}))
        assert sorted(row["out_refund_no"] for row in rows) == sorted(f"R{number}" for number in range(23))
        assert all(row["refund_fee"] == "1" for row in rows)


def test_numbers_of_a_row_are_taken_off_and_those_in_it_stay():
    fields = {
        "out_refund_no_0": "a",
        "coupon_refund_id_0_1": "b",
        "out_refund_no_1": "c",
        "total_refund_count": "2",
        "x_10": "d",
    }
    rows = paging._split_numbered(fields, "out_refund_no")
    assert rows == [{"out_refund_no": "a", "coupon_refund_id_1": "b"}, {"out_refund_no": "c"}], (
        "x_10 belongs to no refund"
    )


ACTIVITIES = "v3/marketing/paygiftactivity/activities"
STOCKS = "v3/marketing/favor/stocks"


def test_a_service_that_caps_its_pages_loses_no_rows(client, wire, service, collect):
    """A limit of 50 was asked for, and 10 rows come."""
    serve(wire, service, [{"data": [0] * 10, "total_count": 35}] * 3 + [{"data": [0] * 5, "total_count": 35}])
    assert len(collect(pages(client.chain(STOCKS), params={"limit": 50}))) == 35
    answers = [{"risk_trade_list": [0] * 10, "total_num": 25}] * 2 + [{"risk_trade_list": [0] * 5, "total_num": 25}]
    serve(wire, service, answers)
    node = client.v3.merchant_risk_manage.ec_trade_risk.query_risk_trades
    assert len(collect(pages(node, json={"sub_mchid": "1", "page_size": 50}))) == 25


def test_a_loop_may_begin_at_a_later_page(client, wire, service, collect):
    queries = serve(wire, service, [{"data": [0] * 10, "total_count": 35}, {"data": [0] * 5, "total_count": 35}])
    assert len(collect(pages(client.chain(STOCKS), params={"offset": 2, "limit": 10}))) == 15
    assert [query["offset"] for query in queries] == ["2", "3"]


def test_a_filter_that_is_none_is_no_filter(client, wire, service, collect):
    serve(wire, service, [{"data": [0] * 20, "total_count": 25}, {"data": [0] * 5, "total_count": 25}])
    node = client.v3.marketing.favor.users._openid_.coupons
    assert len(collect(pages(node, params={"available_mchid": None, "limit": None}, openid="o"))) == 25


@pytest.mark.parametrize("later", [0, None, "", -1, 60, "60", 60.0])
def test_a_total_that_only_the_first_page_has_is_kept(client, wire, service, collect, later):
    serve(wire, service, [{"data": [0] * 50, "total_count": 60}, {"data": [0] * 10, "total_count": later}])
    params = {"begin_date": "2026-01-01", "end_date": "2026-01-02"}
    assert len(collect(pages(client.v3.merchant_service.complaints_v2, params=params))) == 60


@pytest.mark.parametrize("total", ["95", 95.0, "95.0"])
def test_a_total_may_be_written_in_several_ways(client, wire, service, collect, total):
    serve(wire, service, [{"data": [0] * 95, "total_count": total}])
    assert len(collect(pages(client.chain(ACTIVITIES), params={"limit": 100}))) == 95


def test_tokens_that_go_round_are_an_error(client, wire, service, collect):
    serve(wire, service, [{"user_coupon_list": [1], "next_page_token": token} for token in "ababab"])
    node = client.v3.marketing.partner.product_coupon.users._openid_.coupons
    with pytest.raises(ContentError, match="that of an earlier page"):
        collect(pages(node, params={"brand_id": "1"}, openid="o"))


@pytest.mark.parametrize("body", [{"data": {"a": 1}, "total_count": 1}, [1], {"data": 5}])
def test_a_response_without_a_list_is_an_error(client, wire, service, collect, body):
    serve(wire, service, [body])
    with pytest.raises(ContentError, match="has no list in 'data'"):
        collect(pages(client.chain(ACTIVITIES), params={"limit": 10}))


@pytest.mark.parametrize(
    ("path", "xml"),
    [
        ("v2/risk/getviolation", {"begin_time": "20260101000000", "end_time": "20260102000000"}),
        ("v2/secapi/mch/submchmanage?action=query", {"appid": "wx8888888888888888", "channel_id": "1"}),
    ],
)
def test_lists_of_merchants_of_apiv2(sandbox, collect, path, xml):
    with sandbox.client() as client:
        rule = RULES[f"POST /{path.partition('?')[0]}"]
        rows = collect(pages(client.chain(path), xml={**xml, rule.size: 10}))
        assert [row["mch_id"] for row in rows] == [str(1900000000 + number) for number in range(ROWS)]


def test_comments_of_apiv2(shop_of_comments, collect):
    client, queries = shop_of_comments
    xml = {"appid": "wx1", "begin_time": "20260101000000", "end_time": "20260102000000", "limit": 2}
    rows = collect(pages(client.v2.billcommentsp.batchquerycomment, xml=xml, certificate=False))
    assert [row["评论内容"] for row in rows] == ["好,很快", "还可以", "差"]
    assert queries == ["0", "107"]


@pytest.fixture
def shop_of_comments(service, wire):
    from tests.apiv2.conftest import KEY, fields_of
    from wechatpay_chain import Client

    answers = [
        "107\n`2026-01-01 10:00:00,` 42001,`5,`好,很快 \n`2026-01-01 10:00:01,` 42002,`4,`还可以\n",
        "230\n`2026-01-01 10:00:02,` 42003,`1,`差\n",
    ]
    queries = []

    def respond(received):
        queries.append(fields_of(received.body)["offset"])
        return Reply(200, {"Content-Type": "text/plain"}, answers[len(queries) - 1].encode())

    wire.respond = respond
    with Client(**service.settings(wire.base_url), apiv2_key=KEY) as client:
        yield client, queries

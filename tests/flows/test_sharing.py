"""The money of an order is shared among receivers, unfrozen and returned, and always adds up."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.test_sandbox_operations import to_json_schema
from wechatpay_chain import APIError, ConfigurationError, Sensitive
from wechatpay_chain._catalogue.operations import find_event

SHOP, USER, DRIVER = "86693852", "o-MYE42l80oelYMDE34nYD456Xoy", "86693999"
ACCOUNTS = (SHOP, DRIVER)
APPID = "wx8888888888888888"
DAYS = 24 * 3600
NUMBERS = itertools.count(1)


@pytest.fixture
def sharing(client):
    return client.v3.profitsharing


@pytest.fixture
def shop(sandbox, shop):
    sandbox.sharing.notify_url = shop.url
    return shop


def pay(sandbox, client, total=10_000, *, marked=True, wait=60):
    """Returns the transaction ID of a paid order that can be shared."""
    number = f"order{next(NUMBERS)}"
    order = {
        "appid": APPID,
        "mchid": client.mchid,
        "description": "公仔",
        "out_trade_no": number,
        "notify_url": "https://a.example/",
        "amount": {"total": total},
        "payer": {"openid": USER},
        "settle_info": {"profit_sharing": marked},
    }
    client.v3.pay.transactions.jsapi.post(json=order)
    sandbox.orders[number].pay(notify=False)
    sandbox.advance(wait)
    return sandbox.orders[number].payment.transaction_id


def part(amount, account=SHOP, kind="MERCHANT_ID", **more):
    return {"type": kind, "account": account, "amount": amount, "description": "分给商户", **more}


def add(send, sharing, account=SHOP, kind="MERCHANT_ID", **more):
    body = {"type": kind, "account": account, "appid": APPID, "relation_type": "STORE", **more}
    return send(sharing.receivers.add, "post", json=body).json()


def share(send, sharing, transaction_id, number, *receivers, unfreeze=False, **more):
    body = {
        "appid": APPID,
        "transaction_id": transaction_id,
        "out_order_no": number,
        "receivers": list(receivers),
        "unfreeze_unsplit": unfreeze,
        **more,
    }
    return send(sharing.orders, "post", json=body).json()


def unfreeze(send, sharing, transaction_id, number, **more):
    body = {"transaction_id": transaction_id, "out_order_no": number, "description": "解冻全部剩余资金", **more}
    return send(sharing.orders.unfreeze, "post", json=body).json()


def query(send, sharing, transaction_id, number, **more):
    params = {"transaction_id": transaction_id, **more}
    return send(sharing.orders._out_order_no_, "get", out_order_no=number, params=params).json()


def left(send, sharing, transaction_id):
    found = send(sharing.transactions._transaction_id_.amounts, "get", transaction_id=transaction_id).json()
    assert found["transaction_id"] == transaction_id
    return found["unsplit_amount"]


def give_back(send, sharing, number, amount, **more):
    body = {"out_return_no": number, "return_mchid": SHOP, "amount": amount, "description": "用户退款", **more}
    return send(sharing.return_orders, "post", json=body).json()


def query_return(send, sharing, number, **params):
    return send(sharing.return_orders._out_return_no_, "get", out_return_no=number, params=params).json()


def outcome(act, *arguments, **keywords):
    """Returns the status and the code of a refused call."""
    with pytest.raises(APIError) as caught:
        act(*arguments, **keywords)
    return caught.value.status_code, caught.value.code


INVALID, NOT_ENOUGH = (400, "INVALID_REQUEST"), (403, "NOT_ENOUGH")


def test_a_receiver_is_added_once_and_deleted(sandbox, client, sharing, send):
    first = add(send, sharing, name=Sensitive("张三公司"))
    assert client.decrypt(first.pop("name")) == "张三公司"
    assert first == {"type": "MERCHANT_ID", "account": SHOP, "relation_type": "STORE"}
    assert add(send, sharing, relation_type="CUSTOM", custom_relation="代理商")["relation_type"] == "STORE"
    assert list(sandbox.sharing.receivers) == [("", "MERCHANT_ID", SHOP)]
    body = {"type": "MERCHANT_ID", "account": SHOP, "appid": APPID}
    for _ in range(2):
        assert send(sharing["receivers/delete"], "post", json=body).json() == {"type": "MERCHANT_ID", "account": SHOP}
    assert sandbox.sharing.receivers == {}
    assert outcome(add, send, sharing, kind="PERSONAL_SUB_OPENID") == (400, "PARAM_ERROR")


def test_an_order_is_shared(sandbox, client, sharing, send):
    paid = pay(sandbox, client)
    add(send, sharing)
    add(send, sharing, USER, "PERSONAL_OPENID")
    made = share(send, sharing, paid, "P1", part(1000), part(500, USER, "PERSONAL_OPENID"))
    assert made["order_id"].startswith("300")
    assert (made["transaction_id"], made["out_order_no"], made["state"]) == (paid, "P1", "PROCESSING")
    assert [each["result"] for each in made["receivers"]] == ["PENDING", "PENDING"]
    assert {each["finish_time"] for each in made["receivers"]} == {"1970-01-01T08:00:00+08:00"}
    assert left(send, sharing, paid) == 8500
    assert query(send, sharing, paid, "P1") == made
    sandbox.advance(30)
    done = query(send, sharing, paid, "P1")
    assert done["state"] == sandbox.sharing.orders["P1"].state == "FINISHED"
    assert [(each["account"], each["amount"], each["result"]) for each in done["receivers"]] == [
        (SHOP, 1000, "SUCCESS"),
        (USER, 500, "SUCCESS"),
    ]
    for each in done["receivers"]:
        lasted = datetime.fromisoformat(each["finish_time"]) - datetime.fromisoformat(each["create_time"])
        assert lasted == timedelta(seconds=30)
    assert len({each["detail_id"] for each in done["receivers"]}) == 2
    assert left(send, sharing, paid) == 8500
    with pytest.raises(ConfigurationError, match="share P1: its state is FINISHED"):
        sandbox.sharing.orders["P1"].finish()


def test_the_part_of_a_receiver_fails_and_can_be_shared_again(sandbox, client, sharing, send):
    paid = pay(sandbox, client)
    add(send, sharing)
    add(send, sharing, DRIVER)
    share(send, sharing, paid, "P1", part(2000), part(1000, DRIVER))
    order = sandbox.sharing.orders["P1"]
    with pytest.raises(ConfigurationError, match=f"failures: came '1'; expected one of {SHOP}, {DRIVER}"):
        order.finish({"1": "NO_RELATION"})
    with pytest.raises(ConfigurationError, match="fail_reason: came 'NO'; expected one of ACCOUNT_ABNORMAL"):
        order.finish({SHOP: "NO"})
    order.finish({SHOP: "NO_RELATION"})
    failed, succeeded = query(send, sharing, paid, "P1")["receivers"]
    assert (failed["result"], failed["fail_reason"]) == ("CLOSED", "NO_RELATION")
    assert succeeded["result"] == "SUCCESS"
    assert "fail_reason" not in succeeded
    assert left(send, sharing, paid) == 9000
    assert share(send, sharing, paid, "P2", part(2000))["state"] == "PROCESSING"
    assert left(send, sharing, paid) == 7000


def test_the_same_number_is_the_same_share(sandbox, client, sharing, send):
    paid = pay(sandbox, client)
    add(send, sharing, name=Sensitive("张三公司"))
    first = share(send, sharing, paid, "P1", part(1000, name=Sensitive("张三公司")))
    assert share(send, sharing, paid, "P1", part(1000, name=Sensitive("张三公司"))) == first
    assert outcome(share, send, sharing, paid, "P1", part(1001)) == INVALID
    assert left(send, sharing, paid) == 9000


def test_what_a_share_needs(sandbox, client, sharing, send):
    unmarked = pay(sandbox, client, marked=False)
    paid = pay(sandbox, client, wait=0)
    assert outcome(share, send, sharing, paid, "P1", part(1)) == INVALID  # less than a minute after the payment
    sandbox.advance(60)
    assert outcome(share, send, sharing, paid, "P1", part(1)) == INVALID  # the receiver has not been added
    add(send, sharing, name=Sensitive("张三公司"))
    assert outcome(share, send, sharing, unmarked, "P1", part(1)) == INVALID
    assert outcome(left, send, sharing, unmarked) == INVALID
    assert outcome(unfreeze, send, sharing, unmarked, "P1") == INVALID
    assert outcome(share, send, sharing, paid, "P1") == INVALID
    assert outcome(share, send, sharing, paid, "P1", part(1), part(2)) == INVALID
    assert outcome(share, send, sharing, paid, "P1", *[part(1, str(each)) for each in range(51)]) == INVALID
    assert outcome(share, send, sharing, paid, "P1", part(1, name=Sensitive("李四公司"))) == INVALID
    assert outcome(share, send, sharing, paid, "P1", part(1, USER, "PERSONAL_SUB_OPENID")) == (400, "PARAM_ERROR")
    assert outcome(share, send, sharing, paid, "P1", part(0)) == (400, "PARAM_ERROR")
    assert outcome(share, send, sharing, paid, "P 1", part(1)) == (400, "PARAM_ERROR")
    assert sandbox.sharing.orders == {}
    assert share(send, sharing, paid, "P1", part(1))["state"] == "PROCESSING"


def test_no_more_is_shared_than_the_largest_ratio_and_what_is_left(sandbox, client, sharing, send):
    paid = pay(sandbox, client)
    add(send, sharing)
    assert outcome(share, send, sharing, paid, "P1", part(3001)) == INVALID
    share(send, sharing, paid, "P1", part(3000))
    assert outcome(share, send, sharing, paid, "P2", part(1)) == INVALID
    sandbox.sharing.max_ratio = 10_000
    assert outcome(share, send, sharing, paid, "P2", part(7001)) == NOT_ENOUGH
    share(send, sharing, paid, "P2", part(7000))
    assert left(send, sharing, paid) == 0
    ratio = send(sharing.merchant_configs._sub_mchid_, "get", sub_mchid="1900000109").json()
    assert ratio == {"sub_mchid": "1900000109", "max_ratio": 10_000}


def test_an_order_is_shared_50_times_at_most(sandbox, client, sharing, send):
    paid = pay(sandbox, client)
    add(send, sharing)
    for each in range(50):
        share(send, sharing, paid, f"P{each}", part(1))
    assert outcome(share, send, sharing, paid, "P50", part(1)) == INVALID
    assert left(send, sharing, paid) == 9950


def test_what_is_left_is_unfrozen(sandbox, client, sharing, send):
    paid = pay(sandbox, client)
    add(send, sharing)
    share(send, sharing, paid, "P1", part(1000))
    first = unfreeze(send, sharing, paid, "P1")
    assert first["state"] == "PROCESSING"
    assert left(send, sharing, paid) == 9000  # the number was that of a share, so nothing is unfrozen
    made = unfreeze(send, sharing, paid, "U1")
    assert made == {"transaction_id": paid, "out_order_no": "U1", "order_id": made["order_id"], "state": "PROCESSING"}
    assert unfreeze(send, sharing, paid, "U1") == made
    assert outcome(unfreeze, send, sharing, "4200000000", "U1") == INVALID
    assert outcome(share, send, sharing, paid, "U1", part(1)) == INVALID
    assert outcome(share, send, sharing, paid, "P2", part(1)) == INVALID
    assert outcome(unfreeze, send, sharing, paid, "U2") == NOT_ENOUGH
    sandbox.advance(30)
    assert left(send, sharing, paid) == 0
    done = query(send, sharing, paid, "U1")
    (rest,) = done["receivers"]
    assert (done["state"], rest["result"]) == ("FINISHED", "SUCCESS")
    assert (rest["account"], rest["amount"], rest["description"]) == (client.mchid, 9000, "解冻给分账方")
    assert outcome(unfreeze, send, sharing, paid, "U2") == NOT_ENOUGH
    assert outcome(share, send, sharing, paid, "P2", part(1)) == INVALID


def test_a_share_can_unfreeze_what_is_left(sandbox, client, sharing, send):
    paid = pay(sandbox, client)
    add(send, sharing)
    add(send, sharing, DRIVER)
    share(send, sharing, paid, "P1", part(500, DRIVER))
    share(send, sharing, paid, "P2", part(1000), unfreeze=True)
    assert outcome(share, send, sharing, paid, "P3", part(1)) == INVALID
    sandbox.sharing.orders["P2"].finish({SHOP: "ACCOUNT_ABNORMAL"})
    failed, rest = query(send, sharing, paid, "P2")["receivers"]
    assert (failed["result"], rest["amount"]) == ("CLOSED", 9500)
    sandbox.sharing.orders["P1"].finish({DRIVER: "ACCOUNT_ABNORMAL"})  # its part follows what was unfrozen
    assert [each["amount"] for each in query(send, sharing, paid, "P1")["receivers"]] == [500, 500]
    assert left(send, sharing, paid) == 0


def test_money_is_frozen_for_30_days(sandbox, client, sharing, send):
    paid = pay(sandbox, client)
    add(send, sharing)
    sandbox.advance(30 * DAYS - 90)
    assert left(send, sharing, paid) == 10_000
    sandbox.advance(60)
    assert left(send, sharing, paid) == 0
    assert outcome(share, send, sharing, paid, "P1", part(1)) == INVALID
    assert outcome(unfreeze, send, sharing, paid, "U1") == NOT_ENOUGH


def test_an_unknown_share_or_return_is_refused(sandbox, client, sharing, send):
    paid = pay(sandbox, client)
    add(send, sharing)
    share(send, sharing, paid, "P1", part(1000))
    unknown = (404, "RESOURCE_NOT_EXISTS")
    assert outcome(query, send, sharing, paid, "P2") == unknown
    assert outcome(query, send, sharing, "4200000000", "P1") == unknown
    assert outcome(query, send, sharing, paid, "P1", sub_mchid="1900000109") == unknown
    assert outcome(query_return, send, sharing, "R1", out_order_no="P1") == unknown
    assert outcome(give_back, send, sharing, "R1", 1, out_order_no="P2") == unknown
    assert outcome(give_back, send, sharing, "R1", 1, order_id="300") == unknown
    assert outcome(give_back, send, sharing, "R1", 1, out_order_no="P1", order_id="300") == unknown
    assert outcome(give_back, send, sharing, "R1", 1, out_order_no="P1", sub_mchid="1900000109") == unknown


@pytest.fixture
def shared(sandbox, client, sharing, send):
    """Returns the transaction ID of an order of which the shop has got 1,000 fen by the share P1."""
    paid = pay(sandbox, client)
    add(send, sharing)
    add(send, sharing, USER, "PERSONAL_OPENID")
    share(send, sharing, paid, "P1", part(1000), part(500, USER, "PERSONAL_OPENID"))
    sandbox.sharing.orders["P1"].finish()
    return paid


def test_a_receiver_returns_money(sandbox, sharing, send, shared):
    order = query(send, sharing, shared, "P1")
    made = give_back(send, sharing, "R1", 600, out_order_no="P1")
    assert made["return_id"].startswith("300")
    assert (made["order_id"], made["out_order_no"]) == (order["order_id"], "P1")
    assert (made["return_mchid"], made["amount"], made["result"]) == (SHOP, 600, "SUCCESS")
    assert made["finish_time"] == made["create_time"]
    assert query_return(send, sharing, "R1", out_order_no="P1") == made
    assert outcome(query_return, send, sharing, "R1", out_order_no="P2") == (404, "RESOURCE_NOT_EXISTS")
    assert give_back(send, sharing, "R1", 600, out_order_no="P1") == made
    assert outcome(give_back, send, sharing, "R1", 601, out_order_no="P1") == INVALID
    assert left(send, sharing, shared) == 8500  # what is returned is not frozen
    assert outcome(give_back, send, sharing, "R2", 401, out_order_no="P1") == NOT_ENOUGH
    assert give_back(send, sharing, "R2", 400, order_id=order["order_id"])["result"] == "SUCCESS"
    assert outcome(give_back, send, sharing, "R3", 1, out_order_no="P1") == NOT_ENOUGH


def test_each_receiver_returns_its_own_part(sandbox, client, sharing, send):
    paid = pay(sandbox, client)
    for account in ACCOUNTS:
        add(send, sharing, account)
    share(send, sharing, paid, "P1", *[part(100, account) for account in ACCOUNTS])
    sandbox.sharing.orders["P1"].finish()
    for account in ACCOUNTS:
        made = give_back(send, sharing, f"R{account}", 100, out_order_no="P1", return_mchid=account)
        assert made["result"] == "SUCCESS"


def test_what_a_return_needs(sandbox, sharing, send, shared):
    assert outcome(give_back, send, sharing, "R1", 1) == INVALID
    assert outcome(give_back, send, sharing, "R1", 1, out_order_no="P1", return_mchid=DRIVER) == INVALID
    assert outcome(give_back, send, sharing, "R1", 1, out_order_no="P1", return_mchid=USER) == INVALID
    share(send, sharing, shared, "P2", part(1))
    assert outcome(give_back, send, sharing, "R1", 1, out_order_no="P2") == INVALID  # it is not finished
    sandbox.sharing.orders["P2"].finish({SHOP: "NO_AUTH"})
    assert outcome(give_back, send, sharing, "R1", 1, out_order_no="P2") == INVALID  # the shop has got nothing
    unfreeze(send, sharing, shared, "U1")
    sandbox.advance(30)
    mchid = query(send, sharing, shared, "U1")["receivers"][0]["account"]
    assert outcome(give_back, send, sharing, "R1", 1, out_order_no="U1", return_mchid=mchid) == INVALID
    receiver = sandbox.sharing.receivers["", "MERCHANT_ID", SHOP]
    receiver.allows_returns = False
    assert outcome(give_back, send, sharing, "R1", 1, out_order_no="P1") == (403, "NO_AUTH")
    receiver.allows_returns = True
    for each in range(50):
        give_back(send, sharing, f"R{each}", 1, out_order_no="P1")
    assert outcome(give_back, send, sharing, "R50", 1, out_order_no="P1") == INVALID


def test_money_is_returned_for_180_days(sandbox, sharing, send, shared):
    sandbox.advance(180 * DAYS - 60)
    assert give_back(send, sharing, "R1", 1, out_order_no="P1")["result"] == "SUCCESS"
    sandbox.advance(60)
    assert outcome(give_back, send, sharing, "R2", 1, out_order_no="P1") == INVALID


@pytest.mark.parametrize("ended_by", ["user", "failure", "time"])
def test_a_return_that_takes_its_time(sandbox, sharing, send, shared, ended_by):
    sandbox.sharing.receivers["", "MERCHANT_ID", SHOP].return_result = "PROCESSING"
    made = give_back(send, sharing, "R1", 1000, out_order_no="P1")
    assert (made["result"], made["finish_time"]) == ("PROCESSING", "1970-01-01T08:00:00+08:00")
    assert outcome(give_back, send, sharing, "R2", 1, out_order_no="P1") == NOT_ENOUGH
    pending = sandbox.sharing.returns["R1"]
    with pytest.raises(ConfigurationError, match="fail_reason: came 'NO'; expected one of ACCOUNT_ABNORMAL, BALANCE"):
        pending.finish("NO")
    if ended_by == "time":
        sandbox.advance(30)
    else:
        pending.finish("TIME_OUT_CLOSED" if ended_by == "failure" else "")
    done = query_return(send, sharing, "R1", out_order_no="P1")
    expected = ("FAILED", "TIME_OUT_CLOSED") if ended_by == "failure" else ("SUCCESS", None)
    assert (done["result"], done.get("fail_reason")) == expected
    assert (pending.result, pending.fail_reason or None) == expected
    assert done["finish_time"] >= done["create_time"]
    with pytest.raises(ConfigurationError, match="return R1: its state is"):
        pending.finish()
    if ended_by == "failure":
        assert give_back(send, sharing, "R2", 1000, out_order_no="P1")["result"] == "PROCESSING"


def test_a_receiver_without_a_balance_returns_nothing(sandbox, sharing, send, shared):
    receiver = sandbox.sharing.receivers["", "MERCHANT_ID", SHOP]
    receiver.return_result = "BALANCE_NOT_ENOUGH"
    made = give_back(send, sharing, "R1", 1000, out_order_no="P1")
    assert (made["result"], made["fail_reason"]) == ("FAILED", "BALANCE_NOT_ENOUGH")
    receiver.return_result = "SUCCESS"
    assert give_back(send, sharing, "R1", 1000, out_order_no="P1") == made
    assert give_back(send, sharing, "R2", 1000, out_order_no="P1")["result"] == "SUCCESS"


def fits(notification):
    resources = find_event(notification.event_type).resources
    schema = next(each.schema for each in resources if each.original_type == notification.original_type)
    return list(Draft202012Validator(to_json_schema(schema)).iter_errors(notification.resource)) == []


def test_merchants_that_receive_money_are_notified(sandbox, client, sharing, send, shop):
    paid = pay(sandbox, client)
    add(send, sharing)
    add(send, sharing, USER, "PERSONAL_OPENID")
    add(send, sharing, DRIVER)
    parts = part(1000), part(500, USER, "PERSONAL_OPENID"), part(1, DRIVER)
    made = share(send, sharing, paid, "P1", *parts, unfreeze=True)
    assert shop.is_empty()
    (notice,) = sandbox.sharing.orders["P1"].finish({DRIVER: "NO_RELATION"})
    told = shop.wait()
    assert told.id == notice.id
    assert (told.event_type, told.original_type) == ("TRANSACTION.SUCCESS", "profitsharing")
    assert fits(told)
    assert told.resource == {
        "mchid": client.mchid,
        "transaction_id": paid,
        "order_id": made["order_id"],
        "out_order_no": "P1",
        "receiver": {"type": "MERCHANT_ID", "account": SHOP, "amount": 1000, "description": "分给商户"},
        "success_time": query(send, sharing, paid, "P1")["receivers"][0]["finish_time"],
    }
    returned = give_back(send, sharing, "R1", 300, out_order_no="P1")
    told = shop.wait()
    assert fits(told)
    assert (told.resource["order_id"], told.resource["out_order_no"]) == (returned["return_id"], "R1")
    assert told.resource["receiver"]["account"] == client.mchid
    assert told.resource["receiver"]["amount"] == 300
    sandbox.advance(60)
    assert shop.is_empty()


def test_a_share_that_time_finishes_is_notified(sandbox, client, sharing, send, shop):
    paid = pay(sandbox, client)
    add(send, sharing)
    share(send, sharing, paid, "P1", part(1000))
    sandbox.advance(30)
    assert shop.wait().resource["out_order_no"] == "P1"


def test_a_partner_shares_the_money_of_another_merchant(sandbox, client, sharing, send, shop):
    sub = {"sub_mchid": "1900000109"}
    paid = pay(sandbox, client)
    assert add(send, sharing, **sub)["sub_mchid"] == "1900000109"
    assert outcome(share, send, sharing, paid, "P1", part(1)) == INVALID  # it is a receiver of that merchant only
    assert share(send, sharing, paid, "P1", part(1000), unfreeze=True, **sub)["sub_mchid"] == "1900000109"
    sandbox.sharing.orders["P1"].finish()
    told = shop.wait()
    assert fits(told)
    assert (told.resource["sp_mchid"], told.resource["sub_mchid"]) == (client.mchid, "1900000109")
    assert "mchid" not in told.resource
    assert query(send, sharing, paid, "P1", **sub)["receivers"][1]["account"] == "1900000109"
    assert give_back(send, sharing, "R1", 1, out_order_no="P1", **sub)["sub_mchid"] == "1900000109"
    assert query_return(send, sharing, "R1", out_order_no="P1", **sub)["result"] == "SUCCESS"
    assert outcome(query_return, send, sharing, "R1", out_order_no="P1") == (404, "RESOURCE_NOT_EXISTS")


STEPS = st.one_of(
    st.tuples(st.just("share"), st.lists(st.integers(1, 400), min_size=1, max_size=2), st.booleans()),
    st.tuples(st.just("unfreeze")),
    st.tuples(st.just("finish"), st.integers(0, 3), st.sets(st.sampled_from(ACCOUNTS))),
    st.tuples(st.just("return"), st.integers(0, 3), st.integers(1, 400), st.sampled_from(ACCOUNTS), st.booleans()),
    st.tuples(st.just("wait")),
)


@given(st.lists(STEPS, max_size=12), st.sampled_from([3000, 10_000]))
@settings(max_examples=100)
def test_what_is_shared_returned_and_left_adds_up(sandbox, client, steps, max_ratio):
    def blocking(node, verb, **arguments):
        return getattr(node, verb)(**arguments)

    sandbox.reset()
    sandbox.sharing.max_ratio = max_ratio
    sharing, orders, returns = client.v3.profitsharing, [], []
    for account in ACCOUNTS:
        add(blocking, sharing, account)
    paid = pay(sandbox, client, 1000)
    for number, (step, *arguments) in enumerate(steps):
        before, closing = left(blocking, sharing, paid), any(sandbox.sharing.orders[each].unfreezes for each in orders)
        try:
            if step == "share":
                amounts, unfreezes = arguments
                parts = [part(amount, account) for amount, account in zip(amounts, ACCOUNTS, strict=False)]
                share(blocking, sharing, paid, f"P{number}", *parts, unfreeze=unfreezes)
                assert sum(amounts) <= before
                assert not closing
                orders.append(f"P{number}")
            elif step == "unfreeze":
                unfreeze(blocking, sharing, paid, f"P{number}")
                assert before > 0
                assert not closing
                orders.append(f"P{number}")
            elif step == "finish" and orders:
                index, failing = arguments
                order = sandbox.sharing.orders[orders[index % len(orders)]]
                known = {detail.account for detail in order.details}
                if order.state == "PROCESSING":
                    order.finish(dict.fromkeys(failing & known, "ACCOUNT_ABNORMAL"))
            elif step == "return" and orders:
                index, amount, account, fails = arguments
                order = orders[index % len(orders)]
                result = "BALANCE_NOT_ENOUGH" if fails else "PROCESSING"
                sandbox.sharing.receivers["", "MERCHANT_ID", account].return_result = result
                give_back(blocking, sharing, f"R{number}", amount, out_order_no=order, return_mchid=account)
                returns.append((f"R{number}", order))
            elif step == "wait":
                sandbox.advance(30)
        except APIError as error:
            assert error.code in ("INVALID_REQUEST", "NOT_ENOUGH")  # noqa: PT017
            assert left(blocking, sharing, paid) == before
        assert_adds_up(blocking, sharing, paid, orders, returns, max_ratio, client.mchid)
    sandbox.advance(30)
    assert_adds_up(blocking, sharing, paid, orders, returns, max_ratio, client.mchid)
    if any(sandbox.sharing.orders[each].unfreezes for each in orders):
        assert left(blocking, sharing, paid) == 0


def assert_adds_up(send, sharing, paid, orders, returns, max_ratio, mchid):
    """Compares the amounts of all queries with the amount of the order."""
    got, unfrozen = {}, 0
    for order in orders:
        for each in query(send, sharing, paid, order)["receivers"]:
            assert each["amount"] > 0
            if each["account"] == mchid:
                unfrozen += each["amount"]
            elif each["result"] != "CLOSED":
                got[order, each["account"]] = each["amount"]
    assert sum(got.values()) + unfrozen + left(send, sharing, paid) == 1000
    assert sum(got.values()) <= 1000 * max_ratio / 10_000
    taken = {}
    for number, order in returns:
        each = query_return(send, sharing, number, out_order_no=order)
        if each["result"] != "FAILED":
            place = order, each["return_mchid"]
            taken[place] = taken.get(place, 0) + each["amount"]
    assert all(amount <= got[place] for place, amount in taken.items())

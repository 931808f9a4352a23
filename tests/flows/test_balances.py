"""A balance that is set changes with all that moves money, and what it does not suffice for is refused."""

from __future__ import annotations

import itertools

import pytest

from tests.flows.test_ecommerce_refunds import apply, ask_platform, call
from tests.flows.test_orders import SUB_MCHID, code_of
from tests.flows.test_refunds import PATH, ask, pay_order
from wechatpay_chain import Sensitive
from wechatpay_chain.sandbox import Balances

TRANSFERS = "/v3/fund-app/mch-transfer/transfer-bills"
RECEIVER = "1900000110"
NUMBERS = (f"bill{index:04}" for index in itertools.count())


@pytest.fixture
def balances(sandbox, client):
    assert isinstance(sandbox.balances, Balances)
    sandbox.balances[client.mchid] = 1000
    sandbox.balances[SUB_MCHID] = 0
    return sandbox.balances


def transfer(client, send, amount):
    """Returns the number of a transfer."""
    number = next(NUMBERS)
    body = {
        "appid": "wxd678efh567hg6787",
        "out_bill_no": number,
        "transfer_scene_id": "1000",
        "openid": "oUpF8",
        "transfer_amount": amount,
        "transfer_remark": "佣金",
        "transfer_scene_report_infos": [{"info_type": "活动名称", "info_content": "新会员"}],
    }
    send(client[TRANSFERS], "post", json=body)
    return number


def test_a_merchant_without_a_balance_has_no_limit(sandbox, client, send):
    order = pay_order(sandbox, client)
    send(client[PATH], "post", json=ask(order, 100))
    transfer(client, send, 10_000)
    assert sandbox.balances == {}


def test_a_payment_adds_to_the_balance_and_a_refund_takes_it(sandbox, client, send, balances):
    order = pay_order(sandbox, client, total=10_000, discount=1000)
    assert balances[client.mchid] == 1000 + 9000 - order.fee
    asked = ask(order, 10_000)
    send(client[PATH], "post", json=asked)
    assert balances[client.mchid] == 1000
    sandbox.refunds[asked["out_refund_no"]].finish("CLOSED")
    assert balances[client.mchid] == 1000 + 9000 - order.fee


def test_a_refund_that_the_balance_does_not_suffice_for_is_refused(sandbox, client, send, balances):
    order = pay_order(sandbox, client)
    balances[client.mchid] = 98
    asked = ask(order, 100)
    assert code_of(send, client[PATH], "post", json=asked) == (403, "NOT_ENOUGH")
    assert (order.refundable, order.trade_state, balances[client.mchid]) == (100, "SUCCESS", 98)
    balances[client.mchid] = 99  # one fen of the fee comes back
    send(client[PATH], "post", json=asked)  # the same number
    assert balances[client.mchid] == 0


def test_the_money_of_a_partners_order_is_the_sub_merchants(sandbox, client, send, balances):
    order = pay_order(sandbox, client, total=1000, sub_mchid=SUB_MCHID)
    assert (balances[client.mchid], balances[SUB_MCHID]) == (1000, 994)
    send(client[PATH], "post", json=ask(order, 1000, sub_mchid=SUB_MCHID))
    assert (balances[client.mchid], balances[SUB_MCHID]) == (1000, 0)


def test_a_platform_advances_a_refund_and_gets_it_back(sandbox, client, send, balances):
    order = pay_order(sandbox, client, total=1000, sub_mchid=SUB_MCHID)
    asked = ask_platform(order, 1000, refund_account="REFUND_SOURCE_PARTNER_ADVANCE")
    balances[client.mchid] = 999
    assert code_of(apply, client, send, asked) == (403, "NOT_ENOUGH")
    balances[client.mchid] = 1000
    accepted = apply(client, send, asked)
    assert (balances[client.mchid], balances[SUB_MCHID]) == (0, 1000)
    sandbox.refunds[asked["out_refund_no"]].finish()
    path, variables = "/v3/ecommerce/refunds/{refund_id}/return-advance", {"refund_id": accepted["refund_id"]}
    for _ in range(2):
        call(client, send, "POST", path, variables, json={"sub_mchid": SUB_MCHID})
        assert (balances[client.mchid], balances[SUB_MCHID]) == (1000, 0)


def test_a_transfer_takes_the_balance_and_gives_it_back_if_it_fails(sandbox, client, send, balances):
    assert code_of(transfer, client, send, 1001) == (403, "NOT_ENOUGH")
    assert sandbox.transfers == {}
    paid, failed, expired, cancelled = (transfer(client, send, amount) for amount in (100, 200, 300, 400))
    assert balances[client.mchid] == 0
    for number, reason in ((paid, ""), (failed, "NAME_NOT_CORRECT")):
        sandbox.transfers[number].confirm()
        sandbox.transfers[number].finish(reason)
    assert balances[client.mchid] == 200
    sandbox.transfers[cancelled].cancel()
    sandbox.transfers[cancelled].finish()
    assert balances[client.mchid] == 600
    sandbox.advance(24 * 3600)
    assert sandbox.transfers[expired].state == "FAIL"
    assert balances[client.mchid] == 900


def test_a_reversed_code_payment_takes_the_balance(sandbox, client, send, balances):
    own = {"appid": "wxd678efh567hg6787", "mchid": client.mchid}
    scanned = {"payer": {"auth_code": "130061098828009406"}, "scene_info": {"store_info": {"id": "1"}}}
    order = {"description": "公仔", "out_trade_no": "scanned-balance", "amount": {"total": 1000}}
    send(client.v3.pay.transactions.codepay, "post", json={**own, **scanned, **order})
    assert balances[client.mchid] == 1994
    node = client.v3.pay.transactions.out_trade_no._n_.reverse
    balances[client.mchid] = 993
    assert code_of(send, node, "post", n="scanned-balance", json=own) == (403, "NOT_ENOUGH")
    balances[client.mchid] = 994
    for _ in range(2):
        send(node, "post", n="scanned-balance", json=own)
    assert balances[client.mchid] == 0


def test_shares_and_returns_move_money_between_merchants(sandbox, client, send, balances):
    order = {"appid": "wx", "mchid": client.mchid, "description": "d", "out_trade_no": "shared-balance"}
    order |= {"notify_url": "https://a.example/", "settle_info": {"profit_sharing": True}, "amount": {"total": 1000}}
    client.v3.pay.transactions.native.post(json=order)
    sandbox.pay("shared-balance", notify=False)
    sandbox.advance(3600)
    receiver = {"type": "MERCHANT_ID", "account": RECEIVER}
    balances[RECEIVER] = 0
    sharing = client.v3.profitsharing
    sharing.receivers.add.post(
        json={"appid": "wx", **receiver, "relation_type": "STORE", "name": Sensitive("张三")},
    )
    transaction_id = sandbox.orders["shared-balance"].payment.transaction_id
    share = {"appid": "wx", "transaction_id": transaction_id, "out_order_no": "s-1", "unfreeze_unsplit": False}
    share["receivers"] = [{**receiver, "amount": 300, "description": "d"}]
    send(sharing.orders, "post", json=share)
    assert (balances[client.mchid], balances[RECEIVER]) == (1994, 0)
    sandbox.sharing.orders["s-1"].finish()
    assert (balances[client.mchid], balances[RECEIVER]) == (1694, 300)
    back = {"out_order_no": "s-1", "return_mchid": RECEIVER, "amount": 200, "description": "d"}
    assert send(sharing.return_orders, "post", json={**back, "out_return_no": "b-1"}).json()["result"] == "SUCCESS"
    assert (balances[client.mchid], balances[RECEIVER]) == (1894, 100)
    balances[RECEIVER] = 99
    failed = send(sharing.return_orders, "post", json={**back, "amount": 100, "out_return_no": "b-2"}).json()
    assert (failed["result"], failed["fail_reason"]) == ("FAILED", "BALANCE_NOT_ENOUGH")
    assert (balances[client.mchid], balances[RECEIVER]) == (1894, 99)

"""Whatever is done, money adds up: what was paid is refunded, shared, or left, and the balances of all merchants say the same."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wechatpay_chain import APIError, ConfigurationError
from wechatpay_chain.errors import BadRequestError, ForbiddenError, NotFoundError
from wechatpay_chain.sandbox import Sandbox

ORDER = {"appid": "wx", "description": "d", "notify_url": "https://a.example/", "settle_info": {"profit_sharing": True}}
RECEIVER = {"type": "MERCHANT_ID", "account": "1900000109", "name": "x", "relation_type": "STORE"}
TOTAL = 1000
STEPS = st.lists(
    st.tuples(st.sampled_from(["refund", "share", "unfreeze", "return", "close", "wait"]), st.integers(1, 600)),
    max_size=8,
)


@pytest.fixture(scope="module")
def world():
    with Sandbox() as sandbox, sandbox.client(retry=None) as client:
        yield sandbox, client


def pay(sandbox, client):
    sandbox.reset()
    order = {**ORDER, "mchid": client.mchid, "out_trade_no": "money-1", "amount": {"total": TOTAL}}
    client.v3.pay.transactions.native.post(json=order)
    sandbox.pay("money-1", notify=False)
    sandbox.advance(3600)
    receiver = {name: value for name, value in RECEIVER.items() if name != "name"}
    client.v3.profitsharing.receivers.add.post(json={"appid": "wx", **receiver})
    sandbox.sharing.max_ratio = 10_000
    return sandbox.orders["money-1"].payment.transaction_id


def act(sandbox, client, transaction_id, number, step, amount):
    """Carries out a step, which the service may refuse."""
    sharing = client.v3.profitsharing
    match step:
        case "refund":
            refund = {"out_trade_no": "money-1", "out_refund_no": f"r-{number}"}
            asked = {"refund": amount, "total": TOTAL, "currency": "CNY"}
            client.v3.refund.domestic.refunds.post(json={**refund, "amount": asked})
        case "share":
            receivers = [{"type": "MERCHANT_ID", "account": RECEIVER["account"], "amount": amount, "description": "d"}]
            body = {"appid": "wx", "transaction_id": transaction_id, "out_order_no": f"s-{number}"}
            sharing.orders.post(json={**body, "receivers": receivers, "unfreeze_unsplit": False})
        case "unfreeze":
            body = {"transaction_id": transaction_id, "out_order_no": f"u-{number}", "description": "d"}
            sharing.orders.unfreeze.post(json=body)
        case "return":
            shares = [share for share in sandbox.sharing.orders if share.startswith("s-")]
            body = {"out_order_no": shares[-1] if shares else "none", "out_return_no": f"b-{number}"}
            body |= {"return_mchid": RECEIVER["account"], "amount": amount, "description": "d"}
            sharing.return_orders.post(json=body)
        case "close":
            for refund in sandbox.refunds.values():
                if refund.status == "PROCESSING":
                    refund.finish("CLOSED" if amount % 2 else "SUCCESS")
                    return
        case "wait":
            sandbox.advance(amount * 60)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(steps=STEPS)
def test_the_money_of_an_order_adds_up(world, steps):
    sandbox, client = world
    transaction_id = pay(sandbox, client)
    order, sharing = sandbox.orders["money-1"], sandbox.sharing
    for number, (step, amount) in enumerate(steps):
        with suppress(BadRequestError, ForbiddenError, NotFoundError):
            act(sandbox, client, transaction_id, number, step, amount)
        refunded = sum(refund.amount for refund in sandbox.refunds.values() if refund.status != "CLOSED")
        shared, frozen = sharing.count_shared(transaction_id), sharing.count_left(transaction_id)
        assert order.refundable == TOTAL - refunded >= 0
        assert 0 <= shared <= TOTAL
        assert 0 <= frozen <= max(TOTAL - refunded - shared, 0)
        # As long as anything is frozen, nothing was taken from the balance.
        assert not frozen or refunded + shared <= TOTAL


def test_more_than_is_frozen_is_refunded_after_it_was_unfrozen(world):
    sandbox, client = world
    transaction_id = pay(sandbox, client)
    act(sandbox, client, transaction_id, 1, "share", 300)
    with pytest.raises(APIError, match="INVALID_REQUEST"):
        act(sandbox, client, transaction_id, 1, "refund", 701)
    act(sandbox, client, transaction_id, 2, "refund", 600)
    assert sandbox.sharing.count_left(transaction_id) == 100
    act(sandbox, client, transaction_id, 3, "unfreeze", 1)
    sandbox.advance(60)
    assert sandbox.sharing.count_left(transaction_id) == 0
    act(sandbox, client, transaction_id, 4, "refund", 400)
    assert sandbox.orders["money-1"].refundable == 0


SUB = "1900000110"
OPENING = 5000
# Steps of every flow that moves money.
FLOWS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "pay",
                "pay partner",
                "pay combined",
                "pay by code",
                "deduct",
                "reverse",
                "refund",
                "refund of platform",
                "advance",
                "return advance",
                "finish refund",
                "abnormal",
                "transfer",
                "confirm",
                "fail transfer",
                "cancel",
                "share",
                "return",
                "wait",
            ]
        ),
        st.integers(1, 3000),
    ),
    min_size=4,
    max_size=25,
)


class Merchants:
    """A merchant, its sub-merchant and a receiver of shares, whose balances are set, and what they do."""

    def __init__(self, sandbox, client):
        sandbox.reset()
        self.sandbox, self.client, self.count = sandbox, client, 0
        sandbox.sharing.max_ratio = 10_000
        receiver = {"type": "MERCHANT_ID", "account": RECEIVER["account"], "relation_type": "STORE"}
        for more in ({}, {"sub_mchid": SUB}):
            client.v3.profitsharing.receivers.add.post(json={"appid": "wx", **receiver, **more})
        for mchid in (client.mchid, SUB, RECEIVER["account"]):
            sandbox.balances[mchid] = OPENING
        for step in ("pay", "pay partner", "pay combined", "pay by code", "transfer", "share"):
            self.act(step, 900)
        self.act("advance", 100)
        list(sandbox.refunds.values())[-1].finish()
        sandbox.advance(60)  # the share is finished

    def act(self, step, amount):
        """Carries out a step, which the service may refuse."""
        self.count += 1
        getattr(self, {"return": "return_"}.get(step, step.replace(" ", "_")))(f"{self.count:06}", amount)

    def place(self, number, amount):
        return {**ORDER, "out_trade_no": number, "amount": {"total": amount}}

    def pick(self, objects, amount, is_wanted):
        """Returns one of those that a step can be about; the amount decides which."""
        found = [each for each in objects.values() if is_wanted(each)]
        if not found:
            raise LookupError
        return found[amount % len(found)]

    def pay(self, number, amount):
        order = {**self.place(number, amount), "mchid": self.client.mchid}
        self.client.v3.pay.transactions.native.post(json=order)
        self.sandbox.pay(number, notify=False, discount=amount // 3)
        self.sandbox.advance(60)  # it can be shared

    def pay_partner(self, number, amount):
        order = {**self.place(number, amount), "sp_appid": "wx", "sp_mchid": self.client.mchid, "sub_mchid": SUB}
        del order["appid"]
        self.client.v3.pay.partner.transactions.native.post(json=order)
        self.sandbox.pay(number, notify=False)

    def pay_combined(self, number, amount):
        sub = {"mchid": self.client.mchid, "attach": "x", "description": "d"}
        subs = [
            {**sub, **more, "out_trade_no": f"{number}-{index}", "amount": {"total_amount": amount, "currency": "CNY"}}
            for index, more in enumerate(({}, {"sub_mchid": SUB}))
        ]
        combined = {"combine_appid": "wx", "combine_mchid": self.client.mchid, "combine_out_trade_no": number}
        combined |= {"notify_url": "https://a.example/", "sub_orders": subs}
        self.client.v3.combine_transactions.native.post(json=combined)
        self.sandbox.pay(number, notify=False)

    def pay_by_code(self, number, amount):
        order = {"appid": "wx", "mchid": self.client.mchid, "description": "d", "out_trade_no": number}
        scanned = {"payer": {"auth_code": "130061098828009406"}, "scene_info": {"store_info": {"id": "1"}}}
        self.client.v3.pay.transactions.codepay.post(json={**order, **scanned, "amount": {"total": amount}})

    def deduct(self, number, amount):
        order = {"appid": "wx", "contract_id": "c", "description": "d", "out_trade_no": number}
        order |= {"transaction_notify_url": "https://a.example/", "amount": {"total": amount}}
        self.client.v3.papay.pay.transactions.apply.post(json=order)
        self.sandbox.pay(number, notify=False)

    def reverse(self, _number, amount):
        order = self.pick(self.sandbox.orders, amount, lambda each: each.trade_type == "MICROPAY")
        node = self.client.v3.pay.transactions.out_trade_no._n_.reverse
        node.post(n=order.out_trade_no, json={"appid": "wx", "mchid": self.client.mchid})

    def ask(self, number, amount, order):
        asked = {"out_trade_no": order.out_trade_no, "out_refund_no": number}
        refund = amount % (order.refundable + 9) + 1  # sometimes too much
        asked["amount"] = {"refund": refund, "total": order.total, "currency": "CNY"}
        return {**asked, **({"sub_mchid": order.sub_mchid} if order.sub_mchid else {})}

    def refund(self, number, amount):
        order = self.pick(self.sandbox.orders, amount, lambda each: each.refundable > 0)
        self.client.v3.refund.domestic.refunds.post(json=self.ask(number, amount, order))

    def refund_of_platform(self, number, amount, **more):
        order = self.pick(self.sandbox.orders, amount, lambda each: each.refundable > 0 and each.sub_mchid)
        asked = {**self.ask(number, amount, order), "sp_appid": "wx", **more}
        self.client.v3.ecommerce.refunds.apply.post(json=asked)

    def advance(self, number, amount):
        self.refund_of_platform(number, amount, refund_account="REFUND_SOURCE_PARTNER_ADVANCE")

    def return_advance(self, _number, amount):
        refund = self.pick(self.sandbox.refunds, amount, lambda each: each.status == "SUCCESS" and each.order.sub_mchid)
        node = self.client.v3.ecommerce.refunds._refund_id_.return_advance
        node.post(refund_id=refund.refund_id, json={"sub_mchid": SUB})

    def finish_refund(self, _number, amount):
        refund = self.pick(self.sandbox.refunds, amount, lambda each: each.status == "PROCESSING")
        refund.finish(("SUCCESS", "ABNORMAL", "CLOSED")[amount % 3])

    def abnormal(self, _number, amount):
        refund = self.pick(self.sandbox.refunds, amount, lambda each: each.status == "ABNORMAL")
        body = {"out_refund_no": refund.out_refund_no, "type": "MERCHANT_BANK_CARD"}
        body |= {"sub_mchid": refund.order.sub_mchid} if refund.order.sub_mchid else {}
        node = self.client.v3.refund.domestic.refunds._refund_id_.apply_abnormal_refund
        node.post(refund_id=refund.refund_id, json=body)

    def transfer(self, number, amount):
        bill = {"appid": "wx", "out_bill_no": number, "transfer_scene_id": "1000", "openid": "oUpF8"}
        infos = [{"info_type": "活动名称", "info_content": "新会员"}]
        bill |= {"transfer_amount": amount, "transfer_remark": "佣金", "transfer_scene_report_infos": infos}
        self.client.v3.fund_app.mch_transfer.transfer_bills.post(json=bill)

    def confirm(self, _number, amount):
        self.pick(self.sandbox.transfers, amount, lambda each: each.state == "WAIT_USER_CONFIRM").confirm()

    def fail_transfer(self, _number, amount):
        self.pick(self.sandbox.transfers, amount, lambda each: each.state == "TRANSFERING").finish("NAME_NOT_CORRECT")

    def cancel(self, _number, amount):
        self.pick(self.sandbox.transfers, amount, lambda each: each.state == "WAIT_USER_CONFIRM").cancel()

    def share(self, number, amount):
        marked = self.pick(self.sandbox.orders, amount, lambda each: each.payment and "settle_info" in each.placed)
        body = {"appid": "wx", "transaction_id": marked.payment.transaction_id, "out_order_no": number}
        body |= {"sub_mchid": marked.sub_mchid} if marked.sub_mchid else {}
        receiver = {
            "type": "MERCHANT_ID",
            "account": RECEIVER["account"],
            "amount": amount // 4 + 1,
            "description": "d",
        }
        body |= {"receivers": [receiver], "unfreeze_unsplit": False}
        self.client.v3.profitsharing.orders.post(json=body)

    def return_(self, number, amount):
        share = self.pick(self.sandbox.sharing.orders, amount, lambda each: each.state == "FINISHED")
        body = {"out_order_no": share.placed["out_order_no"], "out_return_no": number, "amount": amount // 9 + 1}
        body |= {"return_mchid": RECEIVER["account"], "description": "d"}
        body |= {"sub_mchid": SUB} if "sub_mchid" in share.placed else {}
        self.client.v3.profitsharing.return_orders.post(json=body)

    def wait(self, _number, amount):
        self.sandbox.advance(amount * 60)

    def expected_total(self):
        """Returns what all balances together must be, from the orders, the refunds and the transfers alone."""
        total = 3 * OPENING
        for order in self.sandbox.orders.values():
            if order.payment and not order.reversed_at:
                total += order.payer_total - order.fee
        for refund in self.sandbox.refunds.values():
            if refund.status != "CLOSED":
                total -= refund.amount - refund.discount - refund.fee
        for transfer in self.sandbox.transfers.values():
            if transfer.state not in ("FAIL", "CANCELLED"):
                total -= transfer.placed["transfer_amount"]
        return total


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(steps=FLOWS)
def test_the_money_of_all_flows_adds_up(world, steps):
    sandbox, client = world
    merchants = Merchants(sandbox, client)
    for step, amount in steps:
        with suppress(BadRequestError, ForbiddenError, NotFoundError, ConfigurationError, LookupError):
            merchants.act(step, amount)
        assert sum(sandbox.balances.values()) == merchants.expected_total()
        for order in sandbox.orders.values():
            refunded = sum(refund.amount for refund in order.refunds if refund.status != "CLOSED")
            paid = order.total if order.payment and not order.reversed_at else 0
            assert order.refundable == paid - refunded >= 0
            if order.payment:
                transaction_id = order.payment.transaction_id
                shared = sandbox.sharing.count_shared(transaction_id)
                frozen = sandbox.sharing.count_left(transaction_id)
                assert 0 <= frozen <= max(order.payer_total - refunded - shared, 0)

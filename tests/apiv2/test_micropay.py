"""A payment by code ends with an outcome that is certain, and an order that may be paid is never reversed."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from tests.apiv2.conftest import KEY, fields_of, reply, signed
from tests.service import Reply, certificate_pem, new_certificate
from wechatpay_chain import (
    APIError,
    ArgumentError,
    AuthenticationError,
    BadRequestError,
    Client,
    ConfigurationError,
    TransportError,
    micropay,
)
from wechatpay_chain.sandbox import Sandbox

FIELDS = {
    "appid": "wx1",
    "body": "公仔",
    "out_trade_no": "m-1",
    "total_fee": 100,
    "spbill_create_ip": "203.0.113.7",
    "auth_code": "130000000000000000",
}
ORDER = {"out_trade_no": "m-1", "total_fee": "100", "transaction_id": "4200"}
PAYING = signed({"result_code": "FAIL", "err_code": "USERPAYING"})
BROKEN = reply({"return_code": "SUCCESS", "result_code": "SUCCESS", **ORDER, "sign": "0" * 32})
NO_ORDER = signed({"result_code": "FAIL", "err_code": "ORDERNOTEXIST"})
NOT_FOUND = Reply(404, {}, b"<html>nginx")


def state(name, **more):
    return signed({**ORDER, "trade_state": name, **more})


class Clock:
    """The time, which passes only where somebody sleeps."""

    def __init__(self):
        self.now, self.slept = 1000.0, []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds

    async def sleep_async(self, seconds):
        self.sleep(seconds)


class Till:
    """A service whose responses are scripts by path: a list, whose last one is repeated."""

    def __init__(self, **scripts):
        self.scripts, self.calls = scripts, []

    def __call__(self, received):
        name = received.target.rpartition("/")[2]
        self.calls.append(name)
        if name != "micropay":
            fields = fields_of(received.body)
            assert fields["out_trade_no"] == "m-1"
            assert not {"auth_code", "body", "total_fee"} & fields.keys()
        script = self.scripts[name]
        return script.pop(0) if len(script) > 1 else script[0]


@pytest.fixture
def clock(monkeypatch):
    """The time of micropay alone: that of an event loop goes on as it is."""
    clock = Clock()
    monkeypatch.setattr(micropay, "time", clock)
    monkeypatch.setattr(micropay, "asyncio", SimpleNamespace(sleep=clock.sleep_async))
    return clock


@pytest.fixture
def client(service, wire):
    own = {"apiv2_key": KEY, "certificate": certificate_pem(new_certificate(service.merchant))}
    with Client(**{**service.settings(wire.base_url), **own}) as client:
        yield client


@pytest.fixture(params=["sync", "async"])
def pay(request, client, clock):
    def run(fields=FIELDS, **arguments):
        if request.param == "sync":
            return micropay.pay(client, fields, **arguments)
        return asyncio.run(micropay.pay_async(client, fields, **arguments))

    return run


class SlowTill(Till):
    """Its queries take time, in which the user may pay.

    Args:
        clock: the time.
        seconds: what each query takes, one after the other; the last one is repeated.
    """

    def __init__(self, clock, seconds, **scripts):
        super().__init__(**scripts)
        self.clock, self.seconds = clock, seconds

    def __call__(self, received):
        answer = super().__call__(received)
        if self.calls[-1] == "orderquery":
            self.clock.now += self.seconds.pop(0) if len(self.seconds) > 1 else self.seconds[0]
        return answer


def test_nothing_is_reversed_after_a_query_that_took_so_long_that_the_user_may_have_paid(pay, wire, clock):
    wire.respond = till = SlowTill(clock, [55], micropay=[PAYING], orderquery=[state("USERPAYING")])
    with pytest.raises(TransportError, match="may have paid") as raised:
        pay()
    assert raised.value.sent
    assert till.calls == ["micropay", *["orderquery"] * 4]


def test_an_outage_takes_no_longer_than_its_calls(pay, wire, clock):
    wire.respond = till = SlowTill(clock, [55], micropay=[PAYING], orderquery=[Reply(500)])
    with pytest.raises(TransportError, match="not known"):
        pay()
    assert till.calls == ["micropay", "orderquery"]


def test_a_query_that_took_long_is_repeated_before_an_order_is_reversed(pay, wire, clock):
    wire.respond = till = SlowTill(
        clock, [55, 1], micropay=[PAYING], orderquery=[state("USERPAYING")], reverse=[signed(recall="N")]
    )
    assert pay().outcome == "reversed"
    assert till.calls == ["micropay", "orderquery", "orderquery", "reverse"]
    wire.respond = till = SlowTill(
        clock, [55, 1], micropay=[PAYING], orderquery=[state("USERPAYING"), state("SUCCESS")]
    )
    assert pay().outcome == "paid"
    assert till.calls == ["micropay", "orderquery", "orderquery"]


def test_a_payment_at_once_is_one_call(pay, wire):
    wire.respond = till = Till(micropay=[signed(ORDER)])
    result = pay()
    assert (result.outcome, result.fields["transaction_id"]) == ("paid", "4200")
    assert till.calls == ["micropay"]
    assert "4200" not in repr(result)


@pytest.mark.parametrize(
    "first",
    [
        PAYING,
        signed({"result_code": "FAIL", "err_code": "SYSTEMERROR"}),
        signed({"result_code": "FAIL", "err_code": "BANKERROR"}),
        signed({"result_code": "FAIL", "err_code": "A_NEW_CODE"}),
        signed({"result_code": "FAIL", "err_code": "ORDERPAID"}),
        reply({"return_code": "FAIL", "err_code": "SYSTEMERROR"}),
        signed({"result_code": "FAIL", "err_code": "FREQUENCY_LIMITED"}),
        Reply(500),
        Reply(200, {}, b"<html>"),
        BROKEN,
        signed({**ORDER, "out_trade_no": "m-2"}),
        signed({**ORDER, "total_fee": "1"}),
        None,
    ],
    ids=[
        "paying",
        "system",
        "bank",
        "new",
        "paid",
        "unaccepted",
        "frequency",
        "500",
        "html",
        "unsigned",
        "another",
        "amount",
        "silence",
    ],
)
def test_an_open_outcome_is_queried_until_it_is_certain(pay, wire, first):
    wire.respond = till = Till(micropay=[first], orderquery=[state("USERPAYING"), Reply(502), BROKEN, state("SUCCESS")])
    assert pay().outcome == "paid"
    assert till.calls == ["micropay", *["orderquery"] * 4]


REFUSALS = ["NOTENOUGH", "AUTHCODEEXPIRE", "AUTH_CODE_INVALID", "ORDERREVERSED", "OUT_TRADE_NO_USED"]


@pytest.mark.parametrize("code", REFUSALS)
@pytest.mark.parametrize("found", [NO_ORDER, state("CLOSED"), state("PAYERROR")])
def test_a_refusal_is_raised_when_a_query_confirms_it(pay, wire, clock, code, found):
    wire.respond = till = Till(micropay=[signed({"result_code": "FAIL", "err_code": code})], orderquery=[found])
    with pytest.raises(BadRequestError) as refused:
        pay()
    assert refused.value.code == code
    assert till.calls == ["micropay", "orderquery"]
    assert sum(clock.slept) == 0


@pytest.mark.parametrize("code", REFUSALS)
@pytest.mark.parametrize(("name", "outcome"), [("SUCCESS", "paid"), ("REVOKED", "reversed"), ("REFUND", "refunded")])
def test_a_refusal_of_a_second_call_is_not_the_outcome_of_the_order(pay, wire, code, name, outcome):
    """A caller that tries again after an error has an order that may be paid, and a code that has expired."""
    wire.respond = till = Till(micropay=[signed({"result_code": "FAIL", "err_code": code})], orderquery=[state(name)])
    assert pay().outcome == outcome
    assert till.calls == ["micropay", "orderquery"]


@pytest.mark.parametrize("first", ["USERPAYING", "NOTPAY", "ACCEPT"])
def test_after_a_refusal_an_earlier_call_may_still_pay(pay, wire, first):
    refused = signed({"result_code": "FAIL", "err_code": "AUTHCODEEXPIRE"})
    wire.respond = Till(micropay=[refused], orderquery=[state(first), Reply(500), state("SUCCESS")])
    assert pay().outcome == "paid"


def test_a_refusal_is_raised_when_two_queries_find_an_order_that_nobody_pays(pay, wire, clock):
    refused = signed({"result_code": "FAIL", "err_code": "NOTENOUGH"})
    wire.respond = till = Till(micropay=[refused], orderquery=[state("NOTPAY")])
    with pytest.raises(BadRequestError, match="NOTENOUGH"):
        pay()
    assert till.calls == ["micropay", "orderquery", "orderquery"]
    assert clock.slept == [0, 5]


def test_a_refusal_that_no_query_confirms_is_an_open_outcome(pay, wire):
    refused = signed({"result_code": "FAIL", "err_code": "OUT_TRADE_NO_USED"})
    wire.respond = Till(micropay=[refused], orderquery=[NOT_FOUND])
    with pytest.raises(TransportError, match="nothing was reversed"):
        pay()


@pytest.mark.parametrize("fail", ["缺少参数", "签名错误"])
def test_a_message_that_was_not_accepted_is_raised_after_one_query(pay, wire, clock, fail):
    refused = reply({"return_code": "FAIL", "return_msg": fail})
    wire.respond = till = Till(micropay=[refused], orderquery=[NO_ORDER])
    with pytest.raises(APIError, match=fail):
        pay()
    assert till.calls == ["micropay", "orderquery"]
    assert clock.slept == [5]
    wire.respond = Till(micropay=[refused], orderquery=[*[state("NOTPAY")] * 3, state("SUCCESS")])
    assert pay().outcome == "paid", "nobody has signed the refusal"


def test_a_key_that_the_service_does_not_accept_is_found_by_one_query(pay, wire):
    refused = reply({"return_code": "FAIL", "return_msg": "签名错误"})
    wire.respond = till = Till(micropay=[refused], orderquery=[refused])
    with pytest.raises(TransportError, match="for one reason") as open_end:
        pay()
    assert open_end.value.sent, "an earlier call with another key may have paid"
    assert isinstance(open_end.value.__cause__, AuthenticationError)
    assert till.calls == ["micropay", "orderquery"]


@pytest.mark.parametrize("refused", [signed({"result_code": "FAIL", "err_code": "APPID_NOT_EXIST"})])
def test_a_payment_and_a_query_that_are_refused_alike_end_at_once(pay, wire, refused):
    wire.respond = till = Till(micropay=[refused], orderquery=[refused])
    with pytest.raises(TransportError) as open_end:
        pay()
    assert open_end.value.__cause__.code == "APPID_NOT_EXIST"
    assert till.calls == ["micropay", "orderquery"]


def test_a_number_of_another_sale_is_a_refusal(pay, wire):
    used = signed({"result_code": "FAIL", "err_code": "OUT_TRADE_NO_USED"})
    wire.respond = till = Till(micropay=[used], orderquery=[state("SUCCESS", total_fee="200")])
    with pytest.raises(BadRequestError, match="OUT_TRADE_NO_USED"):
        pay()
    assert till.calls == ["micropay", "orderquery"]


@pytest.mark.parametrize("code", ["OUT_TRADE_NO_USED", "INVALID_REQUEST", "TRADE_ERROR"])
def test_a_number_that_another_call_is_paying_is_reversed_at_the_end(pay, wire, code):
    used = signed({"result_code": "FAIL", "err_code": code})
    reverse = [signed({"recall": "N"})]
    wire.respond = Till(micropay=[used], orderquery=[*[state("NOTPAY")] * 3, state("SUCCESS")], reverse=reverse)
    assert pay().outcome == "paid"
    wire.respond = Till(micropay=[used], orderquery=[state("NOTPAY")], reverse=reverse)
    assert pay().outcome == "reversed"


def test_queries_that_confirm_a_refusal_have_a_time_between_them(pay, wire, clock):
    refused = signed({"result_code": "FAIL", "err_code": "NOTENOUGH"})
    wire.respond = Till(micropay=[refused], orderquery=[state("NOTPAY")])
    with pytest.raises(BadRequestError):
        pay(interval=1)
    assert clock.slept == [0, 5]


@pytest.mark.parametrize(
    ("name", "outcome"), [("CLOSED", "unpaid"), ("PAYERROR", "unpaid"), ("REVOKED", "reversed"), ("REFUND", "refunded")]
)
def test_an_end_that_a_query_finds_is_the_outcome(pay, wire, name, outcome):
    wire.respond = till = Till(micropay=[PAYING], orderquery=[state("USERPAYING"), state(name)])
    assert pay().outcome == outcome
    assert "reverse" not in till.calls


@pytest.mark.parametrize("last", [state("USERPAYING"), state("NOTPAY"), NO_ORDER], ids=["paying", "unpaid", "no order"])
def test_an_order_that_is_not_paid_in_time_is_reversed(pay, wire, clock, last):
    recall = signed({"recall": "Y"})
    answers = [Reply(500), recall, signed(), BROKEN, signed({"recall": "N"})]
    wire.respond = till = Till(micropay=[PAYING], orderquery=[last], reverse=answers)
    result = pay()
    assert (result.outcome, result.fields["recall"]) == ("reversed", "N")
    assert till.calls.count("reverse") == 5
    first = till.calls.index("reverse")
    assert till.calls[first - 1] == "orderquery"
    assert sum(clock.slept[: first - 1]) >= 45


def test_no_wait_is_longer_than_what_is_left(pay, wire, clock):
    wire.respond = Till(micropay=[PAYING], orderquery=[state("USERPAYING")], reverse=[signed({"recall": "N"})])
    pay(patience=15, interval=10)
    assert clock.slept == [10, 5]


def test_patience_begins_with_the_response(pay, wire, clock):
    """A reversal within 15 seconds of the payment is too early, and the call itself may take long."""

    def respond(received):
        clock.now += 14.0 if received.target.endswith("micropay") else 0.0
        return till(received)

    wire.respond = respond
    till = Till(micropay=[PAYING], orderquery=[state("USERPAYING")], reverse=[signed({"recall": "N"})])
    pay(patience=15)
    assert sum(clock.slept) == 15


def test_patience_and_interval_can_be_chosen(pay, wire, clock):
    wire.respond = till = Till(micropay=[PAYING], orderquery=[state("USERPAYING")], reverse=[signed({"recall": "N"})])
    pay(patience=15, interval=1)
    assert till.calls.count("orderquery") == 15
    assert clock.now == 1015.0


@pytest.mark.parametrize(
    "unclear",
    [
        Reply(500),
        BROKEN,
        None,
        state("A_NEW_STATE"),
        state("USERPAYING", out_trade_no="m-2"),
        NOT_FOUND,
        reply({"return_code": "FAIL", "err_code": "ORDERNOTEXIST"}),
    ],
)
def test_nothing_is_reversed_unless_a_query_says_that_it_is_not_paid(pay, wire, unclear):
    """The order may be paid. Somebody who can break queries must not be able to give the money back."""
    wire.respond = till = Till(micropay=[PAYING], orderquery=[state("USERPAYING"), unclear])
    with pytest.raises(TransportError, match="nothing was reversed") as open_end:
        pay()
    assert open_end.value.sent
    assert "reverse" not in till.calls


def test_a_payment_in_the_last_second_is_a_payment(pay, wire):
    wire.respond = till = Till(micropay=[PAYING], orderquery=[*[state("USERPAYING")] * 8, state("SUCCESS")])
    assert pay().outcome == "paid"
    assert till.calls.count("orderquery") == 9


def test_a_reversal_that_is_not_confirmed_is_an_error(pay, wire):
    wire.respond = till = Till(micropay=[PAYING], orderquery=[state("NOTPAY")], reverse=[Reply(500)])
    with pytest.raises(TransportError, match="whether 'm-1' is reversed"):
        pay()
    assert till.calls.count("reverse") == micropay.REVERSALS


@pytest.mark.parametrize("code", ["REVERSE_EXPIRE", "TRADE_ERROR"])
def test_a_refused_reversal_is_no_refusal_of_the_payment(pay, wire, code):
    reverse = signed({"result_code": "FAIL", "err_code": code})
    wire.respond = till = Till(micropay=[PAYING], orderquery=[state("NOTPAY")], reverse=[reverse])
    with pytest.raises(TransportError, match="whether 'm-1' is reversed") as open_end:
        pay()
    assert open_end.value.sent
    assert open_end.value.__cause__.err_code == code
    assert till.calls.count("reverse") == 1


@pytest.mark.parametrize(
    "first",
    [
        signed({"result_code": "FAIL", "err_code": "FREQUENCY_LIMITED"}),
        signed({"result_code": "FAIL", "err_code": "TRADE_ERROR", "recall": "Y"}),
        reply({"return_code": "FAIL", "return_msg": "busy"}),
        Reply(429),
        NOT_FOUND,
    ],
)
def test_a_reversal_is_repeated_until_the_service_confirms_it(pay, wire, first):
    reverse = [first, signed({"recall": "N"})]
    wire.respond = Till(micropay=[PAYING], orderquery=[state("NOTPAY")], reverse=reverse)
    assert pay().outcome == "reversed"
    wire.respond = Till(micropay=[PAYING], orderquery=[state("NOTPAY")], reverse=[first, NO_ORDER])
    assert pay().outcome == "unpaid"


def test_a_payment_that_was_never_sent_is_no_open_outcome(clock, service):
    settings = {**service.settings("http://127.0.0.1:9/"), "apiv2_key": KEY}
    with Client(**settings, certificate=certificate_pem(new_certificate(service.merchant))) as client:
        with pytest.raises(TransportError) as failed:
            micropay.pay(client, FIELDS)
        assert not failed.value.sent
    assert clock.slept == []


@pytest.mark.parametrize(
    ("fields", "arguments"),
    [
        ({**FIELDS, "out_trade_no": ""}, {}),
        ({**FIELDS, "out_trade_no": 5}, {}),
        ("<xml/>", {}),
        ({**FIELDS, "deposit": "Y"}, {}),
        (FIELDS, {"patience": 14}),
        (FIELDS, {"patience": float("nan")}),
        (FIELDS, {"interval": 0}),
        (FIELDS, {"interval": 11}),
        (FIELDS, {"interval": True}),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(pay, wire, fields, arguments):
    with pytest.raises(ArgumentError):
        pay(fields, **arguments)
    assert wire.received == []


def test_without_the_certificate_nothing_is_sent(service, wire):
    """Otherwise the need for it would show at the reversal."""
    with (
        Client(**service.settings(wire.base_url), apiv2_key=KEY) as client,
        pytest.raises(ConfigurationError, match="certificate"),
    ):
        micropay.pay(client, FIELDS)
    assert wire.received == []


def test_the_sandbox_asks_its_user(clock, monkeypatch):
    with Sandbox() as sandbox, sandbox.client(retry=None) as client:
        assert micropay.pay(client, {**FIELDS, "appid": "wx8888888888888888"}).outcome == "paid"
        large = {**FIELDS, "appid": "wx8888888888888888", "out_trade_no": "m-22222", "total_fee": 100_001}
        wait = clock.sleep

        def type_the_password(seconds):
            wait(seconds)
            if len(clock.slept) == 3:
                sandbox.pay("m-22222", notify=False)

        monkeypatch.setattr(micropay.time, "sleep", type_the_password)
        assert micropay.pay(client, large).outcome == "paid"
        monkeypatch.setattr(micropay.time, "sleep", wait)
        assert micropay.pay(client, {**large, "out_trade_no": "m-33333"}).outcome == "reversed"
        assert sandbox.orders["m-33333"].trade_state == "REVOKED"

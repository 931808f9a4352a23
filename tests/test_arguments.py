"""The arguments of a call are written as they are, or refused with their path before anything is sent."""

from __future__ import annotations

import dataclasses
import enum
import json
import uuid
from collections import deque
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType

import pytest

from tests.test_template import PATHS
from wechatpay_chain import ArgumentError, PathVariableError, Sensitive

SECRET = "6222000000000000"


class Trade(enum.Enum):
    JSAPI = SECRET


class Currency(str, enum.Enum):
    CNY = "CNY"


class Level(enum.IntEnum):
    TOP = 7


@dataclasses.dataclass
class Order:
    number: str = SECRET


class Model:
    def model_dump(self, mode: str = "python") -> dict[str, str]:
        return {"number": SECRET}


class Scalar:
    """Has the members of a numpy scalar."""

    ndim = 0

    def tolist(self) -> int:
        return 1


CHINA = timezone(timedelta(hours=8))
AWARE = datetime(2026, 1, 1, 10, 0, 0, 999, tzinfo=CHINA)
NAIVE = AWARE.replace(tzinfo=None)

UNSERIALIZABLE = [
    (Decimal("1.5"), "is a Decimal; write int(…)"),
    (NAIVE, "is a datetime; add its time zone"),
    (time(10), 'is a time; write .isoformat(timespec="seconds")'),
    (timedelta(days=1), "is a timedelta; write int(….total_seconds())"),
    (uuid.UUID(int=1), "is a UUID; write str(…)"),
    (Trade.JSAPI, "is a Trade; write its .value"),
    ({SECRET}, "is a set; write list(…)"),
    (deque([SECRET]), "is a deque; write list(…)"),
    (SECRET.encode(), "is bytes; write a str"),
    (bytearray(SECRET.encode()), "is a bytearray; write a str"),
    (Order(), "is an Order; write dataclasses.asdict(…)"),
    (Model(), 'is a Model; write .model_dump(mode="json")'),
    (Scalar(), "is a Scalar; write .item()"),
    (object(), "is an object; expected a str"),
    (MappingProxyType({"a": SECRET}), "is a mappingproxy; write dict(…)"),
    (float("nan"), "is NaN or Infinity"),
    (float("-inf"), "is NaN or Infinity"),
    (SECRET + "\ud800", "contains an unpaired surrogate"),
    (10**5000, "is a number with too many digits"),
    ({6222000000000000: 1}, "has a key that is an int; keys must be str"),
    ({True: 1}, "has a key that is a bool; keys must be str"),
    ({None: 1}, "has a key that is None; keys must be str"),
    ({f"{SECRET}\udfff": 1}, "has a key that contains an unpaired surrogate"),
]


def assert_refused(send, node, **arguments) -> str:
    with pytest.raises(ArgumentError) as caught:
        send(node, "post", **arguments)
    assert caught.value.sent is False
    assert SECRET not in f"{caught.value}{caught.value!r}"
    return str(caught.value)


@pytest.mark.parametrize(("value", "fault"), UNSERIALIZABLE, ids=lambda value: type(value).__name__)
def test_a_value_that_json_cannot_hold_is_named_by_its_path(client, wire, send, value, fault):
    node = client.v3.x
    assert f"json: amount.total {fault}" in assert_refused(send, node, json={"amount": {"total": value}})
    items = [{}, {}, {"quantity": value}]
    assert f"json: goods_detail[2].quantity {fault}" in assert_refused(send, node, json={"goods_detail": items})
    if isinstance(value, MappingProxyType):
        return  # a mapping beside a Sensitive is copied, and so accepted
    with_sensitive = {"name": Sensitive("张三"), "amount": (1, value)}
    assert f"json: amount[1] {fault}" in assert_refused(send, node, json=with_sensitive)
    assert f"params: scene.total {fault}" in assert_refused(send, node, params={"scene": {"total": value}})
    assert not wire.received


@pytest.mark.parametrize(("value", "fault"), UNSERIALIZABLE[:-4], ids=lambda value: type(value).__name__)
def test_a_value_that_a_query_cannot_hold_is_named(client, wire, send, value, fault):
    if isinstance(value, MappingProxyType):
        value, fault = MappingProxyType({"a": {SECRET}}), "is a mappingproxy; write dict(…)"
    assert f"params: total {fault}" in assert_refused(send, client.v3.x, params={"total": value})
    assert f"params: total[1] {fault}" in assert_refused(send, client.v3.x, params=[("total", [1, value])])
    assert not wire.received


@pytest.mark.parametrize("params", [{1: "a"}, [(1, "a")], [(None, "a")], [(b"x", "a")], {"\ud800": "a"}])
def test_the_names_of_a_query_must_be_strings(client, wire, send, params):
    assert "params: it has a key that" in assert_refused(send, client.v3.x, params=params)
    assert not wire.received


@pytest.mark.parametrize(
    "value",
    [value for value, _ in UNSERIALIZABLE if not isinstance(value, (dict, MappingProxyType))]
    + [1.5, True, None, [[SECRET]]],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_a_path_cannot_hold_is_named_by_its_variable(client, wire, send, value):
    with pytest.raises(PathVariableError, match=r"^v3/\{number\}: number ") as caught:
        send(client.v3._number_, "get", number=value)
    assert SECRET not in str(caught.value)
    assert not wire.received


def test_the_error_of_a_path_variable_says_what_to_write(client, send):
    for value, advice in (
        (NAIVE, "add its time zone"),
        (uuid.UUID(int=1), r"write str\(…\)"),
        (Trade.JSAPI, r"\.value"),
    ):
        with pytest.raises(PathVariableError, match=advice):
            send(client.v3._number_, "get", number=value)


@pytest.mark.parametrize("body", [json.dumps({"card": SECRET}), SECRET, "", SECRET.encode(), bytearray(b"x")])
def test_a_body_that_is_already_encoded_is_refused(client, wire, send, body):
    message = assert_refused(send, client.v3.x, json=body)
    assert "json: came" in message
    assert "expected a dict or a list; the client encodes json= itself, so leave json.dumps out" in message
    assert not wire.received


@pytest.mark.parametrize("body", [1, 1.5, True, False, 0, Decimal(1), AWARE, Order(), {1}, Model(), Sensitive(SECRET)])
def test_a_body_that_is_neither_a_dict_nor_a_list_is_refused(client, wire, send, body):
    assert "expected a dict or a list" in assert_refused(send, client.v3.x, json=body)
    assert not wire.received


def test_a_body_that_contains_itself_or_is_too_deep_is_refused(client, wire, send):
    loop: dict[str, object] = {}
    loop["a"] = [loop]
    assert "json: a[0] contains itself" in assert_refused(send, client.v3.x, json=loop)
    assert "params: a.a[0] contains itself" in assert_refused(send, client.v3.x, params={"a": loop})
    deep: object = SECRET
    for _ in range(100_000):
        deep = [deep]
    assert "nested deeper" in assert_refused(send, client.v3.x, json=deep)
    assert "nested deeper" in assert_refused(send, client.v3.x, json=[Sensitive("x"), deep])
    assert not wire.received


def test_a_body_that_is_deep_and_wide_is_refused_at_once(client, send):
    twins: object = SECRET
    for _ in range(3000):
        twins = [twins, twins]
    assert "nested deeper" in assert_refused(send, client.v3.x, json=twins)


def test_a_sensitive_body_is_refused_without_advice_about_json_dumps(client, send):
    message = assert_refused(send, client.v3.x, json=Sensitive(SECRET))
    assert "json: came a Sensitive" in message
    assert "json.dumps" not in message


def test_names_after_a_sensitive_value_must_be_strings_too(client, wire, send):
    assert "json: [1] has a key that is an int" in assert_refused(send, client.v3.x, json=[Sensitive("x"), {1: 2}])
    assert "params: o has a key that is an int" in assert_refused(
        send, client.v3.x, params={"s": Sensitive("x"), "o": {1: 2}}
    )
    assert not wire.received


def test_a_path_with_control_characters_is_shown_on_one_short_line(client, send):
    message = assert_refused(send, client.v3.x, json={"a\n\x1b": {"名" * 500: Decimal(1)}})
    assert message.isprintable()
    assert len(message) < 300


def test_dates_are_written_in_iso_8601(client, wire, service, send):
    send(client.v3.x, "get", params={"bill_date": date(2026, 1, 1), "begin": AWARE, "each": [date(2026, 1, 2), 3]})
    send(client["v3/{day}/{moment}"], "get", day=date(2026, 1, 1), moment=AWARE)
    query, path = wire.received
    assert query.target == "/v3/x?bill_date=2026-01-01&begin=2026-01-01T10%3A00%3A00%2B08%3A00&each=2026-01-02&each=3"
    assert path.target == "/v3/2026-01-01/2026-01-01T10%3A00%3A00%2B08%3A00"
    assert query.is_signed_by(service.merchant)
    assert path.is_signed_by(service.merchant)


def test_an_enum_that_is_a_str_or_an_int_is_written_as_its_value(client, wire, send):
    send(client["v3/{a}/{b}"], "post", a=Currency.CNY, b=Level.TOP, params={"c": Currency.CNY, "d": Level.TOP},
         json={"e": Currency.CNY, "f": [Level.TOP]})  # fmt: skip
    (received,) = wire.received
    assert received.target == "/v3/CNY/7?c=CNY&d=7"
    assert received.body == b'{"e":"CNY","f":[7]}'


# Chains of APIv2


V2_PATHS = sorted(path.removeprefix("/v2/") for path in PATHS if path.startswith("/v2/"))


def test_every_documented_path_of_apiv2_is_refused_without_v2_before_it(client, wire):
    assert len(V2_PATHS) > 100
    for path in V2_PATHS:
        for node in (client[path], client.chain(f"/{path}"), client[f"{path}?key={SECRET}"]):
            with pytest.raises(ArgumentError, match="belongs to APIv2; begin the chain with v2") as caught:
                node.post(json="<xml/>")
            assert SECRET not in str(caught.value)
    assert not wire.received


@pytest.mark.parametrize("path", ["v3/pay/x", "hk/v3/x", "global/v3/x", "payments/x", "v4/pay", "x/pay/y"])
def test_other_chains_are_sent(client, wire, send, path):
    send(client[path], "post", json={})
    assert wire.received[0].target == f"/{path}"

"""The functions of the recipes keep money safe: when a connection breaks, a response is about something else, or a file is cut."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from tests.test_docs import DOCS, ORDER, pieces
from wechatpay_chain import TransportError
from wechatpay_chain.sandbox import Sandbox


@pytest.fixture(scope="module")
def service():
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(service):
    service.reset()
    return service


@pytest.fixture
def client(sandbox):
    with sandbox.client(retry=None) as client:
        yield client


@pytest.fixture
def functions_of(client):
    def load(name: str) -> dict[str, Any]:
        """Returns what a reader keeps of a page: its functions, with the nodes, constants and logger that they need."""
        tree = ast.parse("\n".join(pieces(DOCS / "en" / "recipes" / name)))
        tree.body = [statement for statement in tree.body if is_kept(statement)]
        scope = {"client": client, "__name__": "page"}
        exec(compile(tree, name, "exec"), scope)
        return scope

    return load


def is_kept(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Assign):
        (target,) = statement.targets
        is_node = isinstance(statement.value, ast.Attribute)
        return isinstance(target, ast.Name) and (is_node or target.id.isupper() or target.id == "logger")
    return isinstance(statement, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))


def place(client, number: str) -> None:
    client.v3.pay.transactions.native.post(json={**ORDER, "mchid": client.mchid, "out_trade_no": number})


def test_a_code_payment_whose_response_is_lost_is_found_and_not_charged_again(functions_of, sandbox):
    charge = functions_of("codepay.md")["charge"]
    sandbox.fault("dropped-after")
    payment = charge("code-0001", 100, "130061098828009406", "0001", pause=0)
    assert payment["transaction_id"] == sandbox.orders["code-0001"].payment.transaction_id
    assert [seen.call.target for seen in sandbox.history].count("/v3/pay/transactions/codepay") == 1


def test_a_code_payment_that_the_user_paid_at_last_is_not_reversed(functions_of, client, sandbox):
    recipe = functions_of("codepay.md")
    recipe["submit"]("code-0001", 200_000, "130061098828009406", "0001")
    sandbox.pay("code-0001", notify=False)
    assert recipe["reverse"]("code-0001", 200_000)["trade_state"] == "SUCCESS"
    assert sandbox.orders["code-0001"].trade_state == "SUCCESS"


def test_a_refund_that_is_repeated_after_a_lost_response_is_one_refund(functions_of, client, sandbox):
    apply_refund = functions_of("refund.md")["apply_refund"]
    place(client, "order-0001")
    sandbox.pay("order-0001", notify=False)
    sandbox.fault("dropped-after")
    with pytest.raises(TransportError):
        apply_refund("refund-0001", "order-0001", 30, 100, "one item")
    apply_refund("refund-0001", "order-0001", 30, 100, "one item")
    assert [refund.amount for refund in sandbox.orders["order-0001"].refunds] == [30]


def test_a_refund_with_another_number_or_amount_is_told_apart(functions_of):
    check_refund = functions_of("refund.md")["check_refund"]
    found = {"out_refund_no": "r1", "out_trade_no": "o1", "amount": {"refund": 30, "total": 100}}
    assert check_refund(found, "r1", "o1", 30, 100) is found
    for asked in (("r2", "o1", 30, 100), ("r1", "o2", 30, 100), ("r1", "o1", 31, 100), ("r1", "o1", 30, 101)):
        with pytest.raises(ValueError, match="another refund"):
            check_refund(found, *asked)


def test_a_transfer_that_is_repeated_after_a_lost_response_is_one_transfer(functions_of, sandbox):
    start_transfer = functions_of("transfer.md")["start_transfer"]
    arguments = ("transfer0001", "o-MYE42l80oelYMDE34nYD456Xoy", 200_000, "reward", "Zhang San")
    sandbox.fault("dropped-after")
    with pytest.raises(TransportError):
        start_transfer(*arguments)
    made = start_transfer(*arguments)
    assert [transfer.transfer_bill_no for transfer in sandbox.transfers.values()] == [made["transfer_bill_no"]]


def test_a_job_of_queries_records_what_matches_and_goes_on_after_a_failure(functions_of, client, sandbox):
    check_unpaid = functions_of("query.md")["check_unpaid"]
    for number in ("order-0001", "order-0002", "order-0003"):
        place(client, number)
        sandbox.pay(number, notify=False)
    sandbox.fault("503")
    recorded = []
    check_unpaid([("order-0001", 100), ("order-0002", 99), ("order-0003", 100)], recorded.append)
    assert [payment["out_trade_no"] for payment in recorded] == ["order-0003"]


BILL = (
    "\ufeff交易时间,商品名称,订单金额\r\n`2026-01-01 12:00:00,`公仔,大号,`1.00\r\n总交易单数,订单总金额\r\n`1,`1.00\r\n"
)

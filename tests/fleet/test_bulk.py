"""A bulk job acts on each line once: also with faults, with several attempts, and after it was killed."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.service import Reply
from wechatpay_chain import (
    ArgumentError,
    AuthenticationError,
    Client,
    RedirectionError,
    Retry,
    Sensitive,
    TransportError,
    crypto,
)
from wechatpay_chain._bulk import bulk as running
from wechatpay_chain._bulk.lines import Shape, read_lines
from wechatpay_chain._bulk.repeating import is_repeatable
from wechatpay_chain._cli.main import main
from wechatpay_chain.sandbox import Sandbox

PATH = "v3/marketing/partner/product-coupon/users/{openid}/pre-send-coupon"
TRANSFER = {
    "appid": "wxf636efh567hg4356",
    "transfer_scene_id": "1000",
    "openid": "o-MYE42l80oelYMDE34nYD456Xoy",
    "transfer_remark": "新会员开通有礼",
    "transfer_scene_report_infos": [{"info_type": "活动名称", "info_content": "新会员有礼"}],
}


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch):
    monkeypatch.setattr(running, "FIRST_BACKOFF", 0.01)


def run(client, *arguments, **how):
    """Runs a job to its end, and returns its results by line, and the job."""

    async def collect():
        async with client:
            job = client.bulk(*arguments, **how)
            return {result.line: result async for result in job}, job

    return asyncio.run(collect())


def lines_of(count):
    return [{"openid": f"o{number}", "out_request_no": f"R{number}"} for number in range(1, count + 1)]


@pytest.fixture
def acts(service, wire):
    """Counts what a service acts on: each number once, and everything that has none."""
    acts = Counter()

    def respond(received):
        body = json.loads(received.body)
        number = body.get("out_request_no")
        key = number or received.target
        if not number or number not in acts:
            acts[key] += 1
        return service.signed(json.dumps({"key": key}).encode())

    wire.respond = respond
    return acts


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_line_becomes_a_call_and_a_result(client, wire, acts, tmp_path):
    results, job = run(client, "POST", PATH, lines_of(40), results=tmp_path / "r.jsonl", json={"stock_id": "S1"})
    assert sorted(results) == list(range(1, 41))
    assert {(result.outcome, result.status, result.code, result.attempts) for result in results.values()} == {
        ("done", 200, "", 1)
    }
    assert results[7].response == {"key": "R7"}
    assert acts == Counter(f"R{number}" for number in range(1, 41))
    sent = {received.target: json.loads(received.body) for received in wire.received}
    assert sent["/v3/marketing/partner/product-coupon/users/o7/pre-send-coupon"] == {
        "stock_id": "S1",
        "out_request_no": "R7",
    }
    assert job.counts == Counter({("done", ""): 40})
    written = {record["line"]: record for record in read(tmp_path / "r.jsonl")}
    assert written[7]["response"] == {"key": "R7"}
    assert stat.S_IMODE((tmp_path / "r.jsonl").stat().st_mode) == 0o600
    assert not (tmp_path / "r.jsonl.begun").exists()


def test_a_job_that_is_started_again_sends_nothing_twice(service, wire, acts, tmp_path):
    settings, lines = service.settings(wire.base_url), lines_of(30)
    run(Client(**settings), "POST", PATH, lines[:20], results=tmp_path / "r.jsonl")
    assert len(wire.received) == 20
    results, job = run(Client(**settings), "POST", PATH, lines, results=tmp_path / "r.jsonl")
    assert sorted(results) == list(range(21, 31))
    assert job.skipped == 20
    assert len(wire.received) == 30
    results, job = run(Client(**settings), "POST", PATH, lines, results=tmp_path / "r.jsonl")
    assert results == {}
    assert job.skipped == 30


def test_an_input_that_has_changed_is_refused(service, wire, acts, tmp_path):
    settings, lines = service.settings(wire.base_url), lines_of(5)
    run(Client(**settings), "POST", PATH, lines, results=tmp_path / "r.jsonl")
    with pytest.raises(ArgumentError, match="results: line 3 is not the one that has a result there"):
        run(Client(**settings), "POST", PATH, [*lines[:2], *lines[3:]], results=tmp_path / "r.jsonl")
    assert len(wire.received) == 5


def test_a_refusal_is_final_and_the_others_go_on(service, wire, tmp_path):
    def respond(received):
        if json.loads(received.body)["out_request_no"] in ("R2", "R4"):
            return Reply(400, {"Request-ID": "08"}, '{"code":"PARAM_ERROR","message":"参数错误"}'.encode())
        return service.signed(b"{}")

    wire.respond = respond
    settings = service.settings(wire.base_url)
    results, job = run(Client(**settings), "POST", PATH, lines_of(5), results=tmp_path / "r.jsonl")
    assert results[2].outcome == "refused"
    assert (results[2].status, results[2].code, results[2].request_id) == (400, "PARAM_ERROR", "08")
    assert "参数错误" in results[2].message
    assert job.counts == Counter({("done", ""): 3, ("refused", "PARAM_ERROR"): 2})
    results, job = run(Client(**settings), "POST", PATH, lines_of(5), results=tmp_path / "r.jsonl")
    assert (results, job.skipped) == ({}, 5)


def test_a_line_with_a_number_of_its_own_is_repeated_unchanged(service, wire, acts, tmp_path):
    inner, rng = wire.respond, random.Random(1)

    def respond(received):
        fault = rng.random()
        if fault < 0.1:
            return None  # not acted on
        reply = inner(received)
        if fault < 0.2:
            return None  # acted on, and the response is lost
        return Reply(500, {}, b'{"code":"SYSTEM_ERROR"}') if fault < 0.3 else Reply(429) if fault < 0.35 else reply

    wire.respond = respond
    results, _ = run(
        Client(**service.settings(wire.base_url)), "POST", PATH, lines_of(200), results=tmp_path / "r.jsonl"
    )
    assert {(result.outcome, result.code, result.message) for result in results.values()} == {("done", "", "")}
    assert acts == Counter(f"R{number}" for number in range(1, 201))
    bodies = {}
    for received in wire.received:
        bodies.setdefault(received.target, set()).add(received.body)
    assert all(len(same) == 1 for same in bodies.values()), "the very same bytes"
    assert max(result.attempts for result in results.values()) > 1


def test_a_line_without_one_is_sent_once_and_reported(service, wire, tmp_path):
    """Nobody can know whether it was acted on: the person who runs the job has to look."""

    def respond(received):
        return None if received.target.endswith("/3/response") else service.signed(b"{}")

    wire.respond = respond
    settings = service.settings(wire.base_url)
    lines = [{"complaint_id": str(number), "response_content": "已解决"} for number in range(1, 6)]
    path = "v3/merchant-service/complaints-v2/{complaint_id}/response"
    results, job = run(Client(**settings), "POST", path, lines, results=tmp_path / "r.jsonl")
    assert (results[3].outcome, results[3].code, results[3].attempts) == ("unknown", "TransportError", 1)
    assert len(wire.received) == 5
    assert (tmp_path / "r.jsonl.begun").exists() is False
    # The next runs do not send it either, until somebody who knows better says so.
    wire.respond = lambda received: service.signed(b"{}")
    for _ in range(2):
        results, job = run(Client(**settings), "POST", path, lines, results=tmp_path / "r.jsonl")
        assert [(result.line, result.outcome, result.code) for result in results.values()] == [
            (3, "unknown", "Interrupted")
        ]
        assert job.earlier == {"done": 4}
    assert len(wire.received) == 5
    (known,) = (record for record in read(tmp_path / "r.jsonl") if record["line"] == 3)
    assert known["code"] == "TransportError", "what is known of it is kept"
    results, job = run(Client(**settings), "POST", path, lines, results=tmp_path / "r.jsonl", repeat=True)
    assert [result.outcome for result in results.values()] == ["done"]
    assert job.skipped == 4


def test_a_line_that_was_not_sent_is_sent_by_the_next_run(service, wire, tmp_path):
    """Although it has no number of its own: it is known that nothing was sent."""
    path = "v3/merchant-service/complaints-v2/{complaint_id}/response"
    lines = [{"complaint_id": str(number), "response_content": "x"} for number in range(3)]
    nowhere = service.settings("http://127.0.0.1:9/")
    results, _ = run(Client(**nowhere), "POST", path, lines, results=tmp_path / "r.jsonl")
    assert [(result.outcome, result.attempts) for result in results.values()] == [("unsent", 3)] * 3
    wire.respond = lambda received: service.signed(b"{}")
    results, _ = run(Client(**service.settings(wire.base_url)), "POST", path, lines, results=tmp_path / "r.jsonl")
    assert [result.outcome for result in results.values()] == ["done"] * 3
    assert len(wire.received) == 3


@pytest.mark.parametrize("change", ["method", "path", "json", "line"])
def test_results_of_another_job_are_not_taken_for_those_of_this_one(service, wire, tmp_path, change):
    wire.respond = lambda received: Reply(200, {}, b"{}") if change == "line" else service.signed(b"{}")
    settings, lines = service.settings(wire.base_url), lines_of(3)
    run(Client(**settings), "POST", PATH, lines, results=tmp_path / "r.jsonl", json={"stock_id": "S1"})
    method = "PUT" if change == "method" else "POST"
    path = PATH.replace("pre-send", "send") if change == "path" else PATH
    stock = "S2" if change == "json" else "S1"
    if change == "line":  # whose outcome is unknown: a new number could act twice
        lines[1] = {**lines[1], "out_request_no": "new"}
    with pytest.raises(ArgumentError, match="the input, the operation or json= has changed"):
        run(Client(**settings), method, path, lines, results=tmp_path / "r.jsonl", json={"stock_id": stock})


def test_a_column_that_is_misspelt_ends_the_job_before_it_begins(service, wire, tmp_path):
    lines = [{"open_id": "o1", "out_request_no": "R1"}]
    with pytest.raises(
        ArgumentError, match="line 1 has no value for openid, which the path needs; its names are open_id, out"
    ):
        run(Client(**service.settings(wire.base_url)), "POST", PATH, lines, results=tmp_path / "r.jsonl")
    assert read(tmp_path / "r.jsonl") == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("u.csv", "openid,n\no1,1\no2,2,3\n"),
        ("u.jsonl", '{"openid": "o1"}\n{"openid"\n'),
        ("u.jsonl", '{"openid": "o1"}\n[]\n'),
    ],
)
def test_a_line_that_cannot_be_read_ends_the_job_before_it_begins(service, wire, tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(ArgumentError, match="line 2 of"):
        run(
            Client(**service.settings(wire.base_url)),
            "POST",
            PATH,
            tmp_path / name,
            results=tmp_path / "r.jsonl",
            concurrency=1,
        )
    assert wire.received == []


def test_a_file_of_another_encoding_says_so(shop, tmp_path, capsys):
    (tmp_path / "transfers.csv").write_bytes("out_bill_no,transfer_remark\nB1,奖励\n".encode("gb18030"))
    assert main(command(tmp_path)) == 2
    assert "is not UTF-8; save it as CSV UTF-8" in capsys.readouterr().err


def test_a_refusal_of_a_repetition_does_not_say_what_became_of_the_first(service, wire, tmp_path):
    answers = [None, Reply(400, {}, b'{"code":"OUT_TRADE_NO_USED"}')]
    wire.respond = lambda received: answers.pop(0)
    results, _ = run(Client(**service.settings(wire.base_url)), "POST", PATH, lines_of(1), results=tmp_path / "r.jsonl")
    assert (results[1].outcome, results[1].code) == ("unknown", "OUT_TRADE_NO_USED")


def test_a_response_that_is_not_verified_is_unknown_and_not_asked_for_again_at_once(service, wire, tmp_path):
    wire.respond = lambda received: Reply(200, {}, b"{}")
    results, _ = run(Client(**service.settings(wire.base_url)), "POST", PATH, lines_of(3), results=tmp_path / "r.jsonl")
    assert {(result.outcome, result.code, result.attempts) for result in results.values()} == {
        ("unknown", "SignatureError", 1)
    }
    wire.respond = lambda received: service.signed(b"{}")
    results, _ = run(Client(**service.settings(wire.base_url)), "POST", PATH, lines_of(3), results=tmp_path / "r.jsonl")
    assert [result.outcome for result in results.values()] == ["done"] * 3


def test_a_wrong_key_ends_the_job(service, wire, tmp_path):
    wire.respond = lambda received: Reply(401, {}, b'{"code":"SIGN_ERROR"}')
    with pytest.raises(AuthenticationError):
        run(Client(**service.settings(wire.base_url)), "POST", PATH, lines_of(1000), results=tmp_path / "r.jsonl")
    assert len(wire.received) <= 64
    assert {record["outcome"] for record in read(tmp_path / "r.jsonl")} == {"unsent"}


@pytest.mark.parametrize("numbered", [True, False])
def test_after_the_key_is_corrected_every_line_is_sent(service, wire, tmp_path, numbered):
    """A 401 says that the line was not acted on: also of one without a number of its own."""
    wire.respond = lambda received: Reply(401, {}, b'{"code":"SIGN_ERROR"}')
    settings, lines = (
        service.settings(wire.base_url),
        [{"complaint_id": str(n), "response_content": "x"} for n in "abcd"],
    )
    path = "v3/merchant-service/complaints-v2/{complaint_id}/response"
    job = (PATH, lines_of(4)) if numbered else (path, lines)
    with pytest.raises(AuthenticationError):
        run(Client(**settings), "POST", *job, results=tmp_path / "r.jsonl", concurrency=3)
    wire.respond = lambda received: service.signed(b"{}")
    results, _ = run(Client(**settings), "POST", *job, results=tmp_path / "r.jsonl", concurrency=3)
    assert [result.outcome for result in results.values()] == ["done"] * 4


def test_a_redirect_ends_the_job_and_refuses_nothing(service, wire, tmp_path):
    """A captive portal, for example."""
    wire.respond = lambda received: Reply(302, {"Location": "https://portal.example"}, b"")
    settings = service.settings(wire.base_url)
    with pytest.raises(RedirectionError):
        run(Client(**settings), "POST", PATH, lines_of(500), results=tmp_path / "r.jsonl", concurrency=4)
    assert len(wire.received) <= 8
    wire.respond = lambda received: service.signed(b"{}")
    results, _ = run(Client(**settings), "POST", PATH, lines_of(500), results=tmp_path / "r.jsonl")
    assert {result.outcome for result in results.values()} == {"done"}


@pytest.mark.parametrize("status", [400, 403, 404, 407, 408, 413, 499])
def test_a_refusal_without_a_code_is_not_final(service, wire, tmp_path, status):
    wire.respond = lambda received: Reply(status, {}, b"<html>proxy</html>")
    settings = service.settings(wire.base_url)
    results, _ = run(Client(**settings), "POST", PATH, lines_of(1), results=tmp_path / "r.jsonl")
    assert (results[1].outcome, results[1].status) == ("unknown", status)
    wire.respond = lambda received: service.signed(b"{}")
    results, _ = run(Client(**settings), "POST", PATH, lines_of(1), results=tmp_path / "r.jsonl")
    assert results[1].outcome == "done"


@pytest.mark.parametrize("lost", ["run", "kill", "retry"])
@pytest.mark.parametrize("next_answer", ["refused", "unreachable"])
def test_what_may_be_done_stays_unknown(service, wire, tmp_path, lost, next_answer):
    """Neither a refusal nor a lost connection says what became of an earlier attempt, of whichever run."""
    refusal = Reply(400, {}, b'{"code":"OUT_TRADE_NO_USED"}')
    settings, path = service.settings(wire.base_url), tmp_path / "r.jsonl"
    answers = [None]
    wire.respond = lambda received: answers.pop(0) if answers else refusal
    if lost == "retry":
        settings["retry"] = Retry(attempts=2, backoff=0.01)
    elif lost == "kill":
        digest = Shape("POST", Client(**settings)[PATH], {}).find_digest(next(read_lines(lines_of(1))))
        (tmp_path / "r.jsonl.begun").write_text(f"1 {digest:016x}\n")
    else:
        answers *= 12
        run(Client(**settings), "POST", PATH, lines_of(1), results=path)
    if next_answer == "unreachable" and lost != "retry":
        settings["base_url"] = "http://127.0.0.1:9/"
    results, _ = run(Client(**settings), "POST", PATH, lines_of(1), results=path)
    assert results[1].outcome == "unknown"


def test_a_line_without_a_number_stays_unknown_after_a_run_that_could_not_send_it(service, wire, tmp_path):
    path = "v3/merchant-service/complaints-v2/{complaint_id}/response"
    lines = [{"complaint_id": "1", "response_content": "x"}]
    settings, nowhere = service.settings(wire.base_url), service.settings("http://127.0.0.1:9/")
    wire.respond = lambda received: None
    run(Client(**settings), "POST", path, lines, results=tmp_path / "r.jsonl")
    run(Client(**nowhere), "POST", path, lines, results=tmp_path / "r.jsonl", repeat=True)
    results, _ = run(Client(**settings), "POST", path, lines, results=tmp_path / "r.jsonl")
    assert (results[1].outcome, results[1].code) == ("unknown", "Interrupted")
    assert len(wire.received) == 1


def test_a_line_that_was_not_sent_and_then_begun_is_not_sent_again(service, wire, tmp_path):
    """The second run was killed."""
    path = "v3/merchant-service/complaints-v2/{complaint_id}/response"
    lines = [{"complaint_id": str(number), "response_content": "x"} for number in range(3)]
    nowhere, settings = service.settings("http://127.0.0.1:9/"), service.settings(wire.base_url)
    run(Client(**nowhere), "POST", path, lines, results=tmp_path / "r.jsonl")
    begun = tmp_path / "r.jsonl.begun"
    (first,) = (line for line in begun.read_text().splitlines(keepends=True) if line.startswith("1 "))
    with begun.open("a") as file:
        file.write(first)
    wire.respond = lambda received: service.signed(b"{}")
    results, _ = run(Client(**settings), "POST", path, lines, results=tmp_path / "r.jsonl")
    assert [results[line].outcome for line in (1, 2, 3)] == ["unknown", "done", "done"]
    assert len(wire.received) == 2
    assert not begun.exists()


@pytest.mark.parametrize("kind", [list, iter])
def test_an_input_that_has_become_shorter_is_refused(service, wire, tmp_path, kind):
    """Half a file must not make the job forget what it has begun of the other half."""
    wire.respond = lambda received: service.signed(b"{}")
    settings = service.settings(wire.base_url)
    run(Client(**settings), "POST", PATH, lines_of(10), results=tmp_path / "r.jsonl")
    digest = Shape("POST", Client(**settings)[PATH], {}).find_digest(next(read_lines(lines_of(1))))
    (tmp_path / "r.jsonl.begun").write_text(f"11 {digest:016x}\n")
    with pytest.raises(ArgumentError, match="lines: there are 5, but the results have line 11"):
        run(Client(**settings), "POST", PATH, kind(lines_of(5)), results=tmp_path / "r.jsonl")
    assert (tmp_path / "r.jsonl.begun").exists()
    assert len(wire.received) == 10


def test_a_restart_ends_too_while_the_service_cannot_be_reached(service, wire, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "ATTEMPTS", 1)
    wire.respond = lambda received: None
    run(Client(**service.settings(wire.base_url)), "POST", PATH, lines_of(100), results=tmp_path / "r.jsonl")
    nowhere = service.settings("http://127.0.0.1:9/")
    with pytest.raises(TransportError, match="20 lines in a row could not be sent"):
        run(Client(**nowhere), "POST", PATH, lines_of(100), results=tmp_path / "r.jsonl", concurrency=4)
    assert {record["outcome"] for record in read(tmp_path / "r.jsonl")} == {"unknown"}


def test_numbers_made_anew_are_refused_before_anything_is_sent(service, wire, tmp_path):
    """Also those of lines that were in flight when the job was killed."""
    settings, lines = service.settings(wire.base_url), lines_of(40)
    wire.respond = lambda received: service.signed(b"{}")
    run(Client(**settings), "POST", PATH, lines[:30], results=tmp_path / "r.jsonl")
    records = (tmp_path / "r.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "r.jsonl").write_text("".join(record for record in records if '"line": 1,' not in record))
    with (tmp_path / "in.jsonl").open("w") as file:
        for line in [*lines[:29], {"openid": "o30", "out_request_no": "new"}, *lines[30:]]:
            file.write(json.dumps(line) + "\n")
    sent = len(wire.received)
    with pytest.raises(ArgumentError, match="line 30 is not the one"):
        run(Client(**settings), "POST", PATH, tmp_path / "in.jsonl", results=tmp_path / "r.jsonl")
    assert len(wire.received) == sent
    digest = Shape("POST", Client(**settings)[PATH], {}).find_digest(next(read_lines(lines_of(1))))
    (tmp_path / "r.jsonl").write_text("")
    (tmp_path / "r.jsonl.begun").write_text(f"1 {digest:016x}\n")
    anew = [{"openid": "o1", "out_request_no": "Z1"}]
    with pytest.raises(ArgumentError, match="line 1 is not the one"):
        run(Client(**settings), "POST", PATH, anew, results=tmp_path / "r.jsonl")
    assert len(wire.received) == sent


@pytest.mark.parametrize("content", ["openid,out_request_no", '{"openid": "o1"}', '{"openid": "o1"}\n', "42"])
def test_a_file_of_something_else_is_never_changed(service, wire, tmp_path, content):
    (tmp_path / "users.jsonl").write_text(content)
    with pytest.raises(ArgumentError, match="has a line that is no result of a bulk job"):
        run(Client(**service.settings(wire.base_url)), "POST", PATH, lines_of(1), results=tmp_path / "users.jsonl")
    assert (tmp_path / "users.jsonl").read_text() == content


def test_an_unpaired_surrogate_does_not_end_the_job(service, wire, tmp_path):
    wire.respond = lambda received: service.signed(b'{"name": "\\ud800"}')
    settings = service.settings(wire.base_url)
    lines = [*lines_of(1), {"openid": "o2", "out_request_no": "\ud800"}]
    for _ in range(2):
        _, job = run(Client(**settings), "POST", PATH, lines, results=tmp_path / "r.jsonl")
    assert job.earlier == {"done": 1, "refused": 1}
    responses = {record["line"]: record["response"] for record in read(tmp_path / "r.jsonl")}
    assert responses == {1: {"name": "\ud800"}, 2: None}


@pytest.mark.parametrize("header", ["openid,amount,amount.total", "openid,a.b,a.b.c", "openid,openid"])
def test_a_header_with_two_columns_for_one_member_is_refused(client, tmp_path, header):
    (tmp_path / "in.csv").write_text(f"{header}\n" + ",".join("1" for _ in header.split(",")) + "\n")
    with pytest.raises(ArgumentError, match="lines: the header has more than one column for"):
        run(client, "POST", PATH, tmp_path / "in.csv", results=tmp_path / "r.jsonl")


@pytest.mark.parametrize("cell", ["1_0", "1.0", "one", "0x1"])
def test_a_cell_that_is_no_integer_is_refused(client, wire, tmp_path, cell):
    (tmp_path / "in.csv").write_text(f"out_bill_no,transfer_amount\nB1,{cell}\n")
    target = "v3/fund-app/mch-transfer/transfer-bills"
    results, _ = run(client, "POST", target, tmp_path / "in.csv", results=tmp_path / "r.jsonl", json=TRANSFER)
    assert (results[1].outcome, results[1].message) == ("refused", "transfer_amount: the cell is no integer")
    assert wire.received == []


@pytest.mark.parametrize(("name", "value"), [("timeout", "x"), ("timeout", -1), ("json", {"a": object()})])
def test_an_argument_that_no_call_can_have_is_refused_at_once(client, tmp_path, name, value):
    with pytest.raises(ArgumentError, match=f"{name}: "):
        client.bulk("POST", PATH, lines_of(1), results=tmp_path / "r.jsonl", **{name: value})


def test_a_call_that_raises_a_cancelled_error_of_its_own_ends_the_job(service, wire, tmp_path):
    client = Client(**service.settings(wire.base_url))
    wire.respond = lambda received: service.signed(b"{}")

    def cancel(request):
        if len(wire.received) > 30:
            raise asyncio.CancelledError
        return (yield request)

    client.middleware.insert_before(next(iter(client.middleware)), "cancel", cancel)

    async def work():
        job = client.bulk("POST", PATH, lines_of(60), results=tmp_path / "r.jsonl", concurrency=4)
        async with client:
            return [result async for result in job]

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(asyncio.wait_for(work(), 20))


def test_a_query_that_is_refused_after_a_lost_response_is_refused(service, wire, tmp_path):
    """A query does nothing, so its last answer counts."""
    answers = [None, Reply(404, {}, b'{"code":"NOT_FOUND"}')]
    wire.respond = lambda received: answers.pop(0)
    path, lines = "v3/pay/transactions/out-trade-no/{out_trade_no}", [{"out_trade_no": "1"}]
    results, _ = run(Client(**service.settings(wire.base_url)), "GET", path, lines, results=tmp_path / "r.jsonl")
    assert (results[1].outcome, results[1].code) == ("refused", "NOT_FOUND")


def test_a_service_that_cannot_be_reached_ends_the_job(service, tmp_path):
    settings = service.settings("http://127.0.0.1:9/")
    with pytest.raises(TransportError, match="20 lines in a row could not be sent") as caught:
        run(Client(**settings), "POST", PATH, lines_of(1000), results=tmp_path / "r.jsonl")
    assert caught.value.sent is False
    records = read(tmp_path / "r.jsonl")
    assert len(records) < 100
    attempts = Counter(record["attempts"] for record in records)
    assert attempts[3] >= 20
    assert attempts.keys() <= {0, 1, 2, 3}, "the other lines end with the job"
    assert {record["outcome"] for record in records} == {"unsent"}


def test_a_line_that_cannot_be_sent_is_refused(service, wire, acts, tmp_path):
    lines = [*lines_of(2), {"out_request_no": "R3"}, {"openid": "..", "out_request_no": "R4"}]
    results, _ = run(Client(**service.settings(wire.base_url)), "POST", PATH, lines, results=tmp_path / "r.jsonl")
    assert [results[line].outcome for line in range(1, 5)] == ["done", "done", "refused", "refused"]
    assert results[3].code == results[4].code == "PathVariableError"
    assert results[3].attempts == results[4].attempts == 0
    assert len(wire.received) == 2


def test_the_rate_and_the_concurrency_are_kept(service, wire, tmp_path):
    lock, now, most, times = threading.Lock(), [0], [0], []

    def respond(received):
        with lock:
            times.append(time.monotonic())
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.05)
        with lock:
            now[0] -= 1
        return service.signed(b"{}")

    wire.respond = respond
    settings = service.settings(wire.base_url)
    run(Client(**settings), "POST", PATH, lines_of(60), results=tmp_path / "1.jsonl", rate="40/s", concurrency=4)
    assert most[0] <= 4
    assert times[-1] - times[0] > 59 / 40 * 0.9
    most[0] = 0
    run(Client(**settings), "POST", PATH, lines_of(60), results=tmp_path / "2.jsonl", concurrency=8)
    assert 5 <= most[0] <= 8


def test_a_csv_file_has_types_and_secrets(service, wire, acts, tmp_path):
    path = tmp_path / "transfers.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["out_bill_no", "transfer_amount", "user_name", "transfer_remark", "notify_url"])
        writer.writerow(["B1", "400", "张三", "a, b", ""])
        writer.writerow(["B2", "many", "李四", "c", ""])
    target = "v3/fund-app/mch-transfer/transfer-bills"
    results, _ = run(
        Client(**service.settings(wire.base_url)), "POST", target, path, results=tmp_path / "r.jsonl", json=TRANSFER
    )
    assert results[1].outcome == "done"
    assert (results[2].outcome, results[2].message) == ("refused", "transfer_amount: the cell is no integer")
    (received,) = wire.received
    body = json.loads(received.body)
    assert crypto.decrypt(body.pop("user_name"), service.public_key) == "张三"
    assert body == {**TRANSFER, "out_bill_no": "B1", "transfer_amount": 400, "transfer_remark": "a, b"}
    assert "张三" not in (tmp_path / "r.jsonl").read_text()


@pytest.mark.parametrize("name", ["张" * 80, "A" * 300, "A b" * 200])
def test_a_name_that_is_too_long_to_be_encrypted_is_never_sent(client, wire, tmp_path, name):
    lines = [{"out_bill_no": "B1", "transfer_amount": 400, "user_name": name}]
    target = "v3/fund-app/mch-transfer/transfer-bills"
    results, _ = run(client, "POST", target, lines, results=tmp_path / "r.jsonl", json=TRANSFER)
    assert (results[1].outcome, results[1].code) == ("refused", "ArgumentError")
    assert wire.received == []


def test_a_ciphertext_is_sent_as_it_is(service, client, wire, acts, tmp_path):
    ciphertext = crypto.encrypt("张三", service.public_key.public_key())
    lines = [{"out_bill_no": "B1", "transfer_amount": 400, "user_name": ciphertext}]
    target = "v3/fund-app/mch-transfer/transfer-bills"
    results, _ = run(client, "POST", target, lines, results=tmp_path / "r.jsonl", json=TRANSFER)
    assert results[1].outcome == "done"
    assert json.loads(wire.received[0].body)["user_name"] == ciphertext


def test_columns_with_dots_are_members_of_members(client):
    shape = Shape("POST", client.v3.refund.domestic.refunds, {"amount": {"currency": "CNY"}})
    path = client.v3.refund.domestic.refunds
    assert str(path)
    text = {"out_refund_no": "R1", "amount.refund": "1", "amount.total": "2", "goods_detail": '[{"quantity":1}]'}
    (line,) = (line._replace(is_text=True) for line in read_lines([text]))
    assert shape.make_arguments(line) == {
        "json": {
            "out_refund_no": "R1",
            "amount": {"currency": "CNY", "refund": 1, "total": 2},
            "goods_detail": [{"quantity": 1}],
        }
    }


def test_lines_may_be_json(tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_text('{"a": 1}\n\n{"a": {"b": "中"}}\n')
    assert [(line.number, line.fields) for line in read_lines(path)] == [(1, {"a": 1}), (3, {"a": {"b": "中"}})]
    for text in ("[1]\n", "x\n", '{"a": 1\n'):
        path.write_text(text)
        with pytest.raises(ArgumentError, match=r"line 1 of '.*' is no JSON object"):
            list(read_lines(path))
    path = tmp_path / "lines.csv"
    for text in ("a,b\n1\n", "a,b\n1,2,3\n"):
        path.write_text(text)
        with pytest.raises(ArgumentError, match=r"line 1 of '.*' has more or fewer cells"):
            list(read_lines(path))
    with pytest.raises(ArgumentError, match="number 1 came as a str"):
        list(read_lines(["x"]))


def test_a_query_for_each_line(service, wire, tmp_path):
    wire.respond = lambda received: service.signed(b'{"trade_state":"SUCCESS"}')
    lines = [{"out_trade_no": f"N{number}"} for number in range(3)]
    path = "v3/pay/transactions/out-trade-no/{out_trade_no}"
    client = Client(**service.settings(wire.base_url))
    results, _ = run(client, "get", path, lines, results=tmp_path / "r.jsonl", json={"mchid": "1900007291"})
    assert [result.response["trade_state"] for result in results.values()] == ["SUCCESS"] * 3
    assert parse_qs(urlsplit(wire.received[0].target).query) == {"mchid": ["1900007291"]}


@pytest.mark.parametrize(
    ("method", "arguments", "wanted"),
    [
        ("POST", {"json": {"out_request_no": "1"}}, True),
        ("POST", {"json": {"out_refund_no": "1", "out_trade_no": "2"}}, True),
        ("POST", {"json": {"combine_out_trade_no": "1"}}, True),
        ("POST", {"json": {"send_request_no": "1"}}, True),
        ("POST", {"xml": {"mch_billno": "1"}}, True),
        ("POST", {"out_trade_no": "1"}, True),
        ("POST", {"json": {"out_request_no": ""}}, False),
        ("POST", {"json": {"response_content": "x"}, "complaint_id": "1"}, False),
        ("PATCH", {"json": {"name": "x"}, "store_id": "1"}, False),
        ("POST", {}, False),
        ("GET", {}, True),
        ("PUT", {"json": {}}, True),
        ("DELETE", {}, True),
    ],
)
def test_a_call_can_be_repeated_if_it_has_a_number(method, arguments, wanted):
    assert is_repeatable(method, arguments) is wanted


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"rate": "fast"}, "rate: came 'fast'"),
        ({"rate": 0}, "rate: came 0"),
        ({"rate": "-1/s"}, "rate: came"),
        ({"rate": "1/d"}, "rate: came"),
        ({"concurrency": 0}, "concurrency: came 0"),
        ({"concurrency": True}, "concurrency: came True"),
        ({"repeat": "no"}, "repeat: came 'no'; expected True, False or None"),
        ({"json": [1]}, "json: came a list; expected a dict"),
        ({"json": "x"}, "json: came a str"),
    ],
)
def test_wrong_arguments_are_refused(client, tmp_path, how, message):
    with pytest.raises(ArgumentError, match=message):
        client.bulk("POST", PATH, [], results=tmp_path / "r.jsonl", **how)
    with pytest.raises(ArgumentError, match="method: came 'FETCH'"):
        client.bulk("FETCH", PATH, [], results=tmp_path / "r.jsonl")


def test_two_processes_cannot_do_the_same_job(service, wire, acts, tmp_path):
    async def compete():
        async with Client(**service.settings(wire.base_url)) as client:
            first = client.bulk("POST", PATH, lines_of(5), results=tmp_path / "r.jsonl")
            async for _ in first:
                with pytest.raises(ArgumentError, match="is in use by another process"):
                    async for _ in client.bulk("POST", PATH, lines_of(5), results=tmp_path / "r.jsonl"):
                        pass

    asyncio.run(compete())
    (tmp_path / "other.jsonl").write_text("my own notes\n")
    with pytest.raises(ArgumentError, match="has a line that is no result"):
        run(Client(**service.settings(wire.base_url)), "POST", PATH, [], results=tmp_path / "other.jsonl")
    assert (tmp_path / "other.jsonl").read_text() == "my own notes\n"


def test_a_result_that_was_cut_off_is_written_again(service, wire, acts, tmp_path):
    settings, path = service.settings(wire.base_url), tmp_path / "r.jsonl"
    run(Client(**settings), "POST", PATH, lines_of(5), results=path)
    path.write_bytes(path.read_bytes()[:-20])
    results, job = run(Client(**settings), "POST", PATH, lines_of(5), results=path)
    assert (len(results), job.skipped) == (1, 4)
    assert sorted(record["line"] for record in read(path)) == [1, 2, 3, 4, 5]


def test_an_event_loop_ends_while_an_iteration_is_still_referenced(service, wire, acts, tmp_path):
    kept = []

    async def leave():
        client = Client(**service.settings(wire.base_url))
        kept.append(aiter(client.bulk("POST", PATH, lines_of(100), results=tmp_path / "r.jsonl", concurrency=4)))
        await anext(kept[0])
        await asyncio.sleep(0.3)  # until the results that nobody takes have filled the room for them
        raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(leave())
    results, job = run(
        Client(**service.settings(wire.base_url)), "POST", PATH, lines_of(100), results=tmp_path / "r.jsonl"
    )
    assert len(results) + job.skipped == 100
    assert acts == Counter(f"R{number}" for number in range(1, 101))


@pytest.mark.parametrize("waits", ["for its turn", "for the next attempt"])
def test_an_error_ends_what_waits_too(service, wire, tmp_path, monkeypatch, waits):
    monkeypatch.setattr(running, "FIRST_BACKOFF", 20)
    begun, refusal = threading.Event(), Reply(401, {}, b'{"code":"SIGN_ERROR"}')

    def respond(received):
        if len(wire.received) >= 4:
            begun.set()
        if json.loads(received.body)["out_request_no"] == "R1":
            begun.wait(5)
            return refusal
        return Reply(500, {}, b'{"code":"SYSTEM_ERROR"}')

    wire.respond = respond
    if waits == "for its turn":
        begun.set()
    settings = {**service.settings(wire.base_url), "retry": None}
    began = time.monotonic()
    with pytest.raises(AuthenticationError):
        run(
            Client(**settings),
            "POST",
            PATH,
            lines_of(100),
            results=tmp_path / "r.jsonl",
            concurrency=4,
            rate="2/m" if waits == "for its turn" else None,
        )
    assert time.monotonic() - began < 5
    assert len(wire.received) == (1 if waits == "for its turn" else 4)
    # What was not sent is sent by the next run, and what may have been acted on is sent with the same number.
    wire.respond = lambda received: service.signed(b"{}")
    results, _ = run(Client(**settings), "POST", PATH, lines_of(100), results=tmp_path / "r.jsonl")
    assert {result.outcome for result in results.values()} == {"done"}
    assert len(results) == 100


@pytest.mark.parametrize("sent", [False, True])
def test_a_loop_can_be_left_while_calls_end_otherwise_than_cancelled(service, wire, tmp_path, sent):
    """On Python 3.10, a call that is cancelled while its client is closed ends in this way."""
    client = Client(**service.settings(wire.base_url))

    def respond(received):
        time.sleep(0.2 if len(wire.received) > 1 else 0)
        return service.signed(b"{}")

    wire.respond = respond

    def fail(request):
        try:
            return (yield request)
        except asyncio.CancelledError:
            raise TransportError("closed", sent=sent) from None

    client.middleware.insert_before(next(iter(client.middleware)), "fail", fail)

    async def leave():
        job = client.bulk("POST", PATH, lines_of(60), results=tmp_path / "r.jsonl", concurrency=4)
        results = aiter(job)
        async with client:
            await anext(results)
            await asyncio.sleep(0.05)  # until the other calls are in progress
            await asyncio.wait_for(results.aclose(), 5)

    asyncio.run(leave())
    assert len(wire.received) < 20


def test_a_job_that_is_iterated_again_counts_anew(service, wire, acts, tmp_path):
    async def twice():
        async with Client(**service.settings(wire.base_url)) as client:
            job = client.bulk("POST", PATH, lines_of(10), results=tmp_path / "r.jsonl")
            counted = []
            for _ in range(3):
                async for _ in job:
                    pass
                counted.append((sum(job.counts.values()), job.skipped))
            return counted

    assert asyncio.run(twice()) == [(10, 0), (0, 10), (0, 10)]


def test_lines_that_are_skipped_let_other_tasks_go_on(service, wire, acts, tmp_path, monkeypatch):
    settings, lines = service.settings(wire.base_url), lines_of(50)
    run(Client(**settings), "POST", PATH, lines, results=tmp_path / "r.jsonl")
    monkeypatch.setattr(running, "SKIPPED_AT_ONCE", 10)
    turns, seen = 0, []

    def read_slowly():
        for line in lines:
            seen.append(turns)
            yield line

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def again():
        async with Client(**settings) as client:
            job = client.bulk("POST", PATH, read_slowly(), results=tmp_path / "r.jsonl", concurrency=2)
            counting = asyncio.create_task(count())
            assert [result async for result in job] == []
            counting.cancel()
            return job.skipped

    assert asyncio.run(again()) == 50
    assert seen[-1] - seen[0] >= 4


@pytest.mark.parametrize("disk", ["fast", "slow"])
def test_a_loop_that_is_left_leaves_nothing_behind(service, wire, acts, tmp_path, monkeypatch, disk):
    """Not even a lock, which an fsync in progress would keep."""
    fsync = os.fsync

    def take_long(file):
        held = os.dup(file)  # as the system does until an fsync ends
        time.sleep(0.2)
        os.close(held)

    if disk == "slow":
        monkeypatch.setattr(os, "fsync", take_long)

    async def leave():
        async with Client(**service.settings(wire.base_url)) as client:
            async for _ in client.bulk("POST", PATH, lines_of(500), results=tmp_path / "r.jsonl", concurrency=4):
                break
        # The event loop closes the iteration in a task of its own.
        left = [task for task in asyncio.all_tasks() if "Bulk" in repr(task)]
        return (await asyncio.wait(left, timeout=5))[1] if left else left

    assert not asyncio.run(leave())
    monkeypatch.setattr(os, "fsync", fsync)
    results, job = run(
        Client(**service.settings(wire.base_url)), "POST", PATH, lines_of(500), results=tmp_path / "r.jsonl"
    )
    assert len(results) + job.skipped == 500
    assert acts == Counter(f"R{number}" for number in range(1, 501))


def test_secrets_of_a_line_are_in_no_file(service, wire, acts, tmp_path):
    lines = [{"out_bill_no": "B1", "user_name": Sensitive("张三")}]
    run(
        Client(**service.settings(wire.base_url)),
        "POST",
        "v3/fund-app/mch-transfer/transfer-bills",
        lines,
        results=tmp_path / "r.jsonl",
    )
    assert "张三" not in (tmp_path / "r.jsonl").read_text()


def write_transfers(path, count):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["out_bill_no", "transfer_amount"])
        writer.writerows([f"B{number}", 30 + number % 50] for number in range(1, count + 1))


def command(folder, *more):
    files = ["--input", folder / "transfers.csv", "--output", folder / "r.jsonl", "--json", json.dumps(TRANSFER)]
    return ["bulk", "POST", "v3/fund-app/mch-transfer/transfer-bills", *map(str, files), *more]


def environment_of(sandbox):
    known = sandbox.credentials
    (key_id, key), *_ = known["certs"].items()
    return {
        "WECHATPAY_MCHID": known["mchid"],
        "WECHATPAY_SERIAL": known["serial"],
        "WECHATPAY_PRIVATE_KEY": known["private_key"],
        "WECHATPAY_PUBLIC_KEY_ID": key_id,
        "WECHATPAY_PUBLIC_KEY": key,
        "WECHATPAY_APIV3_KEY": known["apiv3_key"],
        "WECHATPAY_BASE_URL": known["base_url"],
    }


@pytest.fixture
def shop(monkeypatch):
    with Sandbox() as sandbox:
        for name, value in environment_of(sandbox).items():
            monkeypatch.setenv(name, value)
        yield sandbox


def test_the_command_does_a_job(shop, tmp_path, capsys):
    write_transfers(tmp_path / "transfers.csv", 30)
    assert main(command(tmp_path)) == 0
    assert capsys.readouterr().out == "30 done, 0 refused, 0 unknown, 0 unsent\n"
    assert len(shop.transfers) == 30
    with (tmp_path / "transfers.csv").open("a") as file:
        file.write("B31,\nB32,31\n")
    assert main(command(tmp_path)) == 1
    shown = capsys.readouterr().out
    assert "31 done, 1 refused, 0 unknown, 0 unsent, 30 of them by an earlier run" in shown
    assert "PARAM_ERROR" in shown
    assert "their messages are in" in shown
    assert main(command(tmp_path)) == 1, "what was refused stays refused"
    assert "31 done, 1 refused, 0 unknown, 0 unsent, 32 of them by an earlier run" in capsys.readouterr().out
    assert main(command(tmp_path, "--rate", "often")) == 2


@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_the_command_shows_progress_on_a_terminal(shop, tmp_path, kind):
    pty = pytest.importorskip("pty")
    write_transfers(tmp_path / "transfers.csv", 40)
    arguments = command(tmp_path, "--rate", "100/s")
    if kind == "pipe":
        arguments[arguments.index("--input") + 1] = str(tmp_path / "pipe.csv")
        os.mkfifo(tmp_path / "pipe.csv")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "wechatpay_chain", *arguments],
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    if kind == "pipe":
        (tmp_path / "pipe.csv").write_text((tmp_path / "transfers.csv").read_text())
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    output, _ = process.communicate(timeout=30)
    os.close(ours)
    assert (process.returncode, output) == (0, b"40 done, 0 refused, 0 unknown, 0 unsent\n")
    assert (b"40/40" if kind == "file" else b"40/?") in shown
    assert b"0 failed" in shown
    assert b"/s" in shown


FAULTS = {"429": 0.03, "500": 0.03, "503": 0.03, "dropped-before": 0.04, "dropped-after": 0.04, "cut-body": 0.03}
"""The shares of responses with a fault: 20 % in all."""


class Coupons:
    """Sends coupons, as the service does: a number that it knows is a repetition, and must have the same parameters."""

    def __init__(self, sandbox):
        self.sent, self.requests, self.wrong = {}, Counter(), []
        sandbox.operation("POST", f"/{PATH}")(self.send)

    def send(self, request):
        number, asked = request.body["send_request_no"], (request.path["openid"], request.body["stock_id"])
        self.requests[number] += 1
        if self.sent.setdefault(number, asked) != asked:
            self.wrong.append(number)
        return {"token": number}


def write_users(folder, count):
    with (folder / "users.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["openid", "send_request_no"])
        writer.writerows([f"o{number}", f"R{number:06}"] for number in range(1, count + 1))


def send_to_users(folder):
    constants = {"product_coupon_id": "1", "stock_id": "S1", "appid": "wx233544546545989", "brand_id": "120344"}
    files = [
        "--input",
        folder / "users.csv",
        "--output",
        folder / "r.jsonl",
        "--concurrency",
        200,
        "--json",
        json.dumps(constants),
    ]
    return [sys.executable, "-m", "wechatpay_chain", "bulk", "POST", PATH, *map(str, files)]


def kill_and_go_on(sandbox, folder, lines, kills):
    """Runs the command, kills it so many times in its midst, and runs it until every line is done."""
    coupons = Coupons(sandbox)
    for name, share in FAULTS.items():
        sandbox.fault(name, share=share)
    environment = {**os.environ, **environment_of(sandbox)}
    for number in range(kills):
        process = subprocess.Popen(send_to_users(folder), env=environment, stdout=subprocess.DEVNULL)
        wanted = lines * (number + 1) // (kills + 1)
        while process.poll() is None and len(coupons.sent) < wanted:
            time.sleep(0.02)
        assert process.poll() is None, "it ended before it was killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
    for _ in range(5):
        run = subprocess.run(send_to_users(folder), env=environment, capture_output=True, text=True, check=False)
        assert run.returncode in (0, 3), run.stderr
        if run.returncode == 0:
            break
    else:
        raise AssertionError(run.stdout)
    # Each line was acted on once, with its own values, and has one final result.
    assert coupons.wrong == []
    assert coupons.sent == {f"R{number:06}": (f"o{number}", "S1") for number in range(1, lines + 1)}
    done = Counter()
    with (folder / "r.jsonl").open() as file:
        for text in file:
            record = json.loads(text)
            done[record["line"]] += record["outcome"] == "done"
            assert record["outcome"] in ("done", "unknown", "unsent")
    assert len(done) == lines
    assert set(done.values()) == {1}
    return coupons


def test_a_job_that_is_killed_goes_on(shop, tmp_path):
    write_users(tmp_path, 1500)
    coupons = kill_and_go_on(shop, tmp_path, 1500, kills=2)
    # With a final result, a line is not sent again; those in flight at a kill are.
    assert max(coupons.requests.values()) > 1


@pytest.mark.slow
def test_100000_lines_with_faults_and_three_kills(shop, tmp_path):
    write_users(tmp_path, 100_000)
    began = time.monotonic()
    coupons = kill_and_go_on(shop, tmp_path, 100_000, kills=3)
    print(f"{time.monotonic() - began:.0f} s, {sum(coupons.requests.values())} requests were carried out")


def test_a_line_that_was_begun_when_the_job_was_killed_is_reported(service, wire, tmp_path):
    """It has no number of its own, so it is never sent again."""
    received, release = threading.Event(), threading.Event()

    def respond(request):
        received.set()
        release.wait(20)
        return service.signed(b"{}")

    wire.respond = respond
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from wechatpay_chain import Client\n"
        "async def run():\n"
        "    client = Client.from_env('WECHATPAY_')\n"
        "    lines = [{'complaint_id': str(n), 'response_content': 'x'} for n in range(5)]\n"
        "    path = 'v3/merchant-service/complaints-v2/{complaint_id}/response'\n"
        "    async for _ in client.bulk('POST', path, lines, results=sys.argv[1], concurrency=2): pass\n"
        "asyncio.run(run())\n"
    )
    from tests.service import SERIAL, private_pem, public_pem

    environment = {
        **os.environ,
        "WECHATPAY_MCHID": "1900007291",
        "WECHATPAY_SERIAL": SERIAL,
        "WECHATPAY_PRIVATE_KEY": private_pem(service.merchant),
        "WECHATPAY_PUBLIC_KEY_ID": "PUB_KEY_ID_0114232134912410000000000000",
        "WECHATPAY_PUBLIC_KEY": public_pem(service.public_key),
        "WECHATPAY_BASE_URL": wire.base_url,
    }
    process = subprocess.Popen([sys.executable, "-c", program, tmp_path / "r.jsonl"], env=environment)
    assert received.wait(20)
    time.sleep(0.3)
    process.kill()
    process.wait()
    release.set()
    wire.respond = lambda request: service.signed(b"{}")
    sent = len(wire.received)
    assert sent == 2
    lines = [{"complaint_id": str(number), "response_content": "x"} for number in range(5)]
    path = "v3/merchant-service/complaints-v2/{complaint_id}/response"
    results, _ = run(Client(**service.settings(wire.base_url)), "POST", path, lines, results=tmp_path / "r.jsonl")
    assert Counter((result.outcome, result.code) for result in results.values()) == {
        ("done", ""): 3,
        ("unknown", "Interrupted"): 2,
    }
    assert len(wire.received) == sent + 3

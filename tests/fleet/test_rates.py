"""Calls wait for their turn before the service refuses them: in threads, in tasks and in processes, the first one first."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import math
import multiprocessing
import os
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.redis_server import NEEDS_REDIS
from tests.service import SERIAL, Reply, private_pem
from wechatpay_chain import Client, ConfigurationError, RateExceededError, RateLimitError, Retry, WeChatPayError
from wechatpay_chain._rates import limiter
from wechatpay_chain.rates import DOCUMENTED, RateLimits

SPAWN = multiprocessing.get_context("spawn")
REFUND = "POST /v3/refund/domestic/refunds"


@pytest.fixture
def limited(service, wire):
    """Returns a function that makes a client with limits, and the times at which its calls were let go.

    Not those at which the service received them: in a test, client and service share two processors.
    """
    clients, times = [], []
    wire.respond = lambda received: service.signed(b"{}")

    def measure(request):
        times.append(time.monotonic())
        return (yield request)

    def make(rates, **how):
        settings = {**service.settings(wire.base_url), **how.pop("settings", {})}
        client = Client(**settings)
        clients.append(client)
        limits = RateLimits(rates, **how)
        limits.install(client)
        client.middleware.insert_after("rates", "measure", measure)
        return client

    yield make, times
    for client in clients:
        client.close()


def most_in_a_second(times, window=0.9):
    """Returns the most calls in any second, less a moment: on a busy machine a call goes some time after it was counted."""
    times = sorted(times)
    return max(sum(1 for other in times[index:] if other < moment + window) for index, moment in enumerate(times))


def fairness(counts):
    """Returns Jain's index: 1 if all have the same, 1/n if one has everything."""
    return sum(counts) ** 2 / (len(counts) * sum(count * count for count in counts))


def test_a_call_within_the_limit_does_not_wait(limited, send):
    make, times = limited
    client = make({REFUND: "5/second"})
    began = time.monotonic()
    for _ in range(5):
        send(client.v3.refund.domestic.refunds, "post", json={})
    assert time.monotonic() - began < 0.9
    assert len(times) == 5


def test_a_call_above_the_limit_waits(limited, send):
    make, times = limited
    client = make({REFUND: "5/second"})
    for _ in range(13):
        send(client.v3.refund.domestic.refunds, "post", json={})
    assert most_in_a_second(times) <= 5
    assert times[-1] - times[0] < 3.5


def test_a_call_that_would_wait_too_long_is_not_sent(limited, send):
    make, times = limited
    client = make({REFUND: "2/minute"}, wait=1)
    for _ in range(2):
        send(client.v3.refund.domestic.refunds, "post", json={})
    began = time.monotonic()
    with pytest.raises(RateExceededError, match=r"limit of 2 per 1 minute for 'POST /v3/refund") as caught:
        send(client.v3.refund.domestic.refunds, "post", json={})
    assert time.monotonic() - began < 0.5, "it fails at once"
    assert 50 < caught.value.seconds <= 60
    assert caught.value.sent is False
    assert len(times) == 2
    send(client.v3.refund.domestic.refunds._out_refund_no_, "get", out_refund_no="1")


def test_each_attempt_counts(service, wire, send):
    wire.respond = lambda received: Reply(500, {}, b'{"code":"SYSTEM_ERROR"}')
    settings = {**service.settings(wire.base_url), "retry": Retry(attempts=3, backoff=0.01)}
    with Client(**settings) as client:
        limits = RateLimits({"GET /v3/x": "2/minute"}, wait=0)
        limits.install(client)
        with pytest.raises(RateExceededError) as caught:
            send(client.v3.x, "get")
        assert len(wire.received) == 2
        assert caught.value.sent is True, "two attempts were sent"
        assert len(caught.value.attempts) == 3


def test_merchants_are_counted_apart_and_clients_of_one_together(service, wire):
    limits = RateLimits({"* /v3/**": "2/minute"}, wait=0)

    def client_of(mchid):
        client = Client(**{**service.settings(wire.base_url), "mchid": mchid})
        limits.install(client)
        return client

    first, second, other = client_of("1900000001"), client_of("1900000001"), client_of("1900000002")
    first.v3.x.get()
    second.v3.y.get()
    for client in (first, second):
        with pytest.raises(RateExceededError):
            client.v3.z.get()
    other.v3.x.get()
    for client in (first, second, other):
        client.close()


@pytest.mark.parametrize(
    ("method", "template", "group"),
    [
        ("POST", "v3/refund/domestic/refunds", REFUND),
        ("GET", "v3/refund/domestic/refunds/{out_refund_no}", "GET /v3/refund/domestic/refunds/*"),
        ("GET", "v3/refund/domestic/refunds/R1", "GET /v3/refund/domestic/refunds/*"),
        ("GET", "v3/refund/domestic/refunds", None),
        (
            "PATCH",
            "v3/marketing/partner/product-coupon/product-coupons/{id}",
            "* /v3/marketing/partner/product-coupon/**",
        ),
        (
            "POST",
            "v3/marketing/partner/product-coupon/users/{openid}/pre-send-coupon",
            "POST /v3/marketing/partner/product-coupon/users/*/pre-send-coupon",
        ),
        ("POST", "v3/marketing/partner/product-coupon", None),
        ("GET", "v3/marketing/favor/stocks", "GET /v3/marketing/favor/stocks"),
        ("GET", "v3/marketing/favor/stocks/{stock_id}", "GET /v3/marketing/favor/stocks/*"),
        ("GET", "v3/marketing/favor/stocks/{stock_id}/use-flow", "GET /v3/marketing/favor/stocks/*/use-flow"),
        ("POST", "v2/pay/micropay", "POST /v2/pay/micropay"),
        ("GET", "v3/certificates", None),
    ],
)
def test_the_entry_that_says_most_is_taken(method, template, group):
    rule = RateLimits()._rules.find(method, template)
    assert (rule.group if rule.item else None) == group


def test_every_documented_operation_is_in_the_catalogue():
    from wechatpay_chain._catalogue.operations import find_operation, list_operations

    rules, used = RateLimits()._rules, set()
    for method, path in list_operations():
        rule = rules.find(method, find_operation(method, path).template)
        if rule.item:
            used.add(rule.group)
    assert set(DOCUMENTED) - used == {"* /brand/marketing/product-coupon/**"}, "of which no operation is known"


def test_a_429_pauses_the_operation(limited, wire, service, send, monkeypatch):
    """Also if no limit is known; a second one pauses twice as long, and a success ends it."""
    monkeypatch.setattr(limiter, "FIRST_PAUSE", 0.3)
    make, times = limited
    answers = [429, 429, 200, 200, 200]

    def respond(received):
        status = answers.pop(0)
        return service.signed(b"{}") if status == 200 else Reply(429, {}, b'{"code":"FREQUENCY_LIMITED"}')

    wire.respond = respond
    client = make({})
    for wanted in (429, 429, 200, 200, 200):
        if wanted == 429:
            with pytest.raises(RateLimitError):
                send(client.v3.x, "get")
        else:
            send(client.v3.x, "get")
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert 0.29 < gaps[0] < 0.55
    assert 0.59 < gaps[1] < 0.95
    assert gaps[2] < 0.25
    assert gaps[3] < 0.25


def test_many_429s_at_once_are_one_pause(limited, wire, monkeypatch):
    monkeypatch.setattr(limiter, "FIRST_PAUSE", 0.2)
    make, _ = limited
    barrier = threading.Barrier(8)

    def respond(received):
        barrier.wait(5)
        return Reply(429, {}, b"{}")

    wire.respond = respond
    client = make({REFUND: "100/second"})
    with ThreadPoolExecutor(8) as threads:
        for future in [threads.submit(client.v3.refund.domestic.refunds.post, json={}) for _ in range(8)]:
            with pytest.raises(RateLimitError):
                future.result()
    (group,) = limits_of(client)._groups.values()
    assert group.pause == 0.2


def test_a_call_that_waited_before_it_was_refused_extends_the_pause(limited, wire, monkeypatch):
    monkeypatch.setattr(limiter, "FIRST_PAUSE", 0.2)
    make, _ = limited
    wire.respond = lambda received: Reply(429, {}, b"{}")
    client = make({REFUND: "1/second"})
    with ThreadPoolExecutor(2) as threads:
        for future in [threads.submit(client.v3.refund.domestic.refunds.post, json={}) for _ in range(2)]:
            with pytest.raises(RateLimitError):
                future.result()
    (group,) = limits_of(client)._groups.values()
    assert group.pause == 0.4


def test_a_group_is_forgotten_after_its_pause(limited, wire, monkeypatch):
    monkeypatch.setattr(limiter, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(limiter, "LONGEST_PAUSE", 0.05)
    make, _ = limited
    wire.respond = lambda received: Reply(429, {}, b"{}")
    client = make({})
    for number in range(30):
        with pytest.raises(RateLimitError):
            client[f"v3/x/{number}"].get()
        time.sleep(0.01)
    assert len(limits_of(client)._groups) < 20


def test_calls_that_have_gone_are_freed_while_others_wait(limited):
    make, _ = limited
    client = make({REFUND: "40/second"})
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda _: client.v3.refund.domestic.refunds.post(json={}), range(200)))
    gc.collect()
    assert sum(isinstance(known, limiter._Place) for known in gc.get_objects()) <= 100


def test_a_storage_that_does_not_answer_is_not_asked_by_every_call(limited):
    pytest.importorskip("redis")
    make, _ = limited
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = make({REFUND: "1000/second"}, storage=f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        began = time.monotonic()
        for _ in range(10):
            client.v3.refund.domestic.refunds.post(json={})
        assert time.monotonic() - began < 5


def test_tasks_that_wait_for_a_storage_that_does_not_answer_wait_once(limited):
    """They wait in few threads: each would wait for Redis again when its turn comes."""
    pytest.importorskip("redis")
    make, times = limited

    async def call(client):
        calls = (client.v3.refund.domestic.refunds.post_async(json={}) for _ in range(60))
        await asyncio.gather(*calls)
        await client.aclose()

    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = make({REFUND: "1000/second"}, storage=f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        began = time.monotonic()
        asyncio.run(call(client))
    assert len(times) == 60
    assert times[-1] - began < 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_does_not_wait_for_the_calls_of_its_parent(limited):
    """Those that waited when it was forked never go there."""
    make, _ = limited
    client = make({REFUND: "2/second"}, wait=3)
    call = partial(client.v3.refund.domestic.refunds.post, json={})
    with ThreadPoolExecutor(6) as threads:
        calls = [threads.submit(call) for _ in range(6)]
        time.sleep(0.3)  # four of them wait
        child = os.fork()
        if child == 0:
            status = 1
            try:
                time.sleep(1.2)
                call()
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert all(each.result(10).ok for each in calls)


def limits_of(client):
    return client.middleware.layers[list(client.middleware).index("rates")].func.__self__


def test_32_threads_share_a_limit_fairly(limited):
    """Each thread waits nearly all of the time. With a higher limit, the thread that the system runs most often would send most."""
    make, times = limited
    client = make({REFUND: "31/second"})
    # In the first second, those that begin first find an empty window.
    counts, begins, ends = Counter(), time.monotonic() + 1.5, time.monotonic() + 6.5

    def work(number):
        while time.monotonic() < ends:
            client.v3.refund.domestic.refunds.post(json={})
            counts[number] += time.monotonic() > begins

    with ThreadPoolExecutor(32) as threads:
        list(threads.map(work, range(32)))
    assert most_in_a_second(times) <= 31
    assert sum(counts.values()) >= 31 * 5 * 0.8, "the limit is used"
    assert fairness([counts[number] for number in range(32)]) > 0.97, counts


def test_500_tasks_go_in_their_order(limited):
    make, times = limited
    client = make({REFUND: "200/second"})
    came, left = {}, {}

    def note(moments):
        def layer(request):
            moments[request.headers["X-Number"]] = time.monotonic()
            return (yield request)

        return layer

    client.middleware.insert_before("rates", "came", note(came))
    client.middleware.insert_after("rates", "left", note(left))

    async def run():
        calls = (
            client.v3.refund.domestic.refunds.post_async(json={}, headers={"X-Number": str(number)})
            for number in range(500)
        )
        await asyncio.gather(*calls)
        await client.aclose()

    began = time.monotonic()
    asyncio.run(run())
    assert 1.4 <= time.monotonic() - began < 20
    assert most_in_a_second(times) <= 200
    # A busy event loop wakes those who wait a moment late, while others come just then and need not wait. But nobody loses a turn, which
    # would be a second.
    first_of_the_later, most = math.inf, 0.0
    for number in reversed(came):
        most = max(most, left[number] - first_of_the_later)
        first_of_the_later = min(first_of_the_later, left[number])
    print(f"overtaken by {most * 1000:.1f} ms at most")
    assert most < 0.9


def call_for(settings, url, seconds, barrier, results):
    times = []

    def measure(request):
        times.append(time.time())
        return (yield request)

    with Client(**settings) as client:
        limits = RateLimits({REFUND: "40/second"}, storage=url)
        limits.install(client)
        client.middleware.insert_after("rates", "measure", measure)
        barrier.wait(60)
        ends = time.monotonic() + seconds

        def work(_):
            while time.monotonic() < ends:
                client.v3.refund.domestic.refunds.post(json={})

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(work, range(4)))
    results.put(times)


@NEEDS_REDIS
def test_4_processes_share_a_limit_fairly(service, limited, wire, redis_server):
    barrier, results = SPAWN.Barrier(4), SPAWN.Queue()
    settings = {**service.settings(wire.base_url), "private_key": private_pem(service.merchant), "serial": SERIAL}
    arguments = settings, redis_server.patient_url, 4, barrier, results
    processes = [SPAWN.Process(target=call_for, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    times = [results.get(timeout=60) for _ in processes]
    counts = [len(each) for each in times]
    for process in processes:
        process.join(20)
    # Each process by itself would send 40 at once.
    assert most_in_a_second([moment for each in times for moment in each], window=0.5) <= 40
    assert sum(counts) >= 40 * 4 * 0.75
    assert fairness(counts) > 0.7, counts


@NEEDS_REDIS
def test_each_process_counts_by_itself_while_redis_is_away(limited, send, redis_server):
    make, times = limited
    first, second = (make({REFUND: "1/minute"}, storage=redis_server.url, wait=0) for _ in range(2))
    send(first.v3.refund.domestic.refunds, "post", json={})
    for client in (first, second):
        with pytest.raises(RateExceededError):
            send(client.v3.refund.domestic.refunds, "post", json={})
    redis_server.stop()
    with pytest.raises(RateExceededError):
        send(first.v3.refund.domestic.refunds, "post", json={})
    began = time.monotonic()
    send(second.v3.refund.domestic.refunds, "post", json={})
    assert time.monotonic() - began < 5
    assert len(times) == 2
    redis_server.start()


def test_a_cancelled_task_leaves_the_queue(limited):
    make, times = limited
    client = make({REFUND: "2/second"})

    async def run():
        tasks = []
        for _ in range(6):
            tasks.append(asyncio.create_task(client.v3.refund.domestic.refunds.post_async(json={})))
            await asyncio.sleep(0.05)  # so that they come in their order
        for task in tasks[2:5]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await client.aclose()
        return results

    began = time.monotonic()
    results = asyncio.run(run())
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [False, False, True, True, True, False]
    assert time.monotonic() - began < 1.8, "the last one does not wait for those that were cancelled"
    assert len(times) == 3


@pytest.mark.parametrize(
    ("rates", "how", "message"),
    [
        ({"POST v3/x": "1/second"}, {}, "rates: came 'POST v3/x'; expected an operation"),
        ({"FETCH /v3/x": "1/second"}, {}, "rates: came 'FETCH /v3/x'"),
        ({"GET /v3/x": "often"}, {}, "rates: 'GET /v3/x' came with 'often'"),
        ({"GET /v3/x": 5}, {}, "rates: 'GET /v3/x' came with 5"),
        ({"GET /v3/x": "0/second"}, {}, "came with '0/second'; expected one limit"),
        ({"GET /v3/x": "50/second;2/minute"}, {}, "came with '50/second;2/minute'; expected one limit"),
        ({"GET /v3/**/x": "1/second"}, {}, "rates: came"),
        ({}, {"wait": 241}, "wait: came 241"),
        ({}, {"wait": -1}, "wait: came -1"),
        ({}, {"wait": "1"}, "wait: came '1'"),
        ({}, {"storage": "nothing://hunter2"}, "storage: it cannot be used"),
        ({}, {"storage": None}, "storage: it cannot be used"),
    ],
)
def test_wrong_settings_are_refused(rates, how, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        RateLimits(rates, **how)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "secret", [":hunter2@127.0.0.1:1/0", "a:hun@ter2@127.0.0.1:1/0", "127.0.0.1:1/0?password=hunter2"]
)
def test_the_repr_shows_no_password(secret):
    pytest.importorskip("redis")
    assert repr(RateLimits(storage=f"redis://{secret}")) == "<RateLimits redis://127.0.0.1:1>"


def test_they_are_installed_once(limited):
    make, _ = limited
    client = make({})
    with pytest.raises(ConfigurationError, match="rates: this client has rate limits already; install them once"):
        RateLimits({}).install(client)


def test_paths_with_numbers_in_them_are_not_kept_for_ever(limited):
    make, _ = limited
    client = make({})
    limits = limits_of(client)
    for number in range(5):
        client[f"v3/x/{number}"].get()
    assert limits._groups == {}


def test_an_error_of_rates_is_ours():
    assert issubclass(RateExceededError, WeChatPayError)
    assert json.dumps(RateExceededError("m", 1.5).seconds) == "1.5"

"""Calls over HTTPS: sequential, 32 concurrent ones, on one core and on two."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import time
from pathlib import Path

from tests.bench.run import BOTH, Ratio, Round, Run, print_row
from tests.peers.npm import AXIOS_PLUGIN

AXIOS, WITHOUT_SCHEDULER = "wechatpay-axios-plugin", "ours async, without the scheduler"


def measure_sequential_calls(run: Run) -> Ratio:
    """Compares our rate with that of the other sync clients, and returns the ratio to `requests.Session` by hand."""
    calls = {"requests by hand": 250, "ours": 250, "wechatpayv3": 5 if run.quick else 20}
    results = _measure(run, calls, 1, ("rate", "cpu"))
    to_hand = Ratio.of(_rates(results["ours"]), _rates(results["requests by hand"]))
    print_row("one after another, sync: to requests.Session by hand", to_hand, "1.30 ×")
    print_row(
        "one after another, sync: to wechatpayv3",
        Ratio.of(_rates(results["ours"]), _rates(results["wechatpayv3"])),
        "15 ×",
    )
    return to_hand


def measure_concurrent_calls(run: Run) -> tuple[Ratio, Ratio]:
    """Compares us with the other async clients.

    Returns:
        Our ratios to `aiohttp.ClientSession` by hand: of calls per second, and of the time that other tasks wait.
    """
    calls = {"aiohttp by hand": 600, "ours async": 600, "wechatpayv3 async": 64 if run.quick else 200}
    if not run.quick:
        calls[WITHOUT_SCHEDULER] = 600
        if _install_axios(run):
            calls[AXIOS] = 600
    results = _measure(run, calls, 32, ("rate", "cpu", "wait"))
    ours, hand = results["ours async"], results["aiohttp by hand"]
    to_hand = Ratio.of(_rates(ours), _rates(hand))
    print_row("32 at once, async: to aiohttp by hand", to_hand, "1.00 ×")
    print_row("32 at once, async: to wechatpayv3", Ratio.of(_rates(ours), _rates(results["wechatpayv3 async"])), "5 ×")
    if AXIOS in results:
        print_row(f"32 at once, async: to {AXIOS} (Node.js)", Ratio.of(_rates(ours), _rates(results[AXIOS])))
    wait = Ratio.of(_waits(ours), _waits(hand))
    print_row("32 at once: another task's longest wait (p99), to aiohttp by hand", wait, "0.50 ×")
    if WITHOUT_SCHEDULER in results:
        plain = results[WITHOUT_SCHEDULER]
        print_row("  calls, without the scheduler", Ratio.of(_rates(plain), _rates(hand)))
        print_row("  the wait, without the scheduler", Ratio.of(_waits(plain), _waits(hand)))
    return to_hand, wait


def measure_two_cores(run: Run) -> None:
    """Compares our rate on both cores, one of which the server uses too, with our rate on one core."""
    for label, name, concurrency in (("four threads", "ours", 4), ("32 at once, async", "ours async", 32)):
        both_cores, one_core = [], []
        for _ in range(7):
            one_core.append(run.round(name, 600, concurrency).rate)
            both_cores.append(run.round(name, 600, concurrency, BOTH).rate)
        print_row(f"{label}, two cores: to one core", Ratio.of(both_cores, one_core), "1.70 ×")
    for label, name, concurrency in (("sync", "ours", 1), ("32 at once, async", "ours async", 32)):
        both_cores, one_core = [], []
        for _ in range(7):
            one_core.append(run.round(name, 600, concurrency).rate)
            both_cores.append(run.rates_together(name, 600, concurrency, (0, 1)))
        print_row(f"  two processes, {label}, a core each: to one", Ratio.of(both_cores, one_core))


def _measure(run: Run, calls: dict[str, int], concurrency: int, columns: tuple[str, ...]) -> dict[str, list[Round]]:
    began, cpu = time.monotonic(), run.server_cpu()
    results = run.rounds(calls, concurrency, 3 if run.quick else 9)
    share = (run.server_cpu() - cpu) / (time.monotonic() - began)
    units = {"rate": "{:.0f} a second", "cpu": "{:.0f} µs CPU", "wait": "others wait {:.1f} ms"}
    for name, rounds in results.items():
        medians = {column: statistics.median(getattr(each, column) for each in rounds) for column in columns}
        print_row(f"  {name}", ", ".join(units[column].format(median) for column, median in medians.items() if median))
    print_row("  the server's share of its core meanwhile", f"{share:.0%}")
    return results


def _rates(rounds: list[Round]) -> list[float]:
    return [each.rate for each in rounds]


def _waits(rounds: list[Round]) -> list[float]:
    return [each.wait for each in rounds]


def _install_axios(run: Run) -> bool:
    """Installs the plugin for Node.js, and returns False if the machine or its registry does not have it."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return False
    node = run.folder / "node"
    node.mkdir()
    command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(node), AXIOS_PLUGIN]
    installed = subprocess.run(command, capture_output=True, check=False, timeout=120)
    shutil.copy(Path(__file__).parent / "axios.js", node)
    return installed.returncode == 0

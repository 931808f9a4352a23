"""Calls over HTTPS: one after another, 32 at once, on one core and on two."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import time
from pathlib import Path

from tests.bench.run import BOTH, Ratio, Round, Run, row
from tests.test_peers import AXIOS_PLUGIN

AXIOS, WITHOUT_SCHEDULER = "wechatpay-axios-plugin", "ours async, without the scheduler"


def one_after_another(run: Run) -> Ratio:
    """Ours to `requests.Session` by hand."""
    calls = {"requests by hand": 250, "ours": 250, "wechatpayv3": 5 if run.quick else 20}
    found = _measured(run, calls, 1, ("rate", "cpu"))
    to_hand = Ratio.of(_rates(found["ours"]), _rates(found["requests by hand"]))
    row("one after another, sync: to requests.Session by hand", to_hand, "1.30 ×")
    row(
        "one after another, sync: to wechatpayv3", Ratio.of(_rates(found["ours"]), _rates(found["wechatpayv3"])), "15 ×"
    )
    return to_hand


def many_at_once(run: Run) -> tuple[Ratio, Ratio]:
    """Ours to `aiohttp.ClientSession` by hand: calls a second, and how long others on the loop wait."""
    calls = {"aiohttp by hand": 600, "ours async": 600, "wechatpayv3 async": 64 if run.quick else 200}
    if not run.quick:
        calls[WITHOUT_SCHEDULER] = 600
        if _has_axios(run):
            calls[AXIOS] = 600
    found = _measured(run, calls, 32, ("rate", "cpu", "late"))
    ours, hand = found["ours async"], found["aiohttp by hand"]
    to_hand = Ratio.of(_rates(ours), _rates(hand))
    row("32 at once, async: to aiohttp by hand", to_hand, "1.00 ×")
    row("32 at once, async: to wechatpayv3", Ratio.of(_rates(ours), _rates(found["wechatpayv3 async"])), "5 ×")
    if AXIOS in found:
        row(f"32 at once, async: to {AXIOS} (Node.js)", Ratio.of(_rates(ours), _rates(found[AXIOS])))
    late = Ratio.of([one.late for one in ours], [one.late for one in hand])
    row("32 at once: another task's longest wait (p99), to aiohttp by hand", late, "0.50 ×")
    if WITHOUT_SCHEDULER in found:
        plain = found[WITHOUT_SCHEDULER]
        row("  calls, without the scheduler", Ratio.of(_rates(plain), _rates(hand)))
        row("  the wait, without the scheduler", Ratio.of([one.late for one in plain], [one.late for one in hand]))
    return to_hand, late


def two_cores(run: Run) -> None:
    """Ours on both cores, one of them beside the server, to ours on one."""
    for what, name, concurrency in (("four threads", "ours", 4), ("32 at once, async", "ours async", 32)):
        both, one = [], []
        for _ in range(7):
            one.append(run.round(name, 600, concurrency).rate)
            both.append(run.round(name, 600, concurrency, BOTH).rate)
        row(f"{what}, two cores: to one core", Ratio.of(both, one), "1.70 ×")
    for what, name, concurrency in (("sync", "ours", 1), ("32 at once, async", "ours async", 32)):
        both, one = [], []
        for _ in range(7):
            one.append(run.round(name, 600, concurrency).rate)
            both.append(run.rates_together(name, 600, concurrency, (0, 1)))
        row(f"  two processes, {what}, a core each: to one", Ratio.of(both, one))


def _measured(run: Run, calls: dict[str, int], concurrency: int, columns: tuple[str, ...]) -> dict[str, list[Round]]:
    began, cpu = time.monotonic(), run.server_cpu()
    found = run.rounds(calls, concurrency, 3 if run.quick else 9)
    share = (run.server_cpu() - cpu) / (time.monotonic() - began)
    units = {"rate": "{:.0f} a second", "cpu": "{:.0f} µs CPU", "late": "others wait {:.1f} ms"}
    for name, rounds in found.items():
        medians = {column: statistics.median(getattr(one, column) for one in rounds) for column in columns}
        row(f"  {name}", ", ".join(units[column].format(median) for column, median in medians.items() if median))
    row("  the server's share of its core meanwhile", f"{share:.0%}")
    return found


def _rates(rounds: list[Round]) -> list[float]:
    return [one.rate for one in rounds]


def _has_axios(run: Run) -> bool:
    """Whether the plugin for Node.js is there now; a registry that does not have it is not this bench's fault."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return False
    node = run.folder / "node"
    node.mkdir()
    command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(node), AXIOS_PLUGIN]
    installed = subprocess.run(command, capture_output=True, check=False, timeout=120)
    shutil.copy(Path(__file__).parent / "axios.js", node)
    return installed.returncode == 0

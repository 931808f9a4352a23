"""The start of a process, its memory for many merchants, and its memory after many calls."""

from __future__ import annotations

import json
import random
import statistics
import time

from tests.bench.run import Ratio, Run, print_row


def measure_start(run: Run) -> None:
    """Measures the time from the start of a process to the first verified response."""

    def time_program(code: str) -> float:
        began = time.perf_counter()
        run.output("-c", code)
        return time.perf_counter() - began

    time_program("import wechatpay_chain")
    times = [(time_program("import wechatpay_chain") - time_program("pass")) * 1e3 for _ in range(15)]
    print_row("import wechatpay_chain, beyond the interpreter", f"{statistics.median(times):.1f} ms", "15 ms")
    prelude = (
        "from pathlib import Path\nfrom tests.bench import clients\n"
        f"setup = clients.Setup({run.url!r}, Path({str(run.folder)!r}))\n"
    )
    for ours, theirs, aim in (("ours", "requests_by_hand", "0.85 ×"), ("ours_async", "aiohttp_by_hand", "1.00 ×")):
        call = "import asyncio\nasyncio.run(clients.run_and_close(setup, call()))" if "async" in ours else "call()"
        programs = {
            "ours": f"{prelude}call = clients.{ours}(setup)\n{call}",
            "theirs": f"{prelude}call = clients.{theirs}(setup)\n{call}",
            "unsafe": f"{prelude}setup.key_options = {{'unsafe_skip_rsa_key_validation': True}}\n"
            f"call = clients.{theirs}(setup)\n{call}",
        }
        rounds = [{name: time_program(programs[name]) for name in random.sample(list(programs), 3)} for _ in range(11)]
        seconds = {name: [each[name] for each in rounds] for name in programs}
        mode, library = ("async", "aiohttp") if "async" in ours else ("sync", "requests")
        print_row(
            f"process start to first response, {mode}: to {library} by hand",
            Ratio.of(seconds["ours"], seconds["theirs"]),
            aim,
        )
        print_row("  the same, its key loaded by hand without validation", Ratio.of(seconds["ours"], seconds["unsafe"]))
        print_row("  by hand without validation: to by hand with it", Ratio.of(seconds["unsafe"], seconds["theirs"]))
        print_row("  ours", f"{statistics.median(seconds['ours']) * 1e3:.0f} ms")


MERCHANTS = """
import json, os, sys, time
from pathlib import Path
from tests.bench import clients
setup = clients.Setup(sys.argv[1], Path(sys.argv[2]))

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024

first = clients.client(setup)
call = lambda client: client.v3.pay.transactions.native.post(json=setup.order)
call(first)
before, began = resident(), time.perf_counter()
merchants = [clients.client(setup) for _ in range(1500)]
made = (time.perf_counter() - began) / 1500 * 1e3, (resident() - before) / 1500
for merchant in merchants:
    call(merchant)
links = [Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd")]
sockets = [link for link in links if link.is_symlink() and os.readlink(link).startswith("socket:")]
print(json.dumps([*made, (resident() - before) / 1500, len(sockets)]))
"""


def measure_merchants(run: Run) -> None:
    """Measures the time and the memory of a client for each of 1,500 merchants."""
    milliseconds, kilobytes, called, connections = json.loads(
        run.output("-c", MERCHANTS, run.url, str(run.folder), core=0)
    )
    print_row("1,500 merchants in one process: a client each", f"{milliseconds:.2f} ms", "2 ms")
    print_row("  memory of the process for each", f"{kilobytes:.1f} kB", "30 kB")
    print_row("  the same after a call of each", f"{called:.1f} kB", "30 kB")
    print_row("  connections that they then have", connections)


MANY_CALLS = """
import asyncio, json, os, sys
from pathlib import Path
from tests.bench import clients
setup = clients.Setup(sys.argv[1], Path(sys.argv[2]))

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

blocking, awaited, megabytes = clients.ours(setup), clients.ours_async(setup), []

async def make_a_tenth_of_the_calls():
    for _ in range(10000):
        blocking()
    left = iter(range(10000))
    async def work():
        for _ in left:
            await awaited()
    await asyncio.gather(*(work() for _ in range(32)))

for _ in range(10):
    asyncio.run(make_a_tenth_of_the_calls())
    megabytes.append(resident())
print(json.dumps(megabytes))
"""


def measure_memory(run: Run) -> None:
    """Measures the memory of a process during 200,000 calls, half of them async."""
    megabytes = json.loads(run.output("-c", MANY_CALLS, run.url, str(run.folder), core=0))
    print_row(
        "200,000 calls: memory after 20,000, 100,000, 200,000",
        f"{megabytes[0]:.1f}, {megabytes[4]:.1f}, {megabytes[-1]:.1f} MB",
        "flat",
    )

"""What a process takes: to begin, for many merchants, and over a long time."""

from __future__ import annotations

import json
import random
import statistics
import time

from tests.bench.run import Ratio, Run, row


def starting(run: Run) -> None:
    """From nothing to the first answer that is verified."""

    def spent(code: str) -> float:
        began = time.perf_counter()
        run.output("-c", code)
        return time.perf_counter() - began

    spent("import wechatpay_chain")
    times = [(spent("import wechatpay_chain") - spent("pass")) * 1e3 for _ in range(15)]
    row("import wechatpay_chain, beyond the interpreter", f"{statistics.median(times):.1f} ms", "15 ms")
    begun = (
        "from pathlib import Path\nfrom tests.bench import clients\n"
        f"known = clients.Known({run.url!r}, Path({str(run.folder)!r}))\n"
    )
    for ours, theirs, aim in (("ours", "requests_by_hand", "0.85 ×"), ("ours_async", "aiohttp_by_hand", "1.00 ×")):
        call = "import asyncio\nasyncio.run(clients.closed(known, call()))" if "async" in ours else "call()"
        programs = {
            "ours": f"{begun}call = clients.{ours}(known)\n{call}",
            "theirs": f"{begun}call = clients.{theirs}(known)\n{call}",
            "unsafe": f"{begun}known.loading = {{'unsafe_skip_rsa_key_validation': True}}\n"
            f"call = clients.{theirs}(known)\n{call}",
        }
        rounds = [{name: spent(programs[name]) for name in random.sample(list(programs), 3)} for _ in range(11)]
        took = {name: [one[name] for one in rounds] for name in programs}
        mode, library = ("async", "aiohttp") if "async" in ours else ("sync", "requests")
        row(f"process start to first answer, {mode}: to {library} by hand", Ratio.of(took["ours"], took["theirs"]), aim)
        row("  the same, its key loaded by hand without validation", Ratio.of(took["ours"], took["unsafe"]))
        row("  by hand without validation: to by hand with it", Ratio.of(took["unsafe"], took["theirs"]))
        row("  ours", f"{statistics.median(took['ours']) * 1e3:.0f} ms")


MERCHANTS = """
import json, os, sys, time
from pathlib import Path
from tests.bench import clients
known = clients.Known(sys.argv[1], Path(sys.argv[2]))

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024

first = clients.client(known)
call = lambda client: client.v3.pay.transactions.native.post(json=known.order)
call(first)
before, began = resident(), time.perf_counter()
merchants = [clients.client(known) for _ in range(1500)]
made = (time.perf_counter() - began) / 1500 * 1e3, (resident() - before) / 1500
for merchant in merchants:
    call(merchant)
links = [Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd")]
sockets = [link for link in links if link.is_symlink() and os.readlink(link).startswith("socket:")]
print(json.dumps([*made, (resident() - before) / 1500, len(sockets)]))
"""


def merchants(run: Run) -> None:
    """A client for each of 1,500 merchants."""
    milliseconds, kilobytes, called, connections = json.loads(
        run.output("-c", MERCHANTS, run.url, str(run.folder), core=0)
    )
    row("1,500 merchants in one process: a client each", f"{milliseconds:.2f} ms", "2 ms")
    row("  memory of the process for each", f"{kilobytes:.1f} kB", "30 kB")
    row("  the same after a call of each", f"{called:.1f} kB", "30 kB")
    row("  connections that they then have", connections)


LONG = """
import asyncio, json, os, sys
from pathlib import Path
from tests.bench import clients
known = clients.Known(sys.argv[1], Path(sys.argv[2]))

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

blocking, awaited, found = clients.ours(known), clients.ours_async(known), []

async def tenth():
    for _ in range(10000):
        blocking()
    left = iter(range(10000))
    async def work():
        for _ in left:
            await awaited()
    await asyncio.gather(*(work() for _ in range(32)))

for _ in range(10):
    asyncio.run(tenth())
    found.append(resident())
print(json.dumps(found))
"""


def long_time(run: Run) -> None:
    """200,000 calls, half of them awaited."""
    found = json.loads(run.output("-c", LONG, run.url, str(run.folder), core=0))
    row(
        "200,000 calls: memory after 20,000, 100,000, 200,000",
        f"{found[0]:.1f}, {found[4]:.1f}, {found[-1]:.1f} MB",
        "flat",
    )

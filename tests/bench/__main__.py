"""Measures in one run what is written down in docs/performance.md: `python -m tests.bench [quick]`.

Server and client have a core each where the system can pin them. Contenders take rounds in shuffled order; a ratio is taken
within its round, and of the ratios the median is shown, with the least and the greatest.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.bench.keys import write_keys

ROOT = Path(__file__).parents[2]
PYTHON = sys.executable
CAN_PIN = shutil.which("taskset") is not None and len(os.sched_getaffinity(0)) > 1
GIGABYTE = 1 << 30


def pinned(command: list[str], core: int | None) -> list[str]:
    """A command that runs on one core, where the system can do that."""
    return ["taskset", "-c", str(core), *command] if CAN_PIN and core is not None else command


class Bench:
    """One run: a folder of keys, a server, and the contenders' processes."""

    def __init__(self, folder: Path, *, quick: bool) -> None:
        import certifi

        self.folder, self.quick = folder, quick
        write_keys(folder)
        (folder / "certs").mkdir()
        serial = (folder / "serial.txt").read_text()
        shutil.copy(folder / f"{serial}.pem", folder / "certs")
        # What everybody trusts who calls the real service, and the server of this run: loading it is part of the cost.
        bundle = folder / "bundle.pem"
        bundle.write_text(Path(certifi.where()).read_text() + (folder / "tls.pem").read_text())
        self.environment = {**os.environ, "REQUESTS_CA_BUNDLE": str(bundle), "SSL_CERT_FILE": str(bundle)}
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            self.environment.pop(name, None)
        self.server = self.begun([PYTHON, "-m", "tests.bench.server", str(folder)], core=1)
        self.url = f"https://127.0.0.1:{int(self.server.stdout.readline())}"
        self.clients: dict[tuple[str, int | None], subprocess.Popen[str]] = {}

    def begun(self, command: list[str], core: int | None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            pinned(command, core), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=self.environment
        )

    def round(self, name: str, calls: int, concurrency: int, core: int | None = 0) -> tuple[float, float, list[float]]:
        """Seconds, CPU seconds, and the sorted waits of another task of a contender's round."""
        client = self.clients.get((name, core))
        if client is None:
            command = [PYTHON, "-m", "tests.bench.clients", name, self.url, str(self.folder)]
            client = self.clients[name, core] = self.begun(command, core)
            self.round(name, 8 * concurrency, concurrency, core)
        client.stdin.write(f"{calls} {concurrency}\n")
        client.stdin.flush()
        seconds, cpu, waits = json.loads(client.stdout.readline())
        return seconds, cpu, waits

    def rates(
        self, names: dict[str, int], concurrency: int, rounds: int
    ) -> dict[str, list[tuple[float, float, float]]]:
        """Calls a second, CPU µs a call, and the 99th percentile of waits in ms, by contender and round."""
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in names}
        for _ in range(rounds):
            for name in random.sample(list(names), len(names)):
                calls = names[name]
                seconds, cpu, waits = self.round(name, calls, concurrency)
                late = waits[int(len(waits) * 0.99)] * 1e3 if waits else 0.0
                found[name].append((calls / seconds, cpu / calls * 1e6, late))
        return found

    def server_cpu(self) -> float:
        fields = Path(f"/proc/{self.server.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        for process in (*self.clients.values(), self.server):
            process.stdin.close()
            process.wait(20)


def ratios(ours: Iterable[float], theirs: Iterable[float]) -> tuple[float, float, float]:
    each = [one / other for one, other in zip(ours, theirs, strict=True)]
    return statistics.median(each), min(each), max(each)


def best(call: Callable[[], object], times: int) -> float:
    """Microseconds of a call, the best of some repeats."""
    found = float("inf")
    for _ in range(7):
        began = time.perf_counter()
        for _ in range(times):
            call()
        found = min(found, (time.perf_counter() - began) / times)
    return found * 1e6


ROWS: list[tuple[str, str, str]] = []


def row(what: str, measured: str, bar: str) -> None:
    ROWS.append((what, measured, bar))
    print(f"{what:62} {measured:44} {bar}", flush=True)


def shown(three: tuple[float, float, float]) -> str:
    return f"{three[0]:.2f} × ({three[1]:.2f} to {three[2]:.2f})"


def throughput(bench: Bench) -> dict[str, float]:
    quick = bench.quick
    rounds = 3 if quick else 7
    began, cpu = time.monotonic(), bench.server_cpu()
    sync = bench.rates({"requests by hand": 250, "ours": 250, "wechatpayv3": 5 if quick else 20}, 1, rounds)
    shares = [(bench.server_cpu() - cpu) / (time.monotonic() - began)]
    rate = {name: [one[0] for one in found] for name, found in sync.items()}
    by_hand = ratios(rate["ours"], rate["requests by hand"])
    row("one after another, sync: to requests.Session by hand", shown(by_hand), "1.30 ×")
    row("one after another, sync: to wechatpayv3", shown(ratios(rate["ours"], rate["wechatpayv3"])), "15 ×")
    for name, found in sync.items():
        median = [statistics.median(one[index] for one in found) for index in (0, 1)]
        row(f"  {name}", f"{median[0]:.0f} calls a second, {median[1]:.0f} µs CPU", "")
    began, cpu = time.monotonic(), bench.server_cpu()
    peers = {"aiohttp by hand": 600, "ours async": 600, "wechatpayv3 async": 64 if quick else 200}
    awaited = bench.rates(peers, 32, rounds)
    shares.append((bench.server_cpu() - cpu) / (time.monotonic() - began))
    rate = {name: [one[0] for one in found] for name, found in awaited.items()}
    aiohttp = ratios(rate["ours async"], rate["aiohttp by hand"])
    row("32 at once, async: to aiohttp by hand", shown(aiohttp), "1.00 ×")
    row("32 at once, async: to wechatpayv3", shown(ratios(rate["ours async"], rate["wechatpayv3 async"])), "5 ×")
    late = {name: [one[2] for one in found] for name, found in awaited.items()}
    waits = ratios(late["ours async"], late["aiohttp by hand"])
    row("  another task's longest wait (p99), to aiohttp by hand", shown(waits), "0.50 ×")
    for name, found in awaited.items():
        median = [statistics.median(one[index] for one in found) for index in range(3)]
        row(f"  {name}", f"{median[0]:.0f} a second, {median[1]:.0f} µs CPU, {median[2]:.1f} ms", "")
    row("  the server's share of its core, sync and async", " and ".join(f"{share:.0%}" for share in shares), "")
    return {"sync": by_hand[0], "async": aiohttp[0], "wait": waits[0]}


def two_cores(bench: Bench) -> None:
    one, both = [], []
    for _ in range(5):
        for core, found in ((0, one), (None, both)):
            seconds, _, _ = bench.round("ours", 600, 4, core)
            found.append(600 / seconds)
    row("four threads on both cores, beside the server: to one core", shown(ratios(both, one)), "1.70 ×")


def own_cpu(bench: Bench) -> None:
    run = subprocess.run(
        [PYTHON, "-m", "tests.bench.parts"], capture_output=True, text=True, check=True, cwd=ROOT, env=bench.environment
    )
    for what, microseconds, bar in json.loads(run.stdout):
        row(what, f"{microseconds:.1f}", bar)


def starting(bench: Bench) -> None:
    def spent(code: str) -> float:
        began = time.perf_counter()
        subprocess.run([PYTHON, "-c", code], check=True, cwd=ROOT, env=bench.environment)
        return time.perf_counter() - began

    times = [(spent("import wechatpay_chain") - spent("pass")) * 1e3 for _ in range(15)]
    row("import wechatpay_chain beyond the interpreter", f"{statistics.median(times):.1f} ms", "15 ms")
    first = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom tests.bench import clients\n"
        f"known = clients.Known({bench.url!r}, Path({str(bench.folder)!r}))\n"
    )
    for ours, theirs, bar in (("ours", "requests_by_hand", "0.85 ×"), ("ours_async", "aiohttp_by_hand", "1.00 ×")):
        call = "asyncio.run(call())" if "async" in ours else "call()"
        pairs = []
        for _ in range(7):
            took = {
                name: spent(f"{first}call = clients.{name}(known)\n{call}") for name in random.sample([ours, theirs], 2)
            }
            pairs.append((took[ours], took[theirs]))
        row(f"process start to first answer: {ours} to {theirs}", shown(ratios(*zip(*pairs, strict=True))), bar)


def bill(bench: Bench) -> None:
    # In memory where that can be had: the disk of a virtual machine wavers by half.
    memory = Path("/dev/shm")  # noqa: S108
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else bench.folder) as folder:
        _bill(bench, Path(folder) / "bill")


def _bill(bench: Bench, target: Path) -> None:
    code = (
        "import hashlib, resource, sys, time\nfrom pathlib import Path\nfrom tests.bench import clients\n"
        f"known = clients.Known({bench.url!r}, Path({str(bench.folder)!r}))\n"
        f"url = f'{{known.url}}/v3/billdownload/file?size={GIGABYTE}'\nto = Path({str(target)!r})\n"
    )
    by_hand = code + (
        "import requests\nbegan = time.perf_counter()\ndigest = hashlib.sha1()\n"
        "with requests.get(url, stream=True, timeout=30) as answer, to.open('wb') as file:\n"
        "    for piece in answer.iter_content(1 << 16):\n        digest.update(piece)\n        file.write(piece)\n"
        "print(time.perf_counter() - began, digest.hexdigest())\n"
    )
    _, digest = subprocess.run(
        pinned([PYTHON, "-c", by_hand], 0), capture_output=True, text=True, check=True, cwd=ROOT, env=bench.environment
    ).stdout.split()
    ours = code + (
        "client = clients._client(known)\nimport requests\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\nbegan = time.perf_counter()\n"
        f"client.download({{'download_url': url, 'hash_type': 'SHA1', 'hash_value': '{digest}'}}, to)\n"
        "took = time.perf_counter() - began\n"
        "print(took, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)\n"
    )

    def spent(program: str) -> list[float]:
        target.unlink(missing_ok=True)
        out = subprocess.run(
            pinned([PYTHON, "-c", program], 0), capture_output=True, text=True, check=True, cwd=ROOT, env=bench.environment
        ).stdout
        return [float(out.split()[0]), *([float(out.split()[1])] if program is ours else [])]

    pairs = []
    for _ in range(9):
        took = {program: spent(program) for program in random.sample([by_hand, ours], 2)}
        pairs.append((took[by_hand][0], took[ours]))
    row(
        "the bill of 1 GB: to requests and a hash by hand",
        shown(ratios([hand for hand, _ in pairs], [mine[0] for _, mine in pairs])),
        "0.90 ×",
    )
    row("  memory above the process's own", f"{max(o[1] for _, o in pairs):.0f} MB", "64 MB")


def main() -> int:
    quick = sys.argv[1:] == ["quick"]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), quick=quick)
        try:
            print(f"{'what':62} {'measured':44} bar")
            found = throughput(bench)
            own_cpu(bench)
            if not quick:
                two_cores(bench)
                starting(bench)
                bill(bench)
        finally:
            bench.close()
    if quick:
        # Gross regressions only: a machine that others use too makes ratios waver.
        return int(found["sync"] < 1.0 or found["async"] < 0.55 or found["wait"] > 0.9)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""One run of the bench: a folder of keys, a server on one core, contenders on the other, and the table that comes of it."""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from tests.bench.keys import write_keys

ROOT = Path(__file__).parents[2]
CAN_PIN = shutil.which("taskset") is not None and len(os.sched_getaffinity(0)) > 1
BOTH = None
"""In the place of a core: all that the machine has."""


class Round(NamedTuple):
    """What came of a round of calls."""

    rate: float
    """Calls a second."""
    cpu: float
    """µs of CPU a call, in the contender's process."""
    late: float
    """ms that another task of the event loop waited longer than it had asked to, at the 99th percentile."""


class Run:
    """Keys, a server, and the contenders' processes.

    Args:
        folder: for keys and files.
        quick: whether a minute has to do.
    """

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
        trusted = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")
        self.environment = {**os.environ, **dict.fromkeys(trusted, str(bundle))}
        # What is installed lies there compiled.
        for name in ("PYTHONDONTWRITEBYTECODE", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            self.environment.pop(name, None)
        self.server = self._begun([sys.executable, "-m", "tests.bench.server", str(folder)], core=1)
        self.url = f"https://127.0.0.1:{int(self.server.stdout.readline())}"
        self.contenders: dict[tuple[str, int | None], subprocess.Popen[str]] = {}

    def command(self, name: str) -> list[str]:
        """What begins a contender."""
        if name == "wechatpay-axios-plugin":
            return ["node", str(self.folder / "node" / "axios.js"), self.url, str(self.folder)]
        return [sys.executable, "-m", "tests.bench.clients", name, self.url, str(self.folder)]

    def _begun(self, command: list[str], core: int | None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            pinned(command, core),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=self.environment,
        )

    def output(self, *arguments: str, core: int | None = BOTH) -> str:
        """What a Python program of its own prints."""
        command = pinned([sys.executable, *arguments], core)
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT, env=self.environment)
        return done.stdout

    def _contender(self, name: str, concurrency: int, core: int | None) -> subprocess.Popen[str]:
        contender = self.contenders.get((name, core))
        if contender is None:
            contender = self.contenders[name, core] = self._begun(self.command(name), core)
            self.round(name, 8 * concurrency, concurrency, core)
        return contender

    def round(self, name: str, calls: int, concurrency: int, core: int | None = 0) -> Round:
        """Some calls of a contender, in its own process, on one core."""
        contender = self._contender(name, concurrency, core)
        contender.stdin.write(f"{calls} {concurrency}\n")
        contender.stdin.flush()
        seconds, cpu, waits = json.loads(contender.stdout.readline())
        return Round(calls / seconds, cpu / calls * 1e6, waits[int(len(waits) * 0.99)] * 1e3 if waits else 0.0)

    def rates_together(self, name: str, calls: int, concurrency: int, cores: tuple[int, ...]) -> float:
        """Calls a second of several processes of a contender at once, each on a core of its own."""
        contenders = [self._contender(name, concurrency, core) for core in cores]
        for contender in contenders:
            contender.stdin.write(f"{calls} {concurrency}\n")
            contender.stdin.flush()
        return sum(calls / json.loads(contender.stdout.readline())[0] for contender in contenders)

    def rounds(self, calls: dict[str, int], concurrency: int, rounds: int) -> dict[str, list[Round]]:
        """Rounds in shuffled order, by contender; so many calls of each."""
        found: dict[str, list[Round]] = {name: [] for name in calls}
        for _ in range(rounds):
            for name in random.sample(list(calls), len(calls)):
                found[name].append(self.round(name, calls[name], concurrency))
        return found

    def server_cpu(self) -> float:
        """Seconds of CPU that the server has taken."""
        fields = Path(f"/proc/{self.server.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """Ends all processes."""
        for process in (*self.contenders.values(), self.server):
            process.stdin.close()
            process.wait(20)


def pinned(command: list[str], core: int | None) -> list[str]:
    """A command that runs on one core, where the system can do that."""
    return ["taskset", "-c", str(core), *command] if CAN_PIN and core is not None else command


class Ratio(NamedTuple):
    """Ratios of the same rounds: the one in the middle, the least, the greatest."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, ours: Iterable[float], theirs: Iterable[float]) -> Ratio:
        """Ours to theirs."""
        each = [one / other for one, other in zip(ours, theirs, strict=True)]
        return cls(statistics.median(each), min(each), max(each))

    def __str__(self) -> str:
        return f"{self.median:.2f} × ({self.least:.2f} to {self.greatest:.2f})"


def best(call: Callable[[], object], times: int) -> float:
    """Microseconds of a call, the best of some repeats."""
    found = float("inf")
    for _ in range(7):
        began = time.perf_counter()
        for _ in range(times):
            call()
        found = min(found, (time.perf_counter() - began) / times)
    return found * 1e6


def row(what: object, measured: object, aim: str = "") -> None:
    """A line of the table, as Markdown has it."""
    print(f"| {what!s:68} | {measured!s:40} | {aim:7} |", flush=True)

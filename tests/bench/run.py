"""A run of the benchmark: a folder of keys, a server on one core, contenders on the other, and a table of results."""

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
"""Given instead of a core, it means all cores of the machine."""


class Round(NamedTuple):
    """The results of a round of calls."""

    rate: float
    """Calls per second."""
    cpu: float
    """µs of CPU per call, in the contender's process."""
    wait: float
    """The 99th percentile, in ms, of how much longer than it asked for another task of the event loop sleeps."""


class Run:
    """Keys, a server, and the contenders' processes.

    Args:
        folder: where keys and files are written.
        quick: makes fewer calls, and leaves out the slow measurements.
    """

    def __init__(self, folder: Path, *, quick: bool) -> None:
        import certifi

        self.folder, self.quick = folder, quick
        write_keys(folder)
        (folder / "certs").mkdir()
        serial = (folder / "serial.txt").read_text()
        shutil.copy(folder / f"{serial}.pem", folder / "certs")
        # The authorities that a client of the real service loads, too: loading them is part of the cost.
        bundle = folder / "bundle.pem"
        bundle.write_text(Path(certifi.where()).read_text() + (folder / "tls.pem").read_text())
        variables = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")
        self.environment = {**os.environ, **dict.fromkeys(variables, str(bundle))}
        # As in production, bytecode is cached; and no proxy stands between the contenders and the server.
        for name in ("PYTHONDONTWRITEBYTECODE", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            self.environment.pop(name, None)
        self.server = self._start([sys.executable, "-m", "tests.bench.server", str(folder)], core=1)
        self.url = f"https://127.0.0.1:{int(self.server.stdout.readline())}"
        self.contenders: dict[tuple[str, int | None], subprocess.Popen[str]] = {}

    def command(self, name: str) -> list[str]:
        """Returns the command that starts a contender."""
        if name == "wechatpay-axios-plugin":
            return ["node", str(self.folder / "node" / "axios.js"), self.url, str(self.folder)]
        return [sys.executable, "-m", "tests.bench.clients", name, self.url, str(self.folder)]

    def _start(self, command: list[str], core: int | None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            pin(command, core),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=self.environment,
        )

    def output(self, *arguments: str, core: int | None = BOTH) -> str:
        """Runs Python in a process of its own, and returns what it prints."""
        command = pin([sys.executable, *arguments], core)
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT, env=self.environment)
        return done.stdout

    def _contender(self, name: str, concurrency: int, core: int | None) -> subprocess.Popen[str]:
        contender = self.contenders.get((name, core))
        if contender is None:
            contender = self.contenders[name, core] = self._start(self.command(name), core)
            self.round(name, 8 * concurrency, concurrency, core)
        return contender

    def round(self, name: str, calls: int, concurrency: int, core: int | None = 0) -> Round:
        """Runs a round of a contender in its own process, on one core."""
        contender = self._contender(name, concurrency, core)
        contender.stdin.write(f"{calls} {concurrency}\n")
        contender.stdin.flush()
        seconds, cpu, waits = json.loads(contender.stdout.readline())
        return Round(calls / seconds, cpu / calls * 1e6, waits[int(len(waits) * 0.99)] * 1e3 if waits else 0.0)

    def rates_together(self, name: str, calls: int, concurrency: int, cores: tuple[int, ...]) -> float:
        """Returns the calls per second of a contender's processes together, each of which runs on a core of its own."""
        contenders = [self._contender(name, concurrency, core) for core in cores]
        for contender in contenders:
            contender.stdin.write(f"{calls} {concurrency}\n")
            contender.stdin.flush()
        return sum(calls / json.loads(contender.stdout.readline())[0] for contender in contenders)

    def rounds(self, calls: dict[str, int], concurrency: int, rounds: int) -> dict[str, list[Round]]:
        """Runs rounds in random order, and returns those of each contender. `calls` is by contender, for one round."""
        results: dict[str, list[Round]] = {name: [] for name in calls}
        for _ in range(rounds):
            for name in random.sample(list(calls), len(calls)):
                results[name].append(self.round(name, calls[name], concurrency))
        return results

    def server_cpu(self) -> float:
        """Returns the seconds of CPU that the server has used."""
        fields = Path(f"/proc/{self.server.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """Ends all processes."""
        for process in (*self.contenders.values(), self.server):
            process.stdin.close()
            process.wait(20)


def pin(command: list[str], core: int | None) -> list[str]:
    """Returns a command that runs on one core, if the system can pin processes."""
    return ["taskset", "-c", str(core), *command] if CAN_PIN and core is not None else command


class Ratio(NamedTuple):
    """The median, the minimum and the maximum of ratios, each of which compares the same round."""

    median: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, ours: Iterable[float], theirs: Iterable[float]) -> Ratio:
        """Returns the ratio of ours to theirs."""
        ratios = [our / their for our, their in zip(ours, theirs, strict=True)]
        return cls(statistics.median(ratios), min(ratios), max(ratios))

    def __str__(self) -> str:
        return f"{self.median:.2f} × ({self.minimum:.2f} to {self.maximum:.2f})"


def best(call: Callable[[], object], times: int) -> float:
    """Returns the microseconds of a call: the best of seven means, each of so many calls."""
    seconds = float("inf")
    for _ in range(7):
        began = time.perf_counter()
        for _ in range(times):
            call()
        seconds = min(seconds, (time.perf_counter() - began) / times)
    return seconds * 1e6


def print_row(label: object, measured: object, aim: str = "") -> None:
    """Prints a row of the table in Markdown."""
    print(f"| {label!s:68} | {measured!s:40} | {aim:7} |", flush=True)

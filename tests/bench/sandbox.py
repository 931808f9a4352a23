"""The sandbox: its rate beside that of a server by hand, and its memory after many calls."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.run import ROOT, Ratio, pin, print_row

ORDERS, CONNECTIONS, ROUNDS = 500, 8, 7


class Loaded:
    """A server on one core, and a program on the other that places orders there."""

    def __init__(self, name: str) -> None:
        self.server = start(1, "tests.bench.sandbox_servers", name)
        self.load = start(0, "tests.bench.sandbox_load", str(CONNECTIONS))
        self.load.stdin.write(self.server.stdout.readline())

    def place(self, orders: int) -> float:
        """Places orders and returns how many were accepted in a second."""
        return orders / ask(self.load, str(orders))

    def resident(self) -> float:
        """Returns the resident memory of the server in MB."""
        return ask(self.server, "")[1]

    def close(self) -> None:
        for process in (self.load, self.server):
            process.stdin.close()
            process.wait(20)


def start(core: int, *arguments: str) -> subprocess.Popen[str]:
    command = pin([sys.executable, "-m", *arguments], core)
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def ask(process: subprocess.Popen[str], line: str) -> object:
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


@contextmanager
def loaded(*names: str) -> Iterator[list[Loaded]]:
    servers = [Loaded(name) for name in names]
    try:
        yield servers
    finally:
        for each in servers:
            each.close()


def measure_sandbox() -> Ratio:
    """Compares the orders per second with those of a server by hand that verifies, stores and signs, and returns the ratio."""
    rates: dict[Loaded, list[float]]
    with loaded("sandbox", "by-hand") as (ours, by_hand):
        rates = {each: [] for each in (ours, by_hand)}
        for each in rates:
            each.place(100)
        for _ in range(ROUNDS):
            for each in random.sample(list(rates), 2):
                rates[each].append(each.place(ORDERS))
        ratio = Ratio.of(rates[ours], rates[by_hand])
    print_row("the sandbox: to an aiohttp server by hand", ratio, "0.70 ×")
    return ratio


def measure_sandbox_memory() -> None:
    """Measures the sandbox's memory while 200,000 orders are placed."""
    with loaded("sandbox") as (ours,):
        placed, measured = 0, []
        for orders in (1_000, 19_000, 80_000, 100_000):
            for _ in range(orders // 1_000):  # signed in time: a timestamp is valid for five minutes
                ours.place(1_000)
            placed += orders
            measured.append(f"{ours.resident():.0f}")
        print_row("the sandbox after 1,000, 20,000, 100,000 and 200,000 orders", f"{', '.join(measured)} MB")


if __name__ == "__main__":
    measure_sandbox()
    measure_sandbox_memory()

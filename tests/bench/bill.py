"""A bill of 1 GB is downloaded, compared with its digest, and written to a file."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from tests.bench.run import Ratio, Run, print_row

COMMON = """
import hashlib, resource, sys, time
from pathlib import Path
import requests
from tests.bench import clients
setup = clients.Setup(sys.argv[1], Path(sys.argv[2]))
target = Path(sys.argv[3])
url = f"{setup.url}/v3/billdownload/file?size={1 << 30}"
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
"""
BY_HAND = f"""{COMMON}
digest = hashlib.sha1()
began = time.perf_counter()
with requests.get(url, stream=True, timeout=30) as response, target.open("wb") as file:
    for chunk in response.iter_content(1 << 16):
        digest.update(chunk)
        file.write(chunk)
print(time.perf_counter() - began, digest.hexdigest())
"""
OURS = f"""{COMMON}
client = clients.client(setup)
began = time.perf_counter()
client.download({{"download_url": url, "hash_type": "SHA1", "hash_value": sys.argv[4]}}, target)
print(time.perf_counter() - began, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def measure_bill(run: Run) -> None:
    """Compares our download with a hand-written one that streams with requests and hashes with hashlib."""
    # Written to memory if possible: the speed of a virtual machine's disk varies by half.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else run.folder) as folder:
        target = Path(folder) / "bill"

        def download(program: str, digest: str = "") -> tuple[float, str]:
            target.unlink(missing_ok=True)
            seconds, rest = run.output("-c", program, run.url, str(run.folder), str(target), digest, core=0).split()
            return float(seconds), rest

        _, digest = download(BY_HAND)
        rounds = [
            {program: download(program, digest) for program in random.sample([BY_HAND, OURS], 2)} for _ in range(9)
        ]
    hand, ours = ([results[program][0] for results in rounds] for program in (BY_HAND, OURS))
    # The quickest round of each: the speed of a virtual machine's memory varies by half, for whole rounds.
    by_round = Ratio.of(hand, ours)
    quickest = f"{min(hand) / min(ours):.2f} × ({by_round.minimum:.2f} to {by_round.maximum:.2f})"
    print_row("a bill of 1 GB: to requests and a hash by hand, the quickest of 9", quickest, "0.90 ×")
    print_row(
        "  memory above the process's own", f"{max(float(results[OURS][1]) for results in rounds):.0f} MB", "64 MB"
    )

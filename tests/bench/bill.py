"""A bill of 1 GB: fetched, compared with its digest, and written to a file."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from tests.bench.run import Ratio, Run, row

COMMON = """
import hashlib, resource, sys, time
from pathlib import Path
import requests
from tests.bench import clients
known = clients.Known(sys.argv[1], Path(sys.argv[2]))
to = Path(sys.argv[3])
url = f"{known.url}/v3/billdownload/file?size={1 << 30}"
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
"""
BY_HAND = f"""{COMMON}
digest = hashlib.sha1()
began = time.perf_counter()
with requests.get(url, stream=True, timeout=30) as answer, to.open("wb") as file:
    for piece in answer.iter_content(1 << 16):
        digest.update(piece)
        file.write(piece)
print(time.perf_counter() - began, digest.hexdigest())
"""
OURS = f"""{COMMON}
client = clients.client(known)
began = time.perf_counter()
client.download({{"download_url": url, "hash_type": "SHA1", "hash_value": sys.argv[4]}}, to)
print(time.perf_counter() - began, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def bill(run: Run) -> None:
    """Ours to requests streaming, with a hash by hand."""
    # In memory where that can be had: the disk of a virtual machine wavers by half.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else run.folder) as folder:
        to = Path(folder) / "bill"

        def fetched(program: str, digest: str = "") -> tuple[float, str]:
            to.unlink(missing_ok=True)
            seconds, rest = run.output("-c", program, run.url, str(run.folder), str(to), digest, core=0).split()
            return float(seconds), rest

        _, digest = fetched(BY_HAND)
        rounds = [{one: fetched(one, digest) for one in random.sample([BY_HAND, OURS], 2)} for _ in range(9)]
    hand, ours = ([took[one][0] for took in rounds] for one in (BY_HAND, OURS))
    # The quickest of each: a virtual machine's memory is now fast, now slow, by half and for whole rounds.
    by_round = Ratio.of(hand, ours)
    quickest = f"{min(hand) / min(ours):.2f} × ({by_round.least:.2f} to {by_round.greatest:.2f})"
    row("a bill of 1 GB: to requests and a hash by hand, the quickest of 9", quickest, "0.90 ×")
    row("  memory above the process's own", f"{max(float(took[OURS][1]) for took in rounds):.0f} MB", "64 MB")

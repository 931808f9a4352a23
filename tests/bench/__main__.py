"""Measures in one run what is written down in docs/en/performance.md: `python -m tests.bench [quick]`.

Server and client have a core each where the system can pin them. Contenders take rounds in shuffled order; a ratio is taken
within its round, and of the ratios the median is shown, with the least and the greatest.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.bench.bill import bill
from tests.bench.calls import many_at_once, one_after_another, two_cores
from tests.bench.processes import long_time, merchants, starting
from tests.bench.run import Run, row

# Gross regressions only: a machine that others use too makes even ratios waver.
LEAST_SYNC, LEAST_ASYNC, LONGEST_WAIT = 1.0, 0.65, 0.8


def parts(run: Run) -> None:
    """What a call takes of our own CPU, and where."""
    for what, microseconds, aim in json.loads(run.output("-m", "tests.bench.parts", core=0)):
        row(what, f"{microseconds:.1f} µs", aim)


def main() -> int:
    quick = sys.argv[1:] == ["quick"]
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), quick=quick)
        try:
            row("what", "measured", "aim")
            row("---", "---", "---")
            sync = one_after_another(run)
            awaited, wait = many_at_once(run)
            parts(run)
            if not quick:
                two_cores(run)
                starting(run)
                merchants(run)
                bill(run)
                long_time(run)
        finally:
            run.close()
    worse = sync.median < LEAST_SYNC or awaited.median < LEAST_ASYNC or wait.median > LONGEST_WAIT
    if worse:
        print(
            f"expected at least {LEAST_SYNC} and {LEAST_ASYNC} ×, and waits of {LONGEST_WAIT} × at the most",
            file=sys.stderr,
        )
    return int(worse)


if __name__ == "__main__":
    sys.exit(main())

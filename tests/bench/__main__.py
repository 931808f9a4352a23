"""Measures everything that docs/en/performance.md reports: `python -m tests.bench [quick]`.

Server and client run on one core each, if the system can pin processes. The contenders take rounds in random order.
Each ratio compares two contenders of the same round; the table shows the median, the minimum and the maximum.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.bench.bill import measure_bill
from tests.bench.calls import measure_concurrent_calls, measure_sequential_calls, measure_two_cores
from tests.bench.processes import measure_memory, measure_merchants, measure_start
from tests.bench.run import Run, print_row
from tests.bench.sandbox import measure_sandbox, measure_sandbox_memory

# These limits find only gross regressions, because even ratios vary on a machine that others use too.
LEAST_SYNC, LEAST_ASYNC, LONGEST_WAIT, LEAST_SANDBOX = 1.0, 0.65, 0.8, 0.55


def measure_parts(run: Run) -> None:
    """Measures the CPU time that a call spends in our own code, and in each layer."""
    for label, microseconds, aim in json.loads(run.output("-m", "tests.bench.parts", core=0)):
        print_row(label, f"{microseconds:.1f} µs", aim)


def main() -> int:
    quick = sys.argv[1:] == ["quick"]
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), quick=quick)
        try:
            print_row("what", "measured", "aim")
            print_row("---", "---", "---")
            sync = measure_sequential_calls(run)
            awaited, wait = measure_concurrent_calls(run)
            measure_parts(run)
            served = measure_sandbox()
            if not quick:
                measure_two_cores(run)
                measure_start(run)
                measure_merchants(run)
                measure_bill(run)
                measure_memory(run)
                measure_sandbox_memory()
        finally:
            run.close()
    worse = sync.median < LEAST_SYNC or awaited.median < LEAST_ASYNC or wait.median > LONGEST_WAIT
    worse = worse or served.median < LEAST_SANDBOX
    if worse:
        print(
            f"expected at least {LEAST_SYNC} and {LEAST_ASYNC} ×, waits of at most {LONGEST_WAIT} ×, and the sandbox at "
            f"least {LEAST_SANDBOX} ×",
            file=sys.stderr,
        )
    return int(worse)


if __name__ == "__main__":
    sys.exit(main())

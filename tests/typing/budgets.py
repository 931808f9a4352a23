"""Measures what the types cost a user: ten lines in mypy without a cache, and in pyright.

    python -m tests.typing.budgets

It fails if one takes one and a half times its budget, which a busy machine explains no more.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = """from wechatpay_chain import Client
from wechatpay_chain.types import v3

client = Client()
order: v3.pay.transactions.native.PostBody = {
    "appid": "wx", "mchid": "1", "description": "d", "out_trade_no": "1", "notify_url": "u", "amount": {"total": 1}
}
made = client.v3.pay.transactions.native.post(json=order)
print(made.json()["code_url"])
client["v3/pay/transactions/id/<transaction_id>"].get(transaction_id="1", params={"mchid": "1"})
"""

BUDGETS = {
    "mypy": (["mypy", "--strict", "--no-incremental", "--python-executable", sys.executable], 6.0, 350),
    "pyright": (["pyright", "--pythonpath", sys.executable], 4.0, None),
}
"""The command, the seconds of CPU, and the megabytes; None for no limit."""

LATE = 1.5
"""How many times the budget fails."""


def measure(command: list[str], folder: str) -> tuple[float, float]:
    """Runs a command. Returns the seconds of CPU and the most megabytes that it and its children took."""
    code = (
        "import resource, subprocess, sys\n"
        "run = subprocess.run(sys.argv[1:])\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)\n"
        "sys.exit(run.returncode)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, *command, "shop.py"], cwd=folder, capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise SystemExit(f"{command[0]} finds errors in ten right lines:\n{run.stdout}{run.stderr}")
    seconds, megabytes = map(float, run.stdout.splitlines()[-1].split())
    return seconds, megabytes


def main() -> int:
    """Measures both, prints the figures, and returns how many are far above their budget."""
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "shop.py").write_text(PROGRAM, encoding="utf-8")
        for name, (command, seconds_allowed, megabytes_allowed) in BUDGETS.items():
            command[0] = str(Path(sys.executable).with_name(command[0]))
            measure(command, folder)  # the first run of pyright may install node
            # The least of three: whatever else the machine does makes a run longer, never shorter.
            seconds, megabytes = min(measure(command, folder) for _ in range(3))
            wrong += seconds > LATE * seconds_allowed or megabytes > LATE * (megabytes_allowed or megabytes)
            limits = f"{seconds_allowed:.0f} s" + (f", {megabytes_allowed} MB" if megabytes_allowed else "")
            print(f"{name}: {seconds:.1f} s of CPU, {megabytes:.0f} MB (budget {limits})")
    return wrong


if __name__ == "__main__":
    sys.exit(main())

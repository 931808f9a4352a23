"""The command `wechatpay-chain sandbox`, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager

__all__ = ["run_sandbox"]


@contextmanager
def run_sandbox(*arguments):
    """Yields the process of a sandbox on a free port, which ends with the test at the latest."""
    command = [sys.executable, "-m", "wechatpay_chain", "sandbox", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()

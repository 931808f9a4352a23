"""Does the slow work for paid orders: `python worker.py`, beside the server, in any number of processes."""

from __future__ import annotations

import logging
import time

from orders import finish_work, take_work

logger = logging.getLogger("shop")


def deliver(out_trade_no: str) -> None:
    """Sends a mail or calls a warehouse. After a crash it is called again, so it must be idempotent."""
    print("delivered", out_trade_no, flush=True)


while True:
    out_trade_no = take_work()
    if out_trade_no is None:
        time.sleep(0.5)
        continue
    try:
        deliver(out_trade_no)
    except Exception:
        logger.exception("%s failed; a worker retries it in a minute", out_trade_no)
    else:
        finish_work(out_trade_no)

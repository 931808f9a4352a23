"""Keeps orders, and the work to do for paid orders, in one SQLite database.

The statements are the same for PostgreSQL; ../en/notifications.md shows them side by side.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from wechatpay_chain import Notification

logger = logging.getLogger("shop")

TABLES = """
CREATE TABLE IF NOT EXISTS orders (
    out_trade_no TEXT PRIMARY KEY,
    appid TEXT NOT NULL,
    mchid TEXT NOT NULL,
    total INTEGER NOT NULL,                -- in fen: 100 is 1 yuan
    currency TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'NOTPAY',
    transaction_id TEXT
);
CREATE TABLE IF NOT EXISTS work (
    out_trade_no TEXT PRIMARY KEY,
    due REAL NOT NULL                      -- Unix time after which a worker may take it
);
"""

# Only an unpaid order that matches in every column becomes PAID. The database lets exactly one delivery do it.
MARK_PAID = """
UPDATE orders SET state = 'PAID', transaction_id = :transaction_id
WHERE out_trade_no = :out_trade_no AND state = 'NOTPAY'
  AND appid = :appid AND mchid = :mchid AND total = :total AND currency = :currency
"""

IS_REPEAT = """
SELECT 1 FROM orders
WHERE out_trade_no = :out_trade_no AND state = 'PAID' AND transaction_id = :transaction_id
  AND appid = :appid AND mchid = :mchid AND total = :total AND currency = :currency
"""


@contextmanager
def transaction() -> Iterator[sqlite3.Connection]:
    """Runs a block as one transaction: all of it is stored, or nothing. Waits at most 3 seconds for other writers."""
    with closing(sqlite3.connect(os.environ.get("SHOP_DATABASE", "shop.db"), timeout=3, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")


def create_tables() -> None:
    with closing(sqlite3.connect(os.environ.get("SHOP_DATABASE", "shop.db"), timeout=3)) as db:
        db.executescript(TABLES)


def place(out_trade_no: str, appid: str, mchid: str, total: int, currency: str = "CNY") -> None:
    """Stores an order. Call it before you send the order to WeChat Pay."""
    with transaction() as db:
        db.execute(
            "INSERT INTO orders (out_trade_no, appid, mchid, total, currency) VALUES (?, ?, ?, ?, ?)",
            (out_trade_no, appid, mchid, total, currency),
        )


def record(notification: Notification) -> bool:
    """Marks an order as paid, exactly once, even if its notification comes several times or to several processes.

    Returns:
        True if WeChat Pay need not send the notification again.
    """
    # A TRANSACTION.SUCCESS with the original type "profitsharing" is not a payment.
    payment = notification.resource_for("TRANSACTION.SUCCESS", "transaction")
    if payment is None:
        logger.info("ignored %s %s", notification.event_type, notification.original_type)
        return True
    amount = payment.get("amount", {})
    paid = {
        "out_trade_no": payment.get("out_trade_no"),
        "transaction_id": payment.get("transaction_id"),
        "appid": payment.get("appid"),
        "mchid": payment.get("mchid"),
        "total": amount.get("total"),
        "currency": amount.get("currency"),
    }
    if payment.get("trade_state") == "SUCCESS" and isinstance(paid["total"], int):
        with transaction() as db:
            if db.execute(MARK_PAID, paid).rowcount == 1:
                # In the same transaction, so that a crash cannot leave a paid order without its work.
                db.execute("INSERT INTO work (out_trade_no, due) VALUES (?, ?)", (paid["out_trade_no"], time.time()))
                return True
            if db.execute(IS_REPEAT, paid).fetchone():
                return True
    shown = json.dumps({"id": notification.id, "trade_state": payment.get("trade_state"), **paid})
    logger.error("no order was marked as paid, because none matches: %s", shown)
    return False


def take_work(lease: float = 60) -> str | None:
    """Takes a paid order to work on. If it is not finished within `lease` seconds, another worker may take it."""
    with transaction() as db:
        due = db.execute("SELECT out_trade_no FROM work WHERE due <= ? ORDER BY due LIMIT 1", (time.time(),)).fetchone()
        if due is not None:
            db.execute("UPDATE work SET due = ? WHERE out_trade_no = ?", (time.time() + lease, *due))
    return due and due[0]


def finish_work(out_trade_no: str) -> None:
    with transaction() as db:
        db.execute("DELETE FROM work WHERE out_trade_no = ?", (out_trade_no,))


create_tables()

"""Places orders in a Flask application: `gunicorn -c gunicorn_conf.py checkout:app`."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask

from wechatpay_chain import Client, Retry, WeChatPayError

# Made once, also with preload_app: a forked worker makes its own connections. A call ends after about 20 seconds, before
# gunicorn's timeout of 30.
client = Client.from_file(
    os.environ["WECHATPAY_SETTINGS"],
    timeout=(3, 10, 20),
    retry=Retry(attempts=3, deadline=20),
)
app = Flask(__name__)


@app.post("/orders/<out_trade_no>")
def place(out_trade_no: str) -> tuple[dict[str, Any], int]:
    try:
        response = client.v3.pay.transactions.native.post(
            json={
                "appid": "wxd678efh567hg6787",
                "mchid": client.mchid,
                "description": "公仔",
                "out_trade_no": out_trade_no,
                "notify_url": "https://shop.example/wechatpay",
                "amount": {"total": 100},  # in fen; take it from your own catalogue, never from the browser
            },
            idempotent=True,
        )
    except WeChatPayError as error:
        app.logger.warning("%s: %s", out_trade_no, error)
        return {"error": type(error).__name__, "sent": error.sent}, 502
    return {"code_url": response.json()["code_url"], "worker": os.getpid()}, 200

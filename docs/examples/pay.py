"""Sends a payment from a sandbox to one of these servers: `python pay.py 8000 uvicorn fastapi_app:app`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from orders import place

from wechatpay_chain.sandbox import Sandbox

port, *command = sys.argv[1:]
with Sandbox(sign_with="public-key") as sandbox:
    key_id, key = next(iter(sandbox.credentials["certs"].items()))
    Path("pub_key.pem").write_text(key)
    settings = {
        "WECHATPAY_PUBLIC_KEY_ID": key_id,
        "WECHATPAY_PUBLIC_KEY": "pub_key.pem",
        "WECHATPAY_APIV3_KEY": sandbox.credentials["apiv3_key"],
    }
    server = subprocess.Popen(command, env={**os.environ, **settings})
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", int(port))).close()
                break
            except OSError:
                time.sleep(0.1)
        number, appid, mchid = f"order-{time.time_ns()}", "wxd678efh567hg6787", sandbox.credentials["mchid"]
        place(number, appid, mchid, 100)
        payment = {
            "out_trade_no": number,
            "transaction_id": f"4200-{time.time_ns()}",
            "appid": appid,
            "mchid": mchid,
            "trade_state": "SUCCESS",
            "amount": {"total": 100, "currency": "CNY"},
        }
        notice = sandbox.notify("TRANSACTION.SUCCESS", payment, f"http://127.0.0.1:{port}/wechatpay")
        print("the server replied", notice.posts[0].outcome, "and", "has" if notice.is_received else "has not", number)
    finally:
        server.terminate()
        server.wait()

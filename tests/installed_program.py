"""An order, its notification, its refund and a query with an installed package; `installed.py` runs this."""

from __future__ import annotations

import asyncio
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import wechatpay_chain
from wechatpay_chain.sandbox import Sandbox
from wechatpay_chain.types import v3

assert "site-packages" in wechatpay_chain.__file__, wechatpay_chain.__file__


async def main(client, number):
    query = client.v3.pay.transactions.out_trade_no._out_trade_no_
    found = (await query.get_async(out_trade_no=number, params={"mchid": client.mchid})).json()
    await client.aclose()
    return found["trade_state"]


with Sandbox() as sandbox, sandbox.client() as client:
    paid = []

    class Shop(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            paid.append(client.notifications.parse(dict(self.headers), body).resource["out_trade_no"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Shop) as shop:
        serving = Thread(target=shop.handle_request)
        serving.start()
        order: v3.pay.transactions.native.PostBody = {
            "appid": "wxd678efh567hg6787",
            "mchid": client.mchid,
            "description": "公仔",
            "out_trade_no": "installed-1",
            "notify_url": f"http://127.0.0.1:{shop.server_address[1]}/",
            "amount": {"total": 100},
        }
        assert client.v3.pay.transactions.native.post(json=order).json()["code_url"].startswith("weixin://")
        sandbox.pay("installed-1")
        serving.join(10)
    assert paid == ["installed-1"], paid
    refund = {
        "out_trade_no": "installed-1",
        "out_refund_no": "1",
        "amount": {"refund": 1, "total": 100, "currency": "CNY"},
    }
    client.v3.refund.domestic.refunds.post(json=refund)
    assert asyncio.run(main(client, "installed-1")) == "REFUND"
print(f"wechatpay-chain {wechatpay_chain.__version__} works on Python {sys.version.split()[0]}, {sys.platform}")

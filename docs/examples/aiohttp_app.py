"""Receives notifications in an aiohttp.web application: `python aiohttp_app.py`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from aiohttp import web
from orders import record

from wechatpay_chain import Notifications, Reply, WeChatPayError

notifications = Notifications(
    certs={os.environ["WECHATPAY_PUBLIC_KEY_ID"]: Path(os.environ["WECHATPAY_PUBLIC_KEY"])},
    apiv3_key=os.environ["WECHATPAY_APIV3_KEY"],
)


async def wechatpay(request: web.Request) -> web.Response:
    try:
        notification = await notifications.parse_async(request.headers, await request.read())
        # In a worker thread, because the database blocks. After 4 seconds the reply asks WeChat Pay to send it again.
        is_recorded = await asyncio.wait_for(asyncio.to_thread(record, notification), 4)
        reply = Reply.ok() if is_recorded else Reply.fail()
    except (WeChatPayError, asyncio.TimeoutError):
        reply = Reply.fail()
    return web.Response(body=reply.body, status=reply.status, headers=dict(reply.headers))


app = web.Application()
app.router.add_post("/wechatpay", wechatpay)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))

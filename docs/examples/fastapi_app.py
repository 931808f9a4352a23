"""Receives notifications in a FastAPI application: `uvicorn fastapi_app:app`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from fastapi import FastAPI, Request, Response
from orders import record

from wechatpay_chain import Notifications, Reply, WeChatPayError

notifications = Notifications(
    certs={os.environ["WECHATPAY_PUBLIC_KEY_ID"]: Path(os.environ["WECHATPAY_PUBLIC_KEY"])},
    apiv3_key=os.environ["WECHATPAY_APIV3_KEY"],
)
app = FastAPI()


@app.post("/wechatpay")
async def wechatpay(request: Request) -> Response:
    # A plain Request: a model in the signature would parse the body before it is verified.
    try:
        notification = await notifications.parse_async(request.headers, await request.body())
        # In a worker thread, because the database blocks. After 4 seconds the reply asks WeChat Pay to send it again.
        is_recorded = await asyncio.wait_for(asyncio.to_thread(record, notification), 4)
        reply = Reply.ok() if is_recorded else Reply.fail()
    except (WeChatPayError, asyncio.TimeoutError):
        reply = Reply.fail()
    return Response(reply.body, reply.status, dict(reply.headers))

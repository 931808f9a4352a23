"""Receives notifications in a Flask application: `flask --app flask_app run`."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask, Response, request
from orders import record

from wechatpay_chain import Notifications, Reply, WeChatPayError

notifications = Notifications(
    certs={os.environ["WECHATPAY_PUBLIC_KEY_ID"]: Path(os.environ["WECHATPAY_PUBLIC_KEY"])},
    apiv3_key=os.environ["WECHATPAY_APIV3_KEY"],
)
app = Flask(__name__)


@app.post("/wechatpay")
def wechatpay() -> Response:
    try:
        is_recorded = record(notifications.parse(request.headers, request.get_data()))
        reply = Reply.ok() if is_recorded else Reply.fail()
    except WeChatPayError:
        reply = Reply.fail()
    return Response(reply.body, reply.status, dict(reply.headers))

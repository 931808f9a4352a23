"""A Flask application that receives notifications."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, Response, request

from wechatpay_chain import Notification, Notifications, Reply, WeChatPayError


def create_app(notifications: Notifications, handle: Callable[[Notification], None]) -> Flask:
    app = Flask(__name__)

    @app.post("/wechatpay")
    def wechatpay() -> Response:
        try:
            handle(notifications.parse(request.headers, request.get_data()))
            reply = Reply.ok()
        except WeChatPayError:
            reply = Reply.fail()
        return Response(reply.body, reply.status, dict(reply.headers))

    return app

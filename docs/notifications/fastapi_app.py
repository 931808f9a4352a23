"""A FastAPI application that receives notifications."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI, Request, Response

from wechatpay_chain import Notification, Notifications, Reply, WeChatPayError


def create_app(notifications: Notifications, handle: Callable[[Notification], None]) -> FastAPI:
    app = FastAPI()

    # Takes the request as it is: a model in the signature would parse the body before anybody verifies it.
    async def wechatpay(request: Request) -> Response:
        try:
            handle(await notifications.parse_async(request.headers, await request.body()))
            reply = Reply.ok()
        except WeChatPayError:
            reply = Reply.fail()
        return Response(reply.body, reply.status, dict(reply.headers))

    app.add_api_route("/wechatpay", wechatpay, methods=["POST"], response_model=None)
    return app

"""An aiohttp.web application that receives notifications."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from wechatpay_chain import Notification, Notifications, Reply, WeChatPayError


def create_app(notifications: Notifications, handle: Callable[[Notification], None]) -> web.Application:
    async def wechatpay(request: web.Request) -> web.Response:
        try:
            handle(await notifications.parse_async(request.headers, await request.read()))
            reply = Reply.ok()
        except WeChatPayError:
            reply = Reply.fail()
        return web.Response(body=reply.body, status=reply.status, headers=dict(reply.headers))

    app = web.Application()
    app.router.add_post("/wechatpay", wechatpay)
    return app

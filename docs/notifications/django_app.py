"""A view of Django that receives notifications."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from wechatpay_chain import Notification, Notifications, Reply, WeChatPayError


def create_urls(notifications: Notifications, handle: Callable[[Notification], None]) -> list[URLPattern]:
    @csrf_exempt  # the signature says who posts
    @require_POST
    def wechatpay(request: HttpRequest) -> HttpResponse:
        try:
            handle(notifications.parse(request.headers, request.body))
            reply = Reply.ok()
        except WeChatPayError:
            reply = Reply.fail()
        return HttpResponse(reply.body, status=reply.status, headers=dict(reply.headers))

    return [path("wechatpay", wechatpay)]

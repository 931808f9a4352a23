"""Receives notifications in a Django project of one file: `python django_app.py runserver`.

In production: `gunicorn django_app:application`.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from orders import record

from wechatpay_chain import Notifications, Reply, WeChatPayError

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=os.environ.get("ALLOWED_HOSTS", "127.0.0.1 localhost").split(),
    SECRET_KEY=secrets.token_hex(),
)
notifications = Notifications(
    certs={os.environ["WECHATPAY_PUBLIC_KEY_ID"]: Path(os.environ["WECHATPAY_PUBLIC_KEY"])},
    apiv3_key=os.environ["WECHATPAY_APIV3_KEY"],
)


@csrf_exempt  # the signature identifies the sender
@require_POST
def wechatpay(request: HttpRequest) -> HttpResponse:
    try:
        is_recorded = record(notifications.parse(request.headers, request.body))
        reply = Reply.ok() if is_recorded else Reply.fail()
    except WeChatPayError:
        reply = Reply.fail()
    return HttpResponse(reply.body, status=reply.status, headers=dict(reply.headers))


urlpatterns = [path("wechatpay", wechatpay)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
else:
    application = get_wsgi_application()

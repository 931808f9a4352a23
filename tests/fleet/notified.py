"""A shop behind a notify URL, for gunicorn: each notification that it takes becomes a line of a file.

Its settings are in the environment: KEY_ID and PUBLIC_KEY of WeChat Pay, REDIS, and TAKEN, the folder of the files.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from tests.test_notification import APIV3_KEY
from wechatpay_chain import Notifications, Reply, WeChatPayError
from wechatpay_chain.stores import RedisStore

logging.getLogger("wechatpay_chain").addHandler(logging.NullHandler())  # thousands of refusals are expected
reader = Notifications(
    {os.environ["KEY_ID"]: os.environ["PUBLIC_KEY"]}, APIV3_KEY, seen=RedisStore(os.environ["REDIS"])
)


def app(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    try:
        notification = reader.parse(environ, body)
    except WeChatPayError:
        reply = Reply.fail()
    else:
        with (Path(os.environ["TAKEN"]) / str(os.getpid())).open("a") as file:
            file.write(f"{notification.id}\n")
        reply = Reply.ok()
    start_response(f"{reply.status} -", list(reply.headers.items()))
    return [reply.body]

"""The examples of docs/notifications receive real posts in the real frameworks."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import requests

from tests.test_notification import APIV3_KEY, RESOURCE, envelope
from wechatpay_chain import Notifications

EXAMPLES = Path(__file__).parents[1] / "docs" / "notifications"


def example(name: str):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def wsgi(application):
    with make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def flask(notifications, handle):
    return wsgi(example("flask_app").create_app(notifications, handle))


def django(notifications, handle):
    import django as package
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application

    urls = type("urls", (), {"urlpatterns": example("django_app").create_urls(notifications, handle)})
    if not settings.configured:
        settings.configure(ROOT_URLCONF=urls, ALLOWED_HOSTS=["127.0.0.1"], SECRET_KEY="tests")
        package.setup()
    return wsgi(get_wsgi_application())


@contextmanager
def fastapi(notifications, handle):
    import uvicorn

    application = example("fastapi_app").create_app(notifications, handle)
    server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


@contextmanager
def aiohttp(notifications, handle):
    from aiohttp import web

    listening, stop, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()
    port: list[int] = []

    async def serve() -> None:
        runner = web.AppRunner(example("aiohttp_app").create_app(notifications, handle))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port.append(runner.addresses[0][1])
        listening.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    listening.wait(5)
    yield port[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


@pytest.mark.parametrize("framework", [flask, django, fastapi, aiohttp], ids=lambda framework: framework.__name__)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the frameworks' own
def test_a_framework_receives_notifications(service, framework):
    handled = []
    body = envelope()
    with (
        framework(Notifications(certs=service.certs, apiv3_key=APIV3_KEY), handled.append) as port,
        requests.Session() as session,
    ):
        session.trust_env = False
        url = f"http://127.0.0.1:{port}/wechatpay"
        for signer in ({}, {"key": service.platform, "serial": service.platform_serial}):
            headers = {"Content-Type": "application/json", **service.signature(body, **signer)}
            answer = session.post(url, data=body, headers=headers, timeout=5)
            assert (answer.status_code, answer.content) == (204, b"")
        headers["Wechatpay-Signature"] = f"WECHATPAY/SIGNTEST/{headers['Wechatpay-Signature']}"
        forged = session.post(url, data=body, headers=headers, timeout=5)
        assert (forged.status_code, forged.json()["code"]) == (500, "FAIL")
    assert [notification.resource for notification in handled] == [RESOURCE, RESOURCE]

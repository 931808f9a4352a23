"""A merchant's server: receives the notifications of a sandbox over HTTP, and has them verified and decrypted."""

from __future__ import annotations

import queue
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.documented import assert_documented
from wechatpay_chain._catalogue.operations import find_event


class Shop:
    """The notifications that were received.

    Attributes:
        url: where it listens.
    """

    def __init__(self, url):
        self.url, self._received = url, queue.Queue()

    def wait(self):
        """Waits for the next notification and returns it."""
        return self._received.get(timeout=20)

    def receive(self, *, is_combined=False):
        """Returns the next notification as its event type and resource, which fits the catalogue's schema.

        Args:
            is_combined: whether it is the payment of a combined order, of which the catalogue requires members that only
                other payments have.
        """
        notice = self.wait()
        (documented,) = (
            one for one in find_event(notice.event_type).resources if one.original_type == notice.original_type
        )
        schema = {**documented.schema, "required": []} if is_combined else documented.schema
        assert_documented(schema, notice.resource)
        return notice.event_type, notice.resource

    def is_empty(self):
        """Tells whether no notification waits to be read."""
        return self._received.empty()


@contextmanager
def keep_shop(parse):
    """Runs a merchant's server, which responds with 204 to each notification, and with 401 to those that are refused.

    Args:
        parse: verifies and decrypts a notification, given its headers as pairs and its body. It returns None to refuse it.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            notice = parse(self.headers.items(), body)
            if notice is not None:
                shop._received.put(notice)
            self.send_response(401 if notice is None else 204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        shop = Shop(f"http://127.0.0.1:{server.server_address[1]}/notify")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield shop
        server.shutdown()
        thread.join()

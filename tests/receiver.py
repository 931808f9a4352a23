"""A merchant's server, which receives the notifications of a sandbox."""

from __future__ import annotations

import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from wechatpay_chain import Client, Notification


class Receiver:
    """Verifies and decrypts what is posted to `url`. It is a context manager.

    Args:
        client: the client whose keys verify and decrypt.
    """

    def __init__(self, client: Client) -> None:
        received: queue.Queue[Notification] = queue.Queue()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.put(client.notifications.parse(self.headers.items(), body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._received = received
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/notify"

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait(self) -> Notification:
        """Waits for the next notification and returns it."""
        return self._received.get(timeout=20)

    @property
    def is_idle(self) -> bool:
        """True if everything that was received has been returned."""
        return self._received.empty()

"""A server that needs little CPU: HTTPS, keep-alive, and responses that were signed beforehand.

    python -m tests.bench.server FOLDER

It prints its port, and ends when its standard input does. It signs a new response every 20 seconds, so that the
timestamp stays within five minutes.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

SIGN_EVERY = 20.0
BODY = json.dumps({"code_url": "weixin://wxpay/bizpayurl?pr=p4lpSuKzz", "note": "公仔"}, ensure_ascii=False).encode()
CHUNK = bytes(range(256)) * 4096


class Connection(asyncio.Protocol):
    """A connection; a request is its head and as many bytes as its Content-Length says."""

    key = None
    serial = ""
    response, signed_at = b"", float("-inf")

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport, self.received = transport, b""
        self.writable = asyncio.Event()
        self.writable.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, octets: bytes) -> None:
        self.received += octets
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head = self.received[:end].lower()
            at = head.find(b"\r\ncontent-length:")
            length = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.received) < end + 4 + length:
                return
            target = self.received[: self.received.index(b"\r\n")].split(b" ")[1]
            self.received = self.received[end + 4 + length :]
            if target.startswith(b"/v3/billdownload/"):
                self.download = asyncio.ensure_future(self.send_download(int(target.rpartition(b"=")[2])))
            else:
                self.transport.write(self.signed_response())

    async def send_download(self, size: int) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(CHUNK)):
            self.transport.write(CHUNK)
            await self.writable.wait()

    @classmethod
    def signed_response(cls) -> bytes:
        if time.monotonic() - cls.signed_at > SIGN_EVERY:
            cls.signed_at = time.monotonic()
            timestamp, nonce = str(int(time.time())), "0123456789abcdef0123456789abcdef"
            message = f"{timestamp}\n{nonce}\n".encode() + BODY + b"\n"
            signature = base64.b64encode(cls.key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()
            cls.response = (
                "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: application/json; charset=utf-8\r\n"
                f"Content-Length: {len(BODY)}\r\nConnection: keep-alive\r\nRequest-ID: 08F78BB5AA0610D302-0\r\n"
                f"Wechatpay-Nonce: {nonce}\r\nWechatpay-Timestamp: {timestamp}\r\nWechatpay-Serial: {cls.serial}\r\n"
                f"Wechatpay-Signature: {signature}\r\nWechatpay-Signature-Type: WECHATPAY2-SHA256-RSA2048\r\n\r\n"
            ).encode() + BODY
        return cls.response


async def main(folder: Path) -> None:
    Connection.key = serialization.load_pem_private_key((folder / "platform.pem").read_bytes(), None)
    Connection.serial = (folder / "serial.txt").read_text()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "tls.pem", folder / "tls-key.pem")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, ssl=tls, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

"""Keys, signatures and a plain socket server for the tests, written without any code of the package."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import ipaddress
import json
import secrets
import select
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

MCHID = "1900007291"
SERIAL = "408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB"
PUBLIC_KEY_ID = "PUB_KEY_ID_0114232134912410000000000000"


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def new_certificate(key, serial=None, age=1, days=365, subject="localhost", issuer=None, issuer_key=None, names=None):
    """Returns a certificate, self-signed or signed with an issuer's key.

    It became valid `age` days ago and expires in `days` days.
    """

    def build_name(common_name):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])

    now = datetime.datetime.now(datetime.timezone.utc)
    names = names or [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return (
        x509.CertificateBuilder()
        .subject_name(build_name(subject))
        .issuer_name(build_name(issuer or subject))
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=age))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(issuer_key or key, hashes.SHA256())
    )


def private_pem(key, encryption=None, form=serialization.PrivateFormat.PKCS8) -> str:
    return key.private_bytes(serialization.Encoding.PEM, form, encryption or serialization.NoEncryption()).decode()


def public_pem(key, form=serialization.PublicFormat.SubjectPublicKeyInfo) -> str:
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def certificate_pem(certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def rsa_sign(key, message: bytes) -> str:
    return base64.b64encode(key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()


def rsa_verifies(key, signature: str, message: bytes) -> bool:
    try:
        key.public_key().verify(base64.b64decode(signature), message, padding.PKCS1v15(), hashes.SHA256())
    except Exception:
        return False
    return True


@dataclass(frozen=True)
class Received:
    """A request as the socket received it."""

    line: bytes
    headers: list[tuple[str, str]]
    body: bytes
    peer: int
    """The client's port, which identifies the connection."""

    @property
    def method(self) -> str:
        return self.line.split(b" ")[0].decode("ascii")

    @property
    def target(self) -> str:
        return self.line.split(b" ")[1].decode("ascii")

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) < 2, f"{name} was sent {len(values)} times"
        return values[0] if values else None

    @property
    def credentials(self) -> dict[str, str]:
        scheme, _, items = self.header("Authorization").partition(" ")
        assert scheme == "WECHATPAY2-SHA256-RSA2048"
        return {key: value.strip('"') for key, _, value in (item.partition("=") for item in items.split(","))}

    def is_signed_by(self, key) -> bool:
        """Returns whether the signature is valid for exactly the bytes that were received."""
        credentials = self.credentials
        message = b"".join(
            part + b"\n"
            for part in (
                self.method.encode(),
                self.target.encode(),
                credentials["timestamp"].encode(),
                credentials["nonce_str"].encode(),
                self.body,
            )
        )
        return rsa_verifies(key, credentials["signature"], message)


@dataclass
class Service:
    """The keys of the merchant and of the service, generated once for all tests."""

    merchant: rsa.RSAPrivateKey = field(default_factory=new_key)
    public_key: rsa.RSAPrivateKey = field(default_factory=new_key)
    platform: rsa.RSAPrivateKey = field(default_factory=new_key)

    def __post_init__(self) -> None:
        self.certificate = new_certificate(self.platform)
        self.platform_serial = f"{self.certificate.serial_number:040X}"

    @property
    def certs(self) -> dict[str, str]:
        return {PUBLIC_KEY_ID: public_pem(self.public_key), self.platform_serial: certificate_pem(self.certificate)}

    def settings(self, base_url: str) -> dict[str, object]:
        """Returns the settings of a client that does not retry, so that a test sees the effect of one attempt."""
        return {
            "retry": None,
            "mchid": MCHID,
            "serial": SERIAL,
            "private_key": self.merchant,
            "certs": self.certs,
            "base_url": base_url,
        }

    def signature(self, body: bytes, *, key=None, serial=PUBLIC_KEY_ID, timestamp=None, nonce=None) -> dict[str, str]:
        timestamp = str(int(time.time()) if timestamp is None else timestamp)
        nonce = secrets.token_hex(16) if nonce is None else nonce
        message = timestamp.encode() + b"\n" + nonce.encode() + b"\n" + body + b"\n"
        return {
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": serial,
            "Wechatpay-Signature": rsa_sign(key or self.public_key, message),
        }

    def signed(self, body: bytes = b"{}", status: int = 200, **options) -> Reply:
        headers = {"Content-Type": "application/json", "Request-ID": "08E2-0", **self.signature(body, **options)}
        return Reply(status, headers, body)


@dataclass(frozen=True)
class Reply:
    """A response for the server to write."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def without(self, name: str) -> Reply:
        """Returns a copy without a header."""
        return Reply(self.status, {k: v for k, v in self.headers.items() if k != name}, self.body)

    def having(self, **headers: str) -> Reply:
        """Returns a copy with more headers. An underscore in a name stands for a hyphen."""
        return Reply(self.status, {**self.headers, **{k.replace("_", "-"): v for k, v in headers.items()}}, self.body)

    @property
    def octets(self) -> bytes:
        head = [f"HTTP/1.1 {self.status} X", *(f"{name}: {value}" for name, value in self.headers.items())]
        if self.status != 204 and "Content-Length" not in self.headers:
            head.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*head, "", ""]).encode("latin-1") + self.body


class Kept(bytes):
    """Raw bytes of a response. The connection stays open after them; the bytes of `then` follow 20 ms later."""

    later = b""

    def then(self, later: bytes) -> Kept:
        kept = Kept(self)
        kept.later = later
        return kept


class Wire:
    """A plain socket server that records the requests it receives and responds with what `respond` returns.

    `respond` returns a Reply, after which the connection stays open; raw bytes, after which it is closed unless they are
    Kept; or None, which closes it without a response.
    """

    def __init__(self, respond: Callable[[Received], Reply | bytes | None], tls: ssl.SSLContext | None = None) -> None:
        self.respond = respond
        self.received: list[Received] = []
        self.followed = threading.Event()
        """Set when the bytes that follow a Kept response have been written."""
        wire = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while True:
                    line = self.rfile.readline().rstrip(b"\r\n")
                    if not line:
                        return
                    headers = []
                    while header := self.rfile.readline().rstrip(b"\r\n"):
                        name, _, value = header.decode("latin-1").partition(":")
                        headers.append((name, value.strip()))
                    length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
                    received = Received(line, headers, self.rfile.read(length), self.client_address[1])
                    wire.received.append(received)
                    reply = wire.respond(received)
                    if reply is None:
                        return
                    self.wfile.write(reply.octets if isinstance(reply, Reply) else reply)
                    if isinstance(reply, Kept) and reply.later:
                        time.sleep(0.02)
                        self.wfile.write(reply.later)
                        wire.followed.set()
                    if not isinstance(reply, (Reply, Kept)):
                        return

            def finish(self) -> None:
                with contextlib.suppress(OSError):  # the client may have closed the connection
                    super().finish()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 128

            def get_request(self) -> tuple[socket.socket, object]:
                accepted, address = super().get_request()
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                accepted.settimeout(30)
                return (tls.wrap_socket(accepted, server_side=True) if tls else accepted), address

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # some tests close the connection on purpose

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.base_url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/"

    def __enter__(self) -> Wire:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Tunnel:
    """A proxy that forwards every CONNECT to one port of this machine, whatever host the request names."""

    def __init__(self, port: int) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += self.request.recv(1)
                with socket.create_connection(("127.0.0.1", port)) as service, contextlib.suppress(OSError):
                    self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    ends = {self.request: service, service: self.request}
                    while True:
                        for end in select.select(list(ends), [], [], 10)[0]:
                            octets = end.recv(65536)
                            if not octets:
                                return
                            ends[end].sendall(octets)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Tunnel:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


async def wakeups_during(call: Awaitable[object]) -> int:
    """Returns how often another task, which sleeps 10 ms at a time, wakes up while a call runs on the event loop."""
    calling, wakeups = asyncio.ensure_future(call), 0
    while not calling.done():
        await asyncio.sleep(0.01)
        wakeups += 1
    await calling
    return wakeups


def json_body(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()

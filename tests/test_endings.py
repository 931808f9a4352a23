"""Every call ends in bounded time with an error of the package, whatever the peer sends or does not send."""

from __future__ import annotations

import asyncio
import gzip
import io
import socket
import sys
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import aiohttp
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.service import Kept, Reply, Service, Wire
from wechatpay_chain import (
    APIError,
    Client,
    ConfigurationError,
    ContentError,
    Retry,
    SignatureError,
    TransportError,
    TransportTimeout,
    WeChatPayError,
)

Script = Callable[[socket.socket], object]


@contextmanager
def scripted(script: Script, head_first: bool = True) -> Iterator[str]:
    """Runs a server that reads the head of a request and then runs the script, with a thread for each connection."""
    server = socket.create_server(("127.0.0.1", 0), backlog=256)
    ended = threading.Event()

    def serve(accepted: socket.socket) -> None:
        with accepted, suppress(OSError):
            accepted.settimeout(20)
            head = b""
            while head_first and b"\r\n\r\n" not in head:
                octets = accepted.recv(1 << 16)
                if not octets:
                    return
                head += octets
            if script(accepted) != "close":
                ended.wait(20)

    def accept() -> None:
        while True:
            try:
                accepted, _ = server.accept()
            except OSError:
                return
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(accepted,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
    finally:
        ended.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def pieces(*octets: bytes, pause: float = 0.05, then: str = "") -> Script:
    """Returns a script that sends pieces one after another, each as a TCP segment of its own."""

    def script(accepted: socket.socket) -> str:
        for piece in octets:
            accepted.sendall(piece)
            time.sleep(pause)
        return then

    return script


def endless(head: bytes, piece: bytes, every: float) -> Script:
    """Returns a script that sends the same piece again and again, until the client disconnects or 15 s are over."""

    def script(accepted: socket.socket) -> None:
        accepted.sendall(head)
        until = time.monotonic() + 15
        while time.monotonic() < until:
            accepted.sendall(piece)
            time.sleep(every)

    return script


def catch_error(call: Callable[[], object], within: float) -> WeChatPayError:
    """Returns the error of the package that a call raises within some seconds."""
    began = time.monotonic()
    with pytest.raises(WeChatPayError) as caught:
        call()
    assert time.monotonic() - began < within
    return caught.value


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"
CHUNKED_ERROR = CHUNKED.replace(b"200 OK", b"500 No")
MALFORMED = {
    "no size": b"ZZZ\r\n",
    "no size, after a chunk": b"3\r\nabc\r\nZZZ\r\n",
    "a chunk without its end": b"3\r\nabcdef\r\n",
    "a size of 17 digits": b"1" + b"0" * 16 + b"\r\nabc",
    "a size of 2**63": b"8000000000000000\r\nabc",
    "a negative size": b"-1\r\nabc\r\n",
    "a bad trailer": b"3\r\nabc\r\n0\r\n\x00bad\r\n\r\n",
    "an empty size": b"\r\n\r\n",
}


class Mode:
    """Sends in blocking or async mode, through the client's own pool or through a session of the user."""

    def __init__(self, service: Service, mode: str) -> None:
        self.service, self.mode = service, mode

    def __call__(self, url: str, verb: str = "get", *, template: str = "v3/x", timeout=(2, 0.4, 3), **arguments):
        settings = {**self.service.settings(url), "timeout": timeout}
        names = ("retry", "max_response_bytes", "proxies")
        settings.update({name: arguments.pop(name) for name in names if name in arguments})
        if self.mode.startswith("sync"):
            session = requests.Session() if self.mode == "sync session" else None
            with Client(**settings, session=session) as client:
                if verb == "download":
                    return client.download(url + template, **arguments)
                return getattr(client[template], verb)(**arguments)

        async def call():
            session = aiohttp.ClientSession() if self.mode == "async session" else None
            async with Client(**settings, async_session=session) as client:
                try:
                    if verb == "download":
                        return await client.download_async(url + template, **arguments)
                    return await getattr(client[template], f"{verb}_async")(**arguments)
                finally:
                    if session is not None:
                        await session.close()

        async def call_with_limit():
            return await asyncio.wait_for(call(), 18)  # a call that hangs fails one test instead of all

        return asyncio.run(call_with_limit())

    def download_within(self, url, to, timeout):
        """Downloads with a timeout of the call itself."""
        settings = self.service.settings(url)
        if self.mode.startswith("sync"):
            with Client(**settings) as client:
                return client.download(url + "v3/billdownload/file", to, timeout=timeout)

        async def download():
            async with Client(**settings) as client:
                return await client.download_async(url + "v3/billdownload/file", to, timeout=timeout)

        return asyncio.run(download())


@pytest.fixture(params=["sync", "async", "sync session", "async session"])
def mode(request, service) -> Mode:
    return Mode(service, request.param)


@pytest.mark.parametrize("malformed", MALFORMED)
@pytest.mark.parametrize("then", ["", "close"])
def test_a_malformed_chunk_ends_a_call(mode, malformed, then):
    verb, arguments = ("post", {"json": {"a": 1}}) if then else ("get", {})
    with scripted(pieces(CHUNKED, MALFORMED[malformed], then=then)) as url:
        error = catch_error(lambda: mode(url, verb, **arguments), within=4)
    assert isinstance(error, (TransportError, SignatureError))
    assert error.sent is True
    assert error.request.method == verb.upper()


@pytest.mark.parametrize("malformed", ["no size", "a size of 17 digits"])
def test_a_malformed_chunk_ends_uploads_downloads_and_error_responses(mode, malformed, tmp_path):
    with scripted(pieces(CHUNKED, MALFORMED[malformed])) as url:
        assert catch_error(lambda: mode(url, "post", json={"a": "x" * 100_000}), within=4).sent is True
        assert isinstance(catch_error(lambda: mode(url, "download", to=tmp_path / "a"), within=4), TransportError)
    assert not list(tmp_path.iterdir())
    with scripted(pieces(CHUNKED_ERROR, MALFORMED[malformed])) as url:
        error = catch_error(lambda: mode(url, "post", json={}), within=4)
        assert isinstance(error, (TransportError, APIError))
        assert error.sent is True


def test_broken_connections_leave_the_pool(service, monkeypatch):
    """If they kept their places in the pool of their loop, calls would wait for a place for ever."""
    from wechatpay_chain._transport import aiohttp_pool

    monkeypatch.setattr(aiohttp_pool, "MOST_AT_ONCE", 4)

    async def main(url):
        async with Client(**service.settings(url), timeout=(1, 1, 5)) as client:
            for _ in range(3):
                errors = await asyncio.gather(*(client.v3.x.get_async() for _ in range(4)), return_exceptions=True)
                assert all(isinstance(error, TransportError) for error in errors)
                assert all(error.sent for error in errors)

    with scripted(pieces(CHUNKED, b"ZZZ\r\n")) as url:
        asyncio.run(asyncio.wait_for(main(url), 15))


SLOW = {
    "a body, one byte at a time": endless(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x", 0.1),
    "chunks of one byte": endless(CHUNKED, b"1\r\nx\r\n", 0.1),
    "a head, one byte at a time": endless(b"HTTP/1.1 200 OK\r\nX: ", b"x", 0.1),
    "one header after another": endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", 0.2),
    "interim responses without an end": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.1),
    "a flood of interim responses": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 500, 0),
    "an error's body, one byte at a time": endless(b"HTTP/1.1 500 No\r\nContent-Length: 100000\r\n\r\n", b"x", 0.1),
}


@pytest.mark.parametrize("slow", SLOW)
def test_the_total_timeout_ends_a_slow_attempt(mode, slow):
    # On a busy machine the server may be late: a read timeout that is much shorter would sometimes come first.
    with scripted(SLOW[slow]) as url:
        error = catch_error(lambda: mode(url, "post", json={}, timeout=(1, 0.55, 0.6)), within=4)
    assert isinstance(error, TransportTimeout)
    assert isinstance(error, TimeoutError)
    if error.setting == "total":
        assert error.seconds == 0.6
    else:  # in async mode, the read timeout covers the whole head
        assert (mode.mode.partition(" ")[0], error.setting, error.seconds) == ("async", "read", 0.55)
    assert error.sent is True


@pytest.mark.parametrize("verb", ["post", "download"])
def test_silence_after_an_interim_response_is_a_timeout(mode, verb, tmp_path):
    """The total would end the first call after a minute. The download has none."""
    arguments = {"post": {"json": {}}, "download": {"to": tmp_path / "a"}}[verb]
    with scripted(pieces(b"HTTP/1.1 100 Continue\r\n\r\n")) as url:
        error = catch_error(lambda: mode(url, verb, timeout=(1, 0.4), **arguments), within=4)
    assert isinstance(error, TransportTimeout)
    assert (error.setting, error.seconds, error.sent) == ("read", 0.4, True)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 does not tell how often a task was cancelled")
def test_a_call_that_is_cancelled_at_its_timeout_ends_as_cancelled(service):
    """Through a session, the timeout cancels the task too, which must not hide that its user has cancelled it."""

    async def main(url):
        async with aiohttp.ClientSession() as session:
            client = Client(**service.settings(url), async_session=session)
            calling = asyncio.ensure_future(client.v3.x.post_async(json={}, timeout=(0.2, 0.2)))
            await asyncio.sleep(0.1)
            asyncio.get_running_loop().call_later(0.1, calling.cancel)
            time.sleep(0.6)  # noqa: ASYNC251 -- until both are due
            with pytest.raises(asyncio.CancelledError):
                await calling

    with scripted(pieces(b"HTTP/1.1 100 Continue\r\n\r\n")) as url:
        asyncio.run(main(url))


def test_the_total_timeout_applies_to_each_attempt(mode):
    with scripted(SLOW["chunks of one byte"]) as url:
        error = catch_error(lambda: mode(url, timeout=(1, 1, 0.4), retry=Retry(attempts=2, backoff=0.01)), within=4)
    assert [str(attempt) for attempt in error.attempts] == ["TransportTimeout sent=True"] * 2


def test_the_total_timeout_includes_the_proxy(mode):
    with scripted(endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.1)) as url:
        error = catch_error(
            lambda: mode("https://name.invalid/", proxies={"https": url}, timeout=(0.6, 0.6, 0.6)), within=4
        )
    assert isinstance(error, TransportError)
    assert error.sent is False or mode.mode == "async session"  # a session does not tell how much it sent
    assert f"through the proxy {url.rstrip('/')} (set in proxies=)" in str(error)


def test_a_peer_that_reads_nothing_is_a_timeout(mode):
    """The body is larger than all buffers on the way, and no response comes."""
    if mode.mode == "async session":
        pytest.skip("the call ends in time, but a session of aiohttp keeps the socket until the peer closes it")

    def script(accepted):
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    with scripted(script) as url:
        error = catch_error(lambda: mode(url, "post", json={"a": "x" * 30_000_000}, timeout=(1, 0.6, 1)), within=6)
    assert isinstance(error, TransportTimeout)
    assert error.sent is True


def test_a_download_has_a_total_timeout_only_if_the_call_sets_one(mode, tmp_path):
    octets = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"
    with scripted(pieces(octets, *[b"x"] * 8, pause=0.1)) as url:
        mode(url, "download", template="v3/billdownload/file", to=tmp_path / "a", timeout=(1, 1, 0.4))
        assert (tmp_path / "a").read_bytes() == b"x" * 8
    with scripted(pieces(octets, *[b"x"] * 8, pause=0.1)) as url:
        with pytest.raises(TransportTimeout) as caught:
            mode.download_within(url, tmp_path / "b", (1, 1, 0.5))
    assert caught.value.setting == "total"
    assert not (tmp_path / "b").exists()


def test_the_wait_for_a_connection_is_bounded(service, monkeypatch):
    from wechatpay_chain._transport import aiohttp_pool

    monkeypatch.setattr(aiohttp_pool, "MOST_AT_ONCE", 4)

    async def main(url):
        async with Client(**service.settings(url), timeout=(0.5, 2)) as client:
            began = time.monotonic()
            errors = await asyncio.gather(*(client.v3.x.post_async(json={}) for _ in range(20)), return_exceptions=True)
            assert time.monotonic() - began < 3.5
            return errors

    with scripted(pieces()) as url:
        errors = asyncio.run(main(url))
    assert all(isinstance(error, TransportTimeout) for error in errors)
    assert sorted((error.setting, error.sent) for error in errors) == [("connect", False)] * 16 + [("read", True)] * 4


def test_the_wait_for_a_connection_of_the_users_pool_is_bounded(service):
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=1, pool_block=True))
    with scripted(pieces()) as url, Client(**service.settings(url), session=session, timeout=(0.3, 2)) as client:
        errors = []

        def call():
            with pytest.raises(TransportTimeout) as caught:
                client.v3.x.post(json={})
            errors.append(caught.value)

        threads = [threading.Thread(target=call) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(6)
    assert sorted((error.setting, error.sent) for error in errors) == [("connect", False)] * 2 + [("read", True)]


def test_closing_the_client_ends_calls_that_wait_for_a_connection(service, monkeypatch):
    """Nobody has cancelled these calls, so they raise an error of the package instead of CancelledError."""
    from wechatpay_chain._transport import aiohttp_pool

    monkeypatch.setattr(aiohttp_pool, "MOST_AT_ONCE", 4)

    connections = []

    async def main(url):
        client = Client(**service.settings(url))
        calls = [asyncio.ensure_future(client.v3.x.post_async(json={})) for _ in range(12)]
        while len(connections) < 4:  # noqa: ASYNC110 -- another thread records them
            await asyncio.sleep(0.01)
        # Only now, because calls do not get connections in the order in which they began.
        cancelled = asyncio.ensure_future(client.v3.x.post_async(json={}))
        await asyncio.sleep(0.05)
        cancelled.cancel()
        await client.aclose()
        errors = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 5)
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        return errors

    with scripted(connections.append) as url:
        errors = asyncio.run(main(url))
    assert all(type(error) is TransportError for error in errors)
    assert sorted(error.sent for error in errors) == [False] * 8 + [True] * 4


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000000\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999999\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3, 5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8000000000000000\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 200 + b"\r\nabc",
        b"HTTP/1.1 500 No\r\nContent-Length: 1000000000000000\r\n\r\nabc",
    ],
)
def test_an_invalid_or_huge_length_ends_the_call(mode, head):
    with scripted(pieces(head)) as url:
        error = catch_error(lambda: mode(url, "post", json={}, retry=Retry(attempts=1)), within=4)
    assert error.sent is True
    assert error.request is not None


def test_a_response_is_bounded_in_memory(mode, service):
    responses = {
        "declared": Reply(200, {"Content-Length": "2000000"}, b"x").octets,
        "chunked": CHUNKED
        + b"f4240\r\n"
        + b"x" * 1_000_000
        + b"\r\n"
        + b"f4240\r\n"
        + b"x" * 1_000_000
        + b"\r\n0\r\n\r\n",
        "until its end": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 2_000_000,
        "compressed": Reply(200, {"Content-Encoding": "gzip"}, gzip.compress(b"x" * 2_000_000)).octets,
        "deflated": Reply(200, {"Content-Encoding": "deflate"}, zlib.compress(b"x" * 2_000_000)).octets,
    }
    for octets in responses.values():
        with scripted(pieces(octets, then="close")) as url:
            error = catch_error(lambda url=url: mode(url, "post", json={}, max_response_bytes=1_000_000), within=5)
        assert type(error) is ContentError
        assert error.sent is True
        assert "max_response_bytes" in str(error)
        assert "client.download" in str(error)
    body = b'{"a": "' + b"x" * 999_000 + b'"}'
    with Wire(lambda received: service.signed(body)) as wire:
        assert mode(wire.base_url, max_response_bytes=1_000_000).content == body


def test_a_compressed_response_is_bounded_in_memory(service, mode):
    bomb = gzip.compress(b"\0" * 300_000_000, 9)
    for status, kind in ((200, ContentError), (502, APIError)):
        with Wire(lambda received, status=status: Reply(status, {"Content-Encoding": "gzip"}, bomb)) as wire:
            tracemalloc.start()
            try:
                error = catch_error(lambda wire=wire: mode(wire.base_url), within=15)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert isinstance(error, kind)
        assert peak < 100_000_000


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "deflate", "identity"])
def test_a_compressed_response_is_verified_after_decompression(mode, service, encoding):
    body = b'{"a": "' + b"x" * 100_000 + b'"}'
    encoded = {
        "deflate": zlib.compress(body),
        "identity": body,
    }.get(encoding, gzip.compress(body[:50]) + gzip.compress(body[50:]))
    signed = service.signed(body)
    reply = Reply(200, {**signed.headers, "Content-Encoding": encoding}, encoded)
    with Wire(lambda received: reply) as wire:
        assert mode(wire.base_url).content == body
    with Wire(lambda received: Reply(200, reply.headers, encoded[:-9])) as wire:
        error = catch_error(lambda: mode(wire.base_url), within=4)
        assert error.sent is True


def test_an_unknown_encoding_is_an_error(mode, service):
    for encoding in ("br", "zstd", "gzip, gzip", "aes128gcm"):
        with Wire(lambda received, encoding=encoding: service.signed().having(Content_Encoding=encoding)) as wire:
            assert type(catch_error(lambda wire=wire: mode(wire.base_url), within=4)) is ContentError
        with Wire(lambda received, encoding=encoding: Reply(502, {"Content-Encoding": encoding}, b"abc")) as wire:
            error = catch_error(lambda wire=wire: mode(wire.base_url), within=4)
            assert error.response.content == b"abc"


@pytest.mark.parametrize("coding", ["xchunked", "chunkedx", "gzip, chunked", "chunked, gzip", "identity", "gzip", "x"])
def test_a_file_whose_end_is_unknown_is_not_saved(mode, coding, tmp_path):
    octets = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n".encode() + b"a,b\r\n1"
    with scripted(pieces(octets, then="close")) as url:
        error = catch_error(
            lambda: mode(url, "download", template="v3/billdownload/file", to=tmp_path / "bill.csv"), within=4
        )
    assert error.sent is True
    assert not list(tmp_path.iterdir())


def test_a_chunked_file_is_saved(mode, tmp_path):
    octets = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    with scripted(pieces(octets)) as url:
        mode(url, "download", template="v3/billdownload/file", to=tmp_path / "bill.csv")
    assert (tmp_path / "bill.csv").read_bytes() == b"abc"


# Random responses: each raises an error of the package.

LINES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK", b"HTTP/1.1 200", b"HTTP/1.1 204 No", b"HTTP/1.0 200 OK", b"HTTP/1.1 500 No", b"HTTP/1.1 100 C",
        b"HTTP/1.1 101 S", b"HTTP/1.1 304 N", b"HTTP/2 200", b"HTTP/1.1 abc", b"HTTP/1.1 99 x", b"HTTP/1.1 1000 x", b"", b"\x16\x03\x01",
        b"HTTP/1.1 200 \xff\xfe", b"GET / HTTP/1.1", b"HTTP/1.1\t200\tOK", b"ICY 200 OK", b"\0",
    ]
)  # fmt: skip
FIELDS = st.sampled_from(
    [
        b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: -1", b"Content-Length: 5, 5", b"Content-Length: 99999999999999999999",
        b"Content-Length: +5", b"Content-Length: 0x5", b"Content-Length:", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked, chunked",
        b"Transfer-Encoding: gzip", b"Content-Encoding: gzip", b"Content-Encoding: deflate", b"Content-Encoding: br", b"Connection: close",
        b"Connection: upgrade", b"Upgrade: x", b"Location: //x", b"X", b": y", b"X : y", b" folded", b"X: \xff", b"X: \0", b"Set-Cookie: a=b",
        b"Content-Type: text/\xff; charset=nonsense", b"Wechatpay-Serial: \xe9", b"Request-ID: \x1b[31m", b"Trailer: X", b"X: " + b"y" * 9000,
        b"Retry-After: 1e9", b"Wechatpay-Timestamp: 99999999999999", b"Wechatpay-Nonce: a\tb", b"Wechatpay-Signature: !",
    ]
)  # fmt: skip
BODIES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            b"5\r\nabcde\r\n0\r\n\r\n", b"5\r\nabc", b"Z\r\n", b"0\r\n\r\n", b"5;x=y\r\nabcde\r\n0\r\nT: u\r\n\r\n", b"\x1f\x8b\x08", b"{}",
            b"ffffffffffffffff\r\n", gzip.compress(b"{}"), b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"00000000000000000005\r\nabcde\r\n0\r\n\r\n",
        ]
    ),
)  # fmt: skip


def _build_response(line: bytes, fields: list[bytes], body: bytes, end: bytes) -> bytes:
    return b"\r\n".join([line, *fields]) + end + body


RESPONSES = st.one_of(
    st.builds(
        _build_response,
        LINES,
        st.lists(FIELDS, max_size=5),
        BODIES,
        st.sampled_from([b"\r\n\r\n", b"\n\n", b"\r\n", b"\r\r\n\r\n"]),
    ),
    st.binary(max_size=80),
)


@pytest.fixture(params=["sync", "async", "async session"])
def fuzzed(request, service):
    """Yields a list with the next response, and a function that sends with one client for the whole test."""
    next_response = [b""]
    with Wire(lambda received: next_response[0]) as wire:
        settings = {**service.settings(wire.base_url), "timeout": (2, 0.3, 1)}
        if request.param == "sync":
            with Client(**settings) as client:
                yield next_response, lambda verb, **arguments: getattr(client.v3.x, verb)(**arguments)
            return
        with asyncio.Runner() if sys.version_info >= (3, 11) else _Runner() as runner:

            async def build():
                session = aiohttp.ClientSession() if request.param == "async session" else None
                return session, Client(**settings, async_session=session)

            session, client = runner.run(build())
            yield (
                next_response,
                lambda verb, **arguments: runner.run(getattr(client.v3.x, f"{verb}_async")(**arguments)),
            )
            runner.run(client.aclose())
            if session is not None:
                runner.run(session.close())


class _Runner:
    """Stands for asyncio.Runner, which Python 3.10 does not have."""

    def __enter__(self):
        self._loop = asyncio.new_event_loop()
        return self

    def run(self, coroutine):
        return self._loop.run_until_complete(coroutine)

    def __exit__(self, *_):
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


@given(RESPONSES, st.booleans())
@settings(max_examples=250)
def test_a_random_response_raises_an_error_of_the_package(fuzzed, octets, has_body):
    next_response, send = fuzzed
    next_response[0] = octets
    began = time.monotonic()
    with pytest.raises(WeChatPayError) as caught:  # no random response is signed
        send("post", json={}) if has_body else send("get")
    assert caught.value.sent is True
    assert caught.value.request is not None
    assert time.monotonic() - began < 3


def test_an_error_of_the_users_file_is_raised_as_it_is(mode, service):
    class Full(io.RawIOBase):
        def writable(self):
            return True

        def write(self, octets):
            if octets:
                raise OSError(28, "No space left on device")
            return 0

    with Wire(lambda received: Reply(200, {}, b"x" * 10)) as wire, pytest.raises(OSError, match="space"):
        mode(wire.base_url, "download", template="v3/billdownload/file", to=Full())


@pytest.mark.parametrize("value", [0, -1, True, "1", 1.5, None])
def test_an_invalid_max_response_bytes_is_refused(service, value):
    with pytest.raises(ConfigurationError, match="max_response_bytes"):
        Client(**service.settings("http://127.0.0.1:1/"), max_response_bytes=value)


@pytest.mark.parametrize("first", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"])
def test_a_peer_that_sends_before_the_request_is_an_error(mode, first):
    """A connection that brings bytes before the request cannot be used, and neither can the next ones."""
    connections = []

    def script(accepted):
        connections.append(accepted)
        accepted.sendall(first)

    with scripted(script, head_first=False) as url:
        catch_error(lambda: mode(url, "post", json={}, timeout=(1, 0.5, 1)), within=3)
    assert len(connections) < 5


def test_the_total_timeout_includes_connecting(mode):
    with socket.create_server(("127.0.0.1", 0)) as server:  # it accepts, and never starts TLS
        url = f"https://127.0.0.1:{server.getsockname()[1]}/"
        error = catch_error(lambda: mode(url, "post", json={}, timeout=(3, 3, 0.5)), within=2)
    assert (error.setting, error.seconds) == ("total", 0.5)
    assert error.sent is False or mode.mode == "async session"


def test_the_total_timeout_includes_writing_a_file(mode):
    if "session" in mode.mode:
        pytest.skip("downloads of this test never use the user's session")

    class Slow(io.BytesIO):
        def write(self, octets):
            time.sleep(0.3 if octets else 0)
            return len(octets)

    with Wire(lambda received: Reply(200, {}, b"x" * 8_000_000)) as wire:
        began = time.monotonic()
        with pytest.raises(TransportTimeout) as caught:
            mode.download_within(wire.base_url, Slow(), (1, 1, 0.5))
    assert caught.value.setting == "total"
    assert time.monotonic() - began < 3


def test_a_response_to_a_half_sent_request_ends_the_call(mode):
    """A server that refuses a large body without reading it, and keeps the connection open."""
    if mode.mode == "async session":
        pytest.skip("a session of aiohttp waits for the peer when it is closed")
    refusal = Kept(Reply(413, {"Connection": "keep-alive"}, b"{}").octets)
    with scripted(pieces(refusal)) as url:
        error = catch_error(lambda: mode(url, "post", json={"a": "x" * 20_000_000}, timeout=(1, 1, 4)), within=8)
    assert error.sent is True

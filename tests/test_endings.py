"""Every call ends in bounded time, as an error of ours, whatever the other side sends or leaves out."""

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
    """A server that reads each request's head, and then does what the script says, on a thread for each connection."""
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
    """Sends some pieces one after another, each as a segment of its own."""

    def script(accepted: socket.socket) -> str:
        for piece in octets:
            accepted.sendall(piece)
            time.sleep(pause)
        return then

    return script


def endless(head: bytes, piece: bytes, every: float) -> Script:
    """Sends the same piece for ever, or until nobody wants it any more."""

    def script(accepted: socket.socket) -> None:
        accepted.sendall(head)
        until = time.monotonic() + 15
        while time.monotonic() < until:
            accepted.sendall(piece)
            time.sleep(every)

    return script


def failure(call: Callable[[], object], within: float) -> WeChatPayError:
    """The error that a call ends with, in time."""
    began = time.monotonic()
    with pytest.raises(WeChatPayError) as caught:
        call()
    assert time.monotonic() - began < within
    return caught.value


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"
PROBLEM = CHUNKED.replace(b"200 OK", b"500 No")
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
    """Ways to send: in both modes, through the client's own pools, or through a session of the user's own."""

    def __init__(self, service: Service, mode: str) -> None:
        self.service, self.mode = service, mode

    def __call__(self, url: str, verb: str = "get", *, template: str = "v3/x", timeout=(2, 0.4, 3), **arguments):
        settings = {**self.service.settings(url), "timeout": timeout}
        own = {key: arguments.pop(key) for key in ("retry", "max_response_bytes", "proxies") if key in arguments}
        settings.update(own)
        if self.mode.startswith("sync"):
            session = requests.Session() if self.mode == "sync session" else None
            with Client(**settings, session=session) as client:
                if verb == "download":
                    return client.download(url + template, **arguments)
                return getattr(client[template], verb)(**arguments)

        async def awaited():
            session = aiohttp.ClientSession() if self.mode == "async session" else None
            async with Client(**settings, async_session=session) as client:
                try:
                    if verb == "download":
                        return await client.download_async(url + template, **arguments)
                    return await getattr(client[template], f"{verb}_async")(**arguments)
                finally:
                    if session is not None:
                        await session.close()

        async def bounded():
            return await asyncio.wait_for(awaited(), 18)  # so that a call that hangs fails one test, not all

        return asyncio.run(bounded())


@pytest.fixture(params=["sync", "async", "sync session", "async session"])
def mode(request, service) -> Mode:
    return Mode(service, request.param)


@pytest.mark.parametrize("malformed", MALFORMED)
@pytest.mark.parametrize("then", ["", "close"])
def test_a_malformed_chunk_ends_a_call(mode, malformed, then):
    verb, arguments = ("post", {"json": {"a": 1}}) if then else ("get", {})
    with scripted(pieces(CHUNKED, MALFORMED[malformed], then=then)) as url:
        error = failure(lambda: mode(url, verb, **arguments), within=4)
    assert isinstance(error, (TransportError, SignatureError))
    assert error.sent is True
    assert error.request.method == verb.upper()


@pytest.mark.parametrize("malformed", ["no size", "a size of 17 digits"])
def test_a_malformed_chunk_ends_whatever_is_read(mode, malformed, tmp_path):
    with scripted(pieces(CHUNKED, MALFORMED[malformed])) as url:
        assert failure(lambda: mode(url, "post", json={"a": "x" * 100_000}), within=4).sent is True
        assert isinstance(failure(lambda: mode(url, "download", to=tmp_path / "a"), within=4), TransportError)
    assert not list(tmp_path.iterdir())
    with scripted(pieces(PROBLEM, MALFORMED[malformed])) as url:
        error = failure(lambda: mode(url, "post", json={}), within=4)
        assert isinstance(error, (TransportError, APIError))
        assert error.sent is True


def test_connections_that_ended_badly_are_not_kept(service, monkeypatch):
    """Each took a place among the connections of its loop; when all were taken, no call could be made any more."""
    from wechatpay_chain._transport import aiohttp_pool as transport

    monkeypatch.setattr(transport, "MOST_AT_ONCE", 4)

    async def main(url):
        async with Client(**service.settings(url), timeout=(1, 1, 5)) as client:
            for _ in range(3):
                ended = await asyncio.gather(*(client.v3.x.get_async() for _ in range(4)), return_exceptions=True)
                assert all(isinstance(error, TransportError) for error in ended)
                assert all(error.sent for error in ended)

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
def test_an_attempt_has_a_total(mode, slow):
    with scripted(SLOW[slow]) as url:
        error = failure(lambda: mode(url, "post", json={}, timeout=(1, 0.4, 0.6)), within=4)
    assert isinstance(error, TransportTimeout)
    assert isinstance(error, TimeoutError)
    if error.setting == "total":
        assert error.seconds == 0.6
    else:  # the head of an awaited response counts as one piece
        assert (mode.mode.partition(" ")[0], error.setting, error.seconds) == ("async", "read", 0.4)
    assert error.sent is True


def test_a_total_counts_for_each_attempt(mode):
    with scripted(SLOW["chunks of one byte"]) as url:
        error = failure(lambda: mode(url, timeout=(1, 1, 0.4), retry=Retry(attempts=2, backoff=0.01)), within=4)
    assert [str(attempt) for attempt in error.attempts] == ["TransportTimeout sent=True"] * 2


def test_a_total_of_a_call_with_a_proxy(mode):
    with scripted(endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.1)) as url:
        error = failure(
            lambda: mode("https://name.invalid/", proxies={"https": url}, timeout=(0.6, 0.6, 0.6)), within=4
        )
    assert isinstance(error, TransportError)
    assert error.sent is False or mode.mode == "async session"  # where nothing of ours is told how far it came
    assert f"through the proxy {url.rstrip('/')} (set in proxies=)" in str(error)


def test_a_peer_that_takes_nothing(mode):
    """A body that is larger than what lies on the way is not taken, and nothing comes back."""

    if mode.mode == "async session":
        pytest.skip("it ends in time, but aiohttp's session keeps the socket until the peer goes")

    def script(accepted):
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    with scripted(script) as url:
        error = failure(lambda: mode(url, "post", json={"a": "x" * 30_000_000}, timeout=(1, 0.6, 1)), within=6)
    assert isinstance(error, TransportTimeout)
    assert error.sent is True


def test_a_download_has_no_total_unless_it_is_asked_for(mode, tmp_path):
    octets = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"
    with scripted(pieces(octets, *[b"x"] * 8, pause=0.1)) as url:
        mode(url, "download", template="v3/billdownload/file", to=tmp_path / "a", timeout=(1, 1, 0.4))
        assert (tmp_path / "a").read_bytes() == b"x" * 8
    with scripted(pieces(octets, *[b"x"] * 8, pause=0.1)) as url:
        with pytest.raises(TransportTimeout) as caught:
            Mode.download_within(mode, url, tmp_path / "b", (1, 1, 0.5))
    assert caught.value.setting == "total"
    assert not (tmp_path / "b").exists()


def _download_within(mode, url, to, timeout):
    settings = mode.service.settings(url)
    if mode.mode.startswith("sync"):
        with Client(**settings) as client:
            return client.download(url + "v3/billdownload/file", to, timeout=timeout)

    async def awaited():
        async with Client(**settings) as client:
            return await client.download_async(url + "v3/billdownload/file", to, timeout=timeout)

    return asyncio.run(awaited())


Mode.download_within = staticmethod(_download_within)


def test_the_wait_for_a_connection_is_bounded(service, monkeypatch):
    from wechatpay_chain._transport import aiohttp_pool as transport

    monkeypatch.setattr(transport, "MOST_AT_ONCE", 4)

    async def main(url):
        async with Client(**service.settings(url), timeout=(0.5, 2)) as client:
            began = time.monotonic()
            ended = await asyncio.gather(*(client.v3.x.post_async(json={}) for _ in range(20)), return_exceptions=True)
            assert time.monotonic() - began < 3.5
            return ended

    with scripted(pieces()) as url:
        ended = asyncio.run(main(url))
    assert all(isinstance(error, TransportTimeout) for error in ended)
    assert sorted((error.setting, error.sent) for error in ended) == [("connect", False)] * 16 + [("read", True)] * 4


def test_the_wait_for_a_connection_of_ones_own_pool_is_bounded(service):
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


def test_who_waits_when_the_client_is_closed(service, monkeypatch):
    """Nobody has cancelled these calls."""
    from wechatpay_chain._transport import aiohttp_pool as transport

    monkeypatch.setattr(transport, "MOST_AT_ONCE", 4)

    came = []

    async def main(url):
        client = Client(**service.settings(url))
        calls = [asyncio.ensure_future(client.v3.x.post_async(json={})) for _ in range(12)]
        while len(came) < 4:  # noqa: ASYNC110 -- another thread writes them down
            await asyncio.sleep(0.01)
        # Made now, for calls do not get their connections in the order in which they began.
        cancelled = asyncio.ensure_future(client.v3.x.post_async(json={}))
        await asyncio.sleep(0.05)
        cancelled.cancel()
        await client.aclose()
        ended = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 5)
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        return ended

    with scripted(came.append) as url:
        ended = asyncio.run(main(url))
    assert all(type(error) is TransportError for error in ended)
    assert sorted(error.sent for error in ended) == [False] * 8 + [True] * 4


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
def test_a_length_that_nobody_could_read(mode, head):
    with scripted(pieces(head)) as url:
        error = failure(lambda: mode(url, "post", json={}, retry=Retry(attempts=1)), within=4)
    assert error.sent is True
    assert error.request is not None


def test_a_response_is_bounded_in_memory(mode, service):
    wire_answers = {
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
    for octets in wire_answers.values():
        with scripted(pieces(octets, then="close")) as url:
            error = failure(lambda url=url: mode(url, "post", json={}, max_response_bytes=1_000_000), within=5)
        assert type(error) is ContentError
        assert error.sent is True
        assert "max_response_bytes" in str(error)
        assert "client.download" in str(error)
    body = b'{"a": "' + b"x" * 999_000 + b'"}'
    with Wire(lambda received: service.signed(body)) as wire:
        assert mode(wire.base_url, max_response_bytes=1_000_000).content == body


def test_what_is_compressed_does_not_swell(service, mode):
    bomb = gzip.compress(b"\0" * 300_000_000, 9)
    for status, kind in ((200, ContentError), (502, APIError)):
        with Wire(lambda received, status=status: Reply(status, {"Content-Encoding": "gzip"}, bomb)) as wire:
            tracemalloc.start()
            try:
                error = failure(lambda wire=wire: mode(wire.base_url), within=15)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert isinstance(error, kind)
        assert peak < 100_000_000


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "deflate", "identity"])
def test_what_is_compressed_on_the_way_is_verified_as_it_was_signed(mode, service, encoding):
    body = b'{"a": "' + b"x" * 100_000 + b'"}'
    encoded = {
        "deflate": zlib.compress(body),
        "identity": body,
    }.get(encoding, gzip.compress(body[:50]) + gzip.compress(body[50:]))
    reply = service.signed(body)
    answer = Reply(200, {**reply.headers, "Content-Encoding": encoding}, encoded)
    with Wire(lambda received: answer) as wire:
        assert mode(wire.base_url).content == body
    with Wire(lambda received: Reply(200, answer.headers, encoded[:-9])) as wire:
        error = failure(lambda: mode(wire.base_url), within=4)
        assert error.sent is True


def test_an_encoding_that_is_not_known(mode, service):
    for encoding in ("br", "zstd", "gzip, gzip", "aes128gcm"):
        with Wire(lambda received, encoding=encoding: service.signed().having(Content_Encoding=encoding)) as wire:
            assert type(failure(lambda wire=wire: mode(wire.base_url), within=4)) is ContentError
        with Wire(lambda received, encoding=encoding: Reply(502, {"Content-Encoding": encoding}, b"abc")) as wire:
            error = failure(lambda wire=wire: mode(wire.base_url), within=4)
            assert error.response.content == b"abc"


@pytest.mark.parametrize("coding", ["xchunked", "chunkedx", "gzip, chunked", "chunked, gzip", "identity", "gzip", "x"])
def test_a_file_whose_end_is_not_known_is_not_kept(mode, coding, tmp_path):
    octets = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n".encode() + b"a,b\r\n1"
    with scripted(pieces(octets, then="close")) as url:
        error = failure(
            lambda: mode(url, "download", template="v3/billdownload/file", to=tmp_path / "bill.csv"), within=4
        )
    assert error.sent is True
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_chunked_rightly_is_kept(mode, tmp_path):
    octets = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    with scripted(pieces(octets)) as url:
        mode(url, "download", template="v3/billdownload/file", to=tmp_path / "bill.csv")
    assert (tmp_path / "bill.csv").read_bytes() == b"abc"


# Whatever comes, only errors of ours go.

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


def _responses(line: bytes, fields: list[bytes], body: bytes, end: bytes) -> bytes:
    return b"\r\n".join([line, *fields]) + end + body


RESPONSES = st.one_of(
    st.builds(
        _responses,
        LINES,
        st.lists(FIELDS, max_size=5),
        BODIES,
        st.sampled_from([b"\r\n\r\n", b"\n\n", b"\r\n", b"\r\r\n\r\n"]),
    ),
    st.binary(max_size=80),
)


@pytest.fixture(params=["sync", "async", "async session"])
def fuzzed(request, service):
    """A client that is kept over all responses of a test, in each mode, and the server that sends them."""
    octets = [b""]
    with Wire(lambda received: octets[0]) as wire:
        settings = {**service.settings(wire.base_url), "timeout": (2, 0.3, 1)}
        if request.param == "sync":
            with Client(**settings) as client:
                yield octets, lambda verb, **arguments: getattr(client.v3.x, verb)(**arguments)
            return
        with asyncio.Runner() if sys.version_info >= (3, 11) else _Runner() as runner:

            async def made():
                session = aiohttp.ClientSession() if request.param == "async session" else None
                return session, Client(**settings, async_session=session)

            session, client = runner.run(made())
            yield octets, lambda verb, **arguments: runner.run(getattr(client.v3.x, f"{verb}_async")(**arguments))
            runner.run(client.aclose())
            if session is not None:
                runner.run(session.close())


class _Runner:
    """asyncio.Runner, which Python 3.10 does not have."""

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
def test_whatever_comes_only_errors_of_ours_go(fuzzed, octets, has_body):
    told, send = fuzzed
    told[0] = octets
    began = time.monotonic()
    with pytest.raises(WeChatPayError) as caught:  # nothing that comes is signed
        send("post", json={}) if has_body else send("get")
    assert caught.value.sent is True
    assert caught.value.request is not None
    assert time.monotonic() - began < 3


def test_a_sink_of_ones_own_keeps_its_errors(mode, service):
    class Full(io.RawIOBase):
        def writable(self):
            return True

        def write(self, octets):
            if octets:
                raise OSError(28, "No space left on device")
            return 0

    with Wire(lambda received: Reply(200, {}, b"x" * 10)) as wire, pytest.raises(OSError, match="space"):
        mode(wire.base_url, "download", template="v3/billdownload/file", to=Full())


@pytest.mark.parametrize("most", [0, -1, True, "1", 1.5, None])
def test_a_bound_that_is_none(service, most):
    with pytest.raises(ConfigurationError, match="max_response_bytes"):
        Client(**service.settings("http://127.0.0.1:1/"), max_response_bytes=most)


@pytest.mark.parametrize("first", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"])
def test_a_peer_that_speaks_first(mode, first):
    """A connection on which something came before the request is of no use, and neither is the next one."""
    connections = []

    def script(accepted):
        connections.append(accepted)
        accepted.sendall(first)

    with scripted(script, head_first=False) as url:
        failure(lambda: mode(url, "post", json={}, timeout=(1, 0.5, 1)), within=3)
    assert len(connections) < 5


def test_to_connect_counts_for_the_total(mode):
    with socket.create_server(("127.0.0.1", 0)) as server:  # whose TLS never begins
        url = f"https://127.0.0.1:{server.getsockname()[1]}/"
        error = failure(lambda: mode(url, "post", json={}, timeout=(3, 3, 0.5)), within=2)
    assert (error.setting, error.seconds) == ("total", 0.5)
    assert error.sent is False or mode.mode == "async session"


def test_to_write_a_file_counts_for_the_total(mode):
    if "session" in mode.mode:
        pytest.skip("it is the same for a session of one's own")

    class Slow(io.BytesIO):
        def write(self, octets):
            time.sleep(0.3 if octets else 0)
            return len(octets)

    with Wire(lambda received: Reply(200, {}, b"x" * 8_000_000)) as wire:
        began = time.monotonic()
        with pytest.raises(TransportTimeout) as caught:
            Mode.download_within(mode, wire.base_url, Slow(), (1, 1, 0.5))
    assert caught.value.setting == "total"
    assert time.monotonic() - began < 3


def test_a_response_after_a_part_of_the_request(mode):
    """A server that refuses a large body without reading it, and keeps the connection open."""
    if mode.mode == "async session":
        pytest.skip("aiohttp's session waits for the peer when its user closes it")
    refused = Kept(Reply(413, {"Connection": "keep-alive"}, b"{}").octets)
    with scripted(pieces(refused)) as url:
        error = failure(lambda: mode(url, "post", json={"a": "x" * 20_000_000}, timeout=(1, 1, 4)), within=8)
    assert error.sent is True

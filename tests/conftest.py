from __future__ import annotations

import asyncio
import gc
import os
import ssl
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.redis_server import redis_server  # noqa: F401 -- a fixture
from tests.service import Service, Wire, certificate_pem, new_certificate, new_key, private_pem
from wechatpay_chain import Client, Response
from wechatpay_chain.sandbox import Sandbox

settings.register_profile(
    "suite",
    deadline=None,
    derandomize="CI" in os.environ,  # in CI, a failure must come from the change that is tested
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("suite")

Send = Callable[..., Response]


YOUNG, MIDDLE, _ = gc.get_threshold()


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Collects the tests without the garbage collector, which would look at all of them again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        # To look at all objects takes up to 1.6 s on a busy machine. No test that measures time should stop for that.
        gc.set_threshold(YOUNG, MIDDLE, 1_000_000)
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol():
    """Lets the garbage collector look at all objects between two tests, if it would have done so by itself."""
    try:
        return (yield)
    finally:
        if gc.get_count()[2] >= 10:
            gc.collect()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names long bytes by their argument. Compressed bytes contain the time, but all processes that run the tests must agree on the names."""
    return argname if isinstance(val, bytes) and len(val) > 50 else None


@pytest.fixture(scope="session")
def service() -> Service:
    return Service()


@pytest.fixture
def wire(service: Service) -> Iterator[Wire]:
    with Wire(lambda received: service.signed()) as wire:
        yield wire


@pytest.fixture
def client(service: Service, wire: Wire) -> Iterator[Client]:
    with Client(**service.settings(wire.base_url)) as client:
        yield client


@pytest.fixture(params=["sync", "async"])
def send(request: pytest.FixtureRequest) -> Send:
    """Returns a function that sends in blocking or async mode: send(node, "post", json=…)."""

    def blocking(node, verb, **arguments):
        return getattr(node, verb)(**arguments)

    def awaiting(node, verb, **arguments):
        return asyncio.run(getattr(node, f"{verb}_async")(**arguments))

    return blocking if request.param == "sync" else awaiting


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """Returns the context of a TLS server, and the path of its certificate, which a client trusts as its ca_bundle."""
    folder = tmp_path_factory.mktemp("tls")
    key = new_key()
    (folder / "key.pem").write_text(private_pem(key))
    (folder / "ca.pem").write_text(certificate_pem(new_certificate(key)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context, folder / "ca.pem"

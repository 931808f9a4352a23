"""Runs steps that send no request: the check of a notification, the signature for a front end."""

from __future__ import annotations

from typing import NoReturn, TypeVar

from wechatpay_chain._forks.no_fork import no_fork
from wechatpay_chain._messages.effects import Steps
from wechatpay_chain._messages.request import Request
from wechatpay_chain._pipeline import sync_driver

__all__ = ["run_local", "run_local_async"]

T = TypeVar("T")


def run_local(steps: Steps[T]) -> T:
    """Runs steps and returns their result."""
    return sync_driver.drive(steps, _refused)


async def run_local_async(steps: Steps[T]) -> T:
    """Runs steps for callers that await, and returns their result."""
    with no_fork.current:
        from wechatpay_chain._pipeline import async_driver  # it imports asyncio, which not every program needs

    return await async_driver.drive(steps, _refused_async)


def _refused(request: Request) -> NoReturn:
    raise AssertionError(f"{request!r} cannot be sent from here")


async def _refused_async(request: Request) -> NoReturn:
    _refused(request)

"""Does steps that send nothing, in either mode: what judges a notification, what signs for a front end."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, TypeVar

from wechatpay_chain._forks.importing import importing
from wechatpay_chain._messages.effects import Steps
from wechatpay_chain._messages.request import Request
from wechatpay_chain._pipeline import sync_driver

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

__all__ = ["do", "do_async"]

T = TypeVar("T")


def do(steps: Steps[T]) -> T:
    """What steps come to, blocking."""
    return sync_driver.drive(steps, _refused)


async def do_async(steps: Steps[T]) -> T:
    """The same, awaiting."""
    with importing:
        from wechatpay_chain._pipeline import async_driver  # it brings asyncio, which not every program needs

    return await async_driver.drive(steps, _refused_async)


def _refused(request: Request) -> NoReturn:
    raise AssertionError(f"{request!r} cannot be sent from here")


async def _refused_async(request: Request, _loop: AbstractEventLoop) -> NoReturn:
    _refused(request)

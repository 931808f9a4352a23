"""What users and the service do to the objects of a sandbox, for the control interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from wechatpay_chain.errors import ConfigurationError
from wechatpay_chain.sandbox._world import World

__all__ = ["Acts"]

ACTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "order": ("orders", ("fail", "expire", "close", "reverse")),
    "combined_order": ("combined_orders", ("expire", "close")),
    "refund": ("refunds", ("finish",)),
    "transfer": ("transfers", ("confirm", "finish", "cancel")),
    "share": ("sharing.orders", ("finish",)),
    "share_return": ("sharing.returns", ("finish",)),
    "complaint": (
        "complaints",
        (
            "reply",
            "repeat",
            "withdraw",
            "apply_platform_service",
            "cancel_platform_service",
            "finish_platform_service",
        ),
    ),
    "coupon": ("coupons", ("take", "delete")),
    "applyment": ("applyments", ("move",)),
}
"""By kind: where the objects are in a `World`, and the methods that may be called."""


class Acts:
    """Calls the methods of objects by name.

    Args:
        world: has the objects.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def act(self, kind: str, number: str, act: str, **arguments: Any) -> Any:
        """Does what a user or the service does to an object, and returns its notification, if there is one.

        Args:
            kind: the kind of the object, such as refund.
            number: its number.
            act: the method, such as finish.
            **arguments: the arguments of the method.

        Raises:
            ConfigurationError: there is no such kind, object or act.
        """
        if kind not in ACTS:
            raise ConfigurationError(f"kind: came {kind!r}; expected one of {', '.join(ACTS)}")
        where, names = ACTS[kind]
        objects: Mapping[str, Any] = attrgetter(where)(self._world)
        if number not in objects:
            raise ConfigurationError(f"number: the sandbox has no {kind} {number!r}")
        if act not in names:
            raise ConfigurationError(f"act: came {act!r}; expected one of {', '.join(names)}")
        method: Callable[..., Any] = getattr(objects[number], act)
        return method(**arguments)

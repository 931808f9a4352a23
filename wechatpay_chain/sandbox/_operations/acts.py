"""What a test's author does through a live object, such as `sandbox.orders[…].pay()`.

What the service would refuse to a request is a `Refusal`, and only a request gets one. Nobody has sent a request here: an act that
is not possible raises a ConfigurationError, for the author, which names the object, its state and what the act expects.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from wechatpay_chain.errors import ConfigurationError
from wechatpay_chain.sandbox._operations.account import Refusal

__all__ = ["act_on", "require_act"]


def require_act(is_possible: bool, name: str, state: str, expected: str) -> None:
    """Checks that an act is possible.

    Args:
        is_possible: whether it is.
        name: the object, such as "order 20260101-0001".
        state: its state.
        expected: the states that allow the act, and what to do in another one.

    Raises:
        ConfigurationError: the act is not possible.
    """
    if not is_possible:
        raise ConfigurationError(f"{name}: its state is {state}; expected {expected}")


@contextmanager
def act_on(name: str, state: str, expected: str) -> Iterator[None]:
    """Acts by the rules for requests. The error has the code that a request would get.

    Args:
        name: the object, such as "order 20260101-0001".
        state: its state.
        expected: the states that allow the act, and what to do in another one.

    Raises:
        ConfigurationError: a rule refuses the act.
    """
    try:
        yield
    except Refusal as refusal:
        require_act(False, name, state, f"{expected} ({refusal.body['code']})")

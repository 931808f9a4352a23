"""What a test's author does through a live object, such as `sandbox.orders[…].pay()`.

Nobody has sent a request, so the service refuses nothing: an act that is not possible raises a ConfigurationError, for the author. A
`Refusal` is what the service responds to a request.
"""

from __future__ import annotations

from wechatpay_chain.errors import ConfigurationError

__all__ = ["require_state"]


def require_state(name: str, state: str, *expected: str, advice: str = "") -> None:
    """Checks that the state of an object allows an act.

    Args:
        name: the object, such as "order 20260101-0001".
        state: its state.
        expected: the states that allow the act.
        advice: what to do instead; empty if the states say it.

    Raises:
        ConfigurationError: the state is none of these.
    """
    if state not in expected:
        advised = f": {advice}" if advice else ""
        raise ConfigurationError(f"{name}: its state is {state}; expected {' or '.join(expected)}{advised}")
